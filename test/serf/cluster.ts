/**
 * A few Serf engines on a network in memory, in virtual time.
 *
 * Not a simulator: nothing is lost except across a partition, every hop takes one
 * millisecond, and equal seeds give equal runs. It is the smallest driver that
 * keeps the engine's contract: feed, drain, perform, ask for the deadline again.
 */

import type { CompileExpression } from "../../lib/kit/expression.ts";
import { compileExpression } from "../../lib/kit/re2.ts";
import { Random } from "../../lib/kit/random.ts";
import { serfConfig } from "../../lib/serf/config.ts";
import { SerfEngine } from "../../lib/serf/engine.ts";
import type {
  OperationResult,
  Output,
  QueryEvent,
} from "../../lib/serf/event.ts";
import { readSnapshot } from "../../lib/serf/snapshot_file.ts";
import type { SwimConfig } from "../../lib/swim/config.ts";
import type { StreamId } from "../../lib/swim/output.ts";

const HOP_MS = 1;
const PORT = 7946;

type SerfOptions = Omit<Parameters<typeof serfConfig>[0], "swim">;
type SwimOptions = Partial<SwimConfig>;

/** One end of a stream. */
interface End {
  readonly node: Node;
  readonly id: StreamId;
}

/** An engine, and everything that came out of it. */
export class Node {
  /** One line per event, such as `member-join: a(alive)` or `user: deploy@3`. */
  readonly events: string[] = [];
  readonly log: string[] = [];
  readonly results = new Map<number, OperationResult>();
  /** One line per reply to a query of this node, as `replyLine` makes them. */
  readonly replies: string[] = [];
  /** Keyrings that were to be kept: keys in base64, one line per save. */
  readonly saved: string[] = [];
  /** What saves fail with. */
  saveError: string | undefined;
  /** Answers each query with this, if it is there. */
  answer: ((query: QueryEvent) => string | undefined) | undefined;
  /** Whether a vote about its name ended it. */
  hasStopped = false;
  isUp = true;
  partition = 0;
  /** What its snapshot file would hold. */
  disk = "";

  constructor(
    readonly name: string,
    readonly address: string,
    readonly engine: SerfEngine,
  ) {}

  /** `name: status` of every member, sorted by name. */
  statuses(): string[] {
    return this.engine.members().map(({ name, status }) =>
      `${name}: ${status}`
    );
  }
}

/** What a test may look into. */
export interface ClusterOptions {
  /** Compiler for the filters of queries, by the name of the node that judges them. */
  readonly compilerOf?: (name: string) => CompileExpression;
  /** Told of everything that a node asks for, before it is performed. */
  readonly onOutput?: (node: Node, output: Output) => void;
}

export class Cluster {
  nowMs = 0;
  readonly #options: ClusterOptions;
  readonly #nodes = new Map<string, Node>();
  /** What arrives when; kept sorted by time, then by order of sending. */
  readonly #arrivals: { atMs: number; perform: () => void }[] = [];
  /** The other end of each stream, both ways. */
  readonly #peers = new Map<string, End>();
  readonly #blocked = new Set<string>();

  constructor(options: ClusterOptions = {}) {
    this.#options = options;
  }

  /** Starts a node; it knows nobody yet. */
  start(name: string, options?: SerfOptions, swim?: SwimOptions): Node {
    const node = this.make(name, options, swim);
    node.engine.start(this.nowMs);
    this.perform(node);
    return node;
  }

  /** Makes a node that has yet to be started. */
  make(
    name: string,
    options: SerfOptions = {},
    swim: SwimOptions = {},
    number: number = this.#nodes.size + 1,
  ): Node {
    const config = serfConfig({
      swim: {
        name,
        advertiseAddr: Uint8Array.of(10, 0, 0, number),
        advertisePort: PORT,
        logLevel: "DEBUG",
        ...swim,
      },
      ...options,
    });
    let nonces = 0;
    const engine = new SerfEngine(config, {
      random: new Random(number),
      nextNonce: () => new Uint8Array(12).fill(++nonces),
      compileExpression: this.#options.compilerOf?.(name) ?? compileExpression,
    });
    const node = new Node(name, `10.0.0.${number}:${PORT}`, engine);
    this.#nodes.set(node.address, node);
    return node;
  }

  /**
   * Starts a crashed node anew, at its address, with the snapshot on its disk.
   *
   * @param options.disk what the disk holds, if a crash has changed it
   */
  revive(
    old: Node,
    options: {
      readonly rejoinAfterLeave?: boolean;
      readonly disk?: Uint8Array;
      readonly serf?: SerfOptions;
    } = {},
  ): Node {
    const { rejoinAfterLeave = false, serf } = options;
    const disk = options.disk ?? new TextEncoder().encode(old.disk);
    const restored = readSnapshot(disk, { rejoinAfterLeave });
    const number = Number(/(\d+):/.exec(old.address)?.[1]);
    const node = this.make(
      old.name,
      { ...serf, snapshot: { restored } },
      {},
      number,
    );
    // Its driver has cut off what is not a line.
    const complete = disk.subarray(0, restored.bytes);
    node.disk = new TextDecoder().decode(complete);
    node.engine.start(this.nowMs);
    this.perform(node);
    return node;
  }

  /** Makes `request` of a node, and performs what it asks for. */
  call<T>(node: Node, request: (engine: SerfEngine, nowMs: number) => T): T {
    const result = request(node.engine, this.nowMs);
    this.perform(node);
    return result;
  }

  /** Begins a join of `node` through `other`. */
  join(node: Node, other: Node, ignoreOld = false): number {
    const targets = [{ address: other.address }];
    return this.call(
      node,
      (engine, nowMs) => engine.join(targets, { ignoreOld }, nowMs),
    );
  }

  /** Runs until nobody has anything left to gossip. */
  settle(): void {
    const queues = ["intent_queue", "event_queue", "query_queue"];
    const isQuiet = () =>
      [...this.#nodes.values()].every(({ engine, isUp }) => {
        const stats = engine.stats();
        return !isUp || queues.every((queue) => stats.get(queue) === "0");
      });
    this.runUntil(isQuiet, 60_000, "nothing left to gossip");
  }

  /** Takes a node off the network without a word. */
  crash(node: Node): void {
    node.isUp = false;
  }

  /** From now on, no datagram of `from` reaches `to`; streams still do. */
  block(from: Node, to: Node): void {
    this.#blocked.add(`${from.address} ${to.address}`);
  }

  /** Lets time pass until the condition holds; it must within `limitMs`. */
  runUntil(condition: () => boolean, limitMs: number, what: string): void {
    const endMs = this.nowMs + limitMs;
    while (!condition()) {
      if (!this.#step(endMs)) {
        throw new Error(`Not within ${limitMs} ms: ${what}`);
      }
    }
  }

  /** Lets `durationMs` pass. */
  run(durationMs: number): void {
    const endMs = this.nowMs + durationMs;
    while (this.#step(endMs));
    this.nowMs = endMs;
  }

  /** Runs until the operation has ended, and returns how. */
  finish(node: Node, operation: number, limitMs = 60_000): OperationResult {
    this.runUntil(
      () => node.results.has(operation),
      limitMs,
      "operation ended",
    );
    return node.results.get(operation) as OperationResult;
  }

  /** Performs what an engine has asked for. */
  perform(node: Node): void {
    for (const output of node.engine.drain()) {
      this.#options.onOutput?.(node, output);
      this.#performOne(node, output);
    }
  }

  #performOne(node: Node, output: Output): void {
    switch (output.kind) {
      case "packet":
        return this.#send(node, output.to, (target) => {
          target.engine.handlePacket(node.address, output.bytes, this.nowMs);
        });
      case "dial":
        return this.#dial(node, output.streamId, output.to);
      case "write": {
        const bytes = output.bytes.slice();
        return this.#sendToPeer(node, output.streamId, (end) => {
          end.node.engine.handleStreamData(end.id, bytes, this.nowMs);
        });
      }
      case "close":
        return this.#sendToPeer(node, output.streamId, (end) => {
          end.node.engine.handleStreamClosed(end.id, this.nowMs);
        });
      case "log":
        node.log.push(`[${output.level}] ${output.text}`);
        return;
      case "event":
        node.events.push(eventLine(output.event));
        if (output.event.type === "query") this.#answer(node, output.event);
        return;
      case "persist":
        node.disk = output.write === "append"
          ? node.disk + output.text
          : output.text;
        return;
      case "queryReply":
        node.replies.push(replyLine(output));
        return;
      case "compilerWanted":
        throw new Error("The engine has a compiler already");
      case "saveKeyring":
        node.saved.push(output.keys.map((key) => key.toBase64()).join(" "));
        this.#later(() => {
          const { saveId } = output;
          node.engine.keyringSaved(saveId, node.saveError, this.nowMs);
          this.perform(node);
        });
        return;
      case "stopped":
        node.hasStopped = true;
        node.isUp = false;
        return;
      case "done":
        if (node.results.has(output.operation)) {
          throw new Error(`Operation ${output.operation} ended twice`);
        }
        node.results.set(output.operation, output);
    }
  }

  #answer(node: Node, query: QueryEvent): void {
    const text = node.answer?.(query);
    if (text === undefined) return;
    this.#later(() => {
      node.engine.respond(query, new TextEncoder().encode(text), this.nowMs);
      this.perform(node);
    });
  }

  #dial(node: Node, id: StreamId, to: string): void {
    this.#later(() => {
      const target = this.#nodes.get(to);
      if (target === undefined || !this.#canReach(node, target)) {
        node.engine.handleDialFailed(id, `dial tcp ${to}: refused`, this.nowMs);
        this.perform(node);
        return;
      }
      const inbound = target.engine.handleStreamOpened(
        node.address,
        this.nowMs,
      );
      this.#peers.set(endKey(node, id), { node: target, id: inbound });
      this.#peers.set(endKey(target, inbound), { node, id });
      this.perform(target);
      node.engine.handleDialed(id, this.nowMs);
      this.perform(node);
    });
  }

  #send(from: Node, to: string, deliver: (target: Node) => void): void {
    this.#later(() => {
      const target = this.#nodes.get(to);
      if (target === undefined || !this.#canReach(from, target)) return;
      if (this.#blocked.has(`${from.address} ${to}`)) return;
      deliver(target);
      this.perform(target);
    });
  }

  #sendToPeer(from: Node, id: StreamId, deliver: (end: End) => void): void {
    this.#later(() => {
      const end = this.#peers.get(endKey(from, id));
      if (end === undefined || !this.#canReach(from, end.node)) return;
      deliver(end);
      this.perform(end.node);
    });
  }

  #canReach(a: Node, b: Node): boolean {
    return a.isUp && b.isUp && a.partition === b.partition;
  }

  #later(perform: () => void): void {
    // Every hop takes equally long, so that this keeps the order.
    this.#arrivals.push({ atMs: this.nowMs + HOP_MS, perform });
  }

  /** Does what comes next, unless that is after `endMs`. */
  #step(endMs: number): boolean {
    const arrival = this.#arrivals[0];
    let nextMs = arrival?.atMs ?? Number.POSITIVE_INFINITY;
    let due: Node | undefined;
    for (const node of this.#nodes.values()) {
      const deadlineMs = node.isUp ? node.engine.nextDeadlineMs() : undefined;
      if (deadlineMs === undefined || deadlineMs >= nextMs) continue;
      nextMs = deadlineMs;
      due = node;
    }
    if (nextMs > endMs) return false;
    this.nowMs = Math.max(this.nowMs, nextMs);
    if (due !== undefined) {
      due.engine.handleTimeout(this.nowMs);
      this.perform(due);
    } else {
      this.#arrivals.shift();
      arrival?.perform();
    }
    return true;
  }
}

function endKey(node: Node, id: StreamId): string {
  return `${node.address} ${id}`;
}

type EventOutput = Extract<Output, { kind: "event" }>["event"];

/** An event as one line of text. */
export function eventLine(event: EventOutput): string {
  if (event.type === "user") {
    const payload = new TextDecoder().decode(event.payload);
    return `user: ${event.name}@${event.ltime}=${payload}`;
  }
  if (event.type === "query") {
    const payload = new TextDecoder().decode(event.payload);
    return `query: ${event.name}@${event.ltime}=${payload}`;
  }
  const members = event.members.map(({ name, status }) => `${name}(${status})`);
  return `${event.type}: ${members.join(",")}`;
}

/** A reply to a query, or its end, as one line of text. */
export function replyLine(
  output: Extract<Output, { kind: "queryReply" | "done" }>,
): string {
  if (output.kind === "done") return output.error ?? "done";
  const { reply } = output;
  if (reply.kind === "ack") return `ack ${reply.from}`;
  const payload = new TextDecoder().decode(reply.payload);
  return `${reply.from}: ${payload}`;
}

/** A cluster in which all named nodes know each other; their events are cleared. */
export function joined(
  names: readonly string[],
  options: SerfOptions | ((name: string) => SerfOptions) = {},
): { cluster: Cluster; nodes: Node[] } {
  const cluster = new Cluster();
  const optionsOf = typeof options === "function" ? options : () => options;
  const nodes = names.map((name) => cluster.start(name, optionsOf(name)));
  const [first, ...others] = nodes;
  if (first === undefined) throw new Error("A cluster needs a node");
  for (const node of others) {
    const operation = cluster.join(node, first);
    cluster.finish(node, operation);
  }
  const isComplete = () =>
    nodes.every(({ engine }) => engine.members().length === names.length);
  cluster.runUntil(isComplete, 10_000, "all know each other");
  cluster.settle();
  for (const node of nodes) {
    node.events.length = 0;
    node.log.length = 0;
  }
  return { cluster, nodes };
}
