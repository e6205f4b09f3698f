import assert from "node:assert/strict";
import fc from "fast-check";
import { bytesOfHex, hexOf } from "../../lib/kit/bytes.ts";
import { decodeCompound, encodeCompound } from "../../lib/wire/compound.ts";
import { bytesIn, type Vector, vectorsOf, withTrailing } from "./vectors.ts";

/** The two largest are given by rule: parts 08 NN with NN counting up. */
function partsOf(vector: Vector): string[] {
  const { parts_hex } = (vector["decoded"] ?? vector) as {
    parts_hex: string[];
  };
  const count = (vector["part_count"] ?? parts_hex.length) as number;
  if (parts_hex.length === count) return parts_hex;
  return Array.from({ length: count }, (_, i) => hexOf(Uint8Array.of(8, i)));
}

Deno.test("decodeCompound() reads what memberlist wrote", () => {
  for (const vector of vectorsOf("compound", 7)) {
    const isTruncated = vector.name === "compound-truncated";
    const variants = isTruncated
      ? [bytesIn(vector, "hex")]
      : [bytesIn(vector, "hex"), withTrailing(bytesIn(vector, "hex"))];
    for (const bytes of variants) {
      const { parts, truncated } = decodeCompound(bytes);
      assert.deepEqual(parts.map(hexOf), partsOf(vector), vector.name);
      assert.equal(truncated, isTruncated ? 1 : 0, vector.name);
    }
  }
});

Deno.test("encodeCompound() writes the bytes that memberlist writes", () => {
  const isOurs = ({ part_count }: Vector) =>
    typeof part_count === "number" && part_count > 0 && part_count <= 127;
  for (const vector of vectorsOf("compound", 4, isOurs)) {
    const bytes = encodeCompound(partsOf(vector).map(bytesOfHex));
    assert.equal(hexOf(bytes), vector.hex, vector.name);
  }
});

Deno.test("encodeCompound() refuses what old peers misread", () => {
  const part = Uint8Array.of(8);
  assert.throws(() => encodeCompound([]));
  assert.throws(() => encodeCompound(new Array(128).fill(part)));
  assert.throws(() => encodeCompound([part, new Uint8Array(0)]));
  assert.throws(() => encodeCompound([new Uint8Array(65_536)]));
});

Deno.test("decodeCompound() gives back what encodeCompound() was given", () => {
  const parts = fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), {
    minLength: 1,
    maxLength: 127,
  });
  fc.assert(fc.property(parts, (parts) => {
    const decoded = decodeCompound(encodeCompound(parts));
    assert.deepEqual(decoded, { parts, truncated: 0 });
  }));
});

Deno.test("decodeCompound() counts what is missing", () => {
  const whole = encodeCompound([1, 2, 3].map((n) => Uint8Array.of(8, n)));
  const truncatedAt = (length: number) =>
    decodeCompound(whole.subarray(0, length)).truncated;
  assert.deepEqual([8, 9, 10, 11, 12, 13, 14].map(truncatedAt), [
    3,
    3,
    2,
    2,
    1,
    1,
    0,
  ]);
  assert.throws(() => truncatedAt(1), {
    detail: "missing compound length byte",
  });
  assert.throws(() => truncatedAt(7), { detail: "truncated len slice" });
});
