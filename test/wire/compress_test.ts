import assert from "node:assert/strict";
import { bytesOfHex, hexOf, utf8Bytes } from "../../lib/kit/bytes.ts";
import {
  compress,
  compressIfShorter,
  decompress,
} from "../../lib/wire/compress.ts";
import {
  assertBytes,
  bytesIn,
  bytesOfRecipe,
  vectorsOf,
  withTrailing,
} from "./vectors.ts";

const LIMIT = 1 << 20;

Deno.test("compress() writes the bytes that memberlist writes", () => {
  for (const vector of vectorsOf("compress", 14)) {
    assertBytes(vector, "hex", compress(bytesOfRecipe(vector["input"])));
  }
});

Deno.test("decompress() reads what memberlist wrote", () => {
  for (const vector of vectorsOf("compress", 14)) {
    const input = bytesOfRecipe(vector["input"]);
    const message = vector.hex === undefined
      ? compress(input)
      : bytesIn(vector, "hex");
    assert.equal(hexOf(decompress(message, LIMIT)), hexOf(input), vector.name);
    assert.equal(
      hexOf(decompress(withTrailing(message), LIMIT)),
      hexOf(input),
      vector.name,
    );
  }
});

Deno.test("compressIfShorter() compresses exactly when that saves a byte", () => {
  let ties = 0;
  for (let length = 1; length < 400; length++) {
    // Half noise, half pattern: around the length at which it begins to pay.
    const message = bytesOfRecipe({ lcg_seed: length, length });
    message.fill(8, length >> 1);
    const whole = compress(message);
    const expected = whole.length < length ? hexOf(whole) : undefined;
    const actual = compressIfShorter(message);
    assert.equal(actual && hexOf(actual), expected, `length ${length}`);
    if (whole.length === length) ties++;
  }
  assert.ok(ties > 0);
});

Deno.test("decompress() refuses other algorithms", () => {
  const message = bytesOfHex("0982a4416c676f01a3427566a101");
  assert.throws(() => decompress(message, LIMIT), {
    code: "badCompression",
    detail: "cannot decompress unknown algorithm 1",
  });
});

Deno.test("decompress() keeps to the limit of its output", () => {
  const message = compress(utf8Bytes("a".repeat(1_000)));
  assert.throws(() => decompress(message, 999), { code: "oversized" });
});
