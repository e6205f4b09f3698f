/**
 * Decoding of msgpack structs, as tolerant as the peers' decoders are.
 *
 * A struct is a map of known keys. Peers may also send it as an array in
 * declaration order or as nil, in any width of integer, with fields that we do
 * not know, with fields missing: all of that is accepted here, and anything
 * beyond becomes a `WireError`. Encoding is in `msgpack_writer.ts`.
 *
 * A struct is decoded in three steps. The scan (`msgpack_scanner.ts`) finds where
 * it ends and enforces the limits, so that everything after it may trust the
 * bytes. One walk over the keys notes at which offset each known field is. A
 * field is read when it is asked for (`msgpack_reader.ts`). So no tree is built,
 * nothing is allocated by an announced size, and no key becomes a property name.
 *
 * Our own and not a library's: `@msgpack/msgpack`, which tests compare with,
 * takes longer, needs the scan before it all the same, cannot tell a float from an
 * integer, and is loaded at every start.
 *
 * Source of the tolerance: go-msgpack 0.5.5 and 2.1.5, as memberlist and Serf
 * use them. Two things differ: texts must be valid UTF-8, and what nobody asks
 * for is not looked at, as long as it is well-formed.
 */

import { assert } from "../kit/assert.ts";
import { EMPTY_BYTES } from "../kit/bytes.ts";
import {
  boolAt,
  contentAt,
  endAt,
  floatAt,
  integerAt,
  kindAt,
  rawAt,
  sizeAt,
} from "./msgpack_reader.ts";
import {
  MsgpackScanner,
  type ScanLimits,
  STRUCT_LIMITS,
} from "./msgpack_scanner.ts";
import { decodeText } from "./text.ts";
import { WireError } from "./wire_error.ts";

/** Keys of a struct in the order in which Go declares its fields. */
export type Layout = readonly string[];

const UINT64_MAX = 0xffff_ffff_ffff_ffffn;
/** Offset of a field that is not there. */
const ABSENT = -1;

const structScanner = new MsgpackScanner(STRUCT_LIMITS);

/**
 * Offset just past the value that begins at `offset`.
 *
 * @throws {WireError} when it is cut short, malformed or beyond a limit
 */
export function endOfValue(bytes: Uint8Array, offset: number): number {
  return scanWhole(structScanner, bytes, offset);
}

function scanWhole(
  scanner: MsgpackScanner,
  bytes: Uint8Array,
  offset: number,
): number {
  scanner.restart(offset);
  const end = scanner.scan(bytes, bytes.length);
  if (end === undefined) throw new WireError("truncated", "EOF");
  return end;
}

/**
 * A decoded struct: asks for its fields by name and type.
 *
 * A missing field and a nil have the zero value of the type asked for. Each
 * accessor throws a `WireError` when the field holds something else than that
 * type. Byte strings are views into the decoded bytes.
 */
export class Struct {
  /** Offset just past the struct in the bytes it was decoded from. */
  readonly end: number;
  readonly #bytes: Uint8Array;
  readonly #layout: Layout;
  /** Where the value of each field of the layout begins, or `ABSENT`. */
  readonly #offsets: readonly number[];

  private constructor(
    bytes: Uint8Array,
    layout: Layout,
    offset: number,
    end: number,
  ) {
    this.#bytes = bytes;
    this.#layout = layout;
    this.#offsets = offsetsOfFields(bytes, layout, offset);
    this.end = end;
  }

  /**
   * Decodes the struct that begins at `offset`; what follows it is ignored.
   *
   * @throws {WireError} when there is none, with go-msgpack's wording
   */
  static decode(
    bytes: Uint8Array,
    layout: Layout,
    offset = 0,
    limits: ScanLimits = STRUCT_LIMITS,
  ): Struct {
    const scanner = limits === STRUCT_LIMITS
      ? structScanner
      : new MsgpackScanner(limits);
    const end = scanWhole(scanner, bytes, offset);
    return new Struct(bytes, layout, offset, end);
  }

  /** Whether the field is present and not nil. */
  has(name: string): boolean {
    return this.#offsetOf(name) !== ABSENT;
  }

  /** A struct inside this one. */
  struct(name: string, layout: Layout): Struct {
    return new Struct(this.#bytes, layout, this.#offsetOf(name), this.end);
  }

  /** A list of structs, with `undefined` for each nil. */
  structs(name: string, layout: Layout): (Struct | undefined)[] {
    return this.#items(
      name,
      (bytes, offset) =>
        kindAt(bytes, offset) === "nil"
          ? undefined
          : new Struct(bytes, layout, offset, this.end),
    );
  }

  /** A whole number from 0 to `max`, which is at most 2^53 - 1. */
  uint(name: string, max: number): number {
    const offset = this.#offsetOf(name);
    if (offset === ABSENT) return 0;
    return Number(toUint(this.#bytes, offset, BigInt(max), name));
  }

  /** A whole number from 0 to 2^64 - 1. */
  uint64(name: string): bigint {
    const offset = this.#offsetOf(name);
    if (offset === ABSENT) return 0n;
    return BigInt(toUint(this.#bytes, offset, UINT64_MAX, name));
  }

  /** A whole number from -2^63 to 2^63 - 1; larger ones wrap, as in Go. */
  int64(name: string): bigint {
    const offset = this.#offsetOf(name);
    if (offset === ABSENT) return 0n;
    const value = toInteger(this.#bytes, offset, name, "signed integer");
    return BigInt.asIntN(64, BigInt(value));
  }

  bool(name: string): boolean {
    const offset = this.#offsetOf(name);
    if (offset === ABSENT) return false;
    const kind = kindAt(this.#bytes, offset);
    if (kind === "bool") return boolAt(this.#bytes, offset);
    const value = kind === "integer" ? integerAt(this.#bytes, offset) : -1;
    if (value === 0 || value === 1) return value === 1;
    throw wrongType(name, "bool");
  }

  float64(name: string): number {
    const offset = this.#offsetOf(name);
    return offset === ABSENT ? 0 : toFloat(this.#bytes, offset, name);
  }

  /** A list of floating-point numbers. */
  floats(name: string): number[] {
    return this.#items(name, toFloat);
  }

  text(name: string): string {
    const offset = this.#offsetOf(name);
    return offset === ABSENT ? "" : toText(this.#bytes, offset, name);
  }

  /** A list of texts. */
  texts(name: string): string[] {
    return this.#items(name, toText);
  }

  bytes(name: string): Uint8Array {
    const offset = this.#offsetOf(name);
    return offset === ABSENT ? EMPTY_BYTES : toBytes(this.#bytes, offset, name);
  }

  /** A list of byte strings. */
  byteStrings(name: string): Uint8Array[] {
    return this.#items(name, toBytes);
  }

  /** A map from text to text. */
  textMap(name: string): Map<string, string> {
    return this.#map(name, toText);
  }

  /** A map from text to whole numbers from 0 to 2^64 - 1. */
  uint64Map(name: string): Map<string, bigint> {
    return this.#map(
      name,
      (bytes, offset) => BigInt(toUint(bytes, offset, UINT64_MAX, name)),
    );
  }

  /** Where the value of a field begins; `ABSENT` also for nil. */
  #offsetOf(name: string): number {
    const offset = this.#offsets[this.#layout.indexOf(name)];
    assert(offset !== undefined, "the layout has the field");
    if (offset === ABSENT) return ABSENT;
    return kindAt(this.#bytes, offset) === "nil" ? ABSENT : offset;
  }

  #items<T>(name: string, read: Reader<T>): T[] {
    const offset = this.#offsetOf(name);
    if (offset === ABSENT) return [];
    return readItems(this.#bytes, offset, name, read);
  }

  #map<T>(name: string, read: Reader<T>): Map<string, T> {
    const offset = this.#offsetOf(name);
    if (offset === ABSENT) return new Map();
    if (kindAt(this.#bytes, offset) !== "map") throw wrongType(name, "map");
    const map = new Map<string, T>();
    const bytes = this.#bytes;
    let at = contentAt(bytes, offset);
    for (let left = sizeAt(bytes, offset); left > 0; left--) {
      const valueAt = endAt(bytes, at);
      map.set(toText(bytes, at, name), read(bytes, valueAt, name));
      at = endAt(bytes, valueAt);
    }
    return map;
  }
}

/**
 * Texts of the map from text to text at the head of `bytes`. When it breaks
 * off, the entries before the break are kept beside the error.
 */
export function decodeTextMap(
  bytes: Uint8Array,
): { entries: Map<string, string>; error?: WireError } {
  const entries = new Map<string, string>();
  try {
    if (bytes.length === 0) throw new WireError("truncated", "EOF");
    const kind = kindAt(bytes, 0);
    if (kind === "nil") return { entries };
    let offset = contentAt(bytes, 0);
    if (kind !== "map") throw wrongType("value", "map");
    if (offset > bytes.length) throw new WireError("truncated", "EOF");
    for (let left = sizeAt(bytes, 0); left > 0; left--) {
      const valueAt = endOfValue(bytes, offset);
      const end = endOfValue(bytes, valueAt);
      const key = toText(bytes, offset, "key");
      entries.set(key, toText(bytes, valueAt, key));
      offset = end;
    }
  } catch (error) {
    if (error instanceof WireError) return { entries, error };
    throw error;
  }
  return { entries };
}

/** Texts of the array of texts at the head of `bytes`. */
export function decodeTextList(bytes: Uint8Array): string[] {
  endOfValue(bytes, 0);
  const kind = kindAt(bytes, 0);
  if (kind === "nil") return [];
  if (kind !== "array") throw wrongType("value", "array");
  return readItems(bytes, 0, "value", toText);
}

/** Reads the value at an offset; `name` is that of the field, for complaints. */
type Reader<T> = (bytes: Uint8Array, offset: number, name: string) => T;

function offsetsOfFields(
  bytes: Uint8Array,
  layout: Layout,
  offset: number,
): number[] {
  const offsets = new Array<number>(layout.length).fill(ABSENT);
  if (offset === ABSENT) return offsets;
  const kind = kindAt(bytes, offset);
  if (kind === "nil") return offsets;
  if (kind !== "map" && kind !== "array") {
    throw new WireError(
      "badValue",
      `msgpack decode error [pos ${offset}]: only encoded map or array can be decoded into a struct`,
    );
  }
  const size = sizeAt(bytes, offset);
  let at = contentAt(bytes, offset);
  if (kind === "array") {
    for (let i = 0; i < Math.min(size, layout.length); i++) {
      offsets[i] = at;
      at = endAt(bytes, at);
    }
    return offsets;
  }
  for (let left = size; left > 0; left--) {
    const field = fieldOfKey(bytes, at, layout);
    at = endAt(bytes, at);
    // Of a key that comes twice the later one counts, as in Go.
    if (field !== ABSENT) offsets[field] = at;
    at = endAt(bytes, at);
  }
  return offsets;
}

/**
 * Which field of the layout a key names, `ABSENT` for none of them.
 *
 * @throws {WireError} when the key is neither a text nor bytes
 */
function fieldOfKey(
  bytes: Uint8Array,
  offset: number,
  layout: Layout,
): number {
  const kind = kindAt(bytes, offset);
  if (kind !== "text" && kind !== "bin") {
    throw new WireError(
      "badValue",
      "msgpack decode error: invalid byte descriptor for decoding bytes",
    );
  }
  const length = sizeAt(bytes, offset);
  const start = contentAt(bytes, offset);
  return layout.findIndex((name) =>
    name.length === length && isText(name, bytes, start)
  );
}

/** Whether an ASCII text stands in `bytes` from `start` on. */
function isText(text: string, bytes: Uint8Array, start: number): boolean {
  for (let i = 0; i < text.length; i++) {
    if (text.charCodeAt(i) !== bytes[start + i]) return false;
  }
  return true;
}

/**
 * The items of a list. Go reads a map into a list as its keys and values in turn.
 * It matters for the empty one: languages that know one kind of table write an
 * empty list so.
 */
function readItems<T>(
  bytes: Uint8Array,
  offset: number,
  name: string,
  read: Reader<T>,
): T[] {
  const kind = kindAt(bytes, offset);
  if (kind !== "array" && kind !== "map") throw wrongType(name, "array");
  const size = sizeAt(bytes, offset);
  const items: T[] = [];
  let at = contentAt(bytes, offset);
  for (let left = kind === "map" ? 2 * size : size; left > 0; left--) {
    items.push(read(bytes, at, name));
    at = endAt(bytes, at);
  }
  return items;
}

function toText(bytes: Uint8Array, offset: number, name: string): string {
  const kind = kindAt(bytes, offset);
  let text: string | undefined;
  if (kind === "text" || kind === "bin") {
    const start = contentAt(bytes, offset);
    text = decodeText(bytes, start, start + sizeAt(bytes, offset));
  } else if (kind === "map") {
    throw wrongType(name, "string");
  } else {
    text = decodeText(toBytes(bytes, offset, name));
  }
  if (text !== undefined) return text;
  throw new WireError(
    "badValue",
    `msgpack decode error: ${name} is not valid UTF-8`,
  );
}

function toBytes(
  bytes: Uint8Array,
  offset: number,
  name: string,
): Uint8Array {
  switch (kindAt(bytes, offset)) {
    case "text":
    case "bin":
      return rawAt(bytes, offset);
    case "nil":
      return EMPTY_BYTES;
    case "array":
    case "map":
      return Uint8Array.from(readItems(bytes, offset, name, toByte));
    default:
      throw wrongType(name, "bytes");
  }
}

function toByte(bytes: Uint8Array, offset: number, name: string): number {
  return Number(toUint(bytes, offset, 255n, name));
}

function toUint(
  bytes: Uint8Array,
  offset: number,
  max: bigint,
  name: string,
): number | bigint {
  const integer = toInteger(bytes, offset, name, "unsigned integer");
  if (integer < 0) {
    throw new WireError(
      "badValue",
      `msgpack decode error: assigning negative signed value: ${integer}, to unsigned type`,
    );
  }
  if (integer > max) {
    throw new WireError(
      "badValue",
      `msgpack decode error: uint64 overflow: ${integer}`,
    );
  }
  return integer;
}

function toInteger(
  bytes: Uint8Array,
  offset: number,
  name: string,
  type: string,
): number | bigint {
  const kind = kindAt(bytes, offset);
  if (kind === "integer") return integerAt(bytes, offset);
  if (kind === "nil") return 0;
  throw wrongType(name, type);
}

function toFloat(bytes: Uint8Array, offset: number, name: string): number {
  const kind = kindAt(bytes, offset);
  if (kind === "float") return floatAt(bytes, offset);
  if (kind === "integer") return Number(integerAt(bytes, offset));
  if (kind === "nil") return 0;
  throw wrongType(name, "float");
}

function wrongType(name: string, type: string): WireError {
  return new WireError(
    "badValue",
    `msgpack decode error: ${name} is not of type ${type}`,
  );
}
