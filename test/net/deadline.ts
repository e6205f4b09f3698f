/** Waiting in tests with real sockets: for a condition, never for a duration. */

/** How long anything may take before it counts as never, ms. */
const PATIENCE_MS = 20_000;
const LOOK_INTERVAL_MS = 5;

/**
 * Waits until `isSo` says yes.
 *
 * @throws {Error} naming `what` when it does not within 20 s
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
