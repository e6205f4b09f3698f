/**
 * How results are laid out: columns of text, or JSON as `kit/json_writer.ts` writes it.
 *
 * Everything here is a pure function of values, so that tests can compare text.
 * Sources: `docs/protocol/cli.md` 1.7 and 1.8; ryanuber/columnize; Go, package
 * encoding/json with MarshalIndent.
 */

import { type JsonValue, renderJson } from "../lib/kit/json_writer.ts";
import type { Terminal } from "./terminal.ts";

export {
  compareText,
  type JsonValue,
  renderJson,
  sortedEntries,
} from "../lib/kit/json_writer.ts";

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

/**
 * JSON on one line with its end, for documents that follow one another.
 *
 * Line breaks inside of texts are escaped, so all that is cut is the layout.
 */
export function renderJsonLine(value: JsonValue): string {
  return `${renderJson(value).replace(/\n */g, "")}\n`;
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
