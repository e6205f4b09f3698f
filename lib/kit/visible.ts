/**
 * Text of strangers, made harmless for terminals and logs.
 *
 * Names, tags, events and reasons come from other members and may hold anything.
 * Printed as they are, an escape sequence sets the title of the operator's
 * terminal or its clipboard, and a line feed forges a line of the log. Here such
 * characters become visible instead, spelled as Go's `%q` spells them but without
 * quotation marks: `\x1b`, `\n`, `\u202e`.
 *
 * Made visible are the control characters (C0, DEL, C1), the separators of lines
 * and paragraphs, and the characters that turn the direction of the text after
 * them. Everything else stays: all languages, joiners, emoji, and the tab, which
 * moves the cursor forward and no more. A backslash stays a backslash, since
 * scripts match texts that have one; so `\n` may be a line feed or two typed
 * characters, and both are one harmless line. The functions may be applied twice.
 *
 * From DEL on the spelling is `\u007f`, which JSON reads as well: a document
 * whose control characters below that are escaped already stays the same document.
 */

/** What is never shown as it is; line feeds, and returns before them, are left. */
const CONTROLS =
  // deno-lint-ignore no-control-regex -- these are what is looked for
  /[\0-\x08\v\f\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]|\r(?!\n)/g;
const LINE_BREAKS = /[\n\r]/g;

const SHORT_ESCAPES: ReadonlyMap<string, string> = new Map([
  ["\x07", "\\a"],
  ["\b", "\\b"],
  ["\f", "\\f"],
  ["\n", "\\n"],
  ["\r", "\\r"],
  ["\v", "\\v"],
]);

/** `text` with all its lines, and no other control character than tabs. */
export function visibleText(text: string): string {
  return text.replace(CONTROLS, escaped);
}

/** `text` on one line, without control characters but tabs. */
export function visibleLine(text: string): string {
  return unbroken(text).replace(CONTROLS, escaped);
}

/**
 * `text` on one line, otherwise as it is: for a value in a list or a table that
 * programs read line by line.
 */
export function unbroken(text: string): string {
  return text.replace(LINE_BREAKS, escaped);
}

/**
 * An entry of a log on one line, but for a list of errors in it:
 *
 *     agent: Join failed: 2 errors occurred:
 *     	* Failed to join 10.0.0.1: ...
 *     	* Failed to join 10.0.0.2: ...
 *
 *     , retrying in 30s
 *
 * The original logs such lists, and scripts know them. Their lines begin with a
 * tab or a comma, so that none can be taken for an entry.
 */
export function visibleEntry(text: string): string {
  if (!text.includes("\n")) return visibleLine(text);
  const lines = text.split("\n");
  const start = 1 +
    lines.findIndex((line, i) =>
      line.endsWith(" occurred:") && isItem(lines[i + 1])
    );
  if (start === 0) return visibleLine(text);
  let end = start;
  while (isItem(lines[end])) end++;
  const rest = lines.slice(end).join("\n");
  // After the last item comes an empty line, unless the entry was cut there.
  const [, gap, more] = /^(\n?)((?:, .*)?)$/s.exec(rest) ?? [];
  if (gap === undefined || more === undefined) return visibleLine(text);
  return [
    lines.slice(0, start).join("\n"),
    ...lines.slice(start, end),
    ...(end < lines.length ? [""] : []),
  ].map(visibleLine).join("\n") + gap + visibleLine(more);
}

function isItem(line: string | undefined): boolean {
  return line?.startsWith("\t* ") === true;
}

function escaped(char: string): string {
  const short = SHORT_ESCAPES.get(char);
  if (short !== undefined) return short;
  const code = char.charCodeAt(0);
  return code < 0x7f
    ? `\\x${code.toString(16).padStart(2, "0")}`
    : `\\u${code.toString(16).padStart(4, "0")}`;
}
