import assert from "node:assert/strict";
import { crc32 } from "../../lib/wire/crc32.ts";
import { bytesIn, bytesOfRecipe, vectorsOf } from "./vectors.ts";

Deno.test("crc32() is that of Go's hash/crc32", () => {
  for (const vector of vectorsOf("crc", 8)) {
    const input = vector["input"] === undefined
      ? bytesIn(vector, "payload_hex")
      : bytesOfRecipe(vector["input"]);
    const hex = crc32(input).toString(16).padStart(8, "0");
    assert.equal(hex, vector["crc32_hex"], vector.name);
  }
});

Deno.test("crc32() agrees with the bit-by-bit definition at every length", () => {
  const input = bytesOfRecipe({ lcg_seed: 3, length: 40 });
  for (let length = 0; length <= input.length; length++) {
    const bytes = input.subarray(0, length);
    assert.equal(crc32(bytes), slowCrc32(bytes), `length ${length}`);
  }
});

function slowCrc32(bytes: Uint8Array): number {
  let crc = 0xffff_ffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) {
      crc = (crc & 1) === 1 ? (crc >>> 1) ^ 0xedb8_8320 : crc >>> 1;
    }
  }
  return ~crc >>> 0;
}
