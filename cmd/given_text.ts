/**
 * What the command line and the environment give us is text in UTF-8, or refused.
 *
 * The runtime hands arguments over as text, with U+FFFD in place of each byte
 * that is no UTF-8. A tag, a name, a key or a path would silently become another
 * one. The replacements cannot be told from the character itself, so an argument
 * that has one is refused, of whatever command. Clients of the control port can
 * still send U+FFFD, and any bytes as a payload.
 */

import { quoteText } from "../lib/kit/quote.ts";

const REPLACEMENT = "\ufffd";
/** Characters of an argument that are shown. */
const SHOWN_MAX = 64;

/** Something given that is not UTF-8; the message does not show what it is. */
export class NotTextError extends Error {
  override name = "NotTextError";
}

/**
 * Refuses arguments that may not be what was typed.
 *
 * Values of flags are not shown, since they may be secrets.
 *
 * @param args everything after the name of the program
 * @throws {NotTextError} for the first such argument
 */
export function refuseBrokenText(args: readonly string[]): void {
  const at = args.findIndex((arg) => arg.includes(REPLACEMENT));
  if (at < 0) return;
  throw new NotTextError(
    `Argument ${at + 1} (${placeOf(args, at)}) must be text in UTF-8, ` +
      "without U+FFFD",
  );
}

function placeOf(args: readonly string[], at: number): string {
  const arg = args[at] as string;
  const [, flag] = /^(-[^=\ufffd]*)=/.exec(arg) ?? [];
  if (flag !== undefined) return flag;
  const before = args[at - 1] ?? "";
  return before.startsWith("-") && !before.includes("=")
    ? `after ${before}`
    : quoteText(arg.slice(0, SHOWN_MAX));
}
