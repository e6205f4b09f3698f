/**
 * Sealing: AES-GCM around a message, as packets and stream frames carry it.
 *
 * Sealed bytes are a version, a 12-byte nonce, the ciphertext and a 16-byte tag.
 * Version 1 seals a message as it is. Version 0, for memberlist's protocol 1,
 * pads it first to whole blocks of 16 bytes (PKCS #7). The nonce comes from the
 * caller and must never repeat under one key.
 *
 * This is the only file that knows a cipher library. It is synchronous, so that
 * a packet's whole way runs to completion. Ciphers are the platform's, but for
 * AES-192 in this mode, which Deno's `node:crypto` lacks (2.9); those keys are
 * rare, and a library in JavaScript that takes some 20 us a packet serves them.
 *
 * Source: memberlist `security.go`.
 */

import { createCipheriv, createDecipheriv } from "node:crypto";
import { gcm } from "@noble/ciphers/aes.js";
import { assert } from "../kit/assert.ts";
import {
  BLOCK_BYTES,
  type EncryptionVersion,
  NONCE_BYTES,
  paddingBytes,
  SEAL_HEADER_BYTES,
  sealedLength,
  sealOverheadBytes,
  TAG_BYTES,
  VERSION_BYTES,
} from "./seal_size.ts";
import { WireError } from "./wire_error.ts";

/** What `seal` needs beside the message. */
export interface SealOptions {
  readonly version: EncryptionVersion;
  /** 16, 24 or 32 bytes. */
  readonly key: Uint8Array;
  /** 12 bytes, never used before with this key. */
  readonly nonce: Uint8Array;
  /** Bytes that are authenticated but not part of the result. */
  readonly associated: Uint8Array;
}

/** Encrypts and authenticates a message. */
export function seal(message: Uint8Array, options: SealOptions): Uint8Array {
  const { version, key, nonce, associated } = options;
  assert(nonce.length === NONCE_BYTES, `a nonce has ${nonce.length} bytes`);
  const sealed = new Uint8Array(sealedLength(version, message.length));
  sealed[0] = version;
  sealed.set(nonce, VERSION_BYTES);
  const padded = version === 0 ? pad(message) : message;
  encryptInto(sealed.subarray(SEAL_HEADER_BYTES), padded, {
    key,
    nonce,
    associated,
  });
  return sealed;
}

/** Writes ciphertext and tag. */
function encryptInto(
  target: Uint8Array,
  message: Uint8Array,
  { key, nonce, associated }: Omit<SealOptions, "version">,
): void {
  const name = cipherName(key);
  if (name === undefined) {
    target.set(gcm(key, nonce, associated).encrypt(message));
    return;
  }
  const cipher = createCipheriv(name, key, nonce);
  if (associated.length > 0) cipher.setAAD(associated);
  target.set(cipher.update(message));
  cipher.final();
  target.set(cipher.getAuthTag(), message.length);
}

/**
 * Checks and decrypts sealed bytes with the first key that fits.
 *
 * @param keys in the order in which they are tried
 * @param associated as given to `seal`
 * @returns the message, which may be empty
 * @throws {WireError} with memberlist's texts
 */
export function open(
  sealed: Uint8Array,
  keys: readonly Uint8Array[],
  associated: Uint8Array,
): Uint8Array {
  const version = sealed[0];
  if (version === undefined) {
    throw new WireError("empty", "cannot decrypt empty payload");
  }
  if (version !== 0 && version !== 1) {
    // Plain messages end up here too: their types are no versions.
    throw new WireError(
      "notEncrypted",
      `unsupported encryption version ${version}`,
    );
  }
  if (sealed.length < sealOverheadBytes(version)) {
    throw new WireError(
      "truncated",
      `payload is too small to decrypt: ${sealed.length}`,
    );
  }
  for (const key of keys) {
    const message = openWith(key, sealed, associated);
    if (message !== undefined) return version === 0 ? unpad(message) : message;
  }
  throw new WireError("badKey", "no installed keys could decrypt the message");
}

/** `undefined` when the key does not fit or the bytes were tampered with. */
function openWith(
  key: Uint8Array,
  sealed: Uint8Array,
  associated: Uint8Array,
): Uint8Array | undefined {
  const nonce = sealed.subarray(VERSION_BYTES, SEAL_HEADER_BYTES);
  const content = sealed.subarray(SEAL_HEADER_BYTES);
  const name = cipherName(key);
  try {
    if (name === undefined) return gcm(key, nonce, associated).decrypt(content);
    const decipher = createDecipheriv(name, key, nonce);
    if (associated.length > 0) decipher.setAAD(associated);
    const tagAt = content.length - TAG_BYTES;
    decipher.setAuthTag(content.subarray(tagAt));
    const message = decipher.update(content.subarray(0, tagAt));
    decipher.final();
    // A plain view: the `slice` of a node Buffer would not copy.
    return new Uint8Array(message.buffer, message.byteOffset, message.length);
  } catch {
    // Lengths were checked, so what is left to fail is the tag.
    return undefined;
  }
}

function pad(message: Uint8Array): Uint8Array {
  const padding = paddingBytes(0, message.length);
  const padded = new Uint8Array(message.length + padding).fill(padding);
  padded.set(message);
  return padded;
}

/** Cuts off as many bytes as the last one says; like the peers, looks at no other. */
function unpad(padded: Uint8Array): Uint8Array {
  const padding = padded[padded.length - 1] ?? 0;
  if (padding < 1 || padding > BLOCK_BYTES || padding > padded.length) {
    throw new WireError("badValue", `padding of ${padding} bytes is not valid`);
  }
  return padded.subarray(0, padded.length - padding);
}

/** The platform's name for AES-GCM with such a key; `undefined` for AES-192. */
function cipherName(
  key: Uint8Array,
): "aes-128-gcm" | "aes-256-gcm" | undefined {
  switch (key.length) {
    case 16:
      return "aes-128-gcm";
    case 32:
      return "aes-256-gcm";
    default:
      assert(key.length === 24, `a key has ${key.length} bytes`);
      return undefined;
  }
}
