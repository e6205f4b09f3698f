/**
 * Recording what a node needs to start again: who is alive, and how far the three
 * Lamport clocks have come. What to write is decided here, as `persist` outputs;
 * the file itself belongs to the driver.
 *
 *     raw events ---> append lines ---too many---> replace by what they amount to
 *     member clock --500 ms--^
 *     leave ---> "leave", on the disk before the node is gone;
 *                from then on only the member clock
 *
 * Events are seen before they are coalesced and before the internal queries are
 * taken out. The clocks of user events and queries are recorded by what came in,
 * not by what was witnessed in an exchange of state: an event that was announced
 * but never received must still be welcome after a restart. The member clock has
 * no event of its own. It is looked at after every member event and within 500 ms
 * of a change; a node on which nothing moves is never woken for it.
 *
 * A member that failed stays in the file with its address until it is forgotten,
 * so that a node that is ended in the middle of an outage looks for it afterwards.
 * Upstream records only that it is not alive; the address is in a comment.
 *
 * A replacement means the same as the lines that it replaces, a leave included:
 * then it holds the members and clocks of before, the leave, and the clock after
 * it. Upstream drops the leave. There, who leaves with `rejoinAfterLeave` and
 * compacts afterwards joins again at a start without it; and who leaves without
 * it has nobody left to join at a start with it.
 *
 * A clock in the file that is too far ahead to be right is not taken over: it was
 * written under an attack, and would hide all that happens from now on. When one
 * of our clocks wraps, the file follows.
 *
 * A name that holds a line break or a NUL cannot be written: it would let its
 * owner write lines of its own into our file. Such a member is not recorded.
 * Upstream records it, forged lines and all.
 *
 * Source: serf `snapshot.go`. Reading is in `snapshot_file.ts`, rejoining in
 * `rejoin.ts`.
 */

import { formatEndpoint } from "../kit/address.ts";
import { utf8Bytes } from "../kit/bytes.ts";
import type { Deadline } from "../kit/deadlines.ts";
import { quoteText } from "../kit/quote.ts";
import type { SnapshotConfig } from "./config.ts";
import type { SerfCore } from "./core.ts";
import type { MemberEventType, SerfEvent } from "./event.ts";
import { type LamportClock, nextLTime } from "./lamport.ts";
import type { Member } from "./member.ts";
import {
  ALIVE_PREFIX,
  CLOCK_PREFIX,
  EVENT_CLOCK_PREFIX,
  FAILED_MEMBERS_MAX,
  FAILED_PREFIX,
  LEAVE_LINE,
  LINE_BYTES_MAX,
  NOT_ALIVE_PREFIX,
  noteMember,
  QUERY_CLOCK_PREFIX,
} from "./snapshot_file.ts";
import type { Timer } from "./timer.ts";

/** Longest time between a move of the member clock and its line, ms. */
const CLOCK_INTERVAL_MS = 500;
const COMPACT_BYTES_MIN = 128 * 1_024;
/** Size of a file worth compacting, per member in it, bytes. */
const COMPACT_BYTES_PER_MEMBER = 256;
/** What can be no part of a name in the file. */
const UNWRITABLE = /[\n\0]/;

/** Delivers what has a Lamport time, from a time on. */
interface Deliverer {
  ignoreBefore(ltime: bigint): void;
}

export class Snapshot {
  readonly #core: SerfCore;
  readonly #compactBytesMin: number;
  /** Who is alive as far as the file says, or did when we left. */
  readonly #alive: Map<string, string>;
  /** Who has failed, in the same way. */
  readonly #failed: Map<string, string>;
  /** The times in the file. */
  #clock: bigint;
  #eventClock: bigint;
  #queryClock: bigint;
  /** Of the three clocks, as far as the file has followed them. */
  readonly #wraps = new Map<LamportClock, number>();
  /** How long the file is once everything emitted so far is in it. */
  #bytes: number;
  /** How long it was when it was last written as a whole. */
  #compactedBytes = 0;
  #hasLeft = false;
  #hasComplained = false;
  #clockRow: Deadline<Timer> | undefined;

  /**
   * Goes on where the snapshot ends, if there is one, and records from now on.
   *
   * @param userEvents and `queries`: what an earlier life has delivered is not
   * delivered again
   */
  static resume(
    core: SerfCore,
    userEvents: Deliverer,
    queries: Deliverer,
  ): Snapshot | undefined {
    const { snapshot: config } = core.config;
    if (config === undefined) return undefined;
    const snapshot = new Snapshot(core, config);
    core.onRawEvent = (event) => snapshot.record(event);
    userEvents.ignoreBefore(nextLTime(snapshot.#eventClock));
    queries.ignoreBefore(nextLTime(snapshot.#queryClock));
    return snapshot;
  }

  /** Takes over the restored clocks and logs what the reading brought up. */
  constructor(core: SerfCore, config: SnapshotConfig) {
    this.#core = core;
    const { restored, compactBytesMin = COMPACT_BYTES_MIN } = config;
    this.#compactBytesMin = compactBytesMin;
    this.#alive = new Map(restored.members);
    this.#failed = new Map(restored.failed);
    this.#bytes = restored.bytes;
    for (const { level, text } of restored.complaints) core.log(level, text);
    this.#clock = this.#resume(core.clock, restored.clock, "clock");
    this.#eventClock = this.#resume(
      core.eventClock,
      restored.eventClock,
      "event clock",
    );
    this.#queryClock = this.#resume(
      core.queryClock,
      restored.queryClock,
      "query clock",
    );
    if (restored.isDamaged) this.rewrite();
  }

  /** An event on its way to the application, or an internal query. */
  record(event: SerfEvent): void {
    if (this.#hasLeft) return;
    const { eventClock, queryClock } = this.#core;
    switch (event.type) {
      case "user":
        if (this.#hasWrapped(eventClock)) {
          this.#eventClock = 0n;
          // The one that made it wrap is the last of the old times.
          if (event.ltime >= eventClock.time) return;
        }
        if (event.ltime <= this.#eventClock) return;
        this.#eventClock = event.ltime;
        return this.#append(`${EVENT_CLOCK_PREFIX}${event.ltime}`);
      case "query":
        if (this.#hasWrapped(queryClock)) {
          this.#queryClock = 0n;
          if (event.ltime >= queryClock.time) return;
        }
        if (event.ltime <= this.#queryClock) return;
        this.#queryClock = event.ltime;
        return this.#append(`${QUERY_CLOCK_PREFIX}${event.ltime}`);
      default:
        for (const member of event.members) this.#record(event.type, member);
        this.#writeClock();
    }
  }

  /** Sees to it that a move of the member clock is recorded in time. */
  watchClock(nowMs: number): void {
    this.#followClock();
    if (this.#clockRow !== undefined || !this.#hasClockMoved) return;
    this.#clockRow = this.#core.deadlines.add(nowMs + CLOCK_INTERVAL_MS, {
      kind: "snapshotClock",
    });
  }

  /** The time to record the member clock has come, or the end of everything. */
  clockDue(): void {
    this.#writeClock();
  }

  /** We leave: what others do from now on is no concern of our next life. */
  leave(): void {
    this.#hasLeft = true;
    this.#append(LEAVE_LINE, { sync: true });
  }

  /** A failed member is not looked for any more. */
  forget(name: string): void {
    if (this.#hasLeft || !this.#failed.has(name)) return;
    this.#recordGone(name);
  }

  /** Has the file replaced by a shorter one that means the same. */
  rewrite(): void {
    const text = this.#contents();
    this.#bytes = this.#compactedBytes = utf8Bytes(text).length;
    this.#core.emit({ kind: "persist", write: "replace", text, sync: true });
  }

  #record(type: MemberEventType, member: Member): void {
    const { name } = member;
    switch (type) {
      case "member-join": {
        const address = formatEndpoint(member.ip, member.port);
        const line = `${ALIVE_PREFIX}${name} ${address}`;
        if (!this.#isWritable(name, line)) return;
        const { membersMax } = this.#core.config.swim;
        this.#failed.delete(name);
        noteMember(this.#alive, name, address, membersMax);
        return this.#append(line);
      }
      case "member-leave":
        return this.#recordGone(name);
      case "member-failed": {
        this.#recordGone(name);
        const address = formatEndpoint(member.ip, member.port);
        const line = `${FAILED_PREFIX}${name} ${address}`;
        if (!this.#isWritable(name, line)) return;
        noteMember(this.#failed, name, address, FAILED_MEMBERS_MAX);
        return this.#append(line);
      }
      case "member-reap":
        return this.forget(name);
      case "member-update":
        return;
    }
  }

  #recordGone(name: string): void {
    const line = `${NOT_ALIVE_PREFIX}${name}`;
    if (!this.#isWritable(name, line)) return;
    this.#alive.delete(name);
    this.#failed.delete(name);
    this.#append(line);
  }

  #isWritable(name: string, line: string): boolean {
    if (!UNWRITABLE.test(name) && isShort(line)) return true;
    if (!this.#hasComplained) {
      this.#hasComplained = true;
      this.#core.log(
        "WARN",
        `Cannot record members with a name like ${quoteText(name)} in the ` +
          "snapshot",
      );
    }
    return false;
  }

  /** Goes on at the time in the file. @returns what the file is held to say */
  #resume(clock: LamportClock, ltime: bigint, what: string): bigint {
    const isRefused = clock.isFarAhead(ltime);
    if (isRefused) {
      this.#core.metrics.timesRefused.add();
      this.#core.log(
        "WARN",
        `Ignoring the ${what} of the snapshot, ${ltime}, which is too far ahead`,
      );
    } else {
      clock.witness(ltime);
    }
    this.#wraps.set(clock, clock.wraps);
    return isRefused ? 0n : ltime;
  }

  /** Whether a clock has wrapped since we last asked. */
  #hasWrapped(clock: LamportClock): boolean {
    if (clock.wraps === this.#wraps.get(clock)) return false;
    this.#wraps.set(clock, clock.wraps);
    return true;
  }

  /** The time of the newest message is one before what the clock shows. */
  get #hasClockMoved(): boolean {
    return this.#core.clock.time - 1n > this.#clock;
  }

  /** Begins anew after a wrap. */
  #followClock(): void {
    if (this.#hasWrapped(this.#core.clock)) this.#clock = 0n;
  }

  #writeClock(): void {
    const { clock, deadlines } = this.#core;
    this.#followClock();
    if (this.#clockRow !== undefined) deadlines.delete(this.#clockRow);
    this.#clockRow = undefined;
    if (!this.#hasClockMoved) return;
    this.#clock = clock.time - 1n;
    this.#append(`${CLOCK_PREFIX}${this.#clock}`);
  }

  #append(line: string, options = { sync: false }): void {
    const text = `${line}\n`;
    this.#core.emit({ kind: "persist", write: "append", text, ...options });
    this.#bytes += utf8Bytes(text).length;
    if (this.#bytes > this.#bytesMax) this.rewrite();
  }

  /**
   * How long the file may become. Upstream has but the first two limits and, when
   * names are long, rewrites its file at every line.
   */
  get #bytesMax(): number {
    return Math.max(
      (this.#alive.size + this.#failed.size) * COMPACT_BYTES_PER_MEMBER,
      this.#compactBytesMin,
      2 * this.#compactedBytes,
    );
  }

  /** What the file amounts to, as short as possible. */
  #contents(): string {
    const clockLine = `${CLOCK_PREFIX}${this.#clock}`;
    const lines: string[] = [];
    for (const [name, address] of this.#alive) {
      lines.push(`${ALIVE_PREFIX}${name} ${address}`);
    }
    for (const [name, address] of this.#failed) {
      lines.push(`${FAILED_PREFIX}${name} ${address}`);
    }
    lines.push(
      clockLine,
      `${EVENT_CLOCK_PREFIX}${this.#eventClock}`,
      `${QUERY_CLOCK_PREFIX}${this.#queryClock}`,
    );
    // Behind a leave, only the member clock counts.
    if (this.#hasLeft) lines.push(LEAVE_LINE, clockLine);
    lines.push("");
    return lines.join("\n");
  }
}

/** Whether the reader would take a line of this length. */
function isShort(line: string): boolean {
  const bytesMost = 3 * line.length;
  return bytesMost <= LINE_BYTES_MAX ||
    utf8Bytes(line).length <= LINE_BYTES_MAX;
}
