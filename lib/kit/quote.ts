/**
 * Text in double quotes as Go's `%q` writes it.
 *
 * Serf's messages quote names and values this way, in flag complaints, in log
 * lines and in the `monitor` dump of events. Source: Go, package strconv,
 * function Quote. Our text is already Unicode, so the byte escapes that Go
 * makes of broken UTF-8 cannot arise; bytes become text in `kit/bytes.ts`.
 */

const SHORT_ESCAPES: ReadonlyMap<string, string> = new Map([
  ['"', '\\"'],
  ["\\", "\\\\"],
  ["\x07", "\\a"],
  ["\b", "\\b"],
  ["\f", "\\f"],
  ["\n", "\\n"],
  ["\r", "\\r"],
  ["\t", "\\t"],
  ["\v", "\\v"],
]);

/** What needs no second look: the printable part of ASCII but `"` and `\`. */
const PLAIN = /^[ !#-[\]-~]*$/;
/** Go's IsPrint: letters, marks, numbers, punctuation, symbols and the space. */
const PRINTABLE = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u;

/** `text` between double quotes; what cannot be printed is escaped. */
export function quoteText(text: string): string {
  if (PLAIN.test(text)) return `"${text}"`;
  let quoted = "";
  for (const char of text) quoted += SHORT_ESCAPES.get(char) ?? quoteChar(char);
  return `"${quoted}"`;
}

function quoteChar(char: string): string {
  const code = char.codePointAt(0) as number;
  if (code < 0x20 || code === 0x7f) return `\\x${hexDigits(code, 2)}`;
  if (code >= 0xd800 && code <= 0xdfff) return "\\ufffd";
  if (PRINTABLE.test(char)) return char;
  return code < 0x1_0000
    ? `\\u${hexDigits(code, 4)}`
    : `\\U${hexDigits(code, 8)}`;
}

function hexDigits(value: number, digits: number): string {
  return value.toString(16).padStart(digits, "0");
}
