import assert from "node:assert/strict";
import fc from "fast-check";
import { bytesOfHex, concatBytes, hexOf } from "../../lib/kit/bytes.ts";
import { Random } from "../../lib/kit/random.ts";
import { lzwDecode, lzwEncode } from "../../lib/wire/lzw.ts";
import { WireError } from "../../lib/wire/wire_error.ts";
import {
  assertBytes,
  bytesIn,
  bytesOfRecipe,
  type Vector,
  vectorsOf,
  withTrailing,
} from "./vectors.ts";

const LIMIT = 1 << 20;

/** Vectors of Go's encoder; the others only say what a decoder does. */
function isEncoded(vector: Vector): boolean {
  return vector["input"] !== undefined &&
    vector.name !== "lzw-full-table-no-clear";
}

function encode(input: Uint8Array): Uint8Array {
  return lzwEncode(input) as Uint8Array;
}

Deno.test("lzwEncode() writes the bytes that Go writes", () => {
  for (const vector of vectorsOf("lzw", 28, isEncoded)) {
    assertBytes(vector, "hex", encode(bytesOfRecipe(vector["input"])));
  }
});

Deno.test("lzwDecode() reads what Go wrote, and ignores what follows", () => {
  for (const vector of vectorsOf("lzw", 28, isEncoded)) {
    const input = bytesOfRecipe(vector["input"]);
    const encoded = vector.hex === undefined
      ? encode(input)
      : bytesIn(vector, "hex");
    assert.equal(hexOf(lzwDecode(encoded, LIMIT)), hexOf(input), vector.name);
    assert.equal(
      hexOf(lzwDecode(withTrailing(encoded), LIMIT)),
      hexOf(input),
      vector.name,
    );
  }
});

Deno.test("lzwDecode() agrees with Go on streams that no encoder writes", () => {
  for (const vector of vectorsOf("lzw", 5, (vector) => !isEncoded(vector))) {
    const error = vector["error"] as string | undefined;
    if (vector.name === "lzw-full-table-no-clear") {
      const literals = bytesOfRecipe(vector["input"]);
      const encoded = encodeWithoutClear(literals);
      assertBytes(vector, "hex", encoded);
      assert.equal(hexOf(lzwDecode(encoded, LIMIT)), hexOf(literals));
    } else if (error === undefined) {
      const { bytes_hex } = vector["decoded"] as { bytes_hex: string };
      assert.equal(hexOf(lzwDecode(bytesIn(vector, "hex"), LIMIT)), bytes_hex);
    } else {
      assert.throws(() => lzwDecode(bytesIn(vector, "hex"), LIMIT), {
        name: "WireError",
        code: "badCompression",
        detail: error,
      });
    }
  }
});

/** One clear code, a literal code for each byte, the end code: 12 bits is the limit. */
function encodeWithoutClear(literals: Uint8Array): Uint8Array {
  const output: number[] = [];
  let bits = 0;
  let bitCount = 0;
  let width = 9;
  let lastCode = 257;
  const write = (code: number) => {
    bits |= code << bitCount;
    for (bitCount += width; bitCount >= 8; bitCount -= 8) {
      output.push(bits & 0xff);
      bits >>>= 8;
    }
  };
  write(256);
  for (const literal of literals) {
    write(literal);
    lastCode++;
    if (lastCode >= 1 << width && width < 12) width++;
  }
  write(257);
  if (bitCount > 0) output.push(bits);
  return Uint8Array.from(output);
}

Deno.test("lzwDecode() gives back what lzwEncode() was given", () => {
  // Few different bytes make long phrases; up to 20,000 bytes make it clear.
  const inputs = fc.tuple(
    fc.nat(),
    fc.constantFrom(1, 2, 4, 256),
    fc.nat(20_000),
  )
    .map(([seed, alphabet, length]) => {
      const random = new Random(seed);
      return Uint8Array.from({ length }, () => random.below(alphabet));
    });
  fc.assert(fc.property(inputs, (input) => {
    assert.deepEqual(lzwDecode(encode(input), LIMIT), input);
  }));
});

Deno.test("lzwEncode() keeps no trace of what it encoded before", () => {
  const text = bytesOfRecipe({
    repeat_hex: "746865206665656420",
    length: 2_000,
  });
  const expected = hexOf(encode(text));
  // More than 4,096 tables, so that the stamps start over.
  for (let i = 0; i < 5_000; i++) encode(Uint8Array.of(i, i >> 8, i, i >> 8));
  assert.equal(hexOf(encode(text)), expected);
});

Deno.test("lzwEncode() gives up beyond the given length, and only then", () => {
  const input = bytesOfRecipe({ lcg_seed: 9, length: 1_400 });
  const { length } = encode(input);
  assert.equal(lzwEncode(input, length - 1), undefined);
  assert.equal(lzwEncode(input, length)?.length, length);
});

Deno.test("lzwDecode() stops at the limit of its output", () => {
  const encoded = encode(new Uint8Array(100_000));
  assert.equal(lzwDecode(encoded, 100_000).length, 100_000);
  assert.throws(() => lzwDecode(encoded, 99_999), {
    code: "oversized",
    detail: "decompressed message is larger than limit (99999)",
  });
});

Deno.test("lzwDecode() takes any bytes for a stream or refuses them", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      try {
        assert.ok(lzwDecode(bytes, 4_096).length <= 4_096);
      } catch (error) {
        assert.ok(error instanceof WireError);
      }
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("lzwDecode() refuses a table reference after a clear", () => {
  assert.throws(() => lzwDecode(bytesOfHex("000503"), LIMIT), WireError);
});

Deno.test("lzwDecode() makes no room for what is longer than it may be", () => {
  const bomb = encode(new Uint8Array(8_000_000));
  assert.ok(bomb.length < 10_000);
  const { external } = Deno.memoryUsage();
  for (let i = 0; i < 50; i++) {
    assert.throws(() => lzwDecode(bomb, 7_999_999), {
      detail: "decompressed message is larger than limit (7999999)",
    });
  }
  // Some 40 KB each, for what nobody knows yet to be too long.
  assert.ok(Deno.memoryUsage().external - external < 4_000_000);
  assert.equal(lzwDecode(bomb, 8_000_000).length, 8_000_000);
});

Deno.test("lzwDecode() finds the same mistakes before and behind its first guess of the length", () => {
  const random = new Random(7);
  const outcome = (bytes: Uint8Array, max: number) => {
    try {
      return hexOf(lzwDecode(bytes, max));
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      return error.detail;
    }
  };
  let refused = 0;
  for (let i = 0; i < 300; i++) {
    // Runs, so that the output is much longer than four times the input.
    const text = new Uint8Array(20_000).fill(i);
    for (let at = 0; at < 20; at++) text[random.below(text.length)] = at;
    const bytes = encode(text);
    const bent = bytes.slice();
    bent[random.below(bent.length)] = random.below(256);
    // Behind so many zeros that the guess is always long enough.
    const roomy = concatBytes([bent, new Uint8Array(100_000)]);
    const end = outcome(bent, 1 << 20);
    if (end === "unexpected EOF") continue;
    assert.equal(outcome(roomy, 1 << 20), end);
    if (end.length < 60) refused++;
  }
  assert.ok(refused > 0);
});
