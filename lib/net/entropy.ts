/**
 * Randomness from the operating system: what the pure engines are seeded with.
 */

import { Random } from "../kit/random.ts";

/** Bytes of an AES-GCM nonce. */
const NONCE_BYTES = 12;
/** Nonces fetched from the system at once; fetching one by one costs ten times as much. */
const NONCES_PER_FETCH = 85;

/** A generator whose seed nobody can guess. Its output is still not secret. */
export function seededRandom(): Random {
  const words = crypto.getRandomValues(new Uint32Array(2));
  const high = (words[0] as number) & 0x1f_ffff;
  return new Random(high * 0x1_0000_0000 + (words[1] as number));
}

/**
 * Makes a source of nonces for AES-GCM.
 *
 * Each call of the source gives 12 fresh random bytes that nobody else holds.
 * Random nonces are what the cluster's other members use as well; NIST SP
 * 800-38D, section 8.3, allows 2^32 of them under one key.
 */
export function nonceSource(): () => Uint8Array {
  let pool = new Uint8Array(0);
  let offset = 0;
  return () => {
    if (offset === pool.length) {
      // A new pool each time: nonces that were handed out stay untouched.
      pool = crypto.getRandomValues(
        new Uint8Array(NONCES_PER_FETCH * NONCE_BYTES),
      );
      offset = 0;
    }
    offset += NONCE_BYTES;
    return pool.subarray(offset - NONCE_BYTES, offset);
  };
}
