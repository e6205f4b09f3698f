/**
 * How the head of a self-extracting file steers Deno: by variables of the
 * environment, which are of no concern to the programs that an agent starts.
 */

/** The variables, as `head.sh` sets them. */
export const STEERING_VARIABLES = [
  "DENO_DIR",
  "DENO_DISABLE_NODE_SHIM",
  "DENO_NO_UPDATE_CHECK",
] as const;

/** What precedes the name of the variable that keeps what one was before. */
export const KEPT_PREFIX = "SERF_KEPT_";

/** Makes the environment what it was before the head came. */
export function forgetSteering(): void {
  for (const name of STEERING_VARIABLES) {
    const kept = Deno.env.get(KEPT_PREFIX + name);
    Deno.env.delete(KEPT_PREFIX + name);
    if (kept === undefined) Deno.env.delete(name);
    else Deno.env.set(name, kept);
  }
}
