/**
 * Rules that hold at every moment, whatever the faults.
 *
 * 1. What a node holds about a member never goes back: not to an older
 *    incarnation, and at one incarnation only alive, suspect, dead or left in
 *    that order, dead and left being final. (Forgetting ends the record, and so
 *    does another address that takes the name of somebody dead or left.)
 * 2. Nobody but the owner of a name raises its incarnation.
 * 3. A serving node never calls itself dead.
 * 4. A live, reachable node is not called dead for longer than `repairMs`.
 * 5. Member events make sense: nobody joins twice, or fails before joining.
 * 6. A user event is delivered at most once in one life of a node, and in all lives
 *    that share a disk.
 * 7. Lamport clocks never decrease.
 * 8. Queues stay under their limits, and streams end within their time.
 *
 * Small clusters are checked after every input. In large ones rules 1 to 3, 7 and
 * 8 are checked for a few nodes now and then, so that checking stays cheap. Rules
 * 4 to 6 are in `event_checkers.ts`.
 */

import type { SwimView } from "../serf/engine.ts";
import { isMemberEvent, type SerfEvent } from "../serf/event.ts";
import type { MemberView } from "../swim/member.ts";
import type { NodeStateName } from "../wire/messages.ts";
import { repairMs } from "./bounds.ts";
import type { Cluster, ClusterObserver, Lifecycle } from "./cluster.ts";
import { CalledDeadChecker, EventChecker } from "./event_checkers.ts";
import type { SimNode } from "./node.ts";
import type { SimEngine } from "./sim_engine.ts";
import { streamStartMs } from "./streams.ts";
import type { Report, Violation } from "./violation.ts";

/** Our leaves, those of others, and the other intents are counted as one queue. */
const INTENT_QUEUES = 3;
/** Violations kept of each rule; one mistake breaks rules many times. */
const VIOLATIONS_KEPT = 3;
/** Largest cluster that is checked after every input, unless told otherwise. */
const SMALL_CLUSTER = 16;
/** In a large cluster one node of this many is watched, */
const WATCHED_EVERY = 53;
/** and its tables are looked at once in this many of its inputs. */
const INPUTS_PER_CHECK = 101;
/** Time between checks of rule 4, ms. */
const CALLED_DEAD_EVERY_MS = 1_000;

/** All rules, watching one cluster. */
export class Checkers implements ClusterObserver {
  readonly violations: Violation[] = [];
  readonly #cluster: Cluster;
  readonly #isSmall: boolean;
  readonly #tables: TableChecker;
  readonly #numbers: NumberChecker;
  readonly #events: EventChecker;
  readonly #calledDead: CalledDeadChecker;
  #settled = 0;
  #nextCalledDeadMs = 0;

  /**
   * @param cluster with all its nodes; it must not grow afterwards
   * @param everyInputUpTo largest cluster that is checked after every input
   */
  constructor(cluster: Cluster, everyInputUpTo = SMALL_CLUSTER) {
    const { nodes } = cluster;
    const config = cluster.configOf(cluster.node(0));
    const report: Report = (rule, text) => this.report(rule, text);
    this.#cluster = cluster;
    this.#isSmall = nodes.length <= everyInputUpTo;
    const indexOf = (name: string) => cluster.byName(name)?.index;
    this.#tables = new TableChecker(nodes.length, indexOf, report);
    this.#numbers = new NumberChecker({
      nodes: nodes.length,
      queueDepthMax: config.queueDepthMax,
      streamTimeoutMs: config.swim.profile.streamTimeoutMs,
    }, report);
    this.#events = new EventChecker(nodes.length, indexOf, report);
    this.#calledDead = new CalledDeadChecker(
      cluster,
      repairMs(config, nodes.length),
      report,
    );
    cluster.observers.push(this);
  }

  /** Takes a violation down; after the first few of a rule they are dropped. */
  report(rule: string, text: string): void {
    const same = this.violations.filter((violation) => violation.rule === rule);
    if (same.length >= VIOLATIONS_KEPT) return;
    this.violations.push({ atMs: this.#cluster.nowMs, rule, text });
  }

  onLifecycle(node: SimNode, change: Lifecycle): void {
    this.#calledDead.disturb(node, this.#cluster.nowMs);
    this.#numbers.disturb(node, this.#cluster.nowMs);
    if (change !== "started") return;
    this.#tables.forget(node.index);
    this.#numbers.forget(node);
    // What a disk remembers is not delivered again, unless a leave emptied it.
    const remembers = node.disk !== "" && !node.hasLeft;
    this.#events.forget(node.index, remembers);
    this.#calledDead.forget(node);
  }

  onTopology(): void {
    for (const node of this.#cluster.nodes) {
      this.#calledDead.disturb(node, this.#cluster.nowMs);
    }
  }

  onEvent(node: SimNode, event: SerfEvent): void {
    this.#events.check(node, event);
    if (isMemberEvent(event)) {
      this.#calledDead.note(node, event, this.#cluster.nowMs);
    }
  }

  onSettled(node: SimNode): void {
    const { engine } = node;
    if (engine === undefined) return;
    this.#tables.noteOwn(node, engine.swim);
    if (this.#isDue(node)) {
      this.#tables.check(node, engine.swim);
      this.#numbers.check(node, engine, this.#cluster.nowMs);
    }
    if (this.#cluster.nowMs >= this.#nextCalledDeadMs) {
      this.#nextCalledDeadMs = this.#cluster.nowMs + CALLED_DEAD_EVERY_MS;
      this.#calledDead.check(this.#cluster.nowMs);
    }
  }

  #isDue(node: SimNode): boolean {
    if (this.#isSmall) return true;
    return node.index % WATCHED_EVERY === 0 &&
      this.#settled++ % INPUTS_PER_CHECK === 0;
  }
}

// --- Rules 1 to 3 -------------------------------------------------------------

/** What a node held about a member when it was last looked at. */
interface Held {
  /** The row itself: another one means that the member was forgotten meanwhile. */
  row: MemberView;
  incarnation: number;
  state: NodeStateName;
  address: string;
}

/** Order of states within one incarnation. Dead and left do not follow each other. */
const STATE_RANKS: Readonly<Record<NodeStateName, number>> = {
  alive: 0,
  suspect: 1,
  dead: 2,
  left: 2,
};

/** A node, as far as the member tables are concerned. */
type Owner = Pick<SimNode, "index" | "name" | "isServing">;

/** Rules 1 to 3: what member tables may hold. */
export class TableChecker {
  readonly #indexOf: (name: string) => number | undefined;
  readonly #report: Report;
  /** By observer, then by name. */
  readonly #held: Map<string, Held>[];
  /** Highest incarnation that the owner of a name has given itself, in any life. */
  readonly #announced: number[];

  constructor(
    nodes: number,
    indexOf: (name: string) => number | undefined,
    report: Report,
  ) {
    this.#indexOf = indexOf;
    this.#report = report;
    this.#held = Array.from({ length: nodes }, () => new Map());
    this.#announced = Array.from({ length: nodes }, () => 0);
  }

  /** A node starts with an empty memory. */
  forget(observer: number): void {
    this.#held[observer]?.clear();
  }

  /** Notes the incarnation that a node gave itself; after each of its inputs. */
  noteOwn(node: Owner, view: Pick<SwimView, "member">): void {
    const own = view.member(node.name)?.incarnation ?? 0;
    const announced = this.#announced[node.index] as number;
    if (own > announced) this.#announced[node.index] = own;
  }

  check(observer: Owner, view: Pick<SwimView, "members">): void {
    const held = this.#held[observer.index] as Map<string, Held>;
    for (const row of view.members()) {
      const before = held.get(row.name);
      if (before === undefined) {
        const { incarnation, state, address } = row;
        held.set(row.name, { row, incarnation, state, address });
      } else {
        if (before.row === row) this.#checkOrder(observer, before, row);
        before.row = row;
        before.incarnation = row.incarnation;
        before.state = row.state;
        before.address = row.address;
      }
      this.#checkRow(observer, row);
    }
  }

  #checkOrder(observer: Owner, before: Held, now: MemberView): void {
    if (now.incarnation > before.incarnation) return;
    // A name that is free may be taken by another machine, which counts from 1.
    const isFree = STATE_RANKS[before.state] === 2;
    if (isFree && now.state === "alive" && now.address !== before.address) {
      return;
    }
    if (now.incarnation === before.incarnation) {
      if (now.state === before.state) return;
      if (STATE_RANKS[now.state] > STATE_RANKS[before.state]) return;
    }
    this.#report(
      "never back",
      `${observer.name} held ${now.name} ${before.state}@${before.incarnation}, now ${now.state}@${now.incarnation}`,
    );
  }

  #checkRow(observer: Owner, row: MemberView): void {
    const subject = this.#indexOf(row.name);
    if (subject === undefined) {
      this.#report(
        "no inventions",
        `${observer.name} lists ${row.name}, which never existed`,
      );
    } else if (subject === observer.index) {
      if (observer.isServing && row.state !== "alive") {
        this.#report(
          "self alive",
          `${observer.name} calls itself ${row.state}`,
        );
      }
    } else if (row.incarnation > (this.#announced[subject] as number)) {
      this.#report(
        "owner raises",
        `${observer.name} holds ${row.name} at incarnation ${row.incarnation}, which ${row.name} never took`,
      );
    }
  }
}

// --- Rules 7 and 8 ------------------------------------------------------------

/** How much longer than its limit a stream may exist, ms. */
const STREAM_SLACK_MS = 1_000;
const CLOCKS = ["member_time", "event_time", "query_time"] as const;

/** Rules 7 and 8: clocks, queues and streams. */
export class NumberChecker {
  readonly #limits: {
    nodes: number;
    queueDepthMax: number;
    streamTimeoutMs: number;
  };
  readonly #report: Report;
  readonly #clocks: bigint[][];
  /** Last instant at which a node was started, paused or resumed, ms. */
  readonly #disturbedMs: Float64Array;

  constructor(
    limits: { nodes: number; queueDepthMax: number; streamTimeoutMs: number },
    report: Report,
  ) {
    this.#limits = limits;
    this.#report = report;
    this.#clocks = Array.from({ length: limits.nodes }, () => []);
    this.#disturbedMs = new Float64Array(limits.nodes);
  }

  disturb(node: SimNode, nowMs: number): void {
    this.#disturbedMs[node.index] = nowMs;
  }

  /** A node starts with its clocks at the beginning. */
  forget(node: SimNode): void {
    this.#clocks[node.index] = [];
  }

  check(
    node: SimNode,
    engine: Pick<SimEngine, "stats" | "swim">,
    nowMs: number,
  ): void {
    const stats = engine.stats();
    this.#checkClocks(
      node,
      CLOCKS.map((name) => BigInt(stats.get(name) ?? "0")),
    );
    const { queueDepthMax, nodes } = this.#limits;
    this.#checkDepth(
      node,
      "intent queue",
      Number(stats.get("intent_queue")),
      INTENT_QUEUES * queueDepthMax,
    );
    this.#checkDepth(
      node,
      "event queue",
      Number(stats.get("event_queue")),
      queueDepthMax,
    );
    // Broadcasts about one member replace each other.
    this.#checkDepth(node, "swim queue", engine.swim.queueDepth, nodes);
    this.#checkStreams(node, nowMs);
  }

  #checkClocks(node: SimNode, now: bigint[]): void {
    for (
      const [i, before] of (this.#clocks[node.index] as bigint[]).entries()
    ) {
      const time = now[i] as bigint;
      if (time >= before) continue;
      this.#report(
        "clocks rise",
        `${CLOCKS[i]} of ${node.name} went from ${before} to ${time}`,
      );
    }
    this.#clocks[node.index] = now;
  }

  #checkDepth(
    node: SimNode,
    queue: string,
    depth: number,
    limit: number,
  ): void {
    if (depth <= limit) return;
    this.#report(
      "bounded queues",
      `the ${queue} of ${node.name} holds ${depth}, at most ${limit} are allowed`,
    );
  }

  #checkStreams(node: SimNode, nowMs: number): void {
    const limitMs = this.#limits.streamTimeoutMs + STREAM_SLACK_MS;
    const disturbedMs = this.#disturbedMs[node.index] as number;
    for (const [id, connection] of node.streams) {
      const startedMs = streamStartMs(connection, node, id);
      if (nowMs - Math.max(startedMs, disturbedMs) <= limitMs) continue;
      this.#report(
        "streams end",
        `${node.name} keeps stream ${id}, opened at ${startedMs} ms`,
      );
    }
  }
}
