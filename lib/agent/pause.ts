/** Waiting that can be cut short. */

import { TIMER_MS_MAX } from "../net/clock.ts";

/**
 * Waits, unless it is told to stop.
 *
 * @param ms how long; a moment, when it is over already
 * @param signal ends the wait when it is aborted
 * @returns whether the whole time has passed
 */
export type Pause = (ms: number, signal: AbortSignal) => Promise<boolean>;

/** By the clock of the machine. */
export const pause: Pause = async (
  ms: number,
  signal: AbortSignal,
): Promise<boolean> => {
  let leftMs = ms;
  for (; leftMs > TIMER_MS_MAX; leftMs -= TIMER_MS_MAX) {
    if (!await wait(TIMER_MS_MAX, signal)) return false;
  }
  return await wait(leftMs, signal);
};

function wait(ms: number, signal: AbortSignal): Promise<boolean> {
  if (signal.aborted) return Promise.resolve(false);
  return new Promise((resolve) => {
    const end = (isOver: boolean) => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      resolve(isOver);
    };
    const onAbort = () => end(false);
    // The runtime warns of a negative time, on the standard error of the agent.
    const timer = setTimeout(() => end(true), Math.max(0, ms));
    signal.addEventListener("abort", onAbort);
  });
}
