/**
 * Reads msgpack values in place: what begins at an offset, and where it ends.
 *
 * Every function here trusts the bytes. A `MsgpackScanner` must have found the
 * value at `offset` to be complete; then all announced bytes and items are there.
 * Nothing is copied and no tree is built, so that a struct of known fields costs
 * no more than a walk over its bytes (`msgpack.ts`).
 *
 * Source: the msgpack specification, https://github.com/msgpack/msgpack.
 */

/** What a value is; text and bin both hold bytes. */
export type ValueKind =
  | "nil"
  | "bool"
  | "integer"
  | "float"
  | "text"
  | "bin"
  | "array"
  | "map"
  | "extension";

/** Width of the length field after each head c0..df. */
export const LENGTH_BYTES: readonly number[] = [
  ...[0, 0, 0, 0], // nil, unassigned, false, true
  ...[1, 2, 4], // bin
  ...[1, 2, 4], // ext
  ...[0, 0], // float
  ...[0, 0, 0, 0], // uint
  ...[0, 0, 0, 0], // int
  ...[0, 0, 0, 0, 0], // fixext
  ...[1, 2, 4], // str
  ...[2, 4], // array
  ...[2, 4], // map
];

/** Bytes that each head c0..df announces by itself, beside its length field. */
export const EXTRA_BYTES: readonly number[] = [
  ...[0, 0, 0, 0],
  ...[0, 0, 0],
  ...[1, 1, 1], // the type of an ext
  ...[4, 8],
  ...[1, 2, 4, 8],
  ...[1, 2, 4, 8],
  ...[2, 3, 5, 9, 17],
  ...[0, 0, 0],
  ...[0, 0],
  ...[0, 0],
];

/** Kinds of the heads c0..df. */
const KINDS: readonly ValueKind[] = [
  ...["nil", "extension", "bool", "bool"] as const,
  ...["bin", "bin", "bin"] as const,
  ...["extension", "extension", "extension"] as const,
  ...["float", "float"] as const,
  ...["integer", "integer", "integer", "integer"] as const,
  ...["integer", "integer", "integer", "integer"] as const,
  ...["extension", "extension", "extension", "extension"] as const,
  ...["extension", "text", "text", "text"] as const,
  ...["array", "array", "map", "map"] as const,
];

const HEAD_TRUE = 0xc3;
const HEAD_FLOAT32 = 0xca;
const HEAD_UINT64 = 0xcf;
const HEAD_INT8 = 0xd0;
const HEAD_INT64 = 0xd3;

/** Where floating-point numbers are put together. */
const scratch = new DataView(new ArrayBuffer(8));

export function kindAt(bytes: Uint8Array, offset: number): ValueKind {
  const head = bytes[offset] as number;
  if (head < 0x80 || head >= 0xe0) return "integer";
  if (head < 0x90) return "map";
  if (head < 0xa0) return "array";
  if (head < 0xc0) return "text";
  return KINDS[head - 0xc0] as ValueKind;
}

/** Bytes of a text or bin, items of an array, pairs of a map. */
export function sizeAt(bytes: Uint8Array, offset: number): number {
  const head = bytes[offset] as number;
  if (head < 0xa0) return head & 0x0f;
  if (head < 0xc0) return head & 0x1f;
  return uintAt(bytes, offset + 1, LENGTH_BYTES[head - 0xc0] as number);
}

/** Where the bytes of a text or bin begin, or the first item of a container. */
export function contentAt(bytes: Uint8Array, offset: number): number {
  const head = bytes[offset] as number;
  return head < 0xc0
    ? offset + 1
    : offset + 1 + (LENGTH_BYTES[head - 0xc0] as number);
}

/** Offset just past the value. */
export function endAt(bytes: Uint8Array, offset: number): number {
  let end = offset;
  for (let left = 1; left > 0; left--) {
    const head = bytes[end] as number;
    if (head < 0x80 || head >= 0xe0) {
      end++;
    } else if (head < 0x90) {
      left += 2 * (head & 0x0f);
      end++;
    } else if (head < 0xa0) {
      left += head & 0x0f;
      end++;
    } else if (head < 0xc0) {
      end += 1 + (head & 0x1f);
    } else {
      const width = LENGTH_BYTES[head - 0xc0] as number;
      const size = width === 0 ? 0 : uintAt(bytes, end + 1, width);
      end += 1 + width + (EXTRA_BYTES[head - 0xc0] as number);
      if (head < 0xdc) end += size;
      else left += head >= 0xde ? 2 * size : size;
    }
  }
  return end;
}

/** The bytes of a text or bin, as a view. */
export function rawAt(bytes: Uint8Array, offset: number): Uint8Array {
  const start = contentAt(bytes, offset);
  return bytes.subarray(start, start + sizeAt(bytes, offset));
}

export function boolAt(bytes: Uint8Array, offset: number): boolean {
  return bytes[offset] === HEAD_TRUE;
}

/** An integer of any width: a number if it takes at most 32 bits, else a bigint. */
export function integerAt(
  bytes: Uint8Array,
  offset: number,
): number | bigint {
  const head = bytes[offset] as number;
  if (head < 0x80) return head;
  if (head >= 0xe0) return head - 0x100;
  if (head === HEAD_UINT64 || head === HEAD_INT64) {
    const high = BigInt(uintAt(bytes, offset + 1, 4));
    const value = high << 32n | BigInt(uintAt(bytes, offset + 5, 4));
    return head === HEAD_INT64 ? BigInt.asIntN(64, value) : value;
  }
  const width = EXTRA_BYTES[head - 0xc0] as number;
  const value = uintAt(bytes, offset + 1, width);
  const limit = 2 ** (8 * width);
  return head >= HEAD_INT8 && value >= limit / 2 ? value - limit : value;
}

export function floatAt(bytes: Uint8Array, offset: number): number {
  const isSingle = bytes[offset] === HEAD_FLOAT32;
  for (let i = 0; i < (isSingle ? 4 : 8); i++) {
    scratch.setUint8(i, bytes[offset + 1 + i] as number);
  }
  return isSingle ? scratch.getFloat32(0) : scratch.getFloat64(0);
}

/** An unsigned number of `width` bytes, at most 4; 0 for none. */
export function uintAt(
  bytes: Uint8Array,
  offset: number,
  width: number,
): number {
  let value = 0;
  for (let i = 0; i < width; i++) {
    value = value * 256 + (bytes[offset + i] as number);
  }
  return value;
}
