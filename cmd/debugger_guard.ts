/**
 * Keeps the runtime's debugger shut.
 *
 * On SIGUSR1 Deno opens its debugger on 127.0.0.1:9229, where any user of the
 * machine may connect and run code as the user of this process. No flag and no
 * variable prevents that, and a listener for the signal does not either, since
 * Deno's own is called beside it. So the signal must not reach Deno at all: in the
 * table of the process, Deno's handler gives way to a function of the C library
 * that does nothing (`abs`).
 *
 *     start ──0.5 s──▶ Deno would begin to listen for SIGUSR1
 *       └─ here, before anything else of the program:
 *          1. our handler      from now on Deno hears nothing
 *          2. a listener       Deno installs its handler, once for a process
 *          3. our handler      and never looks at the table again
 *
 * Without the second step Deno would install its handler half a second later, over
 * ours. A handler, and not "ignore", because child processes inherit what is
 * ignored, and a shell cannot trap what was ignored at its start; what has a
 * handler becomes the default in a child.
 *
 * If the start took so long that Deno was listening already, a debugger that was
 * opened in between is closed. The head of the self-extracting file blocks the
 * signal before Deno starts, so that there is no such moment (`build/head.sh`).
 *
 * Windows has no such signal.
 */

import { openLibc } from "../lib/net/libc.ts";

/** The signal, whose number is not the same everywhere. */
const SIGUSR1 = Deno.build.os === "darwin" ? 30 : 10;
/** How the C library writes "ignore"; the default is a null pointer. */
const SIG_IGN = 1n;

/** For how long, and how often, a debugger that may be opening is looked for, ms. */
const CLOSING_LIMIT_MS = 1_000;
const CLOSING_INTERVAL_MS = 20;

const SYMBOLS = {
  signal: { parameters: ["i32", "pointer"], result: "pointer" },
  abs: { type: "pointer" },
} as const;

let isDone = false;
let trouble: string | undefined;

/**
 * Why the debugger cannot be kept shut; `undefined` when it is.
 *
 * It is then closed again as soon as it has been opened.
 */
export function debuggerTrouble(): string | undefined {
  return trouble;
}

/**
 * Makes SIGUSR1 harmless for as long as this process lives. To be called before
 * anything else; never throws. A second call does nothing.
 */
export function keepDebuggerShut(): void {
  if (isDone || Deno.build.os === "windows") return;
  isDone = true;
  try {
    const { signal, abs } = openLibc(SYMBOLS).symbols;
    const replaced = signal(SIGUSR1, abs);
    Deno.addSignalListener("SIGUSR1", () => {});
    signal(SIGUSR1, abs);
    const wasDefault = Deno.UnsafePointer.value(replaced) <= SIG_IGN;
    if (!wasDefault) closeDebugger();
  } catch (error) {
    trouble = (error as Error).message;
    Deno.addSignalListener("SIGUSR1", () => {
      closeDebugger();
    });
  }
}

/** Closes the debugger, also one that is about to be opened. */
async function closeDebugger(): Promise<void> {
  const { close, url } = await import("node:inspector");
  for (let ms = 0; ms < CLOSING_LIMIT_MS; ms += CLOSING_INTERVAL_MS) {
    if (url() !== undefined) return close();
    await new Promise((done) => setTimeout(done, CLOSING_INTERVAL_MS));
  }
}
