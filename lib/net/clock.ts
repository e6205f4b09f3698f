/**
 * The two clocks of a real node.
 *
 * Engines live on the monotonic one: it starts anywhere, never goes back, and a
 * correction of the system time does not move it. The wall clock is for people:
 * only log lines and the metrics of the last minute read it.
 */

/** Longest wait that the platform's timers take, ms; longer ones end at once. */
export const TIMER_MS_MAX = 0x7fff_ffff;

/** Milliseconds since some fixed instant; never goes back. */
export function monotonicMs(): number {
  return performance.now();
}

/** The time of day, as the system believes it. */
export function wallClock(): Date {
  return new Date();
}

/** The same in milliseconds since 1970, for whoever asks very often. */
export function wallMs(): number {
  return Date.now();
}
