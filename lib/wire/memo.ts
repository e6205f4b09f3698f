/**
 * Remembers what recent bytes decoded to.
 *
 * Gossip brings every claim about a member a dozen times and more, byte for byte
 * the same. Looking up the bytes costs a tenth of decoding them, and gives the
 * very same strings and objects, which makes later look-ups by name cheaper too.
 *
 * It is a cache of a pure function: nothing but time depends on it, so it may be
 * shared by all engines of a process. One slot per hash value; a newer entry
 * replaces the older one, so it never grows beyond its slots.
 */

import { equalBytes } from "../kit/bytes.ts";

interface Entry<T> {
  readonly bytes: Uint8Array;
  readonly value: T;
}

export class Memo<T> {
  readonly #decode: (bytes: Uint8Array) => T;
  readonly #slots: (Entry<T> | undefined)[];
  readonly #mask: number;
  readonly #bytesMax: number;

  /**
   * @param decode a pure function; its result may hold views into its argument,
   * which is a copy that nobody changes
   * @param options.slots a power of two
   * @param options.bytesMax longer input is decoded afresh and not remembered
   */
  constructor(
    decode: (bytes: Uint8Array) => T,
    options: { readonly slots: number; readonly bytesMax: number },
  ) {
    this.#decode = decode;
    this.#slots = new Array<Entry<T> | undefined>(options.slots);
    this.#mask = options.slots - 1;
    this.#bytesMax = options.bytesMax;
  }

  /** What the bytes decode to. Throws what `decode` throws. */
  get(bytes: Uint8Array): T {
    if (bytes.length > this.#bytesMax) return this.#decode(bytes);
    const slot = hashOf(bytes) & this.#mask;
    const known = this.#slots[slot];
    if (known !== undefined && equalBytes(known.bytes, bytes)) {
      return known.value;
    }
    const copy = bytes.slice();
    const value = this.#decode(copy);
    this.#slots[slot] = { bytes: copy, value };
    return value;
  }
}

/** FNV-1a, folded so that the low bits depend on all of it. */
function hashOf(bytes: Uint8Array): number {
  let hash = 0x811c_9dc5;
  for (let i = 0; i < bytes.length; i++) {
    hash = Math.imul(hash ^ (bytes[i] as number), 0x0100_0193);
  }
  return (hash ^ (hash >>> 15)) >>> 0;
}
