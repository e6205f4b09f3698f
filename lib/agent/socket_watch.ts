/**
 * Looks whether the control port that is a file is still there.
 *
 * Whoever cleans up a directory may remove the socket, and then no command reaches
 * the agent any more, while it runs on and says nothing. A new socket could only be
 * made by opening the port anew; that is for its operator to decide.
 */

import type { LogLevel } from "../kit/log.ts";

/** Time between looks, ms. */
const LOOK_INTERVAL_MS = 30_000;

/**
 * Begins to look.
 *
 * @returns ends it
 */
export function watchSocket(
  path: string,
  log: (level: LogLevel, text: string) => void,
  intervalMs = LOOK_INTERVAL_MS,
): () => void {
  const atStart = inodeOf(path);
  let isGone = false;
  const timer = setInterval(() => {
    const wasGone = isGone;
    isGone = inodeOf(path) !== atStart;
    if (!isGone || wasGone) return;
    log(
      "WARN",
      `agent.ipc: Socket ${path} was removed or replaced, so that commands do ` +
        "not reach this agent; restart it to have the socket again",
    );
  }, intervalMs);
  return () => clearInterval(timer);
}

/** @returns `undefined` when there is nothing */
function inodeOf(path: string): string | undefined {
  try {
    const { dev, ino } = Deno.lstatSync(path);
    return `${dev} ${ino}`;
  } catch {
    return undefined;
  }
}
