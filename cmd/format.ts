/**
 * The `-format` flag: text for people, JSON for programs.
 *
 * With `-format=json` a command prints one document, also when it fails:
 *
 *     { "error": "Error connecting to Serf agent: ..." }
 *
 * and the exit code is the same as with text. The line that text would have is then
 * on standard error: HashiCorp's `members`, `info` and `query` print it whatever
 * the format, and scripts look for it. The names in a document never change
 * their meaning; new ones may join them. `members`, `info` and `query` print the
 * documents that HashiCorp's commands print. Only a command line that cannot be
 * understood at all is answered in text.
 */

import { visibleEntry } from "../lib/kit/visible.ts";
import { type Flag, textFlag } from "./flags.ts";
import { type JsonValue, renderJson } from "./output.ts";
import type { Terminal } from "./terminal.ts";

const FORMATS: readonly string[] = ["text", "json"];

export function formatFlag(): Flag<string> {
  return textFlag("text", {
    shown: "format=text",
    text: ["Either 'text' or 'json'."],
  });
}

/**
 * Whether there is such a form. To be asked before anything is done, where the
 * original has no such flag.
 */
export function checkFormat(format: string, terminal: Terminal): boolean {
  if (FORMATS.includes(format)) return true;
  terminal.out(`Encoding error: Invalid output format "${format}"\n`);
  return false;
}

/** Prints a result: a text that is whole, or a document. */
export function print(
  format: string,
  terminal: Terminal,
  result: { readonly text: string; readonly json: JsonValue },
): void {
  terminal.out(
    format === "json" ? `${renderJson(result.json)}\n` : result.text,
  );
}

/**
 * Says what went wrong.
 *
 * @param text a line without its end, or one with a list of errors behind it
 * @returns the exit code
 */
export function fail(
  format: string | undefined,
  text: string,
  terminal: Terminal,
): number {
  // Part of it may be an agent's reason, which is to have no lines of its own.
  const line = `${terminal.isTerminal ? visibleEntry(text) : text}\n`;
  print(format ?? "text", terminal, {
    text: line,
    json: { error: text.trimEnd() },
  });
  if (format === "json") terminal.err(line);
  return 1;
}

/** The form asked for, in commands that take no notice of any other argument. */
export function formatOf(args: readonly string[]): string {
  const FORMAT = /^--?format=(.*)$/s;
  return args.map((arg) => FORMAT.exec(arg)?.[1]).findLast((format) =>
    format !== undefined
  ) ?? "text";
}
