/**
 * Makes a keyring of keys as people give them. The ciphers take some 6 MB and are
 * loaded here, so that only a node with keys pays for them.
 */

import { decodeBase64 } from "../kit/base64.ts";
import type { Keyring } from "../wire/keyring.ts";

/** A key of 16, 24 or 32 bytes, or its base64, as `serf keygen` prints it. */
export type EncryptKey = string | Uint8Array;

/**
 * Loads the ciphers and puts keys into a ring.
 *
 * @param keys at least one; the first seals what we send, all open what we receive
 * @throws {SyntaxError} when a text is not base64
 * @throws {RangeError} when there is no key, or one has another length than 16, 24
 * or 32 bytes
 */
export async function loadKeyring(
  keys: readonly EncryptKey[],
): Promise<Keyring> {
  if (keys.length === 0) throw new RangeError("there is no key");
  const decoded = keys.map((key) =>
    typeof key === "string" ? decodeBase64(key) : key
  );
  const { Keyring } = await import("../wire/keyring.ts");
  return new Keyring(decoded);
}
