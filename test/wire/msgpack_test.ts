import { encode } from "@msgpack/msgpack";
import assert from "node:assert/strict";
import fc from "fast-check";
import {
  bytesOfHex,
  concatBytes,
  hexOf,
  utf8Bytes,
} from "../../lib/kit/bytes.ts";
import {
  decodeTextList,
  decodeTextMap,
  endOfValue,
  Struct,
} from "../../lib/wire/msgpack.ts";
import { WireError } from "../../lib/wire/wire_error.ts";

const LAYOUT = ["A", "B"];

/** A struct of one field, A, whose value has the given bytes. */
function structOf(valueHex: string): Struct {
  return Struct.decode(bytesOfHex(`81a141${valueHex}`), LAYOUT);
}

/** What an accessor makes of each value: text of the result, or of the refusal. */
function table(
  accessor: (struct: Struct) => unknown,
  rows: readonly [valueHex: string, expected: unknown][],
): void {
  for (const [hex, expected] of rows) {
    if (expected === WireError) {
      assert.throws(() => accessor(structOf(hex)), WireError, hex);
    } else {
      assert.deepEqual(accessor(structOf(hex)), expected, hex);
    }
  }
}

Deno.test("Struct.uint() takes integers of any width within its range", () => {
  table((struct) => struct.uint("A", 300), [
    ["c0", 0],
    ["7f", 127],
    ["cc80", 128],
    ["cd012c", 300],
    ["ce0000012c", 300],
    ["cf000000000000012c", 300],
    ["d001", 1],
    ["d10001", 1],
    ["d200000001", 1],
    ["d30000000000000001", 1],
    ["cd012d", WireError],
    ["cfffffffffffffffff", WireError],
    ["ff", WireError],
    ["d3ffffffffffffffff", WireError],
    ["ca40000000", WireError],
    ["cb4000000000000000", WireError],
    ["c3", WireError],
    ["a131", WireError],
    ["90", WireError],
    ["80", WireError],
    ["d40101", WireError],
  ]);
});

Deno.test("Struct.uint64() and int64() are exact", () => {
  table((struct) => struct.uint64("A"), [
    ["cfffffffffffffffff", 0xffff_ffff_ffff_ffffn],
    ["cf0020000000000001", 0x20_0000_0000_0001n],
    ["05", 5n],
    ["c0", 0n],
    ["ff", WireError],
  ]);
  table((struct) => struct.int64("A"), [
    ["d38000000000000000", -0x8000_0000_0000_0000n],
    ["d37fffffffffffffff", 0x7fff_ffff_ffff_ffffn],
    ["cfffffffffffffffff", -1n],
    ["ff", -1n],
    ["cb3ff0000000000000", WireError],
  ]);
});

Deno.test("Struct.bool() takes booleans, 0 and 1", () => {
  table((struct) => struct.bool("A"), [
    ["c2", false],
    ["c3", true],
    ["c0", false],
    ["00", false],
    ["01", true],
    ["02", WireError],
    ["a0", WireError],
    ["cb3ff0000000000000", WireError],
  ]);
});

Deno.test("Struct.bytes() takes raw, bin, arrays and maps of small integers", () => {
  table((struct) => hexOf(struct.bytes("A")), [
    ["a20102", "0102"],
    ["d9020102", "0102"],
    ["da00020102", "0102"],
    ["db000000020102", "0102"],
    ["c4020102", "0102"],
    ["c500020102", "0102"],
    ["c6000000020102", "0102"],
    ["9301ccff02", "01ff02"],
    ["8401020304010205ccff", "01020304010205ff"],
    ["c0", ""],
    ["92cd010000", WireError],
    ["91a101", WireError],
    ["81a10101", WireError],
    ["05", WireError],
    ["c3", WireError],
    ["ca3f800000", WireError],
  ]);
});

Deno.test("Struct.texts() takes lists and maps of texts", () => {
  table((struct) => struct.texts("A"), [
    ["90", []],
    ["80", []],
    ["c0", []],
    ["92a161a162", ["a", "b"]],
    ["82a161a162a163c0", ["a", "b", "c", ""]],
    ["810161", WireError],
    ["8101a161", WireError],
    ["a161", WireError],
    ["05", WireError],
  ]);
});

Deno.test("Struct.text() takes what bytes() takes if it is UTF-8, but for maps", () => {
  table((struct) => struct.text("A"), [
    ["a161", "a"],
    ["c40161", "a"],
    ["9161", "a"],
    ["c0", ""],
    ["a3e697a5", "日"],
    ["a3efbbbf", "\uFEFF"],
    ["a1ff", WireError],
    ["a2c080", WireError],
    ["a3eda080", WireError],
    ["810161", WireError],
    ["05", WireError],
  ]);
});

Deno.test("Struct.decode() takes maps, arrays and nil for a struct", () => {
  const fields = (hex: string) => {
    const struct = Struct.decode(bytesOfHex(hex), LAYOUT);
    return [struct.uint("A", 9), struct.uint("B", 9), struct.end];
  };
  assert.deepEqual(fields("82a14101a14202"), [1, 2, 7]);
  assert.deepEqual(fields("de0002a14202a14101"), [1, 2, 9]);
  assert.deepEqual(fields("82a14101a14102"), [2, 0, 7]);
  assert.deepEqual(fields("920102"), [1, 2, 3]);
  assert.deepEqual(fields("9101"), [1, 0, 2]);
  assert.deepEqual(fields("93010203"), [1, 2, 4]);
  assert.deepEqual(fields("c0"), [0, 0, 1]);
  assert.deepEqual(fields("80c1"), [0, 0, 1]);
});

Deno.test("Struct.decode() skips unknown fields whatever is in them", () => {
  for (
    const value of [
      "c7030501ff02", // an extension
      "d6ff00000000", // a timestamp
      "c7ffff" + "00".repeat(255), // a timestamp of no valid length
      "8101c0", // keys that are no text
      "8193010203c0",
      "81c0c0",
      "cb7ff8000000000000",
      "81a95f5f70726f746f5f5f80", // __proto__
      "a2c080", // not UTF-8
    ]
  ) {
    const struct = Struct.decode(bytesOfHex(`82a158${value}a14105`), LAYOUT);
    assert.equal(struct.uint("A", 9), 5, value);
  }
});

Deno.test("Struct.decode() takes no integer, nil or list for the key of a struct", () => {
  for (const key of ["05", "c0", "91a141", "cb4000000000000000", "d40101"]) {
    assert.throws(
      () => Struct.decode(bytesOfHex(`81${key}05`), LAYOUT),
      WireError,
      key,
    );
  }
  // Bytes are fine: they are text to the newer generation, unknown if not UTF-8.
  assert.equal(Struct.decode(bytesOfHex("81c4014105"), LAYOUT).uint("A", 9), 5);
  assert.equal(
    Struct.decode(bytesOfHex("81c402c08005"), LAYOUT).uint("A", 9),
    0,
  );
});

Deno.test("Struct.decode() pollutes no prototype", () => {
  const proto = hexOf(utf8Bytes("__proto__"));
  const constructor = hexOf(utf8Bytes("constructor"));
  const polluting = [
    `81a9${proto}81a14105`,
    `81c409${proto}81a14105`,
    `81d909${proto}81a14105`,
    `81ab${constructor}81a970726f746f7479706581a14105`,
  ];
  for (const hex of polluting) {
    const struct = Struct.decode(bytesOfHex(hex), LAYOUT);
    assert.equal(struct.uint("A", 9), 0, hex);
    assert.equal(({} as Record<string, unknown>)["A"], undefined);
  }
});

Deno.test("Struct.textMap() and uint64Map() take any text for a key", () => {
  const keys = ["__proto__", "\0", "\u00000", "constructor", "7", "", "日"];
  const pairs = keys.map((key, i) =>
    concatBytes([
      Uint8Array.of(0xa0 | utf8Bytes(key).length),
      utf8Bytes(key),
      Uint8Array.of(i),
    ])
  );
  const struct = structOf(
    hexOf(concatBytes([Uint8Array.of(0x80 | keys.length), ...pairs])),
  );
  const expected = new Map(keys.map((key, i) => [key, BigInt(i)]));
  const actual = struct.uint64Map("A");
  assert.equal(actual.size, expected.size);
  for (const [key, value] of expected) {
    assert.equal(actual.get(key), value, key);
  }
  assert.throws(() => structOf("8105a161").textMap("A"), WireError);
  assert.throws(() => structOf("81a2c080a161").textMap("A"), WireError);
  assert.throws(() => structOf("9105").textMap("A"), WireError);
  assert.deepEqual(structOf("c0").textMap("A"), new Map());
});

Deno.test("Struct.structs() has undefined for each nil", () => {
  const structs = structOf("93c081a1410180").structs(
    "A",
    LAYOUT,
  );
  assert.deepEqual(structs.map((struct) => struct?.uint("A", 9)), [
    undefined,
    1,
    0,
  ]);
  assert.throws(() => structOf("9105").structs("A", LAYOUT), WireError);
});

Deno.test("Struct is as strict inside as outside", () => {
  // A float is no integer, and a key is a text, at any depth.
  const integers = (struct: Struct) =>
    struct.structs("A", LAYOUT).map((inner) => inner?.uint("B", 9));
  table(integers, [
    ["9181a14205", [5]],
    ["9181a142cb4014000000000000", WireError],
    ["91810505", WireError],
  ]);
  table((struct) => [...struct.bytes("A")], [
    ["9105", [5]],
    ["91ca40a00000", WireError],
  ]);
});

Deno.test("Struct reads what the library writes", () => {
  const fields = fc.record({
    A: fc.record({
      text: fc.string({ unit: "grapheme", maxLength: 300 }),
      bytes: fc.uint8Array({ maxLength: 300 }),
      uint: fc.maxSafeNat(),
      int: fc.maxSafeInteger(),
      bool: fc.boolean(),
      float: fc.double({ noNaN: true }),
      texts: fc.array(fc.string({ maxLength: 40 }), { maxLength: 20 }),
      map: fc.dictionary(fc.string({ maxLength: 40 }), fc.string()),
    }),
    // What nobody asks for is passed over, whatever it is.
    B: fc.anything({ withBigInt: false, withNullPrototype: false }),
  });
  fc.assert(fc.property(fields, ({ A, B }) => {
    const bytes = encode({ ignored: B, A, B: 7 }, { ignoreUndefined: true });
    const struct = Struct.decode(bytes, LAYOUT);
    const inner = struct.struct("A", Object.keys(A));
    const entries = [...inner.textMap("map")];
    assert.deepEqual({
      text: inner.text("text"),
      bytes: inner.bytes("bytes"),
      uint: inner.uint("uint", Number.MAX_SAFE_INTEGER),
      int: Number(inner.int64("int")),
      bool: inner.bool("bool"),
      float: inner.float64("float") + 0,
      texts: inner.texts("texts"),
    }, {
      text: A.text,
      bytes: A.bytes,
      uint: A.uint,
      int: A.int,
      bool: A.bool,
      float: A.float + 0,
      texts: A.texts,
    });
    assert.deepEqual(new Map(entries), new Map(Object.entries(A.map)));
    assert.equal(struct.uint("B", 9), 7);
    assert.equal(struct.end, bytes.length);
  }));
});

Deno.test("Struct.has() tells present from absent and nil", () => {
  assert.equal(structOf("00").has("A"), true);
  assert.equal(structOf("c0").has("A"), false);
  assert.equal(structOf("00").has("B"), false);
});

/** Bytes that announce far more than they hold. */
const GREEDY = [
  "dbffffffff",
  "c6ffffffff",
  "c9ffffffff01",
  "ddffffffff",
  "dfffffffff",
  "dcffff".repeat(20_000),
  "deffff".repeat(20_000),
  "ddffffffff".repeat(10_000),
  "91".repeat(60_000),
  "81a141".repeat(20_000),
];

Deno.test("Struct.decode() allocates nothing by an announced size", () => {
  for (const hex of GREEDY) {
    const bytes = bytesOfHex(`81a141${hex}`);
    const before = Deno.memoryUsage();
    for (let i = 0; i < 20; i++) {
      assert.throws(() => Struct.decode(bytes, LAYOUT), WireError);
    }
    const after = Deno.memoryUsage();
    const name = hex.slice(0, 10);
    assert.ok(after.heapUsed - before.heapUsed < 8_000_000, name);
    assert.ok(after.external - before.external < 1_000_000, name);
  }
});

Deno.test("Struct.decode() refuses more values than a struct has use for", () => {
  const array = concatBytes([
    bytesOfHex("dd00020000"),
    new Uint8Array(0x2_0000).fill(0x80),
  ]);
  assert.throws(() => Struct.decode(array, LAYOUT), { code: "oversized" });
});

Deno.test("Struct.decode() refuses nesting beyond 1,024 levels", () => {
  const nested = (levels: number) =>
    bytesOfHex(`82a158${"91".repeat(levels)}c0a14105`);
  assert.equal(Struct.decode(nested(1_023), LAYOUT).uint("A", 9), 5);
  assert.throws(() => Struct.decode(nested(1_024), LAYOUT), {
    code: "oversized",
  });
});

Deno.test("Struct.decode() takes any bytes for a struct or refuses them", () => {
  const accessors: ((struct: Struct) => unknown)[] = [
    (struct) => struct.uint("A", 0xffff_ffff),
    (struct) => struct.uint64("A"),
    (struct) => struct.int64("A"),
    (struct) => struct.bool("A"),
    (struct) => struct.float64("A"),
    (struct) => struct.floats("A"),
    (struct) => struct.text("A"),
    (struct) => struct.texts("A"),
    (struct) => struct.bytes("A"),
    (struct) => struct.byteStrings("A"),
    (struct) => struct.textMap("A"),
    (struct) => struct.uint64Map("A"),
    (struct) => struct.struct("A", LAYOUT).bytes("B"),
    (struct) => struct.structs("A", LAYOUT).map((inner) => inner?.text("B")),
  ];
  const bytes = fc.uint8Array({ maxLength: 60 });
  fc.assert(
    fc.property(bytes, fc.constantFrom(...accessors), (value, accessor) => {
      try {
        accessor(
          Struct.decode(concatBytes([bytesOfHex("81a141"), value]), LAYOUT),
        );
      } catch (error) {
        assert.ok(error instanceof WireError, String(error));
      }
    }),
    { numRuns: 5_000 },
  );
});

Deno.test("decodeTextMap() and decodeTextList() take nil for nothing", () => {
  assert.deepEqual(decodeTextMap(bytesOfHex("c0")), { entries: new Map() });
  assert.deepEqual(decodeTextList(bytesOfHex("c0")), []);
});

Deno.test("endOfValue() steps from value to value", () => {
  const bytes = bytesOfHex("0582a141c0a1429101a2");
  assert.equal(endOfValue(bytes, 0), 1);
  assert.equal(endOfValue(bytes, 1), 9);
  assert.throws(() => endOfValue(bytes, 9), {
    code: "truncated",
    detail: "EOF",
  });
});
