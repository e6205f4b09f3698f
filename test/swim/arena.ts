/**
 * A handful of SWIM engines in virtual time, wired to each other in memory.
 *
 * Small on purpose: one latency, no chance, and a `block` function to cut links.
 * The simulator (`lib/sim`) is the real thing; this lets lib/swim be tested
 * without the layers above it.
 */

import { encodeMessage } from "../../lib/wire/message_codec.ts";
import type { Alive } from "../../lib/wire/messages.ts";
import { Random } from "../../lib/kit/random.ts";
import { parseIp, splitHostPort } from "../../lib/kit/address.ts";
import { Deadlines } from "../../lib/kit/deadlines.ts";
import { Metrics } from "../../lib/kit/metrics.ts";
import { type SwimConfig, swimConfig } from "../../lib/swim/config.ts";
import { SwimEngine } from "../../lib/swim/engine.ts";
import type { SwimHost } from "../../lib/swim/host.ts";
import type { StreamId, SwimEvent, SwimOutput } from "../../lib/swim/output.ts";

const LATENCY_MS = 1;

/** A link in one direction, as `block` sees it. */
export interface Link {
  readonly from: string;
  readonly to: string;
  readonly kind: "packet" | "stream";
}

/** One node and everything it said. */
export class Node implements SwimHost {
  readonly engine: SwimEngine;
  readonly metrics = new Metrics();
  readonly events: SwimEvent[] = [];
  readonly logs: string[] = [];
  meta = new Uint8Array(0);
  state = new Uint8Array(0);
  refusal: string | undefined = undefined;
  broadcasts: Uint8Array[] = [];
  urgent: Uint8Array[] = [];
  /** Our stream id to the other end's. */
  readonly streams = new Map<
    StreamId,
    { readonly node: Node; readonly id: StreamId }
  >();

  constructor(
    readonly config: SwimConfig,
    readonly address: string,
    seed: number,
  ) {
    const random = new Random(seed);
    this.engine = new SwimEngine(config, this, {
      random,
      nextNonce: () => random.fill(new Uint8Array(12)),
    }, this.metrics);
  }

  get name(): string {
    return this.config.name;
  }

  /** Events as short texts: `memberJoin b`. */
  get story(): string[] {
    return this.events.map((event) =>
      "member" in event ? `${event.type} ${event.member.name}` : event.type
    );
  }

  stateOf(name: string): string | undefined {
    return this.engine.member(name)?.state;
  }

  nodeMeta(): Uint8Array {
    return this.meta;
  }
  hasBroadcasts(): boolean {
    return this.broadcasts.length > 0 || this.urgent.length > 0;
  }
  takeUrgent(): Uint8Array[] {
    return this.urgent.splice(0);
  }
  takeBroadcasts(): Uint8Array[] {
    return this.broadcasts.splice(0);
  }
  localState(): Uint8Array {
    return this.state;
  }
  ackPayload(): Uint8Array {
    return new Uint8Array(0);
  }
  refuseMember(): string | undefined {
    return this.refusal;
  }
}

export class Arena {
  nowMs = 0;
  /** Says which links are cut. */
  block: (link: Link) => boolean = () => false;
  readonly #nodes = new Map<string, Node>();
  readonly #flights = new Deadlines<() => void>();

  /** Adds and starts a node; names map to addresses 10.0.0.1, 10.0.0.2 ... */
  add(
    name: string,
    options: Partial<SwimConfig> & { readonly ip?: string } = {},
  ): Node {
    const { ip = `10.0.0.${this.#nodes.size + 1}`, ...given } = options;
    const address = `${ip}:7946`;
    const config = swimConfig({
      name,
      advertiseAddr: parseIp(ip) as Uint8Array,
      advertisePort: splitHostPort(address).port,
      ...given,
    });
    const node = new Node(config, address, this.#nodes.size + 1);
    this.#nodes.set(address, node);
    node.engine.start(this.nowMs);
    this.perform(node);
    return node;
  }

  /** Adds nodes that all join the first one, and lets them settle. */
  cluster(names: readonly string[], options: Partial<SwimConfig> = {}): Node[] {
    const nodes = names.map((name) => this.add(name, options));
    const [first, ...others] = nodes;
    for (const node of others) {
      node.engine.join([{ address: (first as Node).address }], this.nowMs);
      this.perform(node);
    }
    this.runUntil(
      () => nodes.every((node) => node.engine.liveCount === nodes.length),
      5_000,
    );
    return nodes;
  }

  /** Takes a node off the network, as a crash does. */
  crash(node: Node): void {
    this.#nodes.delete(node.address);
  }

  /** Carries out what a node asked for. Call it after calling its engine. */
  perform(node: Node): void {
    for (const output of node.engine.drain()) this.#performOne(node, output);
  }

  advance(durationMs: number): void {
    this.runUntil(() => false, durationMs, { mayEnd: true });
  }

  /** Runs until the condition holds; a failure after `limitMs` unless `mayEnd`. */
  runUntil(
    condition: () => boolean,
    limitMs: number,
    options: { readonly mayEnd?: boolean } = {},
  ): void {
    const endMs = this.nowMs + limitMs;
    while (!condition()) {
      const nextMs = this.#nextMs();
      if (nextMs === undefined || nextMs > endMs) {
        this.nowMs = endMs;
        if (options.mayEnd || condition()) return;
        throw new Error(`The condition did not hold within ${limitMs} ms`);
      }
      this.nowMs = Math.max(this.nowMs, nextMs);
      for (
        let flight = this.#flights.takeDue(this.nowMs);
        flight !== undefined;
        flight = this.#flights.takeDue(this.nowMs)
      ) flight();
      for (const node of this.#nodes.values()) {
        const dueMs = node.engine.nextDeadlineMs();
        if (dueMs === undefined || dueMs > this.nowMs) continue;
        node.engine.handleTimeout(this.nowMs);
        this.perform(node);
      }
    }
  }

  #nextMs(): number | undefined {
    const times = [...this.#nodes.values()].map((node) =>
      node.engine.nextDeadlineMs()
    );
    times.push(this.#flights.nextMs());
    const known = times.filter((time) => time !== undefined);
    return known.length === 0 ? undefined : Math.min(...known);
  }

  #performOne(node: Node, output: SwimOutput): void {
    switch (output.kind) {
      case "event":
        node.events.push(output.event);
        break;
      case "log":
        node.logs.push(`[${output.level}] ${output.text}`);
        break;
      case "packet": {
        const { to, bytes } = output;
        if (this.block({ from: node.address, to, kind: "packet" })) break;
        this.#later(
          to,
          (target) =>
            target.engine.handlePacket(node.address, bytes, this.nowMs),
        );
        break;
      }
      case "dial":
        this.#dial(node, output.streamId, output.to);
        break;
      case "write": {
        const end = node.streams.get(output.streamId);
        if (end === undefined) break;
        this.#later(
          end.node.address,
          (target) =>
            target.engine.handleStreamData(end.id, output.bytes, this.nowMs),
        );
        break;
      }
      case "close": {
        const end = node.streams.get(output.streamId);
        if (end === undefined) break;
        node.streams.delete(output.streamId);
        this.#later(
          end.node.address,
          (target) => target.engine.handleStreamClosed(end.id, this.nowMs),
        );
      }
    }
  }

  #dial(node: Node, streamId: StreamId, to: string): void {
    if (this.block({ from: node.address, to, kind: "stream" })) return;
    this.#flights.add(this.nowMs + LATENCY_MS, () => {
      const target = this.#nodes.get(to);
      if (target === undefined) {
        const why = `dial tcp ${to}: connect: connection refused`;
        node.engine.handleDialFailed(streamId, why, this.nowMs);
      } else {
        const otherId = target.engine.handleStreamOpened(
          node.address,
          this.nowMs,
        );
        node.streams.set(streamId, { node: target, id: otherId });
        target.streams.set(otherId, { node, id: streamId });
        this.perform(target);
        node.engine.handleDialed(streamId, this.nowMs);
      }
      this.perform(node);
    });
  }

  #later(to: string, deliver: (target: Node) => void): void {
    this.#flights.add(this.nowMs + LATENCY_MS, () => {
      const target = this.#nodes.get(to);
      if (target === undefined) return;
      deliver(target);
      this.perform(target);
    });
  }
}

const VSN = Uint8Array.of(1, 5, 2, 2, 5, 5);

/** What a stranger says of itself. */
export function aliveOf(
  name: string,
  incarnation: number,
  ip: readonly number[],
): Alive {
  return {
    kind: "alive",
    incarnation,
    node: {
      name,
      addr: Uint8Array.from(ip),
      port: 7946,
      meta: new Uint8Array(0),
      vsn: VSN,
    },
  };
}

/** Feeds one message as a packet from a stranger. */
export function feed(
  arena: Arena,
  node: Node,
  message: Parameters<typeof encodeMessage>[0],
): void {
  node.engine.handlePacket(
    "10.9.9.9:7946",
    encodeMessage(message),
    arena.nowMs,
  );
  arena.perform(node);
}
