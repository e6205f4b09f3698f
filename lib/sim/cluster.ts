/**
 * A cluster of engines in virtual time: the driver that stands in for
 * `lib/net`, a thousand times over.
 *
 * It feeds engines, performs what they ask, and keeps one timer per node; it
 * knows nothing of the protocol. What is right or wrong is judged by observers
 * (`views.ts`, `checkers.ts`), which see everything and change nothing, so that a
 * run is the same with and without them.
 */

import { defined, unreachable } from "../kit/assert.ts";
import { compileExpression } from "../kit/re2.ts";
import { Random } from "../kit/random.ts";
import { type SerfConfig, serfConfig } from "../serf/config.ts";
import { SerfEngine, type SerfSeeds } from "../serf/engine.ts";
import type { Output, QueryEvent } from "../serf/event.ts";
import { DescriptorPool } from "../swim/member.ts";
import { Keyring } from "../wire/keyring.ts";
import { type Action, performAction, type Plan } from "./actions.ts";
import { VirtualClock } from "./clock.ts";
import type {
  ClusterObserver,
  ClusterOptions,
  Lifecycle,
} from "./cluster_options.ts";
import { Errands } from "./errands.ts";
import {
  ALL_FAULTS,
  type CutClass,
  type FaultClass,
  type FaultCounts,
} from "./faults.ts";
import { addEvent, deriveSeed, Fingerprint } from "./fingerprint.ts";
import { type Bridge, Network } from "./network.ts";
import { type NodeInput, type SimEvent, SimNode } from "./node.ts";
import { ProgressGuard } from "./progress.ts";
import type { SimEngine } from "./sim_engine.ts";
import { Streams } from "./streams.ts";

export type {
  ClusterObserver,
  ClusterOptions,
  Lifecycle,
  SimSettings,
} from "./cluster_options.ts";

/** Gossip port of every simulated node. */
const PORT = 7_946;

/**
 * Simulated nodes and their network. Nothing moves but in `runUntil`.
 *
 * ```ts
 * import { Cluster } from "@serf/serf/sim";
 * import assert from "node:assert/strict";
 *
 * const cluster = new Cluster({ seed: 7, link: { loss: 0.1 } });
 * const [a, b] = cluster.addNodes(2);
 * assert(a && b);
 * cluster.start(a);
 * cluster.start(b, [a]);
 * assert(cluster.runUntil(30_000, () => a.engine?.members().length === 2));
 * ```
 */
export class Cluster {
  readonly clock = new VirtualClock<SimEvent>();
  readonly network: Network;
  readonly nodes: SimNode[] = [];
  readonly fingerprint = new Fingerprint();
  readonly observers: ClusterObserver[] = [];
  /** Inputs handled so far. */
  inputs = 0;

  readonly #options: ClusterOptions;
  readonly #streams: Streams;
  readonly #pool = new DescriptorPool();
  readonly #byAddress = new Map<string, SimNode>();
  readonly #byName = new Map<string, SimNode>();
  readonly #errands: Errands;
  /** What nodes kept of their keys, as a file would. */
  readonly #savedKeys = new Map<SimNode, readonly Uint8Array[]>();
  readonly #progress = new ProgressGuard();

  constructor(options: ClusterOptions) {
    this.#options = options;
    this.network = new Network({
      seed: deriveSeed(options.seed, 0x4e45_54),
      mask: options.mask ?? ALL_FAULTS,
      ...(options.link === undefined ? {} : { profile: options.link }),
      ...(options.pathMs === undefined ? {} : { pathMs: options.pathMs }),
    });
    this.#streams = new Streams(
      this.clock,
      this.network,
      (event) =>
        this.#offer(
          event,
          event.toDialer ? event.connection.dialer : event.connection.acceptor,
        ),
    );
    this.#errands = new Errands(this, (node) => this.#stop(node));
  }

  get nowMs(): number {
    return this.clock.nowMs;
  }

  /** Whether the nodes seal what they send. */
  get isEncrypted(): boolean {
    return this.#options.keys !== undefined;
  }

  /** How often each fault happened so far. */
  get faults(): FaultCounts {
    return this.network.counts;
  }

  /** The configuration of a node; all nodes have the same but for the identity. */
  configOf(node: SimNode): SerfConfig {
    const { swim, ...settings } = this.#options.settings ?? {};
    const snapshot = node.restored(this.#options.snapshots);
    return serfConfig({
      savesKeyring: this.#options.keys !== undefined,
      ...settings,
      ...(snapshot && { snapshot }),
      swim: {
        // Both cost much and change nothing in what a run shows.
        compression: false,
        logLevel: "ERR",
        ...swim,
        name: node.name,
        advertiseAddr: node.addr,
        advertisePort: node.port,
        ...(node.keyring && { keyring: node.keyring }),
      },
    });
  }

  // --- Nodes ----------------------------------------------------------------

  /** Adds a node, which is down. Two nodes may claim one name. */
  addNode(name: string): SimNode {
    const index = this.nodes.length;
    const addr = Uint8Array.of(
      10,
      (index + 1) >>> 16,
      ((index + 1) >>> 8) & 255,
      (index + 1) & 255,
    );
    const node = new SimNode(index, name, addr, PORT);
    this.nodes.push(node);
    this.network.addNode();
    this.#byAddress.set(node.address, node);
    if (!this.#byName.has(name)) this.#byName.set(name, node);
    return node;
  }

  /** Adds nodes with names of one length, `n0` and up. */
  addNodes(count: number): SimNode[] {
    const digits = String(count - 1).length;
    return Array.from(
      { length: count },
      (_, i) => this.addNode(`n${String(i).padStart(digits, "0")}`),
    );
  }

  /** The first node of that name. */
  byName(name: string): SimNode | undefined {
    return this.#byName.get(name);
  }

  node(index: number): SimNode {
    return defined(this.nodes[index], `node ${index}`);
  }

  /** Starts a node that is down; it joins through others until it reached one. */
  start(node: SimNode, via: readonly SimNode[] = []): void {
    if (node.isUp) return;
    node.life++;
    node.isPaused = false;
    node.isLeaving = false;
    const make = this.#options.makeEngine ??
      ((config, seeds) => new SerfEngine(config, seeds));
    node.keyring = this.#keyringOf(node);
    node.engine = make(this.configOf(node), this.#seedsOf(node));
    this.#tell("started", node);
    this.call(node, (engine, nowMs) => engine.start(nowMs));
    if (via.length > 0) this.#errands.join(node, via);
  }

  /** Ends the process at once; nothing is sent. */
  crash(node: SimNode, fault: FaultClass = "crash"): void {
    if (!node.isUp) return;
    this.#count(fault);
    this.#stop(node);
  }

  /**
   * Starts a node that is down again with an empty memory, but for its keys and
   * what is on its disk. It joins all others or those told; one that ever left
   * joins node 0, since nobody looks for members that left: two of them that only
   * find each other would stay by themselves.
   *
   * @param options.fault what it counts as, unless a restart with or without state
   */
  restart(
    node: SimNode,
    via: readonly SimNode[] = this.#seedsFor(node),
    options: { readonly wipes?: boolean; readonly fault?: FaultClass } = {},
  ): void {
    if (node.isUp) return;
    if (options.wipes) node.disk = "";
    const isBlank = node.disk === "";
    this.#count(options.fault ?? (isBlank ? "restart" : "restartWithState"));
    this.start(node, via);
  }

  #seedsFor(node: SimNode): SimNode[] {
    return this.nodes.filter((other) =>
      other !== node && (!node.hasLeft || other.index === 0)
    );
  }

  /** Starts a node that is down on another machine, where nothing is on disk. */
  relocate(node: SimNode): void {
    if (node.isUp) return;
    this.#byAddress.delete(node.address);
    const [net = 0, ...host] = node.addr;
    node.moveTo(Uint8Array.of(net + 1, ...host));
    this.#byAddress.set(node.address, node);
    this.restart(node, undefined, { wipes: true, fault: "nameReuse" });
  }

  #count(fault: FaultClass): void {
    this.network.counts[fault]++;
  }

  pause(node: SimNode): void {
    if (!node.isUp || node.isPaused) return;
    this.network.counts.pause++;
    node.isPaused = true;
    this.#tell("paused", node);
  }

  /** Lets a paused node go on; it first takes in what arrived meanwhile. */
  resume(node: SimNode): void {
    if (!node.isUp || !node.isPaused) return;
    node.isPaused = false;
    this.#tell("resumed", node);
    for (const input of node.takeInbox()) this.#take(input, node);
    this.#settle(node);
  }

  /** Handles messages late from now on, ms; 0 for at once. */
  slow(node: SimNode, byMs: number): void {
    node.slowMs = byMs;
  }

  /** Keeps messages to and from a node until an instant, virtual ms. */
  stall(node: SimNode, untilMs: number): void {
    node.stalledUntilMs = untilMs;
  }

  /** Moves the clock of a node forward; what is then due comes at once. */
  jumpClock(node: SimNode, byMs: number): void {
    this.#count("clockJump");
    node.aheadMs += byMs;
    if (node.engine !== undefined) {
      this.#arm(node, node.engine.nextDeadlineMs());
    }
  }

  /**
   * Leaves gracefully; the process ends when that is done.
   *
   * @param fault what it counts as, if anything
   */
  leave(node: SimNode, fault?: FaultClass): void {
    if (!node.isServing) return;
    if (fault !== undefined) this.#count(fault);
    node.isLeaving = true;
    node.hasLeft = true;
    this.#tell("leaving", node);
    this.#errands.leave(node);
  }

  /** Calls the engine of a node that is up, then performs what it asks for. */
  call<T>(node: SimNode, use: (engine: SimEngine, nowMs: number) => T): T {
    const engine = defined(node.engine, `engine of ${node.name}`);
    const result = use(engine, node.clockMs(this.nowMs));
    this.#settle(node);
    return result;
  }

  /** Cuts the network, see `Network.partition`. */
  partition(
    groups: readonly number[],
    options: { readonly bridge?: Bridge; readonly fault?: CutClass } = {},
  ): void {
    this.network.partition(groups, options);
    for (const observer of this.observers) observer.onTopology?.();
  }

  block(from: SimNode, to: SimNode): void {
    this.network.block(from.index, to.index);
    for (const observer of this.observers) observer.onTopology?.();
  }

  heal(): void {
    this.network.heal();
    for (const observer of this.observers) observer.onTopology?.();
  }

  // --- Plans ----------------------------------------------------------------

  /** Puts the steps of a plan into the clock. */
  schedule(plan: Plan): void {
    for (const { atMs, action } of plan) {
      this.clock.at(atMs, { kind: "call", run: () => this.perform(action) });
    }
  }

  /**
   * Calls a function after some virtual time, ms; with 0 as soon as what happens
   * now is over. This is how an observer acts on what it sees.
   */
  after(delayMs: number, run: () => void): void {
    this.clock.at(this.nowMs + delayMs, { kind: "call", run });
  }

  /** Does one thing; what makes no sense at the moment is skipped. */
  perform(action: Action): void {
    for (const observer of this.observers) observer.onAction?.(action);
    performAction(this, action);
  }

  // --- Running --------------------------------------------------------------

  /**
   * Runs until the condition holds, or up to an instant.
   *
   * @param isDone looked at after every input, so it must be cheap
   * @returns whether it held; without a condition, false
   */
  runUntil(limitMs: number, isDone?: () => boolean): boolean {
    if (isDone?.()) return true;
    while (true) {
      const event = this.clock.next(limitMs);
      if (event === undefined) return false;
      this.#handle(event);
      if (isDone?.()) return true;
    }
  }

  #handle(event: SimEvent): void {
    switch (event.kind) {
      case "packet":
        return this.#offer(event, event.node);
      case "timer":
        return this.#onTimer(event.node);
      case "stream":
        return this.#streams.handle(event);
      case "call":
        return event.run();
      default:
        return unreachable(event);
    }
  }

  /** Hands an input to a node, now, when it gets to it, or after its pause. */
  #offer(input: NodeInput, node: SimNode): void {
    if (node.engine === undefined) return;
    const atMs = node.handlingMs(this.nowMs);
    if (atMs === undefined) this.#takeOrKeep(input, node);
    else if (node.addLate(input)) {
      this.#count("slow");
      const { life } = node;
      this.#at(atMs, () => {
        node.removeLate(input);
        if (node.life === life) this.#takeOrKeep(input, node);
      });
    }
  }

  #takeOrKeep(input: NodeInput, node: SimNode): void {
    if (node.isPaused) node.keep(input);
    else this.#take(input, node);
  }

  #take(input: NodeInput, node: SimNode): void {
    const { engine } = node;
    if (engine === undefined) return;
    this.inputs++;
    if (input.kind === "packet") {
      if (input.to !== node.address) return;
      node.traffic.packetsIn++;
      node.traffic.bytesIn += input.bytes.length;
      engine.handlePacket(input.from, input.bytes, node.clockMs(this.nowMs));
    } else if (!this.#streams.deliver(input, this.nowMs)) {
      return;
    }
    this.#settle(node);
  }

  #at(atMs: number, run: () => void): void {
    this.clock.at(atMs, { kind: "call", run });
  }

  #onTimer(node: SimNode): void {
    node.timer = undefined;
    const { engine } = node;
    // A paused node is given its timers when it resumes.
    if (engine === undefined || node.isPaused) return;
    this.#progress.note(node, this.nowMs);
    this.inputs++;
    engine.handleTimeout(node.clockMs(this.nowMs));
    this.#settle(node);
  }

  /** Performs what the engine asked for and sets the node's timer. */
  #settle(node: SimNode): void {
    const { engine } = node;
    if (engine === undefined) return;
    let outputs: Output[];
    while ((outputs = engine.drain()).length > 0) {
      // What is logged depends on the level asked for, and is no part of the run.
      if (outputs.some(({ kind }) => kind !== "log")) {
        this.fingerprint.addNumber(this.nowMs);
        this.fingerprint.addWord(node.index);
      }
      for (const output of outputs) this.#perform(node, output);
    }
    this.#arm(node, engine.nextDeadlineMs());
    for (const observer of this.observers) observer.onSettled?.(node);
    if (engine.state === "shutdown") this.#stop(node);
  }

  /** @param deadlineMs on the node's own clock */
  #arm(node: SimNode, deadlineMs: number | undefined): void {
    const { timer } = node;
    if (deadlineMs === undefined) {
      if (timer !== undefined) this.clock.cancel(timer);
      node.timer = undefined;
      return;
    }
    const atMs = deadlineMs - node.aheadMs;
    if (timer === undefined) {
      node.timer = this.clock.at(atMs, node.timerEvent);
    } else if (timer.atMs !== atMs) {
      this.clock.move(timer, atMs);
    }
  }

  #perform(node: SimNode, output: Output): void {
    const { fingerprint } = this;
    switch (output.kind) {
      case "packet":
        fingerprint.addBytes(output.bytes);
        return this.#sendPacket(node, output.to, output.bytes);
      case "dial":
        fingerprint.addText(output.to);
        return this.#streams.dial(
          node,
          output.streamId,
          this.#byAddress.get(output.to),
        );
      case "write":
        fingerprint.addBytes(output.bytes);
        return this.#streams.write(node, output.streamId, output.bytes);
      case "close":
        fingerprint.addWord(output.streamId);
        return this.#streams.close(node, output.streamId);
      case "log":
        for (const observer of this.observers) {
          observer.onLog?.(node, output.level, output.text);
        }
        return;
      case "event":
        addEvent(fingerprint, output.event);
        for (const observer of this.observers) {
          observer.onEvent?.(node, output.event);
        }
        if (output.event.type === "query") this.#answer(node, output.event);
        return;
      case "persist":
        fingerprint.addText(output.text);
        return node.persist(output);
      case "queryReply":
        fingerprint.addWord(output.operation);
        fingerprint.addText(output.reply.from);
        for (const observer of this.observers) {
          observer.onReply?.(node, output.operation, output.reply);
        }
        return;
      case "saveKeyring":
        this.writeKeys(node, output.keys);
        node.engine?.keyringSaved(
          output.saveId,
          undefined,
          node.clockMs(this.nowMs),
        );
        return;
      case "compilerWanted":
      case "stopped":
        // It has a compiler, and its state tells that it stopped.
        return;
      case "done":
        fingerprint.addWord(output.operation);
        for (const observer of this.observers) observer.onDone?.(node, output);
        return this.#errands.onDone(node, output);
      default:
        return unreachable(output);
    }
  }

  #sendPacket(node: SimNode, to: string, bytes: Uint8Array): void {
    node.traffic.packetsOut++;
    node.traffic.bytesOut += bytes.length;
    if (node.stalledUntilMs <= this.nowMs) this.#carry(node, to, bytes);
    else {
      const { life } = node;
      this.#at(node.stalledUntilMs, () => {
        if (node.life === life && node.isUp) this.#carry(node, to, bytes);
      });
    }
  }

  #carry(node: SimNode, to: string, bytes: Uint8Array): void {
    const target = this.#byAddress.get(to);
    if (target === undefined) return;
    const fate = this.network.packetFate(node.index, target.index);
    if (fate.copies === 0) return;
    const event: SimEvent = {
      kind: "packet",
      node: target,
      from: node.address,
      to,
      bytes,
    };
    this.clock.at(this.nowMs + fate.delayMs, event);
    if (fate.copies === 2) {
      this.clock.at(this.nowMs + fate.secondDelayMs, event);
    }
  }

  /** Lets the application answer; not at once: the engine is being drained. */
  #answer(node: SimNode, query: QueryEvent): void {
    const payload = this.#options.answer?.(node, query);
    if (payload === undefined) return;
    const { life } = node;
    this.#at(this.nowMs, () => {
      if (node.life !== life || !node.isUp) return;
      this.call(node, (engine, nowMs) => engine.respond(query, payload, nowMs));
    });
  }

  #stop(node: SimNode): void {
    this.#errands.forget(node);
    if (node.timer !== undefined) this.clock.cancel(node.timer);
    node.timer = undefined;
    node.takeInbox();
    this.#streams.crash(node);
    node.engine = undefined;
    node.isPaused = false;
    this.#tell("stopped", node);
  }

  #tell(change: Lifecycle, node: SimNode): void {
    this.fingerprint.addText(change);
    for (const observer of this.observers) observer.onLifecycle?.(node, change);
  }

  /** Writes the keyring file of a node, as an operator may while it is down. */
  writeKeys(node: SimNode, keys: readonly Uint8Array[]): void {
    this.#savedKeys.set(node, keys);
  }

  /** The keys that a node starts with. */
  #keyringOf(node: SimNode): Keyring | undefined {
    const keys = this.#savedKeys.get(node) ?? this.#options.keys;
    return keys && new Keyring(keys);
  }

  /** What the engine of the present life of a node draws from. */
  #seedsOf(node: SimNode): SerfSeeds {
    const { seed } = this.#options;
    const nonces = new Random(deriveSeed(seed, node.index, node.life, 1));
    return {
      compileExpression,
      random: new Random(deriveSeed(seed, node.index, node.life)),
      nextNonce: () => nonces.fill(new Uint8Array(12)),
      internNode: (descriptor, port) => this.#pool.intern(descriptor, port),
    };
  }
}
