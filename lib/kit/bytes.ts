/** Small operations on byte strings that the platform lacks. */

/** A shared empty byte string. */
export const EMPTY_BYTES: Uint8Array = new Uint8Array(0);

const textEncoder = new TextEncoder();
const textDecoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** UTF-8 bytes of `text`; lone surrogates become U+FFFD. */
export function utf8Bytes(text: string): Uint8Array {
  return textEncoder.encode(text);
}

/**
 * Text of UTF-8 `bytes`; what is not UTF-8 becomes U+FFFD. A byte order mark is
 * a character like others, as it is in Go.
 */
export function utf8Text(bytes: Uint8Array): string {
  return textDecoder.decode(bytes);
}

/** Whether both hold the same bytes. Not constant in time: never for secrets. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) {
    if (a[i] !== b[i]) return false;
  }
  return true;
}

/** One byte string with the given ones in order. */
export function concatBytes(parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const whole = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

/** Lower-case hexadecimal digits of `bytes`. */
export function hexOf(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += byte.toString(16).padStart(2, "0");
  return text;
}

/**
 * Bytes of a hexadecimal text.
 *
 * @throws {SyntaxError} when the text has an odd length or another character
 */
export function bytesOfHex(text: string): Uint8Array {
  if (text.length % 2 !== 0 || /[^0-9a-fA-F]/.test(text)) {
    throw new SyntaxError(
      `Cannot read hexadecimal text ${JSON.stringify(text)}`,
    );
  }
  const bytes = new Uint8Array(text.length / 2);
  for (let i = 0; i < bytes.length; i++) {
    bytes[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16);
  }
  return bytes;
}
