import assert from "node:assert/strict";
import { bytesOfHex, EMPTY_BYTES, hexOf } from "../../lib/kit/bytes.ts";
import { open, seal } from "../../lib/wire/aead.ts";
import {
  type EncryptionVersion,
  sealedLength,
  sealOverheadBytes,
} from "../../lib/wire/seal_size.ts";
import { peelLabel } from "../../lib/wire/label.ts";
import { bytesIn, type Vector, vectorsOf } from "./vectors.ts";

/** One vector is a whole packet, with the label that it authenticates in front. */
function sealedBytesIn(vector: Vector): Uint8Array {
  return peelLabel(bytesIn(vector, "hex"))?.rest as Uint8Array;
}

Deno.test("seal() writes the bytes that memberlist writes", () => {
  for (const vector of vectorsOf("encrypt", 31)) {
    const version = vector["version"] as EncryptionVersion;
    const message = bytesIn(vector, "plaintext_hex");
    const sealed = seal(message, {
      version,
      key: bytesIn(vector, "key_hex"),
      nonce: bytesIn(vector, "nonce_hex"),
      associated: bytesIn(vector, "aad_hex"),
    });
    assert.equal(hexOf(sealed), hexOf(sealedBytesIn(vector)), vector.name);
    assert.equal(sealedLength(version, message.length), sealed.length);
    assert.ok(sealed.length - message.length <= sealOverheadBytes(version));
  }
});

Deno.test("open() reads what memberlist wrote", () => {
  for (const vector of vectorsOf("encrypt", 31)) {
    const keys = [bytesIn(vector, "key_hex")];
    const message = open(
      sealedBytesIn(vector),
      keys,
      bytesIn(vector, "aad_hex"),
    );
    assert.equal(hexOf(message), vector["plaintext_hex"], vector.name);
  }
});

const KEY = new Uint8Array(16).fill(1);
const OTHER_KEY = new Uint8Array(32).fill(2);
const NONCE = new Uint8Array(12);
const MESSAGE = bytesOfHex("0868656c6c6f");

function sealed(
  version: EncryptionVersion,
  message: Uint8Array = MESSAGE,
): Uint8Array {
  return seal(message, {
    version,
    key: KEY,
    nonce: NONCE,
    associated: EMPTY_BYTES,
  });
}

Deno.test("open() tries every key", () => {
  const message = open(sealed(1), [OTHER_KEY, KEY], EMPTY_BYTES);
  assert.equal(hexOf(message), hexOf(MESSAGE));
});

Deno.test("open() refuses one changed bit anywhere", () => {
  for (const version of [0, 1] as const) {
    const bytes = sealed(version);
    for (let i = 0; i < bytes.length; i++) {
      const changed = bytes.slice();
      changed[i] = (changed[i] as number) ^ 0x10;
      assert.throws(() => open(changed, [KEY], EMPTY_BYTES), {
        name: "WireError",
      });
    }
  }
});

Deno.test("open() refuses other associated bytes and other keys", () => {
  const refusal = {
    code: "badKey",
    detail: "no installed keys could decrypt the message",
  };
  assert.throws(() => open(sealed(1), [KEY], Uint8Array.of(1)), refusal);
  assert.throws(() => open(sealed(1), [OTHER_KEY], EMPTY_BYTES), refusal);
  assert.throws(() => open(sealed(1), [], EMPTY_BYTES), refusal);
});

Deno.test("open() refuses what is too short or of another version", () => {
  const openHex = (bytes: Uint8Array) => () => open(bytes, [KEY], EMPTY_BYTES);
  assert.throws(openHex(EMPTY_BYTES), {
    detail: "cannot decrypt empty payload",
  });
  assert.throws(openHex(Uint8Array.of(2, 1)), {
    detail: "unsupported encryption version 2",
  });
  assert.throws(openHex(new Uint8Array(44)), {
    detail: "payload is too small to decrypt: 44",
  });
  assert.throws(openHex(Uint8Array.of(1, ...new Uint8Array(27))), {
    detail: "payload is too small to decrypt: 28",
  });
});

Deno.test("open() refuses padding that no sender writes", () => {
  // Version 0 bytes around a block of our own making: version 1 seals it as it is.
  for (const last of [0, 17, 255]) {
    const block = new Uint8Array(16).fill(last);
    const bytes = sealed(1, block);
    bytes[0] = 0;
    assert.throws(() => open(bytes, [KEY], EMPTY_BYTES), { code: "badValue" });
  }
});

Deno.test("open() returns bytes whose slice is a copy", () => {
  const message = open(sealed(1), [KEY], EMPTY_BYTES);
  message.slice().fill(0);
  assert.equal(hexOf(message), hexOf(MESSAGE));
});
