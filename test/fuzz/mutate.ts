/** Inputs near to given ones, chosen by a seeded source. */

import { concatBytes } from "../../lib/kit/bytes.ts";
import type { Random } from "../../lib/kit/random.ts";
import { withValuesChanged } from "./msgpack_tree.ts";

const INPUT_BYTES_MAX = 4_096;

/** Heads and lengths at which decoders change their mind. */
const TELLING_BYTES = [
  ...[0x00, 0x01, 0x07, 0x08, 0x09, 0x0a, 0x0c, 0x0d, 0x1f, 0x20, 0x7f],
  ...[0x80, 0x81, 0x8f, 0x90, 0x9f, 0xa0, 0xbf],
  ...[0xc0, 0xc1, 0xc2, 0xc4, 0xc6, 0xc7, 0xc9, 0xca, 0xcb, 0xcc, 0xcf],
  ...[0xd0, 0xd3, 0xd4, 0xd8, 0xd9, 0xda, 0xdb, 0xdc, 0xdd, 0xde, 0xdf],
  ...[0xe0, 0xf4, 0xff],
];

/** A few changes to one of the seeds: to its bytes, or to the values in it. */
export function mutated(
  seeds: readonly Uint8Array[],
  random: Random,
): Uint8Array {
  let bytes: Uint8Array = pick(seeds, random).slice();
  if (random.below(2) === 0) {
    const other = pick(seeds, random);
    const changed = withValuesChanged(bytes, other, random);
    if (changed !== undefined) return changed.slice(0, INPUT_BYTES_MAX);
  }
  const changes = 1 + random.below(4);
  for (let i = 0; i < changes; i++) bytes = change(bytes, seeds, random);
  return bytes.slice(0, INPUT_BYTES_MAX);
}

function change(
  bytes: Uint8Array,
  seeds: readonly Uint8Array[],
  random: Random,
): Uint8Array {
  const at = random.below(bytes.length + 1);
  switch (random.below(8)) {
    case 0:
      return overwrite(bytes, at, [random.below(256)]);
    case 1:
      return overwrite(bytes, at, [pick(TELLING_BYTES, random)]);
    case 2:
      return overwrite(bytes, at, [(bytes[at] ?? 0) ^ (1 << random.below(8))]);
    case 3: // A length or number of four bytes.
      return overwrite(bytes, at, [0xff, 0xff, 0xff, random.below(256)]);
    case 4:
      return bytes.slice(0, at);
    case 5: // Cut something out.
      return splice(bytes, at, random.below(8), new Uint8Array(0));
    case 6: // Say something twice.
      return splice(bytes, at, 0, bytes.slice(at, at + 1 + random.below(32)));
    default: { // Continue with another seed.
      const other = pick(seeds, random);
      return splice(
        bytes,
        at,
        bytes.length,
        other.slice(random.below(other.length + 1)),
      );
    }
  }
}

function pick<T>(items: readonly T[], random: Random): T {
  return items[random.below(items.length)] as T;
}

function overwrite(
  bytes: Uint8Array,
  at: number,
  values: readonly number[],
): Uint8Array {
  for (const [i, value] of values.entries()) {
    if (at + i < bytes.length) bytes[at + i] = value;
  }
  return bytes;
}

function splice(
  bytes: Uint8Array,
  at: number,
  remove: number,
  insert: Uint8Array,
): Uint8Array {
  return concatBytes([
    bytes.subarray(0, at),
    insert,
    bytes.subarray(at + remove),
  ]);
}
