/**
 * The two clocks of a real node.
 *
 * Engines live on the monotonic one: it starts anywhere, never goes back, and a
 * correction of the system time does not move it. The wall clock is for people,
 * and only log lines read it.
 */

/** Milliseconds since some fixed instant; never goes back. */
export function monotonicMs(): number {
  return performance.now();
}

/** The time of day, as the system believes it. */
export function wallClock(): Date {
  return new Date();
}
