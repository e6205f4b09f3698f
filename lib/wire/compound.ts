/**
 * The compound message: several messages in one packet.
 *
 * A count, the length of each part, then the parts back to back, each with its
 * own type byte. Lengths have 16 bits.
 *
 * Source: memberlist `util.go`, `makeCompoundMessage` and
 * `decodeCompoundMessage`.
 */

import { assert } from "../kit/assert.ts";
import { MessageType } from "./messages.ts";
import { WireError } from "./wire_error.ts";

/**
 * Most parts that we send. The format has room for 255, but memberlist 0.2
 * computes the size of the length list in 8 bits and misreads 128 or more.
 */
export const COMPOUND_PARTS_MAX = 127;
/** What a compound adds to its parts: type byte and count. */
export const COMPOUND_HEADER_BYTES = 2;
/** What it adds to each part: the length. */
export const COMPOUND_PART_BYTES = 2;

/**
 * Packs messages into one.
 *
 * @param parts 1 to 127 messages of 1 to 65,535 bytes each; an empty part would
 * crash memberlist 0.2
 */
export function encodeCompound(parts: readonly Uint8Array[]): Uint8Array {
  assert(
    parts.length >= 1 && parts.length <= COMPOUND_PARTS_MAX,
    "a compound has 1 to 127 parts",
  );
  let length = COMPOUND_HEADER_BYTES + COMPOUND_PART_BYTES * parts.length;
  for (const part of parts) length += part.length;
  const bytes = new Uint8Array(length);
  bytes[0] = MessageType.compound;
  bytes[1] = parts.length;
  let lengthAt = COMPOUND_HEADER_BYTES;
  let partAt = COMPOUND_HEADER_BYTES + COMPOUND_PART_BYTES * parts.length;
  for (const part of parts) {
    assert(
      part.length >= 1 && part.length <= 0xffff,
      "a part of a compound has 1 to 65,535 bytes",
    );
    bytes[lengthAt++] = part.length >> 8;
    bytes[lengthAt++] = part.length;
    bytes.set(part, partAt);
    partAt += part.length;
  }
  return bytes;
}

/** The parts of a compound, in order, and how many had run out of bytes. */
export interface CompoundParts {
  /** Views into the compound; a part may be empty. */
  readonly parts: Uint8Array[];
  readonly truncated: number;
}

/**
 * Unpacks a compound, type byte included. Bytes after the last part are ignored.
 *
 * @throws {WireError} when not even the lengths of the parts are there
 */
export function decodeCompound(bytes: Uint8Array): CompoundParts {
  const count = bytes[1];
  if (count === undefined) {
    throw new WireError("truncated", "missing compound length byte");
  }
  let partAt = COMPOUND_HEADER_BYTES + COMPOUND_PART_BYTES * count;
  if (bytes.length < partAt) {
    throw new WireError("truncated", "truncated len slice");
  }
  const parts: Uint8Array[] = [];
  for (let i = 0; i < count; i++) {
    const lengthAt = COMPOUND_HEADER_BYTES + COMPOUND_PART_BYTES * i;
    const length = (bytes[lengthAt] as number) << 8 |
      (bytes[lengthAt + 1] as number);
    if (partAt + length > bytes.length) {
      return { parts, truncated: count - i };
    }
    parts.push(bytes.subarray(partAt, partAt + length));
    partAt += length;
  }
  return { parts, truncated: 0 };
}
