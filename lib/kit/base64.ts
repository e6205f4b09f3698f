/**
 * Base64 keys as people give them, checked as strictly as Go does.
 *
 * The platform's `atob` accepts missing padding and says nothing about where a
 * text is wrong; Serf's error messages name the byte.
 *
 * Source: Go, package encoding/base64, `StdEncoding.DecodeString`.
 */

const ALPHABET =
  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/**
 * Bytes of a padded base64 text; line breaks inside are skipped.
 *
 * @throws {SyntaxError} `illegal base64 data at input byte N`
 */
export function decodeBase64(text: string): Uint8Array {
  const source = new TextEncoder().encode(text);
  const bytes: number[] = [];
  let at = 0;
  const skipLineBreaks = () => {
    while (source[at] === 0x0a || source[at] === 0x0d) at++;
  };
  skipLineBreaks();
  while (at < source.length) {
    const group: number[] = [];
    let padding = 0;
    while (group.length + padding < 4) {
      skipLineBreaks();
      if (at === source.length) {
        throw illegal(padding > 0 ? at : at - group.length);
      }
      const char = String.fromCharCode(source[at] as number);
      const value = ALPHABET.indexOf(char);
      if (char === "=" && group.length >= 2) padding++;
      else if (value < 0 || padding > 0) throw illegal(at - padding);
      else group.push(value);
      at++;
    }
    const [a = 0, b = 0, c = 0, d = 0] = group;
    const whole = [(a << 2) | (b >> 4), (b << 4) | (c >> 2), (c << 6) | d];
    for (const byte of whole.slice(0, 3 - padding)) bytes.push(byte & 0xff);
    skipLineBreaks();
    if (padding > 0 && at < source.length) throw illegal(at);
  }
  return Uint8Array.from(bytes);
}

function illegal(at: number): SyntaxError {
  return new SyntaxError(`illegal base64 data at input byte ${at}`);
}
