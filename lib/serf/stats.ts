/**
 * The engine's figures as text, for operators.
 *
 * Source of the keys: serf `serf.go` (Stats).
 */

import type { SerfCore } from "./core.ts";
import type { Queues } from "./queues.ts";
import type { Roster } from "./roster.ts";

/** Where the figures come from. */
export interface StatsSources {
  readonly core: SerfCore;
  readonly roster: Roster;
  readonly queues: Queues;
  /** Lifeguard's score of ourselves, 0 is best. */
  readonly healthScore: number;
  /** `undefined` when we keep no coordinates. */
  readonly coordinateResets: number | undefined;
}

export function statsOf(sources: StatsSources): Map<string, string> {
  const { core, roster, queues, healthScore, coordinateResets } = sources;
  const { clock, eventClock, queryClock, config } = core;
  const { keyring } = config.swim;
  const stats = new Map([
    ["members", `${roster.size}`],
    ["failed", `${roster.failedCount}`],
    ["left", `${roster.leftCount}`],
    ["health_score", `${healthScore}`],
    ["member_time", `${clock.time}`],
    ["event_time", `${eventClock.time}`],
    ["query_time", `${queryClock.time}`],
    ["intent_queue", `${queues.depth("Intent")}`],
    ["event_queue", `${queues.depth("Event")}`],
    ["query_queue", `${queues.depth("Query")}`],
    ["encrypted", `${keyring !== undefined && keyring.size > 0}`],
  ]);
  if (coordinateResets !== undefined) {
    stats.set("coordinate_resets", `${coordinateResets}`);
  }
  return stats;
}
