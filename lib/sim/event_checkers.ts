/**
 * Rules about what applications are told: `checkers.ts` lists them (4 to 6).
 *
 * They hold for runs without coalescing, where each change is an event.
 */

import { hexOf } from "../kit/bytes.ts";
import {
  isMemberEvent,
  type MemberEvent,
  type MemberEventType,
  type SerfEvent,
  type UserEvent,
} from "../serf/event.ts";
import type { Cluster } from "./cluster.ts";
import type { SimNode } from "./node.ts";
import type { Report } from "./violation.ts";

// --- Rules 5 and 6 ------------------------------------------------------------

/** What the events so far made of a member. */
const LISTINGS = ["absent", "present", "failed", "left"] as const;
type Listing = typeof LISTINGS[number];

/** After which listings an event may come, and which one it makes. */
const EVENT_RULES: Readonly<
  Record<
    MemberEventType,
    { readonly after: readonly Listing[]; readonly makes: Listing }
  >
> = {
  "member-join": { after: ["absent", "failed", "left"], makes: "present" },
  "member-update": { after: ["present"], makes: "present" },
  "member-failed": { after: ["present"], makes: "failed" },
  // A failed member becomes a left one when its leave is heard of late.
  "member-leave": { after: ["present", "failed"], makes: "left" },
  "member-reap": { after: ["present", "failed", "left"], makes: "absent" },
};

/** Rules 5 and 6: the order of member events, and user events once only. */
export class EventChecker {
  readonly #nodes: number;
  readonly #indexOf: (name: string) => number | undefined;
  readonly #report: Report;
  /** By observer and subject, as places in LISTINGS. */
  readonly #listings: Uint8Array;
  readonly #delivered: Set<string>[];

  constructor(
    nodes: number,
    indexOf: (name: string) => number | undefined,
    report: Report,
  ) {
    this.#nodes = nodes;
    this.#indexOf = indexOf;
    this.#report = report;
    this.#listings = new Uint8Array(nodes ** 2);
    this.#delivered = Array.from({ length: nodes }, () => new Set());
  }

  /**
   * A node starts with an empty memory.
   *
   * @param remembers whether it still knows which user events it delivered
   */
  forget(observer: number, remembers = false): void {
    const start = observer * this.#nodes;
    this.#listings.fill(0, start, start + this.#nodes);
    if (!remembers) this.#delivered[observer]?.clear();
  }

  check(observer: Pick<SimNode, "index" | "name">, event: SerfEvent): void {
    if (event.type === "user") {
      this.#checkUserEvent(observer, event);
      return;
    }
    if (!isMemberEvent(event)) return;
    const { after, makes } = EVENT_RULES[event.type];
    for (const { name } of event.members) {
      const subject = this.#indexOf(name);
      if (subject === undefined) continue;
      const place = observer.index * this.#nodes + subject;
      const before = LISTINGS[this.#listings[place] as number] as Listing;
      if (!after.includes(before)) {
        this.#report(
          "event order",
          `${observer.name} is told ${event.type} of ${name}, which was ${before}`,
        );
      }
      this.#listings[place] = LISTINGS.indexOf(makes);
    }
  }

  #checkUserEvent(
    observer: Pick<SimNode, "index" | "name">,
    event: UserEvent,
  ): void {
    const delivered = this.#delivered[observer.index] as Set<string>;
    const key = `${event.name} at ${event.ltime} with ${hexOf(event.payload)}`;
    if (delivered.has(key)) {
      this.#report("at most once", `${observer.name} delivers ${key} again`);
    }
    delivered.add(key);
  }
}

// --- Rule 4 -------------------------------------------------------------------

/** Rule 4: a live, reachable node is not called dead for long. */
export class CalledDeadChecker {
  readonly #cluster: Cluster;
  readonly #limitMs: number;
  readonly #report: Report;
  /** Since when a node calls another one dead, ms; NaN while it does not. */
  readonly #sinceMs: Float64Array;
  /** Last instant at which something happened to a node or its links, ms. */
  readonly #disturbedMs: Float64Array;
  /** How many pairs are in `sinceMs`; most of the time none. */
  #count = 0;

  /** @param limitMs how long a death may be believed in without a disturbance */
  constructor(cluster: Cluster, limitMs: number, report: Report) {
    this.#cluster = cluster;
    this.#limitMs = limitMs;
    this.#report = report;
    const { length } = cluster.nodes;
    this.#sinceMs = new Float64Array(length ** 2).fill(Number.NaN);
    this.#disturbedMs = new Float64Array(length);
  }

  disturb(node: SimNode, nowMs: number): void {
    this.#disturbedMs[node.index] = nowMs;
  }

  /** A node starts with an empty memory. */
  forget(observer: SimNode): void {
    for (const subject of this.#cluster.nodes) {
      this.#set(observer, subject, Number.NaN);
    }
  }

  note(observer: SimNode, event: MemberEvent, nowMs: number): void {
    if (event.type === "member-update") return;
    const isDeath = event.type === "member-failed" ||
      event.type === "member-leave";
    for (const { name } of event.members) {
      const subject = this.#cluster.byName(name);
      if (subject !== undefined) {
        this.#set(observer, subject, isDeath ? nowMs : Number.NaN);
      }
    }
  }

  check(nowMs: number): void {
    if (this.#count === 0) return;
    for (const observer of this.#cluster.nodes) {
      if (!observer.isServing) continue;
      for (const subject of this.#cluster.nodes) {
        const sinceMs = this.#sinceMs[this.#place(observer, subject)] as number;
        if (Number.isNaN(sinceMs) || !this.#isReachable(observer, subject)) {
          continue;
        }
        const quietMs = Math.max(
          sinceMs,
          this.#disturbedMs[observer.index] as number,
          this.#disturbedMs[subject.index] as number,
        );
        if (nowMs - quietMs <= this.#limitMs) continue;
        this.#report(
          "not called dead",
          `${observer.name} calls ${subject.name} dead since ${sinceMs} ms`,
        );
      }
    }
  }

  #isReachable(observer: SimNode, subject: SimNode): boolean {
    const { network } = this.#cluster;
    return subject.isServing && !network.isCut(observer.index, subject.index) &&
      !network.isCut(subject.index, observer.index);
  }

  #set(observer: SimNode, subject: SimNode, sinceMs: number): void {
    const place = this.#place(observer, subject);
    const was = Number.isNaN(this.#sinceMs[place]) ? 0 : 1;
    const is = Number.isNaN(sinceMs) ? 0 : 1;
    this.#sinceMs[place] = sinceMs;
    this.#count += is - was;
  }

  #place(observer: SimNode, subject: SimNode): number {
    return observer.index * this.#cluster.nodes.length + subject.index;
  }
}
