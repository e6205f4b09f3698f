/**
 * What Serf adds to the full exchange of state: the three clocks, the status time
 * of every member, who left, and the user events of the recent past.
 *
 * It carries no intents, but it implies them: a member on the other side's left
 * list left at some time after its status time, and every other member joined at
 * its status time. What follows from them is never gossiped on, because whoever
 * misses it learns it from a push/pull as well.
 *
 * Times that are too far ahead to be right are refused, as they are everywhere
 * (`lamport.ts`). Only the clocks of a member that we have asked ourselves are
 * believed whatever they show, so that we go on together with it.
 *
 * The decoder bounds how much one state can hold; the tables that it is merged
 * into have bounds of their own.
 *
 * Source: serf `delegate.go` (LocalState, MergeRemoteState).
 */

import {
  decodePushPull,
  encodePushPull,
  type SerfPushPull,
} from "../wire/serf_messages.ts";
import { WireError } from "../wire/wire_error.ts";
import type { SerfCore } from "./core.ts";
import { type LamportClock, nextLTime } from "./lamport.ts";
import type { Roster } from "./roster.ts";
import type { UserEvents } from "./user_event.ts";

export class PushPulls {
  readonly #core: SerfCore;
  readonly #roster: Roster;
  readonly #userEvents: UserEvents;

  constructor(core: SerfCore, roster: Roster, userEvents: UserEvents) {
    this.#core = core;
    this.#roster = roster;
    this.#userEvents = userEvents;
  }

  /** Everything that we know, for the other side. */
  localState(): Uint8Array {
    const { clock, eventClock, queryClock } = this.#core;
    return encodePushPull({
      ltime: clock.time,
      statusLTimes: this.#roster.statusLTimes(),
      leftMembers: this.#roster.leftNames(),
      eventLTime: eventClock.time,
      events: this.#userEvents.groups(),
      queryLTime: queryClock.time,
    });
  }

  /**
   * Takes over what the other side knows.
   *
   * @param ignoreOld whether user events before the other side's present are to
   * be ignored from now on
   * @param isReply whether we have asked for it
   * @returns whether somebody believes that we are leaving, though we are not
   */
  merge(
    body: Uint8Array,
    ignoreOld: boolean,
    nowMs: number,
    isReply = false,
  ): boolean {
    const remote = this.#decode(body, nowMs);
    if (remote === undefined) return false;
    this.#witnessClocks(remote, isReply, nowMs);
    const mustRefute = this.#mergeMembers(remote, nowMs);
    const core = this.#core;
    const { eventClock } = core;
    if (ignoreOld && !eventClock.isFarAhead(remote.eventLTime)) {
      this.#userEvents.ignoreBefore(remote.eventLTime);
    }
    for (const group of remote.events) {
      if (group === undefined) continue;
      const { ltime } = group;
      for (const { name, payload } of group.events) {
        // For each, since the one before may have made the clock wrap.
        if (core.refusesTime(eventClock, ltime, "an event", nowMs)) continue;
        const event = { ltime, name, payload, coalesce: false };
        this.#userEvents.arrived(event, nowMs);
      }
    }
    return mustRefute;
  }

  /** @returns `undefined` when the state is broken, which is logged */
  #decode(body: Uint8Array, nowMs: number): SerfPushPull | undefined {
    try {
      return decodePushPull(body);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.#core.refuse("ERR", error.detail, nowMs);
      return undefined;
    }
  }

  /** The other side's clocks show the time to come; it has seen the one before. */
  #witnessClocks(remote: SerfPushPull, isReply: boolean, nowMs: number): void {
    const core = this.#core;
    const shown: [LamportClock, bigint][] = [
      [core.clock, remote.ltime],
      [core.eventClock, remote.eventLTime],
      [core.queryClock, remote.queryLTime],
    ];
    for (const [clock, time] of shown) {
      if (time === 0n) continue;
      const seen = time - 1n;
      if (!isReply && core.refusesTime(clock, seen, "a clock", nowMs)) continue;
      clock.witness(seen);
    }
  }

  #mergeMembers(remote: SerfPushPull, nowMs: number): boolean {
    const { statusLTimes, leftMembers } = remote;
    let mustRefute = false;
    const core = this.#core;
    const isRefused = (ltime: bigint) =>
      core.refusesTime(core.clock, ltime, "the status of a member", nowMs);
    for (const node of leftMembers) {
      const ltime = nextLTime(statusLTimes.get(node) ?? 0n);
      if (isRefused(ltime)) continue;
      const intent = { ltime, node, prune: false };
      const verdict = this.#roster.leaveIntent(intent, nowMs);
      if (verdict === "refute") mustRefute = true;
    }
    const hasLeft = new Set(leftMembers);
    for (const [node, ltime] of statusLTimes) {
      if (hasLeft.has(node) || isRefused(ltime)) continue;
      this.#roster.joinIntent(node, ltime, nowMs);
    }
    return mustRefute;
  }
}
