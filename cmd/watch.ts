/**
 * Showing something again whenever it has changed, until interrupted.
 *
 * The agent is asked once a second; what it says is printed if it differs from
 * what was printed last. On a terminal the new text takes the place of the old
 * one; elsewhere it follows it, texts after an empty line, JSON as the next
 * document, so that a program can read one after the other.
 */

import type { Terminal } from "./terminal.ts";

/** Pause between two looks, ms. */
const PAUSE_MS = 1_000;

/** Moves to the upper left corner and clears what is below. */
const CLEAR = "\x1b[H\x1b[2J";

export interface WatchOptions {
  readonly terminal: Terminal;
  readonly format: string;
  /** What is to be shown now; what it throws ends the watch. */
  render(): Promise<string>;
  /** Pause between two looks, ms; a second unless given. */
  readonly pauseMs?: number;
}

/** @returns the exit code, after an interrupt */
export async function watch(options: WatchOptions): Promise<number> {
  const { terminal, format, render, pauseMs = PAUSE_MS } = options;
  const clears = terminal.isTerminal && format === "text";
  const interrupted = Promise.withResolvers<"interrupted">();
  const stopListening = terminal.onInterrupt(() => {
    interrupted.resolve("interrupted");
  });
  let shown: string | undefined;
  try {
    while (true) {
      const text = await Promise.race([interrupted.promise, render()]);
      if (text === "interrupted") return 0;
      if (text !== shown) {
        const isNext = shown !== undefined && format === "text";
        if (clears) terminal.control("out", CLEAR);
        terminal.out((isNext && !clears ? "\n" : "") + text);
        shown = text;
      }
      const end = await Promise.race([interrupted.promise, pause(pauseMs)]);
      if (end === "interrupted") return 0;
    }
  } finally {
    stopListening();
  }
}

export function pause(ms: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  // Not `setTimeout`: that loads Node's timers.
  AbortSignal.timeout(ms).addEventListener("abort", () => resolve());
  return promise;
}
