/**
 * What a subcommand is, and how its help looks.
 *
 * A command is a file in this folder that exports `command`, or a function that
 * makes one from the table of all commands. It reads its flags,
 * does one thing, and says how the process should end; it never exits by
 * itself. Everything it prints goes through the `Terminal` that it is given, so
 * that tests can read it.
 *
 * Not for: finding the command for a command line (`mod.ts`).
 */

import { quoteText } from "../lib/kit/quote.ts";
import {
  FlagError,
  type FlagTable,
  type ParsedFlags,
  parseFlags,
  shownFlag,
} from "./flags.ts";
import { fail } from "./format.ts";
import type { Terminal } from "./terminal.ts";

export interface Command {
  /** The help text, without a newline at the end. */
  help(terminal: Terminal): string;
  /**
   * Does the work.
   *
   * @param args what follows the command's name
   * @returns the exit code
   */
  run(args: readonly string[], terminal: Terminal): Promise<number>;
}

/** What a help text is made of. */
export interface HelpText {
  /** What follows `Usage: serf `. */
  readonly usage: string;
  /** Lines of about 70 characters. */
  readonly description: readonly string[];
  readonly flags?: FlagTable;
}

/** Column at which the description of a flag begins. */
const FLAG_TEXT_COLUMN = 28;

/**
 * The layout that all of Serf's help texts share. Source: `docs/protocol/cli.md`
 * 1.2.
 */
export function renderHelp(help: HelpText): string {
  const lines = [`Usage: serf ${help.usage}`, ""];
  for (const line of help.description) {
    lines.push(line === "" ? "" : `  ${line}`);
  }
  const flags = Object.entries(help.flags ?? {});
  if (flags.length > 0) lines.push("", "Options:", "");
  for (const [name, flag] of flags) {
    lines.push(...flagLines(shownFlag(name, flag), flag.text));
  }
  return lines.join("\n");
}

function flagLines(shown: string, text: readonly string[]): string[] {
  const margin = " ".repeat(FLAG_TEXT_COLUMN);
  const label = `  -${shown}`;
  const [first = "", ...others] = text;
  const head = label.length + 2 <= FLAG_TEXT_COLUMN
    ? [label.padEnd(FLAG_TEXT_COLUMN) + first]
    : [label, margin + first];
  return [...head, ...others.map((line) => margin + line)];
}

/**
 * Reads a command's flags; on a mistake, says what is wrong on standard error,
 * prints the help on standard output and returns `undefined`.
 *
 * The exit code is then 1, whatever the command.
 */
export function readFlags<Table extends FlagTable>(
  command: Command,
  table: Table,
  args: readonly string[],
  terminal: Terminal,
): ParsedFlags<Table> | undefined {
  try {
    const flags = parseFlags(table, args);
    if (!args.includes("--")) {
      hintAtLateFlags(flags.positionals, table, terminal);
    }
    return flags;
  } catch (error) {
    if (!(error instanceof FlagError)) throw error;
    if (error.message !== "") terminal.err(`${error.message}\n`);
    terminal.out(`${command.help(terminal)}\n`);
    return undefined;
  }
}

/** Tells a person about a flag that counts as an argument, since one is before it. */
function hintAtLateFlags(
  positionals: readonly string[],
  table: FlagTable,
  terminal: Terminal,
): void {
  const late = positionals.find((arg) => {
    const [, name = ""] = /^--?([^=]+)/.exec(arg) ?? [];
    return Object.hasOwn(table, name);
  });
  if (late === undefined || !terminal.isTerminal) return;
  terminal.err(
    `Flags stand before the other arguments; ${quoteText(late)} counts as ` +
      "one of those.\n",
  );
}

/**
 * Tells a person that arguments after the flags mean nothing here. The original
 * ignores them without a word, and programs see no difference.
 *
 * @param advice what was probably meant; a sentence
 */
export function hintIgnored(
  positionals: readonly string[],
  terminal: Terminal,
  advice = "",
): void {
  if (positionals.length === 0 || !terminal.isTerminal) return;
  const ignored = positionals.map(quoteText).join(" ");
  const sentence = advice === "" ? "" : ` ${advice}`;
  terminal.err(
    `Ignored, since this command takes flags alone: ${ignored}.${sentence}\n`,
  );
}

/**
 * A usage error found after the flags: what is wrong, then the help; as JSON
 * only what is wrong.
 */
export function failUsage(
  command: Command,
  complaint: string,
  terminal: Terminal,
  format?: string,
): number {
  if (format === "json") return fail(format, complaint, terminal);
  terminal.out(`${complaint}\n\n${command.help(terminal)}\n`);
  return 1;
}
