import assert from "node:assert/strict";
import { Keyring } from "../../lib/wire/keyring.ts";

const [A, B, C] = [16, 24, 32].map((length) =>
  new Uint8Array(length).fill(length)
) as [
  Uint8Array,
  Uint8Array,
  Uint8Array,
];

Deno.test("Keyring tries the primary first, then the others as installed", () => {
  const ring = new Keyring([A, B]);
  ring.add(C);
  assert.deepEqual(ring.keys(), [A, B, C]);
  ring.use(C);
  assert.deepEqual(ring.keys(), [C, A, B]);
  assert.deepEqual(ring.primary, C);
});

Deno.test("Keyring.add() installs a key once", () => {
  const ring = new Keyring();
  assert.equal(ring.primary, undefined);
  ring.add(A);
  ring.add(A.slice());
  assert.equal(ring.size, 1);
  assert.deepEqual(ring.primary, A);
});

Deno.test("Keyring.remove() takes out any key but the primary", () => {
  const ring = new Keyring([A, B]);
  ring.remove(C);
  ring.remove(B);
  assert.deepEqual(ring.keys(), [A]);
  assert.throws(() => ring.remove(A), {
    name: "RangeError",
    message: "removing the primary key is not allowed",
  });
  assert.deepEqual(ring.keys(), [A]);
});

Deno.test("Keyring.use() refuses a key that is not installed", () => {
  const ring = new Keyring([A]);
  assert.throws(() => ring.use(B), {
    name: "RangeError",
    message: "requested key is not in the keyring",
  });
  assert.deepEqual(ring.keys(), [A]);
});

Deno.test("Keyring refuses keys of other lengths", () => {
  for (const length of [1, 15, 17, 33]) {
    assert.throws(() => new Keyring([new Uint8Array(length)]), {
      name: "RangeError",
      message: "key size must be 16, 24 or 32 bytes",
    });
  }
  assert.throws(() => new Keyring([new Uint8Array(0), A]), {
    message: "empty primary key not allowed",
  });
});

Deno.test("Keyring.remove() on an empty ring does nothing", () => {
  const ring = new Keyring();
  ring.remove(A);
  assert.equal(ring.size, 0);
});

Deno.test("Keyring keeps copies", () => {
  const key = A.slice();
  const ring = new Keyring([key]);
  key.fill(0);
  assert.deepEqual(ring.primary, A);
});
