/** Waiting in tests with real sockets: for a condition, never for a duration. */

/**
 * How long anything may take before it counts as never, ms. What gossip missed
 * comes with the next exchange of state, within two of its intervals; the longest
 * that tests here wait for is that of the LAN profile, 30 s.
 */
const PATIENCE_MS = 75_000;
const LOOK_INTERVAL_MS = 5;

/**
 * Waits until `isSo` says yes.
 *
 * @throws {Error} naming `what` when it does not within 75 s
 */
export async function until(
  what: string,
  isSo: () => boolean | Promise<boolean>,
): Promise<void> {
  const endMs = performance.now() + PATIENCE_MS;
  while (!(await isSo())) {
    if (performance.now() > endMs) throw new Error(`Never happened: ${what}`);
    await new Promise((done) => setTimeout(done, LOOK_INTERVAL_MS));
  }
}
