/**
 * How results are laid out: columns of text, and JSON as Go writes it.
 *
 * Everything here is a pure function of values, so that tests can compare text.
 * Sources: cli reference 1.7 and 1.8; ryanuber/columnize; Go, package
 * encoding/json with MarshalIndent.
 */

import type { Terminal } from "./terminal.ts";

/** A value to be written as JSON. Maps are sorted by key, objects are not. */
export type JsonValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | readonly JsonValue[]
  | ReadonlyMap<string, JsonValue>
  | { readonly [key: string]: JsonValue };

/** A result in both of its forms. */
export interface Rendering {
  text(): string;
  json(): JsonValue;
}

/**
 * A result in the form that `-format` asks for, ready to be printed: without
 * white space around it, and with one newline at the end.
 *
 * @throws {RangeError} `Invalid output format "xml"`
 */
export function renderAs(format: string, rendering: Rendering): string {
  switch (format) {
    case "text":
      return `${trimSpace(rendering.text())}\n`;
    case "json":
      return `${renderJson(rendering.json())}\n`;
    default:
      throw new RangeError(`Invalid output format "${format}"`);
  }
}

const COLUMN_GAP = "  ";

/**
 * Rows whose cells are separated by `|`, aligned.
 *
 * A `|` inside a value splits its cell, as it does in the original. Cells are
 * stripped; the last cell of a row is not padded, but an empty one leaves the
 * gap before it.
 */
export function renderColumns(rows: readonly string[]): string {
  const table = rows.map((row) => row.split("|").map(trimSpace));
  const widths: number[] = [];
  for (const cells of table) {
    for (const [i, cell] of cells.entries()) {
      widths[i] = Math.max(widths[i] ?? 0, lengthOf(cell));
    }
  }
  return table.map((cells) =>
    cells.map((cell, i) =>
      i === cells.length - 1 ? cell : padTo(cell, widths[i] as number)
    ).join(COLUMN_GAP)
  ).join("\n");
}

/** The entries of a map in byte order of their keys. */
export function sortedEntries<T>(map: ReadonlyMap<string, T>): [string, T][] {
  return [...map].sort(([a], [b]) => compareText(a, b));
}

/** Order of the UTF-8 bytes, which is the order of code points. */
export function compareText(a: string, b: string): number {
  const [as, bs] = [[...a], [...b]];
  for (let i = 0; i < Math.min(as.length, bs.length); i++) {
    const difference = codePoint(as[i]) - codePoint(bs[i]);
    if (difference !== 0) return difference;
  }
  return as.length - bs.length;
}

/** Indented by two spaces; `<`, `>` and `&` escaped. */
export function renderJson(value: JsonValue, margin = ""): string {
  if (typeof value === "string") return jsonText(value);
  if (value === null || typeof value !== "object") return String(value);
  const inner = `${margin}  `;
  if (Array.isArray(value)) {
    const items = value.map((item) => inner + renderJson(item, inner));
    return enclose("[", items, "]", margin);
  }
  const entries = value instanceof Map
    ? sortedEntries<JsonValue>(value)
    : Object.entries(value as Record<string, JsonValue>);
  const lines = entries.map(([key, item]) =>
    `${inner}${jsonText(key)}: ${renderJson(item, inner)}`
  );
  return enclose("{", lines, "}", margin);
}

/**
 * The same on one line with its end, for documents that follow one another.
 *
 * Line breaks inside of texts are escaped, so all that is cut is the layout.
 */
export function renderJsonLine(value: JsonValue): string {
  return `${renderJson(value).replace(/\n */g, "")}\n`;
}

function enclose(
  open: string,
  lines: readonly string[],
  close: string,
  margin: string,
): string {
  if (lines.length === 0) return open + close;
  return `${open}\n${lines.join(",\n")}\n${margin}${close}`;
}

function jsonText(text: string): string {
  return JSON.stringify(text).replace(
    /[<>&\u2028\u2029]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** Strips what Go's unicode.IsSpace calls white space. */
function trimSpace(text: string): string {
  return text.replace(/^[\p{White_Space}]+|[\p{White_Space}]+$/gu, "");
}

/** Code points, which is what the columns of the original count. */
function lengthOf(text: string): number {
  let length = 0;
  for (const _ of text) length++;
  return length;
}

function padTo(cell: string, width: number): string {
  return cell + " ".repeat(width - lengthOf(cell));
}

function codePoint(char: string | undefined): number {
  return char?.codePointAt(0) ?? 0;
}

/**
 * Prints a result in the form that `-format` asks for.
 *
 * @returns the exit code: 1 for a form that there is not, after saying so
 */
export function printAs(
  format: string,
  terminal: Terminal,
  rendering: Rendering,
): number {
  try {
    terminal.out(renderAs(format, rendering));
    return 0;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    terminal.out(`Encoding error: ${error.message}\n`);
    return 1;
  }
}
