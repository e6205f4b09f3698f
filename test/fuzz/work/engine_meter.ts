/**
 * Measures what an attack makes a whole engine do.
 *
 * The victim is a member of a small cluster in virtual time. The attack arrives
 * within a second; for some more seconds the work is counted that it leaves
 * behind. Quiet minutes and an exchange of state follow. Then another member sends
 * ordinary events and queries, which must be taken, and everybody must be a member.
 */

import { expressionSize } from "../../../lib/kit/expression.ts";
import { compileExpression } from "../../../lib/kit/re2.ts";
import type { SerfConfig } from "../../../lib/serf/config.ts";
import type { Output } from "../../../lib/serf/event.ts";
import { readSnapshot } from "../../../lib/serf/snapshot_file.ts";
import type { SwimConfig } from "../../../lib/swim/config.ts";
import { encodeMessage } from "../../../lib/wire/message_codec.ts";
import {
  encodeSerfMessage,
  type SerfMessage,
} from "../../../lib/wire/serf_messages.ts";
import { Cluster, type Node } from "../../serf/cluster.ts";
import type { Attack, AttackInput } from "./attack.ts";
import { BOUNDS } from "./bounds.ts";
import { bytesOfIp, HONEST, ipOf, MEMBERS, PORT, VICTIM } from "./scene.ts";
import { type Measured, Tally } from "./tally.ts";

/** Time in which the attack arrives, ms. */
const ATTACK_MS = 1_000;
/** Seconds in which work is counted, that of the attack included. */
const COUNTED_SECONDS = 5;
/** In which the gossip of the largest attack ends, and push/pulls go round. */
const QUIET_MS = 185_000;
const EXCHANGE_MS = 5_000;
/**
 * A false claim that somebody has left stops the gossip to it. Push/pulls correct
 * that, each with a member drawn by lot.
 */
const HEALING_MS = 240_000;
const HEALING_STEP_MS = 5_000;
/**
 * Statuses that do no harm. A false leave that spreads by push/pull is not refuted
 * and shows until the member's next join, as in the original; it is alive.
 */
const WELL = ["alive", "leaving"];
/** Longer than what is held back for a moment. */
const DELIVERY_MS = 1_000;
const QUERY_NS = 15_000_000_000n;
const JOIN_MS = 10_000;
/** Compiled in earnest up to this size; beyond it the verdict stands. */
const COMPILED_SIZE_MAX = 2 * BOUNDS["size of expressions"].perSecond;
const HONEST_EVENT = "honest-event";
const HONEST_QUERY = "honest-query";
/** A stream is sent in pieces of this size. */
const PIECE_BYTES = 65_536;

/** How the engines are configured, such as without limits. */
export interface EngineSetup {
  readonly serf?: Partial<Omit<SerfConfig, "swim">>;
  readonly swim?: Partial<SwimConfig>;
}

/** One attack, from the first byte to the verdict. */
export class EngineMeter {
  readonly #tally = new Tally();
  readonly #cluster: Cluster;
  readonly #nodes: readonly Node[];
  readonly #unitMs: number;
  #isCounting = false;

  /** @param unitMs time of one ordinary message on this machine */
  constructor(setup: EngineSetup, unitMs: number) {
    this.#unitMs = unitMs;
    this.#cluster = new Cluster({
      compilerOf: (name) =>
        name === VICTIM
          ? (expression) => this.#compile(expression)
          : () => () => false,
      onOutput: (node, output) => {
        if (this.#isCounting && node.name === VICTIM) this.#count(output);
      },
    });
    const restored = readSnapshot(new Uint8Array(0), {
      rejoinAfterLeave: false,
    });
    this.#nodes = MEMBERS.map((name) =>
      this.#cluster.start(name, {
        ...setup.serf,
        ...(name === VICTIM ? { snapshot: { restored } } : {}),
      }, { logLevel: "INFO", ...setup.swim })
    );
    for (const node of this.#nodes.slice(1)) {
      this.#cluster.finish(node, this.#cluster.join(node, this.victim));
    }
    this.#cluster.runUntil(
      () =>
        this.#nodes.every(({ engine }) =>
          engine.members().length === MEMBERS.length
        ),
      JOIN_MS,
      "all know each other",
    );
    this.#cluster.settle();
  }

  get victim(): Node {
    return this.#nodes[MEMBERS.indexOf(VICTIM)] as Node;
  }

  get #honest(): Node {
    return this.#nodes[MEMBERS.indexOf(HONEST)] as Node;
  }

  /** Carries the attack out. */
  measure(attack: Attack): Measured {
    const { inputs, sources } = attack;
    const cluster = this.#cluster;
    this.#isCounting = true;
    let bytes = 0;
    for (const input of inputs) {
      bytes += input.bytes.length;
      this.#feed(input);
      cluster.run(ATTACK_MS / (inputs.length + 1));
    }
    this.#tally.add("messages queued", this.#queued());
    const incoming = { bytes, inputs: inputs.length, sources };
    for (let seconds = 1; seconds <= COUNTED_SECONDS; seconds++) {
      this.#tally.compare({ ...incoming, seconds });
      cluster.run(1_000);
    }
    this.#isCounting = false;
    cluster.run(QUIET_MS);
    for (const harm of this.#harms()) this.#tally.add("harm", 1, harm);
    this.#tally.compare({ ...incoming, seconds: COUNTED_SECONDS });
    return this.#tally.measured;
  }

  #feed({ door, from, bytes }: AttackInput): void {
    const cluster = this.#cluster;
    const startMs = performance.now();
    if (door === "packet") {
      cluster.call(
        this.victim,
        (engine, nowMs) => engine.handlePacket(from, bytes, nowMs),
      );
    } else {
      cluster.call(this.victim, (engine, nowMs) => {
        const id = engine.handleStreamOpened(from, nowMs);
        for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
          const piece = bytes.slice(at, at + PIECE_BYTES);
          engine.handleStreamData(id, piece, nowMs);
        }
        engine.handleStreamClosed(id, nowMs);
      });
    }
    const tookMs = performance.now() - startMs;
    this.#tally.add("processor time", tookMs / this.#unitMs);
  }

  #count(output: Output): void {
    const tally = this.#tally;
    switch (output.kind) {
      case "packet":
        tally.add("packets out", 1);
        tally.add("bytes to all", output.bytes.length);
        tally.add(
          this.#nodes.some(({ address }) => address === output.to)
            ? "bytes to one member"
            : "bytes to one stranger",
          output.bytes.length,
          output.to,
        );
        return;
      case "write":
        return tally.add("bytes on streams", output.bytes.length);
      case "log":
        return tally.add("log lines", 1);
      case "event":
        return tally.add("events delivered", 1);
      case "persist":
        return tally.add("snapshot bytes", output.text.length);
    }
  }

  #compile(expression: string): (text: string) => boolean {
    const size = expressionSize(expression);
    if (this.#isCounting) this.#tally.add("size of expressions", size);
    return this.#tally.of("size of expressions") <= COMPILED_SIZE_MAX
      ? compileExpression(expression)
      : () => false;
  }

  #queued(): number {
    const { engine } = this.victim;
    const stats = engine.stats();
    const queues = ["intent_queue", "event_queue", "query_queue"];
    return queues.reduce((sum, name) => sum + Number(stats.get(name)), 0) +
      engine.swim.queueDepth;
  }

  /** What is no longer as it should be. */
  #harms(): string[] {
    const { victim } = this;
    const honest = this.#honest;
    if (victim.engine.state !== "alive") {
      return [`it is ${victim.engine.state}`];
    }
    if (honest.engine.state !== "alive") {
      return [`a member is ${honest.engine.state}`];
    }
    // Some members believe a clock only once they have asked for it, and with very
    // many strangers in the cluster it takes long until the right two meet.
    for (const [from, to] of [[honest, victim], [victim, honest]] as const) {
      this.#cluster.join(from, to);
      this.#cluster.run(EXCHANGE_MS);
    }
    const missing = () =>
      [...victim.statuses(), ...honest.statuses()].filter((line) => {
        const [name = "", status = ""] = line.split(": ");
        return MEMBERS.includes(name) && !WELL.includes(status);
      });
    for (let ms = 0; ms < HEALING_MS && missing().length > 0;) {
      this.#cluster.run(HEALING_STEP_MS);
      ms += HEALING_STEP_MS;
    }
    const harms = missing().map((line) => `members: ${line}`);
    // Twice: clocks may be at their very end, and the first time makes them wrap.
    for (const id of [1, 2]) harms.push(...this.#notTaken(id));
    return [...new Set(harms)];
  }

  /**
   * Lets the honest member send an event and a query, and says what the victim
   * does not take. It gets them straight from there: whom gossip reaches, and how
   * soon, depends on how many strangers the attack has added.
   */
  #notTaken(id: number): string[] {
    const { victim } = this;
    const honest = this.#honest;
    const stats = honest.engine.stats();
    const ltimeOf = (clock: string) => BigInt(stats.get(clock) as string);
    const payload = new Uint8Array(0);
    const messages: SerfMessage[] = [{
      ...{ kind: "userEvent", ltime: ltimeOf("event_time") },
      ...{ name: HONEST_EVENT, payload, coalesce: false },
    }, {
      ...{ kind: "query", ltime: ltimeOf("query_time"), id },
      ...{ addr: bytesOfIp(ipOf(HONEST)), port: PORT, sourceNode: HONEST },
      ...{ filters: [], flags: 0, relayFactor: 0, timeoutNs: QUERY_NS },
      ...{ name: HONEST_QUERY, payload },
    }];
    victim.events.length = 0;
    this.#cluster.call(honest, (engine, nowMs) => {
      engine.userEvent(HONEST_EVENT, payload, { coalesce: false }, nowMs);
      engine.query({ name: HONEST_QUERY }, nowMs);
    });
    for (const message of messages) {
      const body = encodeSerfMessage(message);
      this.#cluster.call(victim, (engine, nowMs) => {
        const bytes = encodeMessage({ kind: "user", body });
        engine.handlePacket(honest.address, bytes, nowMs);
      });
    }
    this.#cluster.run(DELIVERY_MS);
    const heard = (what: string) =>
      victim.events.some((line) => line.startsWith(what));
    return [
      ...(heard(`user: ${HONEST_EVENT}@`) ? [] : ["no event arrives"]),
      ...(heard(`query: ${HONEST_QUERY}@`) ? [] : ["no query arrives"]),
    ];
  }
}
