/**
 * Values in Go syntax, as `fmt` prints them with `%#v`.
 *
 * `serf monitor` dumps the fields of events in this form. It is for people, but
 * some parse it. Whether an integer is shown in decimal or in hexadecimal
 * depends in the original on how it travelled: in a single byte as a signed one,
 * in more as an unsigned one; the value alone tells which.
 */

import { quoteText } from "../lib/kit/quote.ts";
import { RecordText, type RecordValue } from "../lib/rpc/client_session.ts";
import { sortedEntries } from "./output.ts";

/** Largest integer that travels in one byte. */
const SINGLE_BYTE_MAX = 127;

/** A field's own value; inside of lists and maps the types are spelled out. */
export function fieldInGoSyntax(value: RecordValue): string {
  if (value === null) return "<nil>";
  if (value instanceof Uint8Array) return `[]byte${bytesInGoSyntax(value)}`;
  return inGoSyntax(value);
}

function inGoSyntax(value: RecordValue): string {
  if (value === null) return "interface {}(nil)";
  if (value instanceof RecordText) return quoteText(value.toString());
  if (value instanceof Uint8Array) return `[]uint8${bytesInGoSyntax(value)}`;
  if (typeof value !== "object") return numberInGoSyntax(value);
  if (value instanceof Map) {
    const entries = sortedEntries<RecordValue>(value)
      .map(([key, item]) => `${quoteText(key)}:${inGoSyntax(item)}`);
    return `map[interface {}]interface {}{${entries.join(", ")}}`;
  }
  const items = (value as readonly RecordValue[]).map(inGoSyntax);
  return `[]interface {}{${items.join(", ")}}`;
}

function bytesInGoSyntax(bytes: Uint8Array): string {
  return `{${
    Array.from(bytes, (byte) => `0x${byte.toString(16)}`).join(", ")
  }}`;
}

function numberInGoSyntax(value: boolean | number | bigint): string {
  const isUnsigned = typeof value !== "boolean" && value > SINGLE_BYTE_MAX &&
    (typeof value === "bigint" || Number.isInteger(value));
  return isUnsigned ? `0x${value.toString(16)}` : String(value);
}
