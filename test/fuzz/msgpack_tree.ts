/**
 * Changes to what is said rather than to bytes: a message is taken apart into its
 * msgpack values, one of them is changed, and all is put together again with
 * counts that are right. So it passes the first look of a decoder, which bytes
 * changed at random seldom do.
 */

import { concatBytes, utf8Bytes } from "../../lib/kit/bytes.ts";
import type { Random } from "../../lib/kit/random.ts";

/** A value: the bytes of a scalar, or what is in an array or a map. */
type Value =
  | { readonly bytes: Uint8Array }
  | { readonly kind: "array" | "map"; readonly items: Value[] };

/** What stands before the values (types of messages), and behind them. */
export interface Message {
  readonly before: Uint8Array;
  readonly values: readonly Value[];
  readonly behind: Uint8Array;
}

/** Types of messages stand before the values, never more bytes than this. */
const BEFORE_BYTES_MAX = 3;
const DEPTH_MAX = 32;
const DEEP = 600;

/** Values that one would not expect, encoded. */
const TELLING_VALUES: readonly (readonly number[])[] = [
  ...[[0xc0], [0xc2], [0xc3], [0x00], [0x7f], [0xff], [0xe0]],
  [0xcc, 0xff],
  [0xcd, 0xff, 0xff],
  [0xce, 0xff, 0xff, 0xff, 0xff],
  [0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
  [0xcf, 0x00, 0x20, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01],
  [0xd2, 0x80, 0x00, 0x00, 0x00],
  [0xd3, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00],
  [0xca, 0x7f, 0xc0, 0x00, 0x00],
  [0xcb, 0x7f, 0xf0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00],
  [0xcb, 0xff, 0xef, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
  ...[[0xa0], [0xc4, 0x00], [0xd9, 0x00], [0x80], [0x90]],
  [0xa2, 0xff, 0xfe],
  [0xa4, ...utf8Bytes("a\n\0\x1b")],
  [0xda, 0x01, 0x2c, ...new Uint8Array(300).fill(0x61)],
  [0xc5, 0x02, 0x01, ...new Uint8Array(513)],
  [0xd6, 0xff, 0x00, 0x00, 0x00, 0x01],
  [0xdd, 0x00, 0x00, 0x00, 0x02, 0xc0, 0xc0],
];

/** Takes a message apart; `undefined` when no map is in it. */
export function parseMessage(bytes: Uint8Array): Message | undefined {
  for (let start = 0; start <= BEFORE_BYTES_MAX; start++) {
    const values: Value[] = [];
    let at = start;
    while (at < bytes.length) {
      const parsed = parseValue(bytes, at, 0);
      if (parsed === undefined) break;
      values.push(parsed.value);
      at = parsed.end;
    }
    const first = values[0];
    if (first === undefined || !("items" in first)) continue;
    if (first.items.length === 0) continue;
    const before = bytes.slice(0, start);
    return { before, values, behind: bytes.slice(at) };
  }
  return undefined;
}

function parseValue(
  bytes: Uint8Array,
  at: number,
  depth: number,
): { value: Value; end: number } | undefined {
  const head = bytes[at];
  if (head === undefined || depth > DEPTH_MAX) return undefined;
  const count = countAt(bytes, at, head);
  if (count !== undefined) {
    const { kind, first } = count;
    const items: Value[] = [];
    let next = first;
    for (let i = 0; i < count.items; i++) {
      const item = parseValue(bytes, next, depth + 1);
      if (item === undefined) return undefined;
      items.push(item.value);
      next = item.end;
    }
    return { value: { kind, items }, end: next };
  }
  const end = scalarEnd(bytes, at, head);
  if (end === undefined || end > bytes.length) return undefined;
  return { value: { bytes: bytes.slice(at, end) }, end };
}

/** How many values follow the head of an array or a map. */
function countAt(
  bytes: Uint8Array,
  at: number,
  head: number,
): { kind: "array" | "map"; items: number; first: number } | undefined {
  if (head >= 0x80 && head <= 0x8f) {
    return { kind: "map", items: 2 * (head & 15), first: at + 1 };
  }
  if (head >= 0x90 && head <= 0x9f) {
    return { kind: "array", items: head & 15, first: at + 1 };
  }
  if (head < 0xdc || head > 0xdf) return undefined;
  const width = head % 2 === 0 ? 2 : 4;
  const number = numberAt(bytes, at + 1, width);
  if (number === undefined) return undefined;
  const kind = head < 0xde ? "array" : "map";
  const items = kind === "map" ? 2 * number : number;
  return { kind, items, first: at + 1 + width };
}

function scalarEnd(
  bytes: Uint8Array,
  at: number,
  head: number,
): number | undefined {
  if (head < 0x80 || head >= 0xe0 || head === 0xc0) return at + 1;
  if (head === 0xc2 || head === 0xc3) return at + 1;
  if (head >= 0xa0 && head <= 0xbf) return at + 1 + (head & 31);
  const fixed = FIXED_BYTES.get(head);
  if (fixed !== undefined) return at + 1 + fixed;
  const width = LENGTH_BYTES.get(head);
  if (width === undefined) return undefined;
  const length = numberAt(bytes, at + 1, width);
  if (length === undefined) return undefined;
  const isExtension = head >= 0xc7 && head <= 0xc9;
  return at + 1 + width + length + (isExtension ? 1 : 0);
}

/** Bytes behind the heads of numbers and small extensions. */
const FIXED_BYTES: ReadonlyMap<number, number> = new Map([
  ...[[0xca, 4], [0xcb, 8], [0xcc, 1], [0xcd, 2], [0xce, 4], [0xcf, 8]],
  ...[[0xd0, 1], [0xd1, 2], [0xd2, 4], [0xd3, 8]],
  ...[[0xd4, 2], [0xd5, 3], [0xd6, 5], [0xd7, 9], [0xd8, 17]],
] as [number, number][]);

/** Bytes of the length behind the heads of texts, bytes and extensions. */
const LENGTH_BYTES: ReadonlyMap<number, number> = new Map([
  ...[[0xc4, 1], [0xc5, 2], [0xc6, 4], [0xc7, 1], [0xc8, 2], [0xc9, 4]],
  ...[[0xd9, 1], [0xda, 2], [0xdb, 4]],
] as [number, number][]);

function numberAt(
  bytes: Uint8Array,
  at: number,
  width: number,
): number | undefined {
  if (at + width > bytes.length) return undefined;
  let number = 0;
  for (const byte of bytes.subarray(at, at + width)) {
    number = number * 256 + byte;
  }
  return number;
}

/** Puts a message together, counts in their shortest form. */
export function encodeMessage(message: Message): Uint8Array {
  const pieces = [message.before];
  for (const value of message.values) encodeValue(value, pieces);
  pieces.push(message.behind);
  return concatBytes(pieces);
}

function encodeValue(value: Value, pieces: Uint8Array[]): void {
  if ("bytes" in value) {
    pieces.push(value.bytes);
    return;
  }
  const { kind, items } = value;
  const count = kind === "map" ? items.length >> 1 : items.length;
  const fixed = kind === "map" ? 0x80 : 0x90;
  pieces.push(
    count < 16
      ? Uint8Array.of(fixed | count)
      : Uint8Array.of(kind === "map" ? 0xde : 0xdc, count >> 8, count),
  );
  for (const item of items) encodeValue(item, pieces);
}

/** Where a value is, so that it can be changed: its place in a container. */
interface Place {
  readonly kind: "array" | "map";
  readonly items: Value[];
  readonly i: number;
}

function placesIn(message: Message): Place[] {
  const places: Place[] = [];
  const collect = (value: Value) => {
    if (!("items" in value)) return;
    for (const [i, item] of value.items.entries()) {
      places.push({ kind: value.kind, items: value.items, i });
      collect(item);
    }
  };
  message.values.forEach(collect);
  return places;
}

/** A place among all, chosen by chance; containers in it have at least one item. */
function placeIn(message: Message, random: Random): Place | undefined {
  const places = placesIn(message);
  return places[random.below(Math.max(1, places.length))];
}

/**
 * A message with one or two of its values changed.
 *
 * @param others where values may come from instead
 * @returns `undefined` when the bytes are no message with a map in it
 */
export function withValuesChanged(
  bytes: Uint8Array,
  others: Uint8Array,
  random: Random,
): Uint8Array | undefined {
  const message = parseMessage(bytes);
  if (message === undefined) return undefined;
  for (let i = 0; i <= random.below(2); i++) {
    const place = placeIn(message, random);
    if (place !== undefined) changeAt(place, others, random);
  }
  return encodeMessage(message);
}

function changeAt(
  { kind, items, i }: Place,
  others: Uint8Array,
  random: Random,
): void {
  // In a map keys and values come and go together.
  const isMap = kind === "map";
  const first = isMap ? i & ~1 : i;
  const size = isMap ? 2 : 1;
  switch (random.below(8)) {
    case 0:
      items.splice(first, size);
      break;
    case 1: // Said twice, or a hundred times, with other things in between.
      for (let n = random.below(2) * 100; n >= 0; n--) {
        items.push(...items.slice(first, first + size));
      }
      break;
    case 2: { // At another's place: a value in a key's place as well.
      const j = random.below(items.length);
      [items[i], items[j]] = [items[j] as Value, items[i] as Value];
      break;
    }
    case 3: { // What another message says at some place.
      const other = parseMessage(others);
      const place = other && placeIn(other, random);
      if (place !== undefined) items[i] = place.items[place.i] as Value;
      break;
    }
    case 4: { // Deep inside of arrays.
      const depth = 1 + random.below(DEEP);
      items[i] = { bytes: new Uint8Array(depth).fill(0x91, 0, depth - 1) };
      break;
    }
    default: {
      const telling = TELLING_VALUES[random.below(TELLING_VALUES.length)];
      items[i] = { bytes: Uint8Array.from(telling ?? []) };
    }
  }
}
