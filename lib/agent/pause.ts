/** Waiting that can be cut short. */

/**
 * Waits, unless it is told to stop.
 *
 * @param ms how long
 * @param signal ends the wait when it is aborted
 * @returns whether the whole time has passed
 */
export type Pause = (ms: number, signal: AbortSignal) => Promise<boolean>;

/** By the clock of the machine. */
export const pause: Pause = (
  ms: number,
  signal: AbortSignal,
): Promise<boolean> => {
  if (signal.aborted) return Promise.resolve(false);
  return new Promise((resolve) => {
    const end = (isOver: boolean) => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      resolve(isOver);
    };
    const onAbort = () => end(false);
    const timer = setTimeout(() => end(true), ms);
    signal.addEventListener("abort", onAbort);
  });
};
