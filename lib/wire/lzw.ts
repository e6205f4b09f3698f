/**
 * LZW as Go's `compress/lzw` has it with LSB-first bit order and a literal width
 * of 8 bits: the flavour of GIF, not that of TIFF.
 *
 * Codes 0 to 255 are literal bytes, 256 clears the table, 257 ends the data, and
 * 258 is the first code that is assigned. Codes start 9 bits wide and grow to
 * 12. Bits fill each byte from its low end; the last byte is padded with zeros.
 * The encoder's output equals Go's byte for byte.
 *
 * Source: Go `src/compress/lzw/writer.go` and `reader.go`; Welch, "A Technique
 * for High-Performance Data Compression" (1984).
 */

import { WireError } from "./wire_error.ts";

const CLEAR = 256;
const END = 257;
const FIRST_WIDTH = 9;
const LAST_WIDTH = 12;
/** The encoder clears its table instead of assigning this code. */
const CODE_LIMIT = 4_095;
const NONE = -1;

/**
 * The encoder's table, from (prefix code, next byte) to code: open addressing
 * at a quarter of its capacity. A slot is valid only if its stamp is that of the
 * current table, so clearing costs nothing.
 */
const SLOTS = 16_384;
/** Leaves the 14 bits of a slot number of a 32-bit hash. */
const HASH_SHIFT = 18;
const STAMP_MAX = 0xfff;
const slotKeys = new Uint32Array(SLOTS);
const slotCodes = new Uint16Array(SLOTS);
let stamp = 0;

/** Makes the table empty; slot keys carry the stamp in their top 12 bits. */
function nextStamp(): number {
  if (stamp === STAMP_MAX) {
    slotKeys.fill(0);
    stamp = 0;
  }
  return ++stamp;
}

/** Output before its length is known; reused, and given back when it is large. */
const SCRATCH_BYTES_KEPT = 262_144;
let scratch = new Uint8Array(4_096);

/** Packs codes into bytes, the first code lowest. */
class CodeWriter {
  #output: Uint8Array;
  #bits = 0;
  #bitCount = 0;
  length = 0;

  constructor(output: Uint8Array) {
    this.#output = output;
  }

  write(code: number, width: number): void {
    this.#bits |= code << this.#bitCount;
    this.#bitCount += width;
    while (this.#bitCount >= 8) {
      this.#output[this.length++] = this.#bits;
      this.#bits >>>= 8;
      this.#bitCount -= 8;
    }
  }

  /** Pads the last byte; returns a copy of everything. */
  finish(): Uint8Array {
    if (this.#bitCount > 0) this.#output[this.length++] = this.#bits;
    return this.#output.slice(0, this.length);
  }
}

/**
 * Compresses `input`, which may be empty.
 *
 * @param lengthMax gives up as soon as the output is sure to be longer, bytes
 * @returns the compressed bytes, `undefined` when they would be too long
 */
export function lzwEncode(
  input: Uint8Array,
  lengthMax: number = Infinity,
): Uint8Array | undefined {
  const codes = new CodeWriter(takeScratch(input.length));
  let width = FIRST_WIDTH;
  let lastCode = END;
  let widenAt = 1 << FIRST_WIDTH;
  let table = nextStamp();
  codes.write(CLEAR, width);

  let next = 0;
  while (next < input.length) {
    // Extend the phrase byte by byte until the table does not know it.
    let phrase = input[next++] as number;
    let key = 0;
    let slot = 0;
    while (next < input.length) {
      const pair = phrase << 8 | (input[next] as number);
      key = (table << 20 | pair) >>> 0;
      slot = Math.imul(pair, 0x9e37_79b1) >>> HASH_SHIFT;
      let found = slotKeys[slot] as number;
      while (found !== key && found >>> 20 === table) {
        slot = (slot + 1) & (SLOTS - 1);
        found = slotKeys[slot] as number;
      }
      if (found !== key) break;
      phrase = slotCodes[slot] as number;
      next++;
    }
    codes.write(phrase, width);
    if (codes.length > lengthMax) return undefined;

    lastCode++;
    if (lastCode === widenAt) {
      width++;
      widenAt <<= 1;
    }
    if (lastCode === CODE_LIMIT) {
      codes.write(CLEAR, width);
      width = FIRST_WIDTH;
      lastCode = END;
      widenAt = 1 << FIRST_WIDTH;
      table = nextStamp();
    } else if (next < input.length) {
      slotKeys[slot] = key;
      slotCodes[slot] = lastCode;
    }
  }

  codes.write(END, width);
  const output = codes.finish();
  return output.length > lengthMax ? undefined : output;
}

function takeScratch(inputBytes: number): Uint8Array {
  // A byte of input takes one 12-bit code at most; clears come every 3,838 codes.
  const size = Math.ceil(inputBytes * 1.501) + 16;
  if (scratch.length >= size) return scratch;
  const larger = new Uint8Array(size);
  if (size <= SCRATCH_BYTES_KEPT) scratch = larger;
  return larger;
}

/** Takes codes from bytes, and counts the codes that come to be assigned. */
class CodeReader {
  readonly #input: Uint8Array;
  #next = 0;
  #bits = 0;
  #bitCount = 0;
  #width = FIRST_WIDTH;
  #widenAt = 1 << FIRST_WIDTH;
  #lastCode = END;
  /** Whether a text was read since the last clear, and the table is not full. */
  #isDefining = false;
  /**
   * The code that came to stand for the text before the one just read and one
   * byte more; `NONE` if there is none.
   */
  defined = NONE;

  constructor(input: Uint8Array) {
    this.#input = input;
  }

  /**
   * The next code that stands for a text, or `END`.
   *
   * @throws {WireError} when the input is over, or the code is not assigned
   */
  read(): number {
    while (true) {
      while (this.#bitCount < this.#width) {
        if (this.#next === this.#input.length) throw truncated();
        this.#bits |= (this.#input[this.#next++] as number) << this.#bitCount;
        this.#bitCount += 8;
      }
      const code = this.#bits & ((1 << this.#width) - 1);
      this.#bits >>>= this.#width;
      this.#bitCount -= this.#width;
      if (code === END) return END;
      if (code === CLEAR) {
        this.#width = FIRST_WIDTH;
        this.#widenAt = 1 << FIRST_WIDTH;
        this.#lastCode = END;
        this.#isDefining = false;
      } else if (code > this.#lastCode) throw invalidCode();
      else {
        this.#assign();
        return code;
      }
    }
  }

  #assign(): void {
    this.defined = this.#isDefining ? this.#lastCode : NONE;
    this.#isDefining = true;
    if (++this.#lastCode < this.#widenAt) return;
    if (this.#width < LAST_WIDTH) {
      this.#width++;
      this.#widenAt <<= 1;
    } else {
      this.#isDefining = false;
      this.#lastCode--;
    }
  }
}

/**
 * The decoder's table. An entry is the text of the code before it and one byte
 * more, and that text stands in the output already: where it starts and how long
 * it is are all there is to remember.
 */
const entryStarts = new Uint32Array(CODE_LIMIT + 1);
const entryLengths = new Uint16Array(CODE_LIMIT + 1);

/**
 * Decompresses `input`; what follows its end code is ignored.
 *
 * @param lengthMax most bytes of output
 * @throws {WireError} with Go's texts: no end code, a code that is not assigned;
 * with memberlist's when the output is longer than `lengthMax`
 */
export function lzwDecode(input: Uint8Array, lengthMax: number): Uint8Array {
  const codes = new CodeReader(input);
  let output = new Uint8Array(Math.min(lengthMax, 4 * input.length + 64));
  let length = 0;
  /** Where the text of the previous code starts. */
  let previous = 0;

  for (let code = codes.read(); code !== END; code = codes.read()) {
    if (codes.defined !== NONE) {
      entryStarts[codes.defined] = previous;
      entryLengths[codes.defined] = length - previous + 1;
    }
    const size = code < CLEAR ? 1 : entryLengths[code] as number;
    if (length + size > lengthMax) throw tooLong(lengthMax);
    if (length + size > output.length) {
      output = withRoom(output, decodedLength(input, lengthMax));
    }
    previous = length;
    if (code < CLEAR) {
      output[length++] = code;
    } else {
      // The entry may overlap what is being written: its last byte is our first.
      let from = entryStarts[code] as number;
      for (const end = length + size; length < end;) {
        output[length++] = output[from++] as number;
      }
    }
  }
  return output.subarray(0, length);
}

function withRoom(bytes: Uint8Array, size: number): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(size);
  larger.set(bytes);
  return larger;
}

/** Lengths of the codes' texts, for `decodedLength` alone. */
const countedLengths = new Uint16Array(CODE_LIMIT + 1);

/**
 * How long the output of `lzwDecode` will be. It takes a step for each code, not
 * for each byte, and no room at all, so that a small input which claims to be a
 * huge one costs next to nothing.
 *
 * @throws {WireError} where `lzwDecode` would, in the same words
 */
function decodedLength(input: Uint8Array, lengthMax: number): number {
  const codes = new CodeReader(input);
  let length = 0;
  /** Length of the previous code's text. */
  let previous = 0;

  for (let code = codes.read(); code !== END; code = codes.read()) {
    if (codes.defined !== NONE) countedLengths[codes.defined] = previous + 1;
    previous = code < CLEAR ? 1 : countedLengths[code] as number;
    length += previous;
    if (length > lengthMax) throw tooLong(lengthMax);
  }
  return length;
}

function truncated(): WireError {
  return new WireError("badCompression", "unexpected EOF");
}

function invalidCode(): WireError {
  return new WireError("badCompression", "lzw: invalid code");
}

function tooLong(lengthMax: number): WireError {
  return new WireError(
    "oversized",
    `decompressed message is larger than limit (${lengthMax})`,
  );
}
