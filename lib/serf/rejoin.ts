/**
 * Finding back to the cluster after a restart, through the members that were
 * alive according to the snapshot, and those that had failed.
 *
 * They are tried in random order, the failed ones last, a few at a time, until one
 * of them answers:
 *
 *     waiting --4 at a time--> running --answered--> round over
 *                                 |
 *                                 +--failed--> the next; none left: round over
 *
 * That is one round, and all that upstream does. After an outage nobody may be
 * there yet, and a node that gave up then would stay alone: a member that comes
 * back without a snapshot of its own knows nobody. So further rounds follow, each
 * with a share of those who are still missing:
 *
 *     round over --30 s, 1, 2, 4, 5, 5 ... min--> all known? --yes--> over
 *         ^                                           |
 *         +---------------- round <--------no---------+
 *
 * Whoever is a member again, in whatever status, is the roster's business. One
 * contact is usually enough for that, since it brings the whole cluster. It is not
 * when the cluster came up in two halves, or when somebody comes back who knows
 * nobody; so we look for the others for as long as for a failed member.
 *
 * Upstream tries one after the other, so that each address where nobody is any
 * more costs its full timeout. Neither tells the cluster of a join: a leave intent
 * about us that is still around comes back with the exchange and is refuted.
 *
 * An address in the file is text, and ours may stand there under another name; the
 * former is checked and the latter left out, since finding ourselves would end the
 * search.
 *
 * Source: serf `serf.go` (handleRejoin).
 */

import {
  formatEndpoint,
  formatIp,
  parseIp,
  splitHostPort,
} from "../kit/address.ts";
import { quoteText } from "../kit/quote.ts";
import type { JoinTarget, SwimEngine } from "../swim/engine.ts";
import type { OperationId, SwimEvent } from "../swim/output.ts";
import type { SerfCore } from "./core.ts";
import type { Roster } from "./roster.ts";

/** Members tried at one time. */
const TRIED_AT_ONCE = 4;
/**
 * Members tried in a further round: a sixteenth of those missing, within these
 * bounds. If all of 5,000 nodes are alone, each dials 64 addresses in five minutes,
 * and each is dialed by others every five seconds.
 */
const ROUND_SHARE = 16;
const ROUND_SIZE_MIN = 4;
const ROUND_SIZE_MAX = 64;
/** Longest wait between rounds, in reconnect intervals: 5 minutes of a LAN. */
const WAIT_INTERVALS_MAX = 10;

interface PreviousMember {
  readonly name: string;
  /** As the file has it, for log lines. */
  readonly address: string;
  /** In the form that a driver dials. */
  readonly endpoint: string;
  /** Whether it had failed when the file was written. */
  readonly hasFailed: boolean;
}

type JoinFinished = Extract<SwimEvent, { type: "joinFinished" }>;

export interface RejoinParts {
  readonly core: SerfCore;
  readonly swim: Pick<SwimEngine, "join">;
  readonly roster: Pick<Roster, "addresses" | "has">;
  /** Called for failed members of a former life that are given up. */
  onGivenUp(name: string): void;
}

export class Rejoin {
  readonly #parts: RejoinParts;
  /** Whom we look for, in the order of the coming rounds. */
  #missing: PreviousMember[] = [];
  /** Those of this round, in the reverse of the order in which they are tried. */
  #waiting: PreviousMember[] = [];
  /** By the number of the join in the SWIM layer. */
  readonly #running = new Map<OperationId, PreviousMember>();
  #isRoundOver = true;
  #rounds = 0;
  #giveUpAtMs = Infinity;

  constructor(parts: RejoinParts) {
    this.#parts = parts;
  }

  /** Begins, if there is a snapshot and somebody in it. */
  start(nowMs: number): void {
    const { core } = this.#parts;
    const { config, random } = core;
    const restored = config.snapshot?.restored;
    if (restored === undefined) return;
    const { members, failed } = restored;
    if (members.size + failed.size === 0) return;
    const alive = this.#othersOf(members, { hasFailed: false, nowMs });
    const gone = this.#othersOf(failed, { hasFailed: true, nowMs });
    random.shuffle(alive);
    random.shuffle(gone);
    this.#missing = [...alive, ...gone];
    this.#giveUpAtMs = nowMs + config.reconnectTimeoutMs;
    this.#startRound(this.#missing, nowMs);
  }

  /** A join of the SWIM layer has ended; those of others are ignored. */
  finished(event: JoinFinished, nowMs: number): void {
    const member = this.#running.get(event.operation);
    if (member === undefined) return;
    this.#running.delete(event.operation);
    if (this.#isRoundOver) return;
    if (event.contacted > 0 && this.#parts.core.state === "alive") {
      this.#log("INFO", "Re-joined to previously known node", member);
      this.#endRound(nowMs);
    } else {
      this.#advance(nowMs);
    }
  }

  /** The wait for the next round is over. */
  due(nowMs: number): void {
    const { core, onGivenUp } = this.#parts;
    if (core.state !== "alive") return;
    this.#dropKnown();
    const missing = this.#missing;
    if (missing.length === 0) return;
    if (nowMs >= this.#giveUpAtMs) {
      this.#missing = [];
      for (const { name, hasFailed } of missing) {
        if (hasFailed) onGivenUp(name);
      }
      return;
    }
    const share = Math.ceil(missing.length / ROUND_SHARE);
    const size = Math.min(Math.max(share, ROUND_SIZE_MIN), ROUND_SIZE_MAX);
    const tried = missing.splice(0, size);
    missing.push(...tried);
    this.#startRound(tried, nowMs);
  }

  #startRound(members: readonly PreviousMember[], nowMs: number): void {
    this.#waiting = members.toReversed();
    this.#isRoundOver = false;
    this.#advance(nowMs);
  }

  #advance(nowMs: number): void {
    const { core, swim } = this.#parts;
    if (core.state !== "alive") return this.#endRound(nowMs);
    while (this.#running.size < TRIED_AT_ONCE) {
      const member = this.#waiting.pop();
      if (member === undefined) break;
      const target: JoinTarget = {
        name: member.name,
        address: member.endpoint,
      };
      this.#log(
        this.#rounds === 0 ? "INFO" : "DEBUG",
        "Attempting re-join to previously known node",
        member,
      );
      this.#running.set(swim.join([target], nowMs), member);
    }
    if (this.#running.size > 0) return;
    if (this.#rounds === 0) {
      core.log("WARN", "Failed to re-join any previously known node");
      const count = this.#missing.length;
      if (count > 0 && core.config.reconnectIntervalMs > 0) {
        core.log(
          "INFO",
          `Will keep trying to re-join ${count} previously known node(s)`,
        );
      }
    }
    this.#endRound(nowMs);
  }

  /** Joins that still run end by themselves, and do no harm. */
  #endRound(nowMs: number): void {
    const { config, deadlines, random, state } = this.#parts.core;
    const { reconnectIntervalMs: intervalMs } = config;
    this.#isRoundOver = true;
    this.#waiting = [];
    if (state !== "alive" || intervalMs <= 0 || this.#missing.length === 0) {
      return;
    }
    const intervals = Math.min(2 ** this.#rounds, WAIT_INTERVALS_MAX);
    this.#rounds++;
    // Nodes that started together do not all knock together.
    const jitter = 0.75 + random.fraction() / 2;
    const atMs = nowMs + intervals * intervalMs * jitter;
    deadlines.add(atMs, { kind: "rejoin" });
  }

  /** Takes those out who are members again, perhaps under a new name. */
  #dropKnown(): void {
    const { roster } = this.#parts;
    const addresses = new Set(roster.addresses());
    this.#missing = this.#missing.filter(({ name, endpoint }) =>
      !roster.has(name) && !addresses.has(endpoint)
    );
  }

  /** Everybody in a table that can be dialed, but ourselves. */
  #othersOf(
    members: ReadonlyMap<string, string>,
    { hasFailed, nowMs }: {
      readonly hasFailed: boolean;
      readonly nowMs: number;
    },
  ): PreviousMember[] {
    const { core } = this.#parts;
    const { advertiseAddr, advertisePort } = core.config.swim;
    const ownAddress = formatEndpoint(formatIp(advertiseAddr), advertisePort);
    const others: PreviousMember[] = [];
    for (const [name, address] of members) {
      if (name === core.name || address === ownAddress) continue;
      const endpoint = endpointOf(address);
      if (endpoint !== undefined) {
        others.push({ name, address, endpoint, hasFailed });
        continue;
      }
      core.refuse(
        "WARN",
        `Cannot re-join ${quoteText(name)}, whose address in the snapshot is ` +
          quoteText(address),
        nowMs,
      );
    }
    return others;
  }

  #log(
    level: "INFO" | "DEBUG",
    what: string,
    { name, address }: PreviousMember,
  ): void {
    this.#parts.core.log(level, `${what}: ${name}: ${address}`);
  }
}

/** `ip:port` in the form that a driver dials; `undefined` when it is none. */
function endpointOf(text: string): string | undefined {
  try {
    const { host, port } = splitHostPort(text);
    const ip = parseIp(host);
    if (port === 0 || ip === undefined) return undefined;
    return formatEndpoint(formatIp(ip), port);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
