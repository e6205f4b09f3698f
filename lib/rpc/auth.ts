/** Comparison of secrets. */

import { utf8Bytes } from "../kit/bytes.ts";

/**
 * Whether a client knows the token.
 *
 * The time taken depends on the length of the token alone, not on how much of
 * the guess is right, so that nobody finds it byte by byte.
 */
export function isSameSecret(guess: string, secret: string): boolean {
  const guessed = utf8Bytes(guess);
  const expected = utf8Bytes(secret);
  let difference = guessed.length ^ expected.length;
  for (let i = 0; i < expected.length; i++) {
    difference |= (expected[i] as number) ^ (guessed[i] ?? 0);
  }
  return difference === 0;
}
