/**
 * How long things may take, computed from the configuration.
 *
 * These are limits for tests, chosen so that a correct cluster exceeds them with
 * a chance of less than one in a million, and a broken one always. They are not
 * forecasts: a healthy cluster is far faster.
 */

import { assert } from "../kit/assert.ts";
import type { SerfConfig } from "../serf/config.ts";
import { retransmitLimit } from "../swim/broadcast_queue.ts";
import { pushPullIntervalMs } from "../swim/push_pull.ts";
import { suspicionTimeoutMs } from "../swim/suspicion.ts";

/**
 * Probe intervals after which a dead member was probed by someone. Each live
 * member probes at random, so the chance to be missed for k intervals is about
 * e^-k in a large cluster; in a small one the round robin ends after 2n - 1.
 * Source: SWIM (Das et al. 2002), sections 3.2 and 4.3.
 */
const UNPROBED_INTERVALS_MAX = 30;
/** Push/pulls of one member among which one repairs what it or others miss. */
const REPAIR_PUSH_PULLS = 4;
/** Attempts to reconnect among which one meets the other side. */
const REPAIR_RECONNECTS = 4;

/** A limit that chance alone breaks this rarely will do. */
const UNLUCKY_CHANCE = 1e-6;

/** Longest suspicion without any confirmation, ms. */
export function suspicionMaxMs(config: SerfConfig, nodes: number): number {
  const { suspicionMult, suspicionMaxTimeoutMult, probeIntervalMs } =
    config.swim.profile;
  return suspicionTimeoutMs(suspicionMult, nodes, probeIntervalMs) *
    suspicionMaxTimeoutMult;
}

/** Time for one broadcast to have been sent by everybody as often as allowed, ms. */
export function spreadMs(config: SerfConfig, nodes: number): number {
  const { gossipIntervalMs, retransmitMult } = config.swim.profile;
  const rounds = Math.ceil(Math.log2(nodes + 1)) +
    retransmitLimit(nodes, retransmitMult);
  return rounds * gossipIntervalMs;
}

/** From a crash until every member lists the crashed one as failed, ms. */
export function detectionMs(config: SerfConfig, nodes: number): number {
  const { probeIntervalMs, awarenessMaxMultiplier } = config.swim.profile;
  const intervals = Math.min(2 * nodes - 1, UNPROBED_INTERVALS_MAX);
  return intervals * probeIntervalMs * awarenessMaxMultiplier +
    suspicionMaxMs(config, nodes) + spreadMs(config, nodes);
}

/**
 * From the end of all faults until nobody holds a wrong belief about a live
 * member, ms: it learns in a push/pull or by a reconnect that it is called dead,
 * and refutes.
 */
export function repairMs(config: SerfConfig, nodes: number): number {
  const { pushPullIntervalMs: intervalMs } = config.swim.profile;
  return REPAIR_PUSH_PULLS * pushPullIntervalMs(intervalMs, nodes) +
    REPAIR_RECONNECTS * config.reconnectIntervalMs +
    suspicionMaxMs(config, nodes) + spreadMs(config, nodes);
}

/** From the end of all faults until everybody's belief about everybody is true, ms. */
export function convergenceMs(config: SerfConfig, nodes: number): number {
  return detectionMs(config, nodes) + repairMs(config, nodes);
}

/**
 * From the moment at which a failed member can be reached again until somebody
 * has, by the reconnect loop alone, ms: an exchange of state, and so many
 * intervals that the chance of no try in all of them is one in a million. Source:
 * serf `serf.go` (reconnect).
 *
 * @param chances for each node, with which chance its next interval brings a try
 * that helps, in (0, 1]; at least one
 */
export function reconnectMs(
  config: SerfConfig,
  chances: readonly number[],
): number {
  const noTry = chances.reduce((product, chance) => product * (1 - chance), 1);
  assert(noTry < 1, "somebody tries");
  const intervals = noTry === 0
    ? 1
    : Math.ceil(Math.log(UNLUCKY_CHANCE) / Math.log(noTry));
  return intervals * config.reconnectIntervalMs +
    config.swim.profile.streamTimeoutMs;
}

/**
 * From the moment at which one node knows something that only exchanges of state
 * carry until everybody does, ms.
 *
 * In each interval every node exchanges with a random other one, both ways. Those
 * who know become half as many again at the least, until they are half of all;
 * from then on an ignorant node stays so with a chance of at most
 * 1/2 * (1 - 1/n)^(n/2), about 0.3, in which it neither asks nor is asked by
 * somebody who knows. So many intervals make it one in a million for any of them.
 */
export function exchangedMs(config: SerfConfig, nodes: number): number {
  const intervals = Math.ceil(Math.log(nodes) / Math.log(1.5)) +
    Math.ceil(Math.log(UNLUCKY_CHANCE / nodes) / Math.log(0.3));
  const { pushPullIntervalMs: intervalMs } = config.swim.profile;
  return intervals * pushPullIntervalMs(intervalMs, nodes);
}
