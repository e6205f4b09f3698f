/**
 * The shape of sealed bytes, and how long they are: a version, a 12-byte nonce,
 * the ciphertext and a 16-byte tag. The ciphers themselves are in `aead.ts`,
 * which a node without encryption need not load.
 *
 * Source: memberlist `security.go`.
 */

/** 0 pads the message to whole blocks first, 1 does not. */
export type EncryptionVersion = 0 | 1;

export const VERSION_BYTES = 1;
export const NONCE_BYTES = 12;
export const TAG_BYTES = 16;
/** Blocks that version 0 pads to. */
export const BLOCK_BYTES = 16;
/** What stands in front of the ciphertext. */
export const SEAL_HEADER_BYTES = VERSION_BYTES + NONCE_BYTES;

/** Most bytes that sealing adds to a message. */
export function sealOverheadBytes(version: EncryptionVersion): number {
  return SEAL_HEADER_BYTES + (version === 0 ? BLOCK_BYTES : 0) + TAG_BYTES;
}

/** How long a message of that many bytes is once sealed. */
export function sealedLength(
  version: EncryptionVersion,
  messageBytes: number,
): number {
  return SEAL_HEADER_BYTES + messageBytes +
    paddingBytes(version, messageBytes) + TAG_BYTES;
}

export function paddingBytes(
  version: EncryptionVersion,
  messageBytes: number,
): number {
  return version === 0 ? BLOCK_BYTES - messageBytes % BLOCK_BYTES : 0;
}
