/**
 * Keeps a flood of bad input from becoming a flood of log lines.
 *
 * A few lines of a window are let through, the others counted. Whoever owns the
 * limit ends the windows, since this file knows no clock.
 */

/** Lines of one window that are let through. */
const LINES_MAX = 10;
/** Length of a window, ms. */
export const LINE_WINDOW_MS = 1_000;

export class LineLimit {
  #lines = 0;

  /** Whether no line came yet, so that the next one begins a window. */
  get isIdle(): boolean {
    return this.#lines === 0;
  }

  /** Counts a line. @returns whether it is to be logged */
  admit(): boolean {
    this.#lines++;
    return this.#lines <= LINES_MAX;
  }

  /** Ends a window. @returns a line that tells what was left out, if anything was */
  endWindow(): string | undefined {
    const unsaid = this.#lines - LINES_MAX;
    this.#lines = 0;
    return unsaid > 0
      ? `${unsaid} more messages were refused in the last second`
      : undefined;
  }
}
