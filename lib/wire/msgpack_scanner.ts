/**
 * Finds where a msgpack value ends, without decoding it.
 *
 * Two jobs need that. A stream has no outer length, so only the value itself
 * tells when it is complete; the scanner resumes where it stopped, and a value
 * that arrives one byte at a time is still scanned in linear time. And nothing
 * may be allocated by an announced size: a value whose end was found has all its
 * announced bytes and items, so a decoder may then trust every header in it.
 *
 * The walk keeps one count per open container and does not recurse. It knows
 * the forms of the format but not what a value means; `msgpack.ts` does.
 *
 * Source: the msgpack specification, https://github.com/msgpack/msgpack.
 */

import { EXTRA_BYTES, LENGTH_BYTES, uintAt } from "./msgpack_reader.ts";
import { WireError } from "./wire_error.ts";

/** Deepest nesting, that of go-msgpack 2; genuine messages have five levels. */
const DEPTH_MAX = 1_024;

/** What the bytes of a message may hold. */
export interface ScanLimits {
  /** Longest value, bytes; announced lengths beyond it are refused at once. */
  readonly bytesMax: number;
  /** Most values, counting each key, item and container. */
  readonly valuesMax: number;
}

/** Limits for one struct of a few fields, wherever it comes from. */
export const STRUCT_LIMITS: ScanLimits = {
  bytesMax: 41_943_040,
  valuesMax: 65_536,
};

/** Finds the end of one value after another. */
export class MsgpackScanner {
  readonly #limits: ScanLimits;
  /** Items still to come of each open container, the innermost last. */
  readonly #open: number[] = [];
  #start = 0;
  #offset = 0;
  #values = 0;

  constructor(limits: ScanLimits) {
    this.#limits = limits;
  }

  /** Starts over with the value that begins at `offset`. */
  restart(offset: number): void {
    this.#open.length = 0;
    this.#start = offset;
    this.#offset = offset;
    this.#values = 0;
  }

  /**
   * Goes on as far as the bytes reach.
   *
   * @param bytes everything so far, from the same origin at each call
   * @param available how many of them have arrived
   * @returns the offset just past the value; `undefined` when more is needed
   * @throws {WireError} for a byte that starts no value, or beyond a limit
   */
  scan(bytes: Uint8Array, available: number): number | undefined {
    const open = this.#open;
    const { bytesMax, valuesMax } = this.#limits;
    let offset = this.#offset;
    while (offset < available) {
      const head = bytes[offset] as number;
      let size = 1;
      let items = 0;
      if (head < 0x80 || head >= 0xe0) {
        // A small integer is its own head.
      } else if (head < 0x90) {
        items = 2 * (head & 0x0f);
      } else if (head < 0xa0) {
        items = head & 0x0f;
      } else if (head < 0xc0) {
        size = 1 + (head & 0x1f);
      } else {
        const lengthBytes = LENGTH_BYTES[head - 0xc0] as number;
        if (offset + 1 + lengthBytes > available) break;
        const length = lengthBytes === 0
          ? 0
          : uintAt(bytes, offset + 1, lengthBytes);
        size = 1 + lengthBytes + (EXTRA_BYTES[head - 0xc0] as number);
        if (head >= 0xdc) {
          items = head >= 0xde ? 2 * length : length;
        } else {
          size += length;
          if (head === 0xc1) {
            throw new WireError(
              "badValue",
              "msgpack decode error: unrecognized descriptor byte: c1",
            );
          }
        }
      }
      if (offset - this.#start + size + items > bytesMax) {
        throw new WireError(
          "oversized",
          `msgpack decode error: value is larger than limit (${bytesMax})`,
        );
      }
      if (offset + size > available) break;
      offset += size;
      if (++this.#values > valuesMax) {
        throw new WireError(
          "oversized",
          `msgpack decode error: more values than limit (${valuesMax})`,
        );
      }
      if (items > 0) {
        if (open.length === DEPTH_MAX) {
          throw new WireError(
            "oversized",
            "msgpack decode error: nested too deeply",
          );
        }
        open.push(items);
      } else {
        this.#closeFinished();
        if (open.length === 0) {
          this.#offset = offset;
          return offset;
        }
      }
    }
    this.#offset = offset;
    return undefined;
  }

  /** Counts a finished item in its container, which may finish that in turn. */
  #closeFinished(): void {
    const open = this.#open;
    while (open.length > 0) {
      const left = (open[open.length - 1] as number) - 1;
      if (left > 0) {
        open[open.length - 1] = left;
        return;
      }
      open.pop();
    }
  }
}
