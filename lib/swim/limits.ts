/**
 * Limits of what peers can make us send, beside those that the protocol has.
 *
 * Anybody may forge the source of a packet, and many packets name the address
 * that is to be answered. Without limits one node multiplies what a stranger sends
 * and throws it at a third party. The numbers stand far above what members ask of
 * each other; each says why.
 *
 * All numbers concern one node. Budgets *per destination* keep one victim from
 * being flooded; those *over all* hold when an attacker names a new destination in
 * every packet.
 *
 * Source: our own; memberlist has no such limits.
 */

import type { BudgetRate } from "../kit/budget.ts";

/** What may be spent on one destination, and on all together. */
export interface ReplyRates {
  readonly perDestination: BudgetRate;
  readonly overAll: BudgetRate;
}

/** See `SWIM_LIMITS` for the numbers and `replies.ts` for how they are used. */
export interface SwimLimits {
  /**
   * Whether the address that a ping names as its source is believed only if it is
   * that of the member whose name goes with it. Otherwise the answer goes to where
   * the packet came from. With `false` every named address is believed, strangers
   * are answered as members are, and stale accusations are answered wherever they
   * came from.
   */
  readonly believesMembersOnly: boolean;
  /**
   * Pings, pings for others and stale accusations of one packet that are answered,
   * of each kind.
   */
  readonly repliesPerPacket: number;
  /**
   * Acks, nacks and pings for others that carry gossip and our coordinate. Beyond
   * it they are sent without, and are then no longer than what asked for them.
   */
  readonly fullReplies: ReplyRates;
  /** Pings for others, by the address that asks. Beyond it they are not sent. */
  readonly relayedPings: ReplyRates;
  /** Pings for others to addresses that are no member's, over all. */
  readonly strangerPings: BudgetRate;
  /** Proofs that we live, for those who pass on a stale accusation. */
  readonly staleClaims: ReplyRates;
  /** Acks of queries and answers to them, by the member that asked. */
  readonly queryReplies: ReplyRates;
  /**
   * Answers that Serf gives itself, to questions about names and keys, by the member
   * that asked. They are long, and no script has to run for them.
   */
  readonly internalReplies: ReplyRates;
  /** Copies of these that take a detour, by the member that asked. */
  readonly queryCopies: ReplyRates;
  /** Such copies of other members that we pass on, by the member that they are for. */
  readonly forwards: ReplyRates;
  /**
   * Query replies, copies and forwards, each, for addresses that are not those of
   * the member named with them.
   */
  readonly strangerReplies: ReplyRates;
  /** As `internalReplies`, for such addresses. */
  readonly strangerInternalReplies: ReplyRates;
  /** Incarnations from here on are believed only shortly above what is known. */
  readonly farIncarnation: number;
}

/** The limits unless told otherwise. */
export const SWIM_LIMITS: SwimLimits = {
  believesMembersOnly: true,
  // A member puts one ping in a packet, beside gossip. The first of several is
  // answered, so that it learns that we live.
  repliesPerPacket: 1,
  // Every member probes one other per second, so one ping a second arrives, and
  // from one member one in as many seconds as there are members. Two nodes alone
  // come to 1, with a leave that seeks its receipt to 6 a second.
  fullReplies: {
    perDestination: { perSecond: 10, burst: 20 },
    overAll: { perSecond: 100, burst: 200 },
  },
  // A member that gets no ack asks three others, at most once a second. When half
  // of a large cluster dies at once, each of the rest is asked 3 times a second on
  // average, and by chance 15 times.
  relayedPings: {
    perDestination: { perSecond: 5, burst: 20 },
    overAll: { perSecond: 100, burst: 200 },
  },
  // A member that has just joined may be unknown here for a moment.
  strangerPings: { perSecond: 5, burst: 20 },
  // Each answer ends the gossip of an accusation at one member. Without any, the
  // refutation that is gossiped does the same a little later. To find the member
  // of an address the table is searched, so this bounds that work too.
  staleClaims: {
    perDestination: { perSecond: 1, burst: 3 },
    overAll: { perSecond: 20, burst: 40 },
  },
  // Queries come by gossip. A packet of 1,400 bytes holds 12 of the shortest, and a
  // node hears 15 packets of gossip a second on average, most of which repeat each
  // other: fewer than 200 new queries a second, with an ack and an answer each.
  queryReplies: {
    perDestination: { perSecond: 512, burst: 256 },
    overAll: { perSecond: 1_024, burst: 512 },
  },
  // A member has one vote about its name and one change of keys under way at a time.
  // Over all, because in a cluster with duplicate names many may vote at once.
  internalReplies: {
    perDestination: { perSecond: 8, burst: 32 },
    overAll: { perSecond: 64, burst: 128 },
  },
  // Copies only repeat what goes straight as well. A burst holds those of an ack
  // of the largest relay factor, 255; the rate those of 6 queries a second with a
  // factor of 5.
  queryCopies: {
    perDestination: { perSecond: 64, burst: 256 },
    overAll: { perSecond: 256, burst: 512 },
  },
  // Of a query with relay factor f, each member passes on f acks and f answers on
  // average, whatever the size of the cluster: 25 queries a second with a factor
  // of 5, and at once one with a factor of 128.
  forwards: {
    perDestination: { perSecond: 256, burst: 256 },
    overAll: { perSecond: 1_024, burst: 512 },
  },
  // A member that has just joined, and members before Serf 0.8.6, which do not
  // say their names: 16 queries a second, each with an ack and an answer.
  strangerReplies: {
    perDestination: { perSecond: 32, burst: 32 },
    overAll: { perSecond: 64, burst: 64 },
  },
  // A node that claims the name of another is such a stranger, and asks once in a
  // while whose the name is.
  strangerInternalReplies: {
    perDestination: { perSecond: 1, burst: 4 },
    overAll: { perSecond: 16, burst: 32 },
  },
  // A member would have to change its tags every second for 68 years.
  farIncarnation: 2 ** 31,
};

const NO_LIMIT: BudgetRate = { perSecond: Infinity, burst: Infinity };
const NO_LIMITS: ReplyRates = { perDestination: NO_LIMIT, overAll: NO_LIMIT };

/** No limits at all, for tests that must find what the limits are for. */
export const NO_SWIM_LIMITS: SwimLimits = {
  believesMembersOnly: false,
  repliesPerPacket: Infinity,
  fullReplies: NO_LIMITS,
  relayedPings: NO_LIMITS,
  strangerPings: NO_LIMIT,
  staleClaims: NO_LIMITS,
  queryReplies: NO_LIMITS,
  internalReplies: NO_LIMITS,
  queryCopies: NO_LIMITS,
  forwards: NO_LIMITS,
  strangerReplies: NO_LIMITS,
  strangerInternalReplies: NO_LIMITS,
  farIncarnation: Infinity,
};
