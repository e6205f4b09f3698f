/**
 * JSON as Go's programs write it, and their words about JSON that is none.
 *
 * The platform's own functions read and check; what they lack is the order of
 * keys (by bytes, not as they were put in), the escapes that Go adds, and error
 * texts that users of Serf know.
 *
 * Source: Go, package encoding/json (`MarshalIndent`, `scanner.go`).
 */

import { utf8Bytes } from "./bytes.ts";
import { quoteText } from "./quote.ts";

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

/**
 * The value of a JSON text.
 *
 * @throws {SyntaxError} in Go's words: `invalid character 'x' looking for
 * beginning of value`, `unexpected end of JSON input`
 */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new SyntaxError(complaintAbout(text), { cause });
  }
}

/** What Go calls the type of a parsed value. */
export function jsonTypeName(value: unknown): string {
  if (Array.isArray(value)) return "array";
  return typeof value === "boolean" ? "bool" : typeof value;
}

/** Go's complaint about a text that is not JSON. */
function complaintAbout(text: string): string {
  try {
    new Scanner(utf8Bytes(text)).document();
  } catch (error) {
    if (error instanceof SyntaxError) return error.message;
    throw error;
  }
  return "unexpected JSON";
}

const LITERALS: ReadonlyMap<number, string> = new Map(
  ["true", "false", "null"].map((word) => [word.charCodeAt(0), word]),
);
const SHORT_ESCAPES = 'bfnrt\\/"';

/** Walks over a text to the first byte that Go would object to. */
class Scanner {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  document(): void {
    this.#value();
    this.#skipSpace();
    if (this.#at < this.#bytes.length) this.#fail("after top-level value");
  }

  #value(): void {
    this.#skipSpace();
    const char = this.#char;
    if (char === "{") this.#object();
    else if (char === "[") this.#array();
    else if (char === '"') this.#string();
    else if (char === "-" || isDigit(char)) this.#number();
    else this.#literal();
  }

  #object(): void {
    this.#at++;
    this.#skipSpace();
    if (this.#take("}")) return;
    while (true) {
      this.#skipSpace();
      if (this.#char !== '"') {
        this.#fail("looking for beginning of object key string");
      }
      this.#string();
      this.#skipSpace();
      if (!this.#take(":")) this.#fail("after object key");
      this.#value();
      this.#skipSpace();
      if (this.#take("}")) return;
      if (!this.#take(",")) this.#fail("after object key:value pair");
    }
  }

  #array(): void {
    this.#at++;
    this.#skipSpace();
    if (this.#take("]")) return;
    while (true) {
      this.#value();
      this.#skipSpace();
      if (this.#take("]")) return;
      if (!this.#take(",")) this.#fail("after array element");
    }
  }

  #string(): void {
    this.#at++;
    while (!this.#take('"')) {
      if (this.#take("\\")) this.#escape();
      else if (this.#char < " ") this.#fail("in string literal");
      else this.#at++;
    }
  }

  #escape(): void {
    if (this.#take("u")) {
      for (let digit = 0; digit < 4; digit++) {
        if (!/[0-9a-fA-F]/.test(this.#char)) {
          this.#fail("in \\u hexadecimal character escape");
        }
        this.#at++;
      }
    } else if (this.#char !== "" && SHORT_ESCAPES.includes(this.#char)) {
      this.#at++;
    } else {
      this.#fail("in string escape code");
    }
  }

  #number(): void {
    this.#take("-");
    if (!this.#take("0")) this.#digits("in numeric literal");
    if (this.#take(".")) {
      this.#digits("after decimal point in numeric literal");
    }
    if (this.#take("e") || this.#take("E")) {
      if (!this.#take("+")) this.#take("-");
      this.#digits("in exponent of numeric literal");
    }
  }

  #digits(context: string): void {
    if (!isDigit(this.#char)) this.#fail(context);
    while (isDigit(this.#char)) this.#at++;
  }

  #literal(): void {
    const word = LITERALS.get(this.#bytes[this.#at] ?? 0);
    if (word === undefined) this.#fail("looking for beginning of value");
    this.#at++;
    for (const char of (word as string).slice(1)) {
      if (!this.#take(char)) {
        this.#fail(`in literal ${word} (expecting '${char}')`);
      }
    }
  }

  /** The byte that is next, as a character; empty at the end. */
  get #char(): string {
    const byte = this.#bytes[this.#at];
    return byte === undefined ? "" : String.fromCharCode(byte);
  }

  #take(char: string): boolean {
    if (this.#char !== char) return false;
    this.#at++;
    return true;
  }

  #skipSpace(): void {
    while (this.#char !== "" && " \t\r\n".includes(this.#char)) this.#at++;
  }

  #fail(context: string): never {
    if (this.#char === "") {
      throw new SyntaxError("unexpected end of JSON input");
    }
    throw new SyntaxError(
      `invalid character ${quoteChar(this.#char)} ${context}`,
    );
  }
}

function isDigit(char: string): boolean {
  return char >= "0" && char <= "9";
}

function quoteChar(char: string): string {
  if (char === "'") return "'\\''";
  return char === '"' ? `'"'` : `'${quoteText(char).slice(1, -1)}'`;
}
