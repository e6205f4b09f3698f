/**
 * The members of the cluster by name, and how their statuses change.
 *
 *                       join intent
 *                 +-------------------+
 *                 v                   |
 *     (join) -> alive --leave intent--> leaving --gone--> left --> reaped
 *                 |                                        ^
 *                 +--gone--> failed --leave intent---------+
 *                              |
 *                              +--> reaped
 *
 *     left, failed --join--> alive
 *
 * Two sources move a member. *Notifications* come from the SWIM layer: it joined,
 * it is gone, its meta changed. *Intents* come from members, carry a Lamport time
 * and count only if it is newer than the member's status time. Whether a member
 * that is gone has left or failed depends on whether a leave intent came first, or
 * the member itself has told the SWIM layer that it goes. (Upstream asks for the
 * intent alone, and calls a member that left failed where the two have overtaken
 * each other, until a push/pull puts it right.)
 *
 * The rules that keep it honest: `#become` alone changes a status, so that the
 * lists of failed and left members always agree with the statuses; and a newer
 * leave intent always moves the status time, even if the status stays, or it
 * would be passed on for ever.
 *
 * What to do about intents that concern ourselves, and passing intents on, is the
 * engine's business. Source: serf `serf.go` (handleNodeJoin and its neighbours).
 */

import type { Deadline } from "../kit/deadlines.ts";
import type { NodeDescriptor } from "../wire/messages.ts";
import type { LeaveIntent } from "../wire/serf_messages.ts";
import type { Coordinates } from "./coordinates.ts";
import type { SerfCore } from "./core.ts";
import type { MemberEventType } from "./event.ts";
import { RecentIntents } from "./intent.ts";
import {
  type Member,
  memberOf,
  type MemberStatus,
  nodeAddress,
  nodeFacts,
  STATUS_NUMBERS,
} from "./member.ts";
import type { Timer } from "./timer.ts";

/**
 * What a member's newest gossip protocol must at least be to pass on a message.
 * Source: serf `query.go` (kRandomMembers).
 */
const RELAY_PROTOCOL_MIN = 5;

/** The metric that holds how many members are of a status. */
const GAUGES = {
  none: undefined,
  alive: "membersAlive",
  leaving: "membersLeaving",
  left: "membersLeft",
  failed: "membersFailed",
} as const;

/** One member. There are very many of these in a simulation; keep it small. */
class Row {
  /** Time of the newest intent that counted. */
  statusLTime = 0n;
  /** When it failed or left; without meaning otherwise. */
  leaveTimeMs = 0;
  status: MemberStatus = "none";
  constructor(public node: NodeDescriptor) {}
}

/**
 * What an intent turned out to be: `new` ones are passed on, and `refute` is one
 * about ourselves that is not true.
 */
export type LeaveVerdict = "new" | "known" | "refute";

export class Roster {
  readonly #core: SerfCore;
  readonly #coordinates: Coordinates;
  readonly #intents: RecentIntents;
  readonly #rows = new Map<string, Row>();
  /** Exactly the rows with status failed, oldest failure first. */
  readonly #failed = new Set<Row>();
  /** Exactly the rows with status left. */
  readonly #left = new Set<Row>();
  /** Members on their way out that will be erased when their row is due. */
  readonly #prunes = new Map<string, Deadline<Timer>>();
  /** Of the member clock, as far as we have followed it. */
  #wraps = 0;

  /** @param coordinates forgets the members that are erased here */
  constructor(
    core: SerfCore,
    coordinates: Coordinates,
    intents: RecentIntents = new RecentIntents(),
  ) {
    this.#core = core;
    this.#coordinates = coordinates;
    this.#intents = intents;
  }

  // --- Views ----------------------------------------------------------------

  /** Members of every status. */
  get size(): number {
    return this.#rows.size;
  }

  get failedCount(): number {
    return this.#failed.size;
  }

  get leftCount(): number {
    return this.#left.size;
  }

  has(name: string): boolean {
    return this.#rows.has(name);
  }

  member(name: string): Member | undefined {
    const row = this.#rows.get(name);
    return row && memberOf(row.node, row.status);
  }

  /** Members of every status, sorted by name. */
  members(): Member[] {
    return [...this.#rows.values()]
      .map((row) => memberOf(row.node, row.status))
      .sort((a, b) => a.name < b.name ? -1 : 1);
  }

  /** Time of the newest intent about a member that counted. */
  statusLTime(name: string): bigint | undefined {
    return this.#rows.get(name)?.statusLTime;
  }

  /**
   * Status times of every member, for a push/pull.
   *
   * A member that is leaving is told with the time before its leave. A status time
   * implies a join at that time, and one as late as the leave intent would hide
   * the intent from whoever has yet to receive it: the member would be called
   * failed there. Upstream has that race.
   */
  statusLTimes(): Map<string, bigint> {
    const ltimes = new Map<string, bigint>();
    for (const [name, { status, statusLTime }] of this.#rows) {
      const isTooLate = status === "leaving" && statusLTime > 0n;
      ltimes.set(name, isTooLate ? statusLTime - 1n : statusLTime);
    }
    return ltimes;
  }

  /** Where members of every status are, as `ip:port`, in no order. */
  *addresses(): Generator<string> {
    for (const { node } of this.#rows.values()) yield nodeAddress(node);
  }

  /** Names of the members that left, for a push/pull. */
  leftNames(): string[] {
    return [...this.#left].map((row) => row.node.name);
  }

  /** Whether anybody but ourselves is alive. */
  hasOthersAlive(): boolean {
    for (const row of this.#rows.values()) {
      if (row.status === "alive" && row.node.name !== this.#core.name) {
        return true;
      }
    }
    return false;
  }

  /** Members that neither failed nor left, as far as we know. */
  get upCount(): number {
    return this.#rows.size - this.#failed.size - this.#left.size;
  }

  /** Their names, in no order. */
  *upNames(): Generator<string> {
    for (const [name, { status }] of this.#rows) {
      if (status !== "failed" && status !== "left") yield name;
    }
  }

  /**
   * Members chosen at random that can pass on a message: alive, not ourselves,
   * and of a version that knows relays.
   *
   * @returns addresses as `ip:port`; at most `count`, fewer when there are fewer
   */
  pickRelays(count: number): string[] {
    const { random, name: own } = this.#core;
    const able: NodeDescriptor[] = [];
    for (const [name, { node, status }] of this.#rows) {
      const protocolMax = node.vsn[1] ?? 0;
      if (status !== "alive" || name === own) continue;
      if (protocolMax >= RELAY_PROTOCOL_MIN) able.push(node);
    }
    random.shuffle(able);
    return able.slice(0, count).map(nodeAddress);
  }

  // --- Notifications of the SWIM layer --------------------------------------

  /** A member came up, for the first time or again. */
  joined(node: NodeDescriptor, nowMs: number): void {
    const core = this.#core;
    const known = this.#rows.get(node.name);
    const row = known ?? new Row(node);
    if (known === undefined) {
      this.#rows.set(node.name, row);
      const intent = this.#intents.get(node.name);
      row.statusLTime = intent?.ltime ?? 0n;
      this.#become(row, intent?.type === "leave" ? "leaving" : "alive", nowMs);
    } else {
      const hasFlapped = row.status === "failed" &&
        nowMs - row.leaveTimeMs < core.config.flapTimeoutMs;
      if (hasFlapped) core.metrics.memberFlap.add();
      row.node = node;
      this.#become(row, "alive", nowMs);
    }
    this.#checkTags(node);
    core.metrics.memberJoin.add();
    this.#log("EventMemberJoin", row);
    this.#deliver("member-join", row, nowMs);
  }

  /**
   * A member is gone; its intents decide whether it left or failed.
   *
   * @param hasLeft the member has told the SWIM layer that it goes, which counts
   * like an intent
   */
  gone(name: string, nowMs: number, hasLeft = false): void {
    const core = this.#core;
    const row = this.#rows.get(name);
    if (row === undefined) return;
    const { status } = row;
    switch (status === "alive" && hasLeft ? "leaving" : status) {
      case "leaving":
        this.#become(row, "left", nowMs);
        core.metrics.memberLeft.add();
        this.#log("EventMemberLeave", row);
        this.#deliver("member-leave", row, nowMs);
        break;
      case "alive":
        this.#become(row, "failed", nowMs);
        core.metrics.memberFailed.add();
        this.#log("EventMemberFailed", row);
        this.#deliver("member-failed", row, nowMs);
        break;
      case "none":
      case "left":
      case "failed":
        core.log("WARN", `Bad state when leave: ${STATUS_NUMBERS[row.status]}`);
    }
  }

  /** A member's meta changed. */
  updated(node: NodeDescriptor, nowMs: number): void {
    const core = this.#core;
    const row = this.#rows.get(node.name);
    if (row === undefined) return;
    row.node = node;
    this.#checkTags(node);
    core.metrics.memberUpdate.add();
    if (core.logs("INFO")) core.log("INFO", `EventMemberUpdate: ${node.name}`);
    this.#deliver("member-update", row, nowMs);
  }

  // --- Intents --------------------------------------------------------------

  /**
   * A member says that it joined. Also undoes an untrue leave intent.
   *
   * @returns whether the intent is new, and so is passed on
   */
  joinIntent(name: string, ltime: bigint, nowMs: number): boolean {
    this.#core.clock.witness(ltime);
    const isNew = this.#takeJoin(name, ltime, nowMs);
    this.#followClock();
    return isNew;
  }

  #takeJoin(name: string, ltime: bigint, nowMs: number): boolean {
    const row = this.#rows.get(name);
    if (row === undefined) {
      return this.#intents.upsert(name, "join", ltime, nowMs);
    }
    if (ltime <= row.statusLTime) return false;
    row.statusLTime = ltime;
    if (row.status === "leaving") this.#become(row, "alive", nowMs);
    return true;
  }

  /** A member says that it leaves, or somebody says so of it. */
  leaveIntent(intent: Omit<LeaveIntent, "kind">, nowMs: number): LeaveVerdict {
    this.#core.clock.witness(intent.ltime);
    const verdict = this.#takeLeave(intent, nowMs);
    this.#followClock();
    return verdict;
  }

  #takeLeave(intent: Omit<LeaveIntent, "kind">, nowMs: number): LeaveVerdict {
    const core = this.#core;
    const { node: name, ltime, prune } = intent;
    const row = this.#rows.get(name);
    if (row === undefined) {
      return this.#intents.upsert(name, "leave", ltime, nowMs)
        ? "new"
        : "known";
    }
    if (ltime <= row.statusLTime) return "known";
    if (name === core.name && core.state === "alive") {
      core.log("DEBUG", "Refuting an older leave intent");
      return "refute";
    }
    row.statusLTime = ltime;
    switch (row.status) {
      case "none":
        return "known";
      case "alive":
        this.#become(row, "leaving", nowMs);
        break;
      case "failed":
        this.#become(row, "left", nowMs);
        this.#log("EventMemberLeave (forced)", row);
        this.#deliver("member-leave", row, nowMs);
        break;
      case "leaving":
      case "left":
        break;
    }
    if (prune) this.#prune(row, nowMs);
    return "new";
  }

  /**
   * When the clock wraps, times of before would hide all intents to come. The
   * statuses stay, and what still goes round from before is too far ahead to count.
   */
  #followClock(): void {
    const { wraps } = this.#core.clock;
    if (wraps === this.#wraps) return;
    this.#wraps = wraps;
    for (const row of this.#rows.values()) row.statusLTime = 0n;
    this.#intents.clear();
  }

  // --- Forgetting -----------------------------------------------------------

  /**
   * Erases a member, but lets one that is leaving finish first: it is erased
   * after the longest time that a leave takes. Should it turn out to be alive by
   * then, it stays.
   *
   * Upstream waits with its table locked, and so never tells the application
   * that the member left; here all goes on and member-leave comes before
   * member-reap.
   */
  #prune(row: Row, nowMs: number): void {
    const { config, deadlines } = this.#core;
    const { name } = row.node;
    if (row.status !== "leaving") {
      this.#pruneNow(row, nowMs);
    } else if (!this.#prunes.has(name)) {
      const waitMs = config.broadcastTimeoutMs + config.leavePropagateDelayMs;
      const timer = deadlines.add(nowMs + waitMs, { kind: "prune", name });
      this.#prunes.set(name, timer);
    }
  }

  /** The wait of a leaving member that is to be erased is over. */
  pruneDue(name: string, nowMs: number): void {
    this.#prunes.delete(name);
    const row = this.#rows.get(name);
    if (row !== undefined) this.#pruneNow(row, nowMs);
  }

  #pruneNow(row: Row, nowMs: number): void {
    this.#log("EventMemberReap (forced)", row);
    this.#erase(row, nowMs);
  }

  /** Forgets members that failed or left long ago, and old intents. */
  reap(nowMs: number): void {
    const { config } = this.#core;
    this.#reapOf(this.#failed, config.reconnectTimeoutMs, nowMs);
    this.#reapOf(this.#left, config.tombstoneTimeoutMs, nowMs);
    this.#intents.expire(config.recentIntentTimeoutMs, nowMs);
  }

  #reapOf(rows: ReadonlySet<Row>, timeoutMs: number, nowMs: number): void {
    const core = this.#core;
    for (const row of rows) {
      if (nowMs - row.leaveTimeMs <= timeoutMs) continue;
      if (core.logs("INFO")) {
        core.log("INFO", `EventMemberReap: ${row.node.name}`);
      }
      this.#erase(row, nowMs);
    }
  }

  #erase(row: Row, nowMs: number): void {
    this.#rows.delete(row.node.name);
    this.#countStatus(row.status, -1);
    this.#failed.delete(row);
    this.#left.delete(row);
    this.#cancelPrune(row);
    this.#coordinates.forget(row.node.name);
    this.#deliver("member-reap", row, nowMs);
  }

  // --- Reconnecting ---------------------------------------------------------

  /**
   * A failed member worth another try, if chance allows one now: the fewer of the
   * cluster have failed, the rarer we try, since others try as well.
   */
  pickReconnect(): { name: string; address: string } | undefined {
    const core = this.#core;
    const failed = this.#failed.size;
    if (failed === 0) return undefined;
    const others = Math.max(1, this.#rows.size - failed - this.#left.size);
    if (core.random.fraction() > failed / others) {
      core.log("DEBUG", "forgoing reconnect for random throttling");
      return undefined;
    }
    const { node } = [...this.#failed][core.random.below(failed)] as Row;
    const address = nodeAddress(node);
    core.log("INFO", `attempting reconnect to ${node.name} ${address}`);
    return { name: node.name, address };
  }

  // --- Inside ---------------------------------------------------------------

  /** The only way to change a status. */
  #become(row: Row, status: MemberStatus, nowMs: number): void {
    const wasGone = row.status === "failed" || row.status === "left";
    const isGone = status === "failed" || status === "left";
    // A forced leave keeps the time of the failure.
    if (isGone && !wasGone) row.leaveTimeMs = nowMs;
    if (status !== row.status) {
      this.#countStatus(row.status, -1);
      this.#countStatus(status, 1);
    }
    row.status = status;
    if (wasGone) {
      this.#failed.delete(row);
      this.#left.delete(row);
    }
    if (status === "failed") this.#failed.add(row);
    if (status === "left") this.#left.add(row);
    if (status === "alive") this.#cancelPrune(row);
  }

  #countStatus(status: MemberStatus, change: 1 | -1): void {
    const key = GAUGES[status];
    if (key === undefined) return;
    const gauge = this.#core.metrics[key];
    gauge.set(gauge.value + change);
  }

  #cancelPrune(row: Row): void {
    if (this.#prunes.size === 0) return;
    const timer = this.#prunes.get(row.node.name);
    if (timer === undefined) return;
    this.#core.deadlines.delete(timer);
    this.#prunes.delete(row.node.name);
  }

  #checkTags(node: NodeDescriptor): void {
    const { tagsError } = nodeFacts(node);
    if (tagsError === undefined) return;
    this.#core.log("ERR", tagsError.detail);
  }

  #log(what: string, row: Row): void {
    const core = this.#core;
    if (!core.logs("INFO")) return;
    core.log("INFO", `${what}: ${row.node.name} ${nodeFacts(row.node).ip}`);
  }

  #deliver(type: MemberEventType, row: Row, nowMs: number): void {
    const member = memberOf(row.node, row.status);
    this.#core.deliver({ type, members: [member] }, nowMs);
  }
}
