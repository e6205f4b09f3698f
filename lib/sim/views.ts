/**
 * Who believes what about whom, against what is true.
 *
 * It follows the member events of all nodes, as an application would, and counts
 * the wrong beliefs as it goes: whether a thousand nodes agree costs one look at
 * a number, not a million comparisons.
 */

import { isMemberEvent, type SerfEvent } from "../serf/event.ts";
import type { Cluster, ClusterObserver, Lifecycle } from "./cluster.ts";
import type { SimNode } from "./node.ts";

/** What one node was last told about another one. */
export type Belief = "unknown" | "alive" | "failed" | "left";

const BELIEFS: readonly Belief[] = ["unknown", "alive", "failed", "left"];
const UNKNOWN = 0;
const ALIVE = 1;
const FAILED = 2;
const LEFT = 3;

/** What is true about a node. `any`: down since ever, or paused. */
type Truth = "alive" | "gone" | "any";

/** A live, reachable node that was called failed. */
export interface FalseFailure {
  readonly atMs: number;
  readonly observer: SimNode;
  readonly subject: SimNode;
}

/** False failures kept one by one; beyond that they are only counted. */
const FALSE_FAILURES_KEPT = 100;

/** Follows what all nodes of a cluster are told about each other. */
export class Views implements ClusterObserver {
  readonly #cluster: Cluster;
  readonly #count: number;
  /** Beliefs, row by observer, as places in BELIEFS. */
  readonly #beliefs: Uint8Array;
  readonly #isWrong: Uint8Array;
  readonly #truths: Truth[];
  #wrong = 0;
  /** By name of the user event: which nodes delivered it. */
  readonly #deliveries = new Map<string, Set<number>>();
  readonly falseFailures: FalseFailure[] = [];
  #falseFailureCount = 0;

  /** @param cluster with all its nodes; it must not grow afterwards */
  constructor(cluster: Cluster) {
    this.#cluster = cluster;
    this.#count = cluster.nodes.length;
    this.#beliefs = new Uint8Array(this.#count ** 2);
    this.#isWrong = new Uint8Array(this.#count ** 2);
    this.#truths = cluster.nodes.map(truthOf);
    cluster.observers.push(this);
    this.#judgeAll();
  }

  /** Beliefs of serving nodes that are not true at the moment. */
  get wrong(): number {
    return this.#wrong;
  }

  /** How often a live, reachable node was called failed. */
  get falseFailureCount(): number {
    return this.#falseFailureCount;
  }

  belief(observer: SimNode, subject: SimNode): Belief {
    return BELIEFS[
      this.#beliefs[this.#place(observer, subject)] as number
    ] as Belief;
  }

  /** How many nodes delivered the user event of that name. */
  delivered(name: string): number {
    return this.#deliveries.get(name)?.size ?? 0;
  }

  /** Whether every serving node holds that belief about a node. */
  allBelieve(subject: SimNode, belief: Belief): boolean {
    return this.#cluster.nodes.every((observer) =>
      !observer.isServing || observer === subject ||
      this.belief(observer, subject) === belief
    );
  }

  /** The first wrong beliefs, for a report. */
  describeWrong(limit: number): string[] {
    const lines: string[] = [];
    for (const observer of this.#cluster.nodes) {
      for (const subject of this.#cluster.nodes) {
        if (this.#isWrong[this.#place(observer, subject)] === 0) continue;
        const belief = this.belief(observer, subject);
        lines.push(
          `${observer.name} believes ${subject.name} ${belief}, which is ${
            this.#truths[subject.index]
          }`,
        );
        if (lines.length === limit) return lines;
      }
    }
    return lines;
  }

  // --- Observing ------------------------------------------------------------

  onEvent(observer: SimNode, event: SerfEvent): void {
    if (event.type === "user") {
      let nodes = this.#deliveries.get(event.name);
      if (nodes === undefined) {
        nodes = new Set();
        this.#deliveries.set(event.name, nodes);
      }
      nodes.add(observer.index);
      return;
    }
    if (!isMemberEvent(event)) return;
    for (const member of event.members) {
      const subject = this.#cluster.byName(member.name);
      if (subject === undefined) continue;
      switch (event.type) {
        case "member-join":
          this.#believe(observer, subject, ALIVE);
          break;
        case "member-failed":
          this.#believe(observer, subject, FAILED);
          this.#noteFailure(observer, subject);
          break;
        case "member-leave":
          this.#believe(observer, subject, LEFT);
          break;
        case "member-reap":
          this.#believe(observer, subject, UNKNOWN);
          break;
        case "member-update":
          break;
      }
    }
  }

  onLifecycle(node: SimNode, change: Lifecycle): void {
    if (change === "started") {
      const start = node.index * this.#count;
      this.#beliefs.fill(UNKNOWN, start, start + this.#count);
    }
    this.#truths[node.index] = truthOf(node);
    for (const other of this.#cluster.nodes) {
      this.#judge(node, other);
      this.#judge(other, node);
    }
  }

  onTopology(): void {
    this.#judgeAll();
  }

  #noteFailure(observer: SimNode, subject: SimNode): void {
    const { network, nowMs } = this.#cluster;
    const isReachable = !network.isCut(observer.index, subject.index) &&
      !network.isCut(subject.index, observer.index);
    if (!subject.isServing || !isReachable) return;
    this.#falseFailureCount++;
    if (this.falseFailures.length < FALSE_FAILURES_KEPT) {
      this.falseFailures.push({ atMs: nowMs, observer, subject });
    }
  }

  // --- Judging --------------------------------------------------------------

  #place(observer: SimNode, subject: SimNode): number {
    return observer.index * this.#count + subject.index;
  }

  #believe(observer: SimNode, subject: SimNode, belief: number): void {
    this.#beliefs[this.#place(observer, subject)] = belief;
    this.#judge(observer, subject);
  }

  #judgeAll(): void {
    const { nodes } = this.#cluster;
    for (const observer of nodes) {
      for (const subject of nodes) this.#judge(observer, subject);
    }
  }

  #judge(observer: SimNode, subject: SimNode): void {
    const place = this.#place(observer, subject);
    const isWrong =
      this.#isTrue(observer, subject, this.#beliefs[place] as number) ? 0 : 1;
    this.#wrong += isWrong - (this.#isWrong[place] as number);
    this.#isWrong[place] = isWrong;
  }

  /**
   * Whether a belief is true. Nodes on the other side of a cut are gone for the
   * observer; behind a link cut in one direction anything may be believed, and a
   * node that is gone may never have been heard of.
   */
  #isTrue(observer: SimNode, subject: SimNode, belief: number): boolean {
    if (!observer.isServing) return true;
    const truth = this.#truths[subject.index];
    if (truth === "any") return true;
    const { network } = this.#cluster;
    const isDeaf = network.isCut(subject.index, observer.index);
    const isMute = network.isCut(observer.index, subject.index);
    if (isDeaf !== isMute) return true;
    if (truth === "gone" || isDeaf) return belief !== ALIVE;
    return belief === ALIVE;
  }
}

function truthOf(node: SimNode): Truth {
  if (node.life === 0 || node.isPaused) return "any";
  return node.isServing ? "alive" : "gone";
}
