/**
 * What the members of a cluster were told of each other's departures, and what
 * they did about them by the clock: reaping, and trying to reconnect.
 *
 * It reads the tries in the log, so the engines must log at INFO.
 */

import type { LogLevel } from "../kit/log.ts";
import { isMemberEvent, type SerfEvent } from "../serf/event.ts";
import type { MemberStatus } from "../serf/member.ts";
import type { Cluster, ClusterObserver, Lifecycle } from "./cluster.ts";
import type { SimNode } from "./node.ts";
import type { Report } from "./violation.ts";

/** Somebody forgot a member that was gone. */
export interface Reap {
  readonly observer: string;
  readonly subject: string;
  /** Since the observer was told that the subject is gone, ms. */
  readonly afterMs: number;
  /** The timeout that applies, ms. */
  readonly timeoutMs: number;
}

/** Since when a member is gone for an observer. */
interface Gone {
  readonly sinceMs: number;
  readonly hasLeft: boolean;
}

/** Takes down who was told what when. */
export class Ledger implements ClusterObserver {
  readonly #cluster: Cluster;
  readonly #report: Report;
  readonly #timeouts: { readonly failedMs: number; readonly leftMs: number };
  /** By observer, then by name. */
  readonly #gone = new Map<SimNode, Map<string, Gone>>();
  readonly reaps: Reap[] = [];
  /** Status in the first member-join, by observer and name. */
  readonly #firstStatus = new Map<string, MemberStatus>();
  /** Names of the members that somebody tried to reach, in order. */
  readonly tried: string[] = [];

  constructor(
    cluster: Cluster,
    timeouts: { readonly failedMs: number; readonly leftMs: number },
    report: Report,
  ) {
    this.#cluster = cluster;
    this.#timeouts = timeouts;
    this.#report = report;
    cluster.observers.push(this);
  }

  firstStatus(observer: SimNode, name: string): MemberStatus | undefined {
    return this.#firstStatus.get(`${observer.name} ${name}`);
  }

  /** Says who is held as gone for longer than the timeouts allow. */
  checkAges(slackMs: number): void {
    for (const [observer, gone] of this.#gone) {
      if (!observer.isServing) continue;
      for (const [name, { sinceMs, hasLeft }] of gone) {
        const ageMs = this.#cluster.nowMs - sinceMs;
        if (ageMs <= this.#timeoutMs(hasLeft) + slackMs) continue;
        this.#report(
          "reaped in time",
          `${observer.name} has not reaped ${name} after ${ageMs} ms`,
        );
      }
    }
  }

  onLifecycle(node: SimNode, change: Lifecycle): void {
    if (change === "started") this.#gone.set(node, new Map());
  }

  onLog(_node: SimNode, _level: LogLevel, text: string): void {
    const name = /attempting reconnect to (\S+)/.exec(text)?.[1];
    if (name !== undefined) this.tried.push(name);
  }

  onEvent(observer: SimNode, event: SerfEvent): void {
    if (!isMemberEvent(event)) return;
    const gone = this.#gone.get(observer) as Map<string, Gone>;
    const { nowMs } = this.#cluster;
    for (const { name, status } of event.members) {
      switch (event.type) {
        case "member-join": {
          gone.delete(name);
          const key = `${observer.name} ${name}`;
          if (!this.#firstStatus.has(key)) this.#firstStatus.set(key, status);
          break;
        }
        case "member-failed":
          gone.set(name, { sinceMs: nowMs, hasLeft: false });
          break;
        case "member-leave": {
          // Who is declared left is gone since the failure.
          const sinceMs = gone.get(name)?.sinceMs ?? nowMs;
          gone.set(name, { sinceMs, hasLeft: true });
          break;
        }
        case "member-reap":
          this.#noteReap(observer, name, gone.get(name));
          gone.delete(name);
          break;
        case "member-update":
          break;
      }
    }
  }

  #noteReap(
    observer: SimNode,
    subject: string,
    gone: Gone | undefined,
  ): void {
    if (gone === undefined) {
      this.#report(
        "reaped once",
        `${observer.name} reaps ${subject}, which was not gone`,
      );
      return;
    }
    const afterMs = this.#cluster.nowMs - gone.sinceMs;
    const timeoutMs = this.#timeoutMs(gone.hasLeft);
    this.reaps.push({ observer: observer.name, subject, afterMs, timeoutMs });
  }

  #timeoutMs(hasLeft: boolean): number {
    return hasLeft ? this.#timeouts.leftMs : this.#timeouts.failedMs;
  }
}
