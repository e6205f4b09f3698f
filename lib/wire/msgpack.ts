/**
 * Decoding of msgpack structs, as tolerant as the peers' decoders are.
 *
 * A struct is a map of known keys. Peers may also send it as an array in
 * declaration order or as nil, in any width of integer, with fields that we do
 * not know, with fields missing: all of that is accepted here, and anything
 * beyond becomes a `WireError`. The msgpack library turns bytes into values;
 * this file is the only one that knows it, decides what it may see and checks
 * what it returned. Encoding is in `msgpack_writer.ts`.
 *
 * Two things never happen whatever the bytes are. Nothing is allocated by an
 * announced size, since a scan first makes sure that a value is all there. And
 * no key can reach the prototype of an object: odd keys are renamed.
 *
 * Source of the tolerance: go-msgpack 0.5.5 and 2.1.5, as memberlist and Serf
 * use them. Two things differ, one each way. Texts must be valid UTF-8. And an
 * integer inside a nested struct or list may be written as a float, if it is
 * whole: the library does not tell the two apart.
 */

import { DecodeError, Decoder } from "@msgpack/msgpack";
import { EMPTY_BYTES } from "../kit/bytes.ts";
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

/** Stands for every extension value: no field has one, all are skipped. */
const EXTENSION = Symbol("msgpack extension");

/** A floating-point number in a struct, kept apart from an integer. */
class Float {
  constructor(readonly value: number) {}
}

/**
 * Map keys that cannot be property names: not text, or dangerous as such. The
 * decoder stores such a value under the NUL character and an index into this
 * list, which begins anew with each decoding.
 */
let oddKeys: unknown[] = [];

function propertyName(key: unknown): string {
  if (typeof key === "string") return key;
  if (key instanceof Uint8Array) return textKey(key, 0, key.length);
  return oddKey(key);
}

function textKey(bytes: Uint8Array, start: number, end: number): string {
  const text = decodeText(bytes, start, end);
  const isOdd = text === undefined || text === "__proto__" ||
    text.startsWith("\0");
  return isOdd ? oddKey(bytes.subarray(start, end)) : text;
}

function oddKey(key: unknown): string {
  oddKeys.push(key);
  return `\0${oddKeys.length - 1}`;
}

/** Its own limits are a second line: the scan before has the word on sizes. */
const decoder = new Decoder({
  rawStrings: true,
  useBigInt64: true,
  maxBinLength: STRUCT_LIMITS.bytesMax,
  maxArrayLength: STRUCT_LIMITS.bytesMax,
  maxMapLength: STRUCT_LIMITS.bytesMax,
  maxExtLength: STRUCT_LIMITS.bytesMax,
  extensionCodec: { tryToEncode: () => null, decode: () => EXTENSION },
  keyDecoder: {
    canBeCached: () => true,
    decode: (bytes, offset, length) => textKey(bytes, offset, offset + length),
  },
  mapKeyConverter: propertyName,
});

const structScanner = new MsgpackScanner(STRUCT_LIMITS);

/** The value in `bytes` from `start` to `end`, which a scan has found complete. */
function decodeScanned(bytes: Uint8Array, start: number, end: number): unknown {
  oddKeys = [];
  try {
    return decoder.decode(bytes.subarray(start, end));
  } catch (cause) {
    // A scanned value leaves the library nothing to object to; should it object
    // nevertheless, that is the peer's fault.
    if (!(cause instanceof DecodeError || cause instanceof RangeError)) {
      throw cause;
    }
    throw new WireError("badValue", `msgpack decode error: ${cause.message}`, {
      cause,
    });
  }
}

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
  readonly #fields: Readonly<Record<string, unknown>>;
  readonly #oddKeys: readonly unknown[];

  private constructor(
    fields: Readonly<Record<string, unknown>>,
    oddKeys: readonly unknown[],
    end: number,
  ) {
    this.#fields = fields;
    this.#oddKeys = oddKeys;
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
    const value = decodeScanned(bytes, offset, end);
    const odd = oddKeys;
    const fields = fieldsOf(value, layout, offset);
    if (odd.length > 0) refuseKeysThatAreNotText(fields, odd);
    if (scanner.hasFloat) markFloats(fields, bytes, offset, layout);
    return new Struct(fields, odd, end);
  }

  /** A struct inside this one. */
  struct(name: string, layout: Layout): Struct {
    return this.#nested(this.#fields[name], layout);
  }

  /** A list of structs, with `undefined` for each nil. */
  structs(name: string, layout: Layout): (Struct | undefined)[] {
    return this.#list(name).map((item) =>
      item === null ? undefined : this.#nested(item, layout)
    );
  }

  /** A whole number from 0 to `max`, which is at most 2^53 - 1. */
  uint(name: string, max: number): number {
    const value = this.#fields[name];
    if (typeof value === "number" && value >= 0 && value <= max) {
      if (Number.isInteger(value)) return value;
    }
    return Number(toUint(value, BigInt(max), name));
  }

  /** A whole number from 0 to 2^64 - 1. */
  uint64(name: string): bigint {
    return toUint(this.#fields[name], UINT64_MAX, name);
  }

  /** A whole number from -2^63 to 2^63 - 1; larger ones wrap, as in Go. */
  int64(name: string): bigint {
    return toInt64(this.#fields[name], name);
  }

  bool(name: string): boolean {
    const value = this.#fields[name];
    if (typeof value === "boolean") return value;
    if (value === undefined || value === null || value === 0) return false;
    if (value === 1) return true;
    throw wrongType(name, "bool");
  }

  float64(name: string): number {
    return toFloat(this.#fields[name], name);
  }

  /** A list of floating-point numbers. */
  floats(name: string): number[] {
    return this.#list(name).map((item) => toFloat(item, name));
  }

  text(name: string): string {
    return toText(this.#fields[name], name, this.#oddKeys);
  }

  /** A list of texts. */
  texts(name: string): string[] {
    return this.#list(name).map((item) => toText(item, name, this.#oddKeys));
  }

  bytes(name: string): Uint8Array {
    return toBytes(this.#fields[name], name, this.#oddKeys);
  }

  /** A list of byte strings. */
  byteStrings(name: string): Uint8Array[] {
    return this.#list(name).map((item) => toBytes(item, name, this.#oddKeys));
  }

  /** A map from text to text. */
  textMap(name: string): Map<string, string> {
    const map = new Map<string, string>();
    for (const [key, value] of this.#entries(name)) {
      map.set(key, toText(value, name, this.#oddKeys));
    }
    return map;
  }

  /** A map from text to whole numbers from 0 to 2^64 - 1. */
  uint64Map(name: string): Map<string, bigint> {
    const map = new Map<string, bigint>();
    for (const [key, value] of this.#entries(name)) {
      map.set(key, toUint(value, UINT64_MAX, name));
    }
    return map;
  }

  /** Whether the field is present and not nil. */
  has(name: string): boolean {
    const value = this.#fields[name];
    return value !== undefined && value !== null;
  }

  #nested(value: unknown, layout: Layout): Struct {
    return new Struct(
      fieldsOf(value ?? null, layout, 0),
      this.#oddKeys,
      this.end,
    );
  }

  #list(name: string): unknown[] {
    const value = this.#fields[name];
    if (Array.isArray(value)) return value;
    if (value === undefined || value === null) return [];
    if (isMap(value)) return keysAndValues(value, this.#oddKeys);
    throw wrongType(name, "array");
  }

  *#entries(name: string): Generator<[string, unknown]> {
    const map = this.#fields[name];
    if (map === undefined || map === null) return;
    if (!isMap(map)) throw wrongType(name, "map");
    for (const property of Object.keys(map)) {
      const key = originalKey(property, this.#oddKeys);
      yield [toText(key, name, this.#oddKeys), map[property]];
    }
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
    const map = readContainer(bytes, 0);
    if (map === undefined || !map.isMap) {
      if (bytes[0] === 0xc0) return { entries };
      if (bytes.length === 0) throw new WireError("truncated", "EOF");
      throw wrongType("value", "map");
    }
    let offset = map.firstItem;
    for (let i = 0; i < map.size; i++) {
      const keyEnd = endOfValue(bytes, offset);
      const valueEnd = endOfValue(bytes, keyEnd);
      const key = toText(decodeScanned(bytes, offset, keyEnd), "key", oddKeys);
      const value = decodeScanned(bytes, keyEnd, valueEnd);
      entries.set(key, toText(value, key, oddKeys));
      offset = valueEnd;
    }
  } catch (error) {
    if (error instanceof WireError) return { entries, error };
    throw error;
  }
  return { entries };
}

/** Texts of the array of texts at the head of `bytes`. */
export function decodeTextList(bytes: Uint8Array): string[] {
  const end = endOfValue(bytes, 0);
  const value = decodeScanned(bytes, 0, end);
  const odd = oddKeys;
  if (value === null) return [];
  if (!Array.isArray(value)) throw wrongType("value", "array");
  return value.map((item) => toText(item, "value", odd));
}

type Fields = Record<string, unknown>;

function fieldsOf(value: unknown, layout: Layout, position: number): Fields {
  if (isMap(value)) return value;
  if (value === null) return {};
  if (!Array.isArray(value)) {
    throw new WireError(
      "badValue",
      `msgpack decode error [pos ${position}]: only encoded map or array can be decoded into a struct`,
    );
  }
  const fields: Fields = {};
  const size = Math.min(value.length, layout.length);
  for (let i = 0; i < size; i++) fields[layout[i] as string] = value[i];
  return fields;
}

/** Odd keys deeper inside are not looked at: they are in skipped values or maps. */
function refuseKeysThatAreNotText(
  fields: Fields,
  odd: readonly unknown[],
): void {
  for (const [i, key] of odd.entries()) {
    if (Object.hasOwn(fields, `\0${i}`) && !(key instanceof Uint8Array)) {
      throw new WireError(
        "badValue",
        "msgpack decode error: invalid byte descriptor for decoding bytes",
      );
    }
  }
}

/**
 * Sets apart the fields that are floats. The library gives 2.0 and 2 the same
 * value, but peers refuse the first in an integer field.
 */
function markFloats(
  fields: Fields,
  bytes: Uint8Array,
  start: number,
  layout: Layout,
): void {
  const struct = readContainer(bytes, start);
  if (struct === undefined) return;
  let offset = struct.firstItem;
  for (let i = 0; i < struct.size; i++) {
    let name = layout[i];
    if (struct.isMap) {
      const keyEnd = endOfValue(bytes, offset);
      name = propertyName(decodeScanned(bytes, offset, keyEnd));
      offset = keyEnd;
    }
    const isFloat = bytes[offset] === 0xca || bytes[offset] === 0xcb;
    if (isFloat && name !== undefined && layout.includes(name)) {
      fields[name] = new Float(fields[name] as number);
    }
    offset = endOfValue(bytes, offset);
  }
}

interface Container {
  readonly isMap: boolean;
  /** Pairs of a map, items of an array. */
  readonly size: number;
  readonly firstItem: number;
}

/** The header of a map or an array; `undefined` when there is none at `offset`. */
function readContainer(
  bytes: Uint8Array,
  offset: number,
): Container | undefined {
  const head = bytes[offset];
  if (head === undefined) return undefined;
  if (head >= 0x80 && head < 0xa0) {
    return { isMap: head < 0x90, size: head & 0x0f, firstItem: offset + 1 };
  }
  if (head < 0xdc || head > 0xdf) return undefined;
  const width = head % 2 === 0 ? 2 : 4;
  if (offset + 1 + width > bytes.length) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset + 1, width);
  return {
    isMap: head >= 0xde,
    size: width === 2 ? view.getUint16(0) : view.getUint32(0),
    firstItem: offset + 1 + width,
  };
}

function isMap(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value) &&
    !(value instanceof Uint8Array) && !(value instanceof Float);
}

/** The key that a property stands for; see `oddKeys`. */
function originalKey(property: string, odd: readonly unknown[]): unknown {
  return property.startsWith("\0") ? odd[Number(property.slice(1))] : property;
}

function toText(value: unknown, name: string, odd: readonly unknown[]): string {
  if (typeof value === "string") return value;
  if (value === undefined || value === null) return "";
  if (isMap(value)) throw wrongType(name, "string");
  const text = decodeText(toBytes(value, name, odd));
  if (text !== undefined) return text;
  throw new WireError(
    "badValue",
    `msgpack decode error: ${name} is not valid UTF-8`,
  );
}

function toBytes(
  value: unknown,
  name: string,
  odd: readonly unknown[],
): Uint8Array {
  if (value instanceof Uint8Array) return value;
  if (value === undefined || value === null) return EMPTY_BYTES;
  if (Array.isArray(value)) return bytesOfItems(value, name);
  if (!isMap(value)) throw wrongType(name, "bytes");
  return bytesOfItems(keysAndValues(value, odd), name);
}

/**
 * Go reads a map into a list as its keys and values in turn. It matters for the
 * empty one: languages that know one kind of table write an empty list so.
 */
function keysAndValues(map: Fields, odd: readonly unknown[]): unknown[] {
  return Object.keys(map).flatMap((key) => [originalKey(key, odd), map[key]]);
}

function bytesOfItems(items: readonly unknown[], name: string): Uint8Array {
  return Uint8Array.from(items, (item) => Number(toUint(item, 255n, name)));
}

function toUint(value: unknown, max: bigint, name: string): bigint {
  if (value === undefined || value === null) return 0n;
  const integer = toInteger(value, name, "unsigned integer");
  if (integer < 0n) {
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

function toInt64(value: unknown, name: string): bigint {
  if (value === undefined || value === null) return 0n;
  return BigInt.asIntN(64, toInteger(value, name, "signed integer"));
}

function toInteger(value: unknown, name: string, type: string): bigint {
  if (typeof value === "bigint") return value;
  if (typeof value === "number" && Number.isInteger(value)) {
    return BigInt(value);
  }
  throw wrongType(name, type);
}

function toFloat(value: unknown, name: string): number {
  if (typeof value === "number") return value;
  if (value instanceof Float) return value.value;
  if (value === undefined || value === null) return 0;
  if (typeof value === "bigint") return Number(value);
  throw wrongType(name, "float");
}

function wrongType(name: string, type: string): WireError {
  return new WireError(
    "badValue",
    `msgpack decode error: ${name} is not of type ${type}`,
  );
}
