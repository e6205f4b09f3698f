/**
 * Command-line flags, understood as Go's flag package understands them.
 *
 * A command states its flags in a table; `parseFlags` turns arguments into
 * typed values. `-name` and `--name` are the same, a value follows after `=` or
 * as the next argument, a boolean never takes a separate value, and flags end
 * at the first argument that does not look like one, at a lone `-`, or at `--`.
 * Node's `parseArgs` cannot be told to stop at the first positional or to leave
 * negative numbers alone, which is why this small parser is our own.
 *
 * Not for: choosing the command (`mod.ts`) and printing help (`command.ts`).
 * Source: Go, package flag, `FlagSet.parseOne`; texts in
 * `docs/protocol/cli.md` 1.3.
 */

import { parseDuration } from "../lib/kit/duration.ts";
import { nearest } from "../lib/kit/nearest.ts";
import { quoteText } from "../lib/kit/quote.ts";

/** One flag: how to read it and how to describe it. */
export interface Flag<T> extends FlagHelp {
  readonly kind: "boolean" | "value" | "list";
  readonly default: T;
  /**
   * Reads one value.
   *
   * @throws {SyntaxError | RangeError} when it makes no sense; the message ends
   * up in the complaint
   */
  read(text: string): T extends readonly string[] ? string : T;
}

/** What the help says about a flag. */
export interface FlagHelp {
  /** How it is shown, without the dash; by default the name and the default. */
  readonly shown?: string;
  /** Lines of the description, at most about 50 characters each. */
  readonly text: readonly string[];
}

/** A command's flags by name, without dashes. */
// deno-lint-ignore no-explicit-any -- each entry has its own type of value
export type FlagTable = Readonly<Record<string, Flag<any>>>;

/** The values of a table's flags, by name. */
export type FlagValues<Table extends FlagTable> = {
  readonly [Name in keyof Table]: Table[Name] extends Flag<infer T> ? T : never;
};

/** What a command line says. */
export interface ParsedFlags<Table extends FlagTable> {
  readonly values: FlagValues<Table>;
  readonly positionals: readonly string[];
  /** Each flag as it was met, in order; for lists that share one order. */
  readonly given: readonly { readonly name: string; readonly text: string }[];
}

/**
 * A command line that cannot be understood.
 *
 * `message` is the line for standard error; it is empty when the help was asked
 * for in a form that only the flag parser recognises, such as `-help=1`.
 */
export class FlagError extends Error {
  override name = "FlagError";
}

/** On when given alone; `-name=false` switches it off. */
export function booleanFlag(
  defaultValue: boolean,
  help: FlagHelp,
): Flag<boolean> {
  return { kind: "boolean", default: defaultValue, read: readBoolean, ...help };
}

export function textFlag(defaultValue: string, help: FlagHelp): Flag<string> {
  return {
    kind: "value",
    default: defaultValue,
    read: (text) => text,
    ...help,
  };
}

/** A flag that may be given several times; its values collect in order. */
export function listFlag(help: FlagHelp): Flag<readonly string[]> {
  return { kind: "list", default: [], read: (text) => text, ...help };
}

/** A whole number of 64 bits; beyond 2^53 only its magnitude is kept. */
export function integerFlag(
  defaultValue: number,
  help: FlagHelp,
): Flag<number> {
  return { kind: "value", default: defaultValue, read: readInteger, ...help };
}

/** A duration, in milliseconds. */
export function durationFlag(defaultMs: number, help: FlagHelp): Flag<number> {
  return { kind: "value", default: defaultMs, read: readDuration, ...help };
}

/** How the help shows a flag, without the dash: `rpc-addr=127.0.0.1:7373`. */
export function shownFlag(name: string, flag: Flag<unknown>): string {
  if (flag.shown !== undefined) return flag.shown;
  if (flag.kind === "list" || flag.default === false) return name;
  return `${name}=${flag.default === "" ? '""' : flag.default}`;
}

/**
 * Reads a command's arguments.
 *
 * @throws {FlagError} with the line for standard error
 */
export function parseFlags<Table extends FlagTable>(
  table: Table,
  args: readonly string[],
): ParsedFlags<Table> {
  const values = new Map<string, unknown>();
  for (const [name, flag] of Object.entries(table)) {
    values.set(name, flag.default);
  }
  const given: { name: string; text: string }[] = [];
  let at = 0;
  while (at < args.length) {
    const arg = args[at] as string;
    if (arg.length < 2 || !arg.startsWith("-")) break;
    at++;
    if (arg === "--") break;
    const body = arg.slice(arg.startsWith("--") ? 2 : 1);
    if (body.startsWith("-") || body.startsWith("=")) {
      throw new FlagError(`bad flag syntax: ${arg}`);
    }
    const equals = body.indexOf("=", 1);
    const name = equals < 0 ? body : body.slice(0, equals);
    let text = equals < 0 ? undefined : body.slice(equals + 1);
    const flag = Object.hasOwn(table, name) ? table[name] : undefined;
    if (flag === undefined) {
      if (name === "help" || name === "h") throw new FlagError("");
      throw new FlagError(unknownFlagText(name, table));
    }
    if (flag.kind === "boolean") text ??= "true";
    else text ??= args[at++];
    if (text === undefined) {
      throw new FlagError(`flag needs an argument: -${name}`);
    }
    const value = readValue(flag, name, text);
    values.set(
      name,
      flag.kind === "list" ? [...values.get(name) as string[], value] : value,
    );
    given.push({ name, text });
  }
  return {
    values: Object.fromEntries(values) as FlagValues<Table>,
    positionals: args.slice(at),
    given,
  };
}

/** The original's line, and a second one when a flag of ours is near. */
function unknownFlagText(name: string, table: FlagTable): string {
  const meant = nearest(name, Object.keys(table));
  const suggestion = meant === undefined ? "" : `\nDid you mean -${meant}?`;
  return `flag provided but not defined: -${name}${suggestion}`;
}

function readValue(flag: Flag<unknown>, name: string, text: string): unknown {
  try {
    return flag.read(text);
  } catch (error) {
    const reason = (error as Error).message;
    const quoted = quoteText(text);
    throw new FlagError(
      flag.kind === "boolean"
        ? `invalid boolean value ${quoted} for -${name}: ${reason}`
        : `invalid value ${quoted} for flag -${name}: ${reason}`,
      { cause: error },
    );
  }
}

const PARSE_ERROR = "parse error";
const RANGE_ERROR = "value out of range";

function readBoolean(text: string): boolean {
  if (["1", "t", "T", "TRUE", "true", "True"].includes(text)) return true;
  if (["0", "f", "F", "FALSE", "false", "False"].includes(text)) return false;
  throw new SyntaxError(PARSE_ERROR);
}

/**
 * Literals of Go: decimal, `0x`, `0o`, `0b`, a leading 0 for octal, and `_`
 * between digits or after the prefix, but in decimal only between digits.
 */
const INTEGER =
  /^[+-]?(0[xX](_?[0-9a-fA-F])+|0[oO](_?[0-7])+|0[bB](_?[01])+|0(_?[0-7])*|[1-9](_?[0-9])*)$/;

function readInteger(text: string): number {
  if (!INTEGER.test(text)) throw new SyntaxError(PARSE_ERROR);
  const isNegative = text.startsWith("-");
  let digits = text.replace(/^[+-]/, "").replaceAll("_", "");
  if (/^0[0-7]/.test(digits)) digits = `0o${digits.slice(1)}`;
  const magnitude = BigInt(digits);
  const limit = isNegative ? 2n ** 63n : 2n ** 63n - 1n;
  if (magnitude > limit) throw new RangeError(RANGE_ERROR);
  return Number(isNegative ? -magnitude : magnitude);
}

function readDuration(text: string): number {
  try {
    return parseDuration(text);
  } catch (error) {
    throw new SyntaxError(PARSE_ERROR, { cause: error });
  }
}
