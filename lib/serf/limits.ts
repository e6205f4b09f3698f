/**
 * Limits of what peers can make this node do, beside those of the single
 * mechanisms.
 *
 * A packet may hold a thousand messages, anybody may send one, and gossip carries
 * each to every member. So what a message may cost is limited for a packet, for
 * each source and second, and, since the source of a packet is easily forged, over
 * all sources. The numbers stand far above what members ask of each other; each
 * says why.
 *
 * Source: our own; serf has no such limits.
 */

import type { BudgetRate } from "../kit/budget.ts";
import { FAR_LTIME } from "./lamport.ts";

/** See `SERF_LIMITS` for the numbers. */
export interface SerfLimits {
  /**
   * Work for the expressions in filters of others' queries, in units of
   * `expressionSize`: that of compiling what is not remembered, and of matching.
   */
  readonly filterWork: BudgetRate;
  /** The same for each source of packets; our own queries count as one of them. */
  readonly filterWorkPerSource: BudgetRate;
  /** Expressions of one packet that are looked at. */
  readonly expressionsPerPacket: number;
  /** Lamport times from here on are believed only shortly ahead of our clock. */
  readonly farLTime: bigint;
}

/** The limits unless told otherwise. */
export const SERF_LIMITS: SerfLimits = {
  // A unit takes up to 0.02 ms: a twelfth of the processor, and a third of a second
  // at once. `^web-[0-9]{1,3}$` is 10 units the first time, and then less than one;
  // so there is room for hundreds of different filters a second, and for thousands
  // of queries with the same ones.
  filterWork: { perSecond: 4_096, burst: 16_384 },
  // Gossip comes through few members at a time, so one of them must be able to
  // bring two queries with filters of the largest size, 4,096.
  filterWorkPerSource: { perSecond: 2_048, burst: 8_192 },
  // As many as one query may have. A packet of 1,400 bytes holds 12 queries, of
  // which few have as much as one.
  expressionsPerPacket: 64,
  farLTime: FAR_LTIME,
};

const NO_LIMIT: BudgetRate = { perSecond: Infinity, burst: Infinity };

/** No limits at all, for tests that must find what the limits are for. */
export const NO_SERF_LIMITS: SerfLimits = {
  filterWork: NO_LIMIT,
  filterWorkPerSource: NO_LIMIT,
  expressionsPerPacket: Infinity,
  farLTime: 1n << 64n,
};
