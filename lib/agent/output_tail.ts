/** The end of an output of any length: its last bytes, and no others. */

import { concatBytes, EMPTY_BYTES } from "../kit/bytes.ts";

export class OutputTail {
  readonly #bytesMax: number;
  #kept = EMPTY_BYTES;
  #bytesTotal = 0;

  /** @param bytesMax how many bytes are kept, at least 1 */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Bytes ever pushed. */
  get bytesTotal(): number {
    return this.#bytesTotal;
  }

  push(chunk: Uint8Array): void {
    this.#bytesTotal += chunk.length;
    const max = this.#bytesMax;
    if (chunk.length >= max) {
      this.#kept = chunk.slice(chunk.length - max);
      return;
    }
    const surplus = this.#kept.length + chunk.length - max;
    this.#kept = concatBytes([
      this.#kept.subarray(Math.max(0, surplus)),
      chunk,
    ]);
  }

  /** What is kept; not changed by later pushes. */
  toBytes(): Uint8Array {
    return this.#kept;
  }
}
