/**
 * Text from UTF-8 bytes, for the short names that every message repeats.
 *
 * A cluster says the same few hundred names over and over, so short ASCII texts
 * are looked up in a small direct-mapped table before they are decoded: that is
 * faster than decoding, and all messages then share one string per name. The
 * table never grows; a collision overwrites.
 */

const SLOTS = 2_048;
const CACHED_BYTES_MAX = 48;

const slots: string[] = new Array<string>(SLOTS).fill("");
const strictDecoder = new TextDecoder("utf-8", {
  fatal: true,
  ignoreBOM: true,
});

/**
 * Text of `bytes` from `start` to `end`, kept to the byte: a leading byte order
 * mark stays.
 *
 * @returns `undefined` when the bytes are not valid UTF-8
 */
export function decodeText(
  bytes: Uint8Array,
  start = 0,
  end: number = bytes.length,
): string | undefined {
  const length = end - start;
  if (length > CACHED_BYTES_MAX) return decodeStrictly(bytes, start, end);
  if (length === 0) return "";
  let hash = length;
  let union = 0;
  for (let i = start; i < end; i++) {
    const byte = bytes[i] as number;
    union |= byte;
    hash = Math.imul(hash ^ byte, 0x0100_0193);
  }
  // Only ASCII is cached: there one character is one byte, and comparing is cheap.
  if (union >= 0x80) return decodeStrictly(bytes, start, end);
  const slot = (hash ^ (hash >>> 15)) & (SLOTS - 1);
  const cached = slots[slot] as string;
  if (isSameAscii(cached, bytes, start, length)) return cached;
  const text = String.fromCharCode.apply(
    null,
    bytes.subarray(start, end) as unknown as number[],
  );
  slots[slot] = text;
  return text;
}

function isSameAscii(
  text: string,
  bytes: Uint8Array,
  start: number,
  length: number,
): boolean {
  if (text.length !== length) return false;
  for (let i = 0; i < length; i++) {
    if (text.charCodeAt(i) !== bytes[start + i]) return false;
  }
  return true;
}

function decodeStrictly(
  bytes: Uint8Array,
  start: number,
  end: number,
): string | undefined {
  try {
    return strictDecoder.decode(bytes.subarray(start, end));
  } catch {
    return undefined;
  }
}
