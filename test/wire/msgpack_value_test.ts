import { encode } from "@msgpack/msgpack";
import fc from "fast-check";
import assert from "node:assert/strict";
import { bytesOfHex, hexOf } from "../../lib/kit/bytes.ts";
import { MsgpackScanner } from "../../lib/wire/msgpack_scanner.ts";
import {
  decodeValue,
  MsgpackText,
  type MsgpackValue,
} from "../../lib/wire/msgpack_value.ts";
import { WireError } from "../../lib/wire/wire_error.ts";

/** A decoded tree in the terms of the library's encoder. */
function plain(value: MsgpackValue): unknown {
  if (value instanceof MsgpackText) return value.toString();
  if (value instanceof Uint8Array) return value;
  if (Array.isArray(value)) return value.map(plain);
  if (value instanceof Map) {
    const entries = [...value as ReadonlyMap<string, MsgpackValue>];
    return Object.fromEntries(entries.map(([key, item]) => [key, plain(item)]));
  }
  return value;
}

Deno.test("decodeValue() reads what the library writes", () => {
  const tree = fc.letrec((tie) => ({
    value: fc.oneof(
      { depthSize: "small" },
      fc.constant(null),
      fc.boolean(),
      fc.maxSafeInteger(),
      fc.double({ noNaN: true }).filter((number) => !Object.is(number, -0)),
      fc.string({ unit: "grapheme", maxLength: 300 }),
      fc.uint8Array({ maxLength: 300 }),
      fc.array(tie("value"), { maxLength: 20 }),
      fc.dictionary(fc.string({ maxLength: 40 }), tie("value"), { maxKeys: 20 })
        .map((entries) => Object.fromEntries(Object.entries(entries))),
    ),
  })).value;
  fc.assert(fc.property(tree, (value) => {
    assert.deepEqual(plain(decodeValue(encode(value))), value);
  }));
});

Deno.test("decodeValue() keeps integers exact, whatever their width", () => {
  const cases: [hex: string, value: number | bigint][] = [
    ["7f", 127],
    ["e0", -32],
    ["ccff", 255],
    ["cdffff", 65_535],
    ["ceffffffff", 4_294_967_295],
    ["cf000000000000000a", 10],
    ["cfffffffffffffffff", 18_446_744_073_709_551_615n],
    ["d080", -128],
    ["d18000", -32_768],
    ["d280000000", -2_147_483_648],
    ["d38000000000000000", -9_223_372_036_854_775_808n],
    ["d3fffffffffffffffe", -2],
  ];
  for (const [hex, value] of cases) {
    assert.equal(decodeValue(bytesOfHex(hex)), value);
  }
});

Deno.test("decodeValue() makes texts of keys that are none, and of no prototype", () => {
  const value = decodeValue(
    bytesOfHex(
      "84" + "0501" + "c40161" + "02" + "c003" + "a95f5f70726f746f5f5f" + "04",
    ),
  );
  assert.deepEqual([...value as ReadonlyMap<string, MsgpackValue>], [
    ["5", 1],
    ["a", 2],
    ["null", 3],
    ["__proto__", 4],
  ]);
});

Deno.test("decodeValue() either decodes what was scanned or raises WireError", () => {
  let decoded = 0;
  fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
    const scanner = new MsgpackScanner({ bytesMax: 1_000, valuesMax: 1_000 });
    try {
      const end = scanner.scan(bytes, bytes.length);
      decodeValue(end === undefined ? bytes : bytes.subarray(0, end));
      decoded++;
    } catch (error) {
      assert.ok(error instanceof WireError, hexOf(bytes));
    }
  }));
  assert.ok(decoded > 10);
});
