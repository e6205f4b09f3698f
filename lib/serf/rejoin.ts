/**
 * Finding back to the cluster after a restart, through the members that were
 * alive according to the snapshot.
 *
 * They are tried in random order, a few at a time, until one of them answers:
 *
 *     waiting --4 at a time--> running --answered--> over
 *                                 |
 *                                 +--failed--> the next; none left: over
 *
 * Upstream tries one after the other, so that each address where nobody is any
 * more costs its full timeout. Neither tells the cluster of a join: a leave intent
 * about us that is still around comes back with the exchange and is refuted.
 *
 * An address in the file is text, and ours may stand there under another name; the
 * former is checked and the latter left out, since finding ourselves would end the
 * search.
 *
 * Source: serf `serf.go` (handleRejoin).
 */

import {
  formatEndpoint,
  formatIp,
  parseIp,
  splitHostPort,
} from "../kit/address.ts";
import { quoteText } from "../kit/quote.ts";
import type { JoinTarget, SwimEngine } from "../swim/engine.ts";
import type { OperationId, SwimEvent } from "../swim/output.ts";
import type { SerfCore } from "./core.ts";

/** Members tried at one time. */
const TRIED_AT_ONCE = 4;

interface PreviousMember {
  readonly name: string;
  /** As the file has it. */
  readonly address: string;
}

type JoinFinished = Extract<SwimEvent, { type: "joinFinished" }>;

export class Rejoin {
  readonly #core: SerfCore;
  readonly #swim: Pick<SwimEngine, "join">;
  /** In the reverse of the order in which they are tried. */
  #waiting: PreviousMember[] = [];
  /** By the number of the join in the SWIM layer. */
  readonly #running = new Map<OperationId, PreviousMember>();
  #isOver = true;

  constructor(core: SerfCore, swim: Pick<SwimEngine, "join">) {
    this.#core = core;
    this.#swim = swim;
  }

  /** Begins, if there is a snapshot and somebody in it. */
  start(nowMs: number): void {
    const { config, name: ownName, random } = this.#core;
    const members = config.snapshot?.restored.members;
    if (members === undefined || members.size === 0) return;
    const { advertiseAddr, advertisePort } = config.swim;
    const ownAddress = formatEndpoint(formatIp(advertiseAddr), advertisePort);
    for (const [name, address] of members) {
      if (name === ownName || address === ownAddress) continue;
      this.#waiting.push({ name, address });
    }
    random.shuffle(this.#waiting);
    this.#isOver = false;
    this.#advance(nowMs);
  }

  /** A join of the SWIM layer has ended; those of others are ignored. */
  finished(event: JoinFinished, nowMs: number): void {
    const member = this.#running.get(event.operation);
    if (member === undefined) return;
    this.#running.delete(event.operation);
    if (this.#isOver) return;
    if (this.#core.state !== "alive") {
      this.#end();
    } else if (event.contacted > 0) {
      this.#log("Re-joined to previously known node", member);
      this.#end();
    } else {
      this.#advance(nowMs);
    }
  }

  #advance(nowMs: number): void {
    while (this.#running.size < TRIED_AT_ONCE) {
      const member = this.#waiting.pop();
      if (member === undefined) break;
      const target = this.#targetOf(member, nowMs);
      if (target === undefined) continue;
      this.#log("Attempting re-join to previously known node", member);
      this.#running.set(this.#swim.join([target], nowMs), member);
    }
    if (this.#running.size > 0) return;
    this.#core.log("WARN", "Failed to re-join any previously known node");
    this.#end();
  }

  /** Joins that still run end by themselves, and do no harm. */
  #end(): void {
    this.#isOver = true;
    this.#waiting = [];
  }

  #targetOf(
    { name, address }: PreviousMember,
    nowMs: number,
  ): JoinTarget | undefined {
    const endpoint = endpointOf(address);
    if (endpoint !== undefined) return { name, address: endpoint };
    this.#core.refuse(
      "WARN",
      `Cannot re-join ${quoteText(name)}, whose address in the snapshot is ` +
        quoteText(address),
      nowMs,
    );
    return undefined;
  }

  #log(what: string, { name, address }: PreviousMember): void {
    this.#core.log("INFO", `${what}: ${name}: ${address}`);
  }
}

/** `ip:port` in the form that a driver dials; `undefined` when it is none. */
function endpointOf(text: string): string | undefined {
  try {
    const { host, port } = splitHostPort(text);
    const ip = parseIp(host);
    if (port === 0 || ip === undefined) return undefined;
    return formatEndpoint(formatIp(ip), port);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
