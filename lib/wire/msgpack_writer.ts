/**
 * Writes msgpack in the one dialect that every peer reads.
 *
 * The peers' older library knows strings and byte strings as one "raw" family
 * and rejects `bin` where it expects a string, so both are written raw, and
 * `str8` is never used. Integers take their shortest unsigned form, also in
 * signed fields. For the messages of this protocol the bytes are then those of
 * the peers themselves. Libraries cannot be told to do this.
 *
 * Source: go-msgpack 0.5.5 in its default configuration.
 */

import { assert } from "../kit/assert.ts";
import { utf8Bytes } from "../kit/bytes.ts";

const INITIAL_BYTES = 2_048;
/** A larger buffer is given back after use. */
const KEPT_BYTES_MAX = 1_048_576;

/** Collects one encoding at a time; made once, used again and again. */
export class MsgpackWriter {
  #bytes = new Uint8Array(INITIAL_BYTES);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  /** Forgets what was written before. */
  begin(): this {
    this.#length = 0;
    return this;
  }

  /** A copy of what was written since `begin`. */
  finish(): Uint8Array {
    const whole = this.#bytes.slice(0, this.#length);
    if (this.#bytes.length > KEPT_BYTES_MAX) this.#resize(INITIAL_BYTES);
    return whole;
  }

  /** One byte outside msgpack, such as a message type. */
  byte(value: number): this {
    this.#reserve(1);
    this.#bytes[this.#length++] = value;
    return this;
  }

  /** Bytes outside msgpack, such as those that follow a header. */
  append(bytes: Uint8Array): this {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
    return this;
  }

  /** Header of a map; `size` keys, each followed by its value, come next. */
  map(size: number): this {
    return this.#container(size, 0x80, 0xde);
  }

  /** Header of an array; `size` values come next. */
  array(size: number): this {
    return this.#container(size, 0x90, 0xdc);
  }

  nil(): this {
    return this.byte(0xc0);
  }

  bool(value: boolean): this {
    return this.byte(value ? 0xc3 : 0xc2);
  }

  /** A whole number from 0 to 2^53 - 1. */
  uint(value: number): this {
    assert(
      Number.isSafeInteger(value) && value >= 0,
      "an integer to be written is from 0 to 2^53 - 1",
    );
    this.#reserve(9);
    const bytes = this.#bytes;
    if (value < 0x80) {
      bytes[this.#length++] = value;
    } else if (value < 0x100) {
      bytes[this.#length++] = 0xcc;
      bytes[this.#length++] = value;
    } else if (value < 0x1_0000) {
      this.#head16(0xcd, value);
    } else if (value < 0x1_0000_0000) {
      this.#head32(0xce, value);
    } else {
      this.uint64(BigInt(value));
    }
    return this;
  }

  /** A whole number from 0 to 2^64 - 1. */
  uint64(value: bigint): this {
    assert(
      value >= 0n && value < 0x1_0000_0000_0000_0000n,
      "an integer to be written is from 0 to 2^64 - 1",
    );
    if (value < 0x1_0000_0000n) return this.uint(Number(value));
    this.#reserve(9);
    this.#bytes[this.#length] = 0xcf;
    this.#view.setBigUint64(this.#length + 1, value);
    this.#length += 9;
    return this;
  }

  /** A whole number from -2^63 to 2^63 - 1; unsigned form unless negative. */
  int64(value: bigint): this {
    if (value >= 0n) return this.uint64(value);
    assert(
      value >= -0x8000_0000_0000_0000n,
      "an integer to be written is at least -2^63",
    );
    this.#reserve(9);
    const view = this.#view;
    if (value >= -32n) {
      view.setInt8(this.#length++, Number(value));
    } else if (value >= -0x80n) {
      this.#bytes[this.#length] = 0xd0;
      view.setInt8(this.#length + 1, Number(value));
      this.#length += 2;
    } else if (value >= -0x8000n) {
      this.#bytes[this.#length] = 0xd1;
      view.setInt16(this.#length + 1, Number(value));
      this.#length += 3;
    } else if (value >= -0x8000_0000n) {
      this.#bytes[this.#length] = 0xd2;
      view.setInt32(this.#length + 1, Number(value));
      this.#length += 5;
    } else {
      this.#bytes[this.#length] = 0xd3;
      view.setBigInt64(this.#length + 1, value);
      this.#length += 9;
    }
    return this;
  }

  float64(value: number): this {
    this.#reserve(9);
    this.#bytes[this.#length] = 0xcb;
    this.#view.setFloat64(this.#length + 1, value);
    this.#length += 9;
    return this;
  }

  /** A text; its lone surrogates become U+FFFD. */
  text(value: string): this {
    if (value.length < 32 && this.#shortAscii(value)) return this;
    return this.longText(utf8Bytes(value));
  }

  /** A text that is long or not ASCII, as UTF-8. */
  protected longText(value: Uint8Array): this {
    return this.raw(value);
  }

  /** A byte string of any length, zero included. */
  bytes(value: Uint8Array): this {
    return this.raw(value);
  }

  /** A byte string, or nil when it is empty, as Go writes one that was never set. */
  bytesOrNil(value: Uint8Array): this {
    return value.length === 0 ? this.nil() : this.bytes(value);
  }

  /** Writes the text if it is ASCII throughout, else nothing. */
  #shortAscii(value: string): boolean {
    this.#reserve(32);
    const bytes = this.#bytes;
    const start = this.#length + 1;
    for (let i = 0; i < value.length; i++) {
      const code = value.charCodeAt(i);
      if (code >= 0x80) return false;
      bytes[start + i] = code;
    }
    bytes[this.#length] = 0xa0 | value.length;
    this.#length = start + value.length;
    return true;
  }

  /** Bytes in the old form that does for texts and byte strings. */
  protected raw(value: Uint8Array): this {
    const length = value.length;
    this.#reserve(5 + length);
    if (length < 32) {
      this.#bytes[this.#length++] = 0xa0 | length;
    } else if (length < 0x1_0000) {
      this.#head16(0xda, length);
    } else {
      this.#head32(0xdb, length);
    }
    return this.append(value);
  }

  #container(size: number, fixHead: number, wideHead: number): this {
    this.#reserve(5);
    if (size < 16) {
      this.#bytes[this.#length++] = fixHead | size;
    } else if (size < 0x1_0000) {
      this.#head16(wideHead, size);
    } else {
      this.#head32(wideHead + 1, size);
    }
    return this;
  }

  #head16(head: number, value: number): void {
    this.#bytes[this.#length] = head;
    this.#view.setUint16(this.#length + 1, value);
    this.#length += 3;
  }

  #head32(head: number, value: number): void {
    this.#bytes[this.#length] = head;
    this.#view.setUint32(this.#length + 1, value);
    this.#length += 5;
  }

  #reserve(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#bytes.length) return;
    this.#resize(Math.max(needed, 2 * this.#bytes.length));
  }

  #resize(size: number): void {
    const larger = new Uint8Array(size);
    larger.set(this.#bytes.subarray(0, Math.min(this.#length, size)));
    this.#bytes = larger;
    this.#view = new DataView(larger.buffer);
  }
}
