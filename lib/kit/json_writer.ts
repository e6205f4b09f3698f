/**
 * JSON, written as Go writes it: keys in the order of their bytes, two spaces, and
 * more escapes than the platform has.
 *
 * Source: Go, package encoding/json (`MarshalIndent`).
 */

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

function codePoint(char: string | undefined): number {
  return char?.codePointAt(0) ?? 0;
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
