/**
 * The encryption keys of a node, in the order in which they are tried.
 *
 * The first key is the primary: it seals what we send. All of them open what we
 * receive, so that a key can be replaced while members still use the old one:
 * install the new key everywhere, use it everywhere, remove the old one.
 *
 * The ring seals and opens by itself, so that only a node that has keys loads the
 * ciphers.
 *
 * Source: memberlist `keyring.go`, whose texts the errors carry, since Serf
 * passes them on to the user.
 */

import { assert } from "../kit/assert.ts";
import { equalBytes } from "../kit/bytes.ts";
import { open, seal, type SealOptions } from "./aead.ts";

/** Key lengths of AES-128, AES-192 and AES-256, bytes. */
const KEY_BYTES: readonly number[] = [16, 24, 32];

/** The keys of one node, and what is done with them. */
export class Keyring {
  #keys: Uint8Array[] = [];

  /**
   * @param keys the primary first; none at all turns encryption off
   * @throws {RangeError} when a key has another length than 16, 24 or 32 bytes
   */
  constructor(keys: readonly Uint8Array[] = []) {
    if (keys[0]?.length === 0) {
      throw new RangeError("empty primary key not allowed");
    }
    for (const key of keys) this.add(key);
  }

  /** How many keys. */
  get size(): number {
    return this.#keys.length;
  }

  /** The key that seals, `undefined` when there is none. */
  get primary(): Uint8Array | undefined {
    return this.#keys[0];
  }

  /** All keys, the primary first. They belong to the ring: do not write to them. */
  keys(): readonly Uint8Array[] {
    return this.#keys;
  }

  /** Encrypts and authenticates a message with the primary key. */
  seal(message: Uint8Array, options: Omit<SealOptions, "key">): Uint8Array {
    const key = this.primary;
    assert(key !== undefined, "a ring that seals has a key");
    return seal(message, { ...options, key });
  }

  /**
   * Checks and decrypts sealed bytes with the first key that fits.
   *
   * @param associated as given to `seal`
   * @throws {WireError} with memberlist's texts
   */
  open(sealed: Uint8Array, associated: Uint8Array): Uint8Array {
    return open(sealed, this.#keys, associated);
  }

  /**
   * Installs a key behind the others; the first one becomes the primary. A key
   * that is there already stays where it is.
   *
   * @throws {RangeError} when the key has another length than 16, 24 or 32 bytes
   */
  add(key: Uint8Array): void {
    if (!KEY_BYTES.includes(key.length)) {
      throw new RangeError("key size must be 16, 24 or 32 bytes");
    }
    if (this.#indexOf(key) < 0) this.#keys = [...this.#keys, key.slice()];
  }

  /**
   * Makes an installed key the primary.
   *
   * @throws {RangeError} when the key is not installed; nothing changed
   */
  use(key: Uint8Array): void {
    const index = this.#indexOf(key);
    const found = this.#keys[index];
    if (found === undefined) {
      throw new RangeError("requested key is not in the keyring");
    }
    this.#keys = [found, ...this.#keys.toSpliced(index, 1)];
  }

  /**
   * Takes a key out; one that is not installed is no error.
   *
   * @throws {RangeError} when the key is the primary; nothing changed
   */
  remove(key: Uint8Array): void {
    const index = this.#indexOf(key);
    if (index === 0) {
      throw new RangeError("removing the primary key is not allowed");
    }
    if (index > 0) this.#keys = this.#keys.toSpliced(index, 1);
  }

  #indexOf(key: Uint8Array): number {
    return this.#keys.findIndex((installed) => equalBytes(installed, key));
  }
}
