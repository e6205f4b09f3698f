/**
 * Joining at the start, again and again until somebody answers.
 *
 *     try ──contacted──▶ joined
 *      ▲ │
 *      │ └──nobody──▶ pause ──┐     after the last try allowed: given up
 *      └─────────────────────┘
 *
 * Each try resolves the host names anew, since where nodes come and go their
 * addresses do too. One address that answers is success; what becomes of the
 * others is for `seeds.ts`.
 *
 * Source: serf `command.go`, retryJoin, whose log lines these are.
 */

import { formatDuration } from "../kit/duration.ts";
import type { LogLevel } from "../kit/log.ts";
import { type Pause, pause } from "./pause.ts";

/** What is asked of an agent here. */
export interface JoiningAgent {
  join(addresses: readonly string[], replay: boolean): Promise<number>;
  log(level: LogLevel, text: string): void;
}

export interface RetryJoinOptions {
  readonly addresses: readonly string[];
  /** Whether events from before are delivered. */
  readonly replay: boolean;
  /** Pause after a failed try, ms. */
  readonly intervalMs: number;
  /** How many failed tries are followed by another one; 0 or less for no limit. */
  readonly attemptsMax: number;
  /** Ends the tries. */
  readonly signal: AbortSignal;
  /** Waits; by the clock unless given. */
  readonly pause?: Pause;
}

/**
 * Joins.
 *
 * @returns `joined` when an address was contacted or there is none to contact,
 * `gaveUp` after too many tries, `stopped` when the signal ended it
 */
export async function retryJoin(
  agent: JoiningAgent,
  options: RetryJoinOptions,
): Promise<"joined" | "gaveUp" | "stopped"> {
  const { addresses, replay, intervalMs, attemptsMax, signal } = options;
  if (addresses.length === 0) return "joined";
  for (let failed = 0; !signal.aborted;) {
    agent.log("INFO", `agent: Joining cluster...(replay: ${replay})`);
    try {
      const contacted = await agent.join(addresses, replay);
      agent.log(
        "INFO",
        `agent: Join completed. Synced with ${contacted} initial agents`,
      );
      return "joined";
    } catch (error) {
      if (signal.aborted) break;
      failed++;
      if (attemptsMax > 0 && failed > attemptsMax) {
        agent.log("ERR", "agent: maximum retry join attempts made, exiting");
        return "gaveUp";
      }
      const reason = (error as Error).message;
      agent.log(
        "WARN",
        `agent: Join failed: ${reason}, retrying in ${
          formatDuration(intervalMs)
        }`,
      );
    }
    await (options.pause ?? pause)(intervalMs, signal);
  }
  return "stopped";
}
