/**
 * JSON, read as Go reads it.
 *
 * Complaints are worded as users of Serf know them, and we add where in the text
 * the trouble is. The platform's `JSON.parse` can do neither, and it would make a
 * key `__proto__` disappear; objects are maps here. Of configuration files only
 * the first value counts; keyring and tags files are one value as a whole.
 *
 * Source: Go, package encoding/json (`scanner.go`, `Decoder.Decode`, `Unmarshal`).
 */

import { utf8Bytes } from "./bytes.ts";
import { quoteText } from "./quote.ts";

/** A value that was read. Of a key given twice, the last one counts. */
export type JsonRead =
  | null
  | boolean
  | number
  | string
  | readonly JsonRead[]
  | ReadonlyMap<string, JsonRead>;

/** What a text says. */
export interface JsonDocument {
  readonly value: JsonRead;
  /** If the value is an object: the line on which each of its keys stands, from 1. */
  readonly keyLines: ReadonlyMap<string, number>;
}

/** Objects and lists within each other; far beyond what anybody writes. */
const DEPTH_MAX = 1_000;

/** A text that does not begin with a JSON value. The message is Go's. */
export class JsonSyntaxError extends SyntaxError {
  override name = "JsonSyntaxError";
  /**
   * @param line where reading stopped, from 1
   * @param column in characters, from 1
   */
  constructor(message: string, readonly line: number, readonly column: number) {
    super(message);
  }
}

/**
 * Reads the first value of a text.
 *
 * @throws {JsonSyntaxError} `EOF` when there is none, `unexpected EOF` when it
 * is torn off, `invalid character 'x' after array element` and the like
 */
export function readFirstJson(text: string): JsonDocument {
  return new Reader(text).document();
}

/**
 * Reads a text that is one value.
 *
 * @throws {JsonSyntaxError} `unexpected end of JSON input` when there is none or
 * it is torn off, otherwise as above
 */
export function readJson(text: string): JsonRead {
  return new Reader(text).whole();
}

/** What Go calls the type of a value in a text. */
export function jsonTypeName(value: JsonRead): string {
  if (Array.isArray(value)) return "array";
  return typeof value === "boolean" ? "bool" : typeof value;
}

/** What Go prints for a value that it holds: `[a 1 <nil>]`, `map[a:1 b:x]`. */
export function goValueText(value: JsonRead): string {
  if (value === null) return "<nil>";
  if (typeof value === "number") return goNumberText(value);
  if (typeof value !== "object") return String(value);
  if (!isMap(value)) return `[${value.map(goValueText).join(" ")}]`;
  const keys = [...value.keys()].sort();
  const entries = keys.map((key) =>
    `${key}:${goValueText(value.get(key) as JsonRead)}`
  );
  return `map[${entries.join(" ")}]`;
}

/** Whether a value is an object; `instanceof` alone does not tell the compiler. */
export function isMap(value: JsonRead): value is ReadonlyMap<string, JsonRead> {
  return value instanceof Map;
}

/** `5`, `1.5`, `1e+06`: an exponent from a million on, and below 0.0001. */
function goNumberText(value: number): string {
  const [mantissa, exponentText] = value.toExponential().split("e");
  const exponent = Number(exponentText);
  if (exponent >= -4 && exponent < 6) return String(value);
  const digits = String(Math.abs(exponent)).padStart(2, "0");
  return `${mantissa}e${exponent < 0 ? "-" : "+"}${digits}`;
}

/** What may follow a backslash, besides `u`. */
const SHORT_ESCAPES = 'bfnrt\\/"';
const LITERALS: ReadonlyMap<string, readonly [string, JsonRead]> = new Map([
  ["t", ["true", true]],
  ["f", ["false", false]],
  ["n", ["null", null]],
]);

class Reader {
  readonly #text: string;
  readonly #keyLines = new Map<string, number>();
  #at = 0;
  #line = 1;
  #lineStart = 0;
  #depth = 0;
  #endText = "unexpected EOF";

  constructor(text: string) {
    this.#text = text;
  }

  document(): JsonDocument {
    this.#skipSpace();
    if (this.#char === "") this.#complain("EOF");
    return { value: this.#value(), keyLines: this.#keyLines };
  }

  whole(): JsonRead {
    this.#endText = "unexpected end of JSON input";
    const value = this.#value();
    this.#skipSpace();
    if (this.#char !== "") this.#fail("after top-level value");
    return value;
  }

  #value(): JsonRead {
    this.#skipSpace();
    const char = this.#char;
    if (char === "{") return this.#nested(() => this.#object());
    if (char === "[") return this.#nested(() => this.#array());
    if (char === '"') return this.#string();
    if (char === "-" || isDigit(char)) return this.#number();
    return this.#literal();
  }

  #nested<T>(read: () => T): T {
    if (++this.#depth > DEPTH_MAX) this.#complain("exceeded max depth");
    const value = read();
    this.#depth--;
    return value;
  }

  #object(): ReadonlyMap<string, JsonRead> {
    const entries = new Map<string, JsonRead>();
    this.#at++;
    this.#skipSpace();
    if (this.#take("}")) return entries;
    while (true) {
      this.#skipSpace();
      if (this.#char !== '"') {
        this.#fail("looking for beginning of object key string");
      }
      const key = this.#string();
      if (this.#depth === 1) this.#keyLines.set(key, this.#line);
      this.#skipSpace();
      if (!this.#take(":")) this.#fail("after object key");
      entries.set(key, this.#value());
      this.#skipSpace();
      if (this.#take("}")) return entries;
      if (!this.#take(",")) this.#fail("after object key:value pair");
    }
  }

  #array(): JsonRead[] {
    const items: JsonRead[] = [];
    this.#at++;
    this.#skipSpace();
    if (this.#take("]")) return items;
    while (true) {
      items.push(this.#value());
      this.#skipSpace();
      if (this.#take("]")) return items;
      if (!this.#take(",")) this.#fail("after array element");
    }
  }

  #string(): string {
    const start = this.#at++;
    while (!this.#take('"')) {
      if (this.#take("\\")) this.#escape();
      else if (this.#char < " ") this.#fail("in string literal");
      else this.#at++;
    }
    const raw = this.#text.slice(start, this.#at);
    return (JSON.parse(raw) as string).toWellFormed();
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

  #number(): number {
    const start = this.#at;
    this.#take("-");
    if (!this.#take("0")) this.#digits("in numeric literal");
    if (this.#take(".")) {
      this.#digits("after decimal point in numeric literal");
    }
    if (this.#take("e") || this.#take("E")) {
      if (!this.#take("+")) this.#take("-");
      this.#digits("in exponent of numeric literal");
    }
    const raw = this.#text.slice(start, this.#at);
    const value = Number(raw);
    if (!Number.isFinite(value)) {
      this.#complain(
        `json: cannot unmarshal number ${raw} into Go value of type float64`,
      );
    }
    return value;
  }

  #digits(context: string): void {
    if (!isDigit(this.#char)) this.#fail(context);
    while (isDigit(this.#char)) this.#at++;
  }

  #literal(): JsonRead {
    const found = LITERALS.get(this.#char);
    if (found === undefined) {
      return this.#fail("looking for beginning of value");
    }
    const [word, value] = found;
    this.#at++;
    for (const char of word.slice(1)) {
      if (!this.#take(char)) {
        this.#fail(`in literal ${word} (expecting '${char}')`);
      }
    }
    return value;
  }

  /** The character that is next; empty at the end. */
  get #char(): string {
    return this.#text.charAt(this.#at);
  }

  #take(char: string): boolean {
    if (this.#char !== char) return false;
    this.#at++;
    return true;
  }

  /** The only place where a line may end: strings have no line breaks in them. */
  #skipSpace(): void {
    while (this.#char !== "" && " \t\r\n".includes(this.#char)) {
      const isLineBreak = this.#char === "\n";
      this.#at++;
      if (!isLineBreak) continue;
      this.#line++;
      this.#lineStart = this.#at;
    }
  }

  #fail(context: string): never {
    if (this.#char === "") this.#complain(this.#endText);
    this.#complain(`invalid character ${quoteByte(this.#char)} ${context}`);
  }

  #complain(message: string): never {
    const column = this.#at - this.#lineStart + 1;
    throw new JsonSyntaxError(message, this.#line, column);
  }
}

function isDigit(char: string): boolean {
  return char >= "0" && char <= "9";
}

/** Go looks at bytes: of a character outside ASCII it quotes the first one. */
function quoteByte(char: string): string {
  if (char === "'") return "'\\''";
  if (char === '"') return `'"'`;
  const byte = utf8Bytes(char)[0] as number;
  return `'${quoteText(String.fromCharCode(byte)).slice(1, -1)}'`;
}
