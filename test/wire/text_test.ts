import assert from "node:assert/strict";
import fc from "fast-check";
import { bytesOfHex, utf8Bytes } from "../../lib/kit/bytes.ts";
import { decodeText } from "../../lib/wire/text.ts";

Deno.test("decodeText() gives back any text, the first time and later", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 80 }), (text) => {
      const bytes = utf8Bytes(text);
      assert.equal(decodeText(bytes), text);
      assert.equal(decodeText(bytes), text);
    }),
  );
});

Deno.test("decodeText() takes a range of the bytes", () => {
  assert.equal(decodeText(utf8Bytes("alpha beta"), 6, 10), "beta");
  assert.equal(decodeText(utf8Bytes("alpha beta"), 6), "beta");
  assert.equal(decodeText(utf8Bytes("alpha"), 5), "");
});

Deno.test("decodeText() keeps a byte order mark", () => {
  assert.equal(decodeText(bytesOfHex("efbbbf61")), "\uFEFFa");
});

Deno.test("decodeText() refuses what is not UTF-8", () => {
  for (const hex of ["80", "c0af", "eda080", "f4908080", "e697", "61ff"]) {
    assert.equal(decodeText(bytesOfHex(hex)), undefined, hex);
    assert.equal(decodeText(bytesOfHex("61".repeat(60) + hex)), undefined, hex);
  }
});

Deno.test("decodeText() never mixes up texts that share a place in its table", () => {
  // Many more texts than the table has places.
  for (let round = 0; round < 2; round++) {
    for (let i = 0; i < 20_000; i++) {
      assert.equal(decodeText(utf8Bytes(`node-${i}`)), `node-${i}`);
    }
  }
});
