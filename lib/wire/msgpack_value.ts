/**
 * Msgpack as a tree of plain values, for whoever wants to look at all of it.
 *
 * `msgpack.ts` decodes structs: it asks for known fields by type and hides how
 * they were written. Here nothing is asked for. A text stays apart from a byte
 * string, an unsigned integer from a signed one, and map keys are never property
 * names. That is what a client needs that shows records of any shape to people,
 * and it needs no library to start.
 *
 * Source: the msgpack specification, https://github.com/msgpack/msgpack.
 */

import { EMPTY_BYTES, utf8Text } from "../kit/bytes.ts";
import { WireError } from "./wire_error.ts";

/**
 * A decoded value.
 *
 * Integers are numbers up to 2^53 and bigints beyond. Texts are kept as bytes,
 * since the wire does not promise that they are UTF-8.
 */
export type MsgpackValue =
  | null
  | boolean
  | number
  | bigint
  | MsgpackText
  | Uint8Array
  | readonly MsgpackValue[]
  | ReadonlyMap<string, MsgpackValue>;

/** A string of the wire; what is not UTF-8 in it reads as U+FFFD. */
export class MsgpackText {
  constructor(readonly bytes: Uint8Array) {}

  toString(): string {
    return utf8Text(this.bytes);
  }
}

/**
 * The value that fills `bytes`, which a `MsgpackScanner` must have found to be
 * complete; its limits bound the work. Byte strings are views into `bytes`.
 *
 * A key that is not a text becomes one: numbers in decimal, bytes as UTF-8.
 *
 * @throws {WireError} when the bytes end early or hold an extension
 */
export function decodeValue(bytes: Uint8Array): MsgpackValue {
  return new Cursor(bytes).value();
}

class Cursor {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  value(): MsgpackValue {
    const head = this.#uint(1);
    if (head < 0x80) return head;
    if (head < 0x90) return this.#map(head & 0x0f);
    if (head < 0xa0) return this.#array(head & 0x0f);
    if (head < 0xc0) return new MsgpackText(this.#take(head & 0x1f));
    if (head >= 0xe0) return head - 0x100;
    switch (head) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xc4:
      case 0xc5:
      case 0xc6:
        return this.#take(this.#uint(1 << (head - 0xc4)));
      case 0xca:
        return this.#view.getFloat32(this.#skip(4));
      case 0xcb:
        return this.#view.getFloat64(this.#skip(8));
      case 0xcc:
      case 0xcd:
      case 0xce:
        return this.#uint(1 << (head - 0xcc));
      case 0xcf:
        return plainInteger(this.#view.getBigUint64(this.#skip(8)));
      case 0xd0:
        return this.#view.getInt8(this.#skip(1));
      case 0xd1:
        return this.#view.getInt16(this.#skip(2));
      case 0xd2:
        return this.#view.getInt32(this.#skip(4));
      case 0xd3:
        return plainInteger(this.#view.getBigInt64(this.#skip(8)));
      case 0xd9:
      case 0xda:
      case 0xdb:
        return new MsgpackText(this.#take(this.#uint(1 << (head - 0xd9))));
      case 0xdc:
      case 0xdd:
        return this.#array(this.#uint(head === 0xdc ? 2 : 4));
      case 0xde:
      case 0xdf:
        return this.#map(this.#uint(head === 0xde ? 2 : 4));
      default:
        throw new WireError(
          "badType",
          `msgpack decode error: unsupported descriptor byte: ${
            head.toString(16)
          }`,
        );
    }
  }

  #map(size: number): Map<string, MsgpackValue> {
    const map = new Map<string, MsgpackValue>();
    for (let i = 0; i < size; i++) {
      const key = this.value();
      map.set(
        key instanceof Uint8Array ? utf8Text(key) : String(key),
        this.value(),
      );
    }
    return map;
  }

  #array(size: number): MsgpackValue[] {
    const items: MsgpackValue[] = [];
    for (let i = 0; i < size; i++) items.push(this.value());
    return items;
  }

  #uint(width: number): number {
    const offset = this.#skip(width);
    let value = 0;
    for (let i = 0; i < width; i++) {
      value = value * 256 + (this.#bytes[offset + i] as number);
    }
    return value;
  }

  #take(length: number): Uint8Array {
    if (length === 0) return EMPTY_BYTES;
    const start = this.#skip(length);
    return this.#bytes.subarray(start, start + length);
  }

  /** Moves on by `length` bytes, which must be there; returns where they begin. */
  #skip(length: number): number {
    const start = this.#offset;
    if (start + length > this.#bytes.length) {
      throw new WireError("truncated", "EOF");
    }
    this.#offset = start + length;
    return start;
  }
}

function plainInteger(value: bigint): number | bigint {
  const isSafe = value <= BigInt(Number.MAX_SAFE_INTEGER) &&
    value >= BigInt(Number.MIN_SAFE_INTEGER);
  return isSafe ? Number(value) : value;
}
