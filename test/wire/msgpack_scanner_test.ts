import assert from "node:assert/strict";
import { encode } from "@msgpack/msgpack";
import fc from "fast-check";
import { bytesOfHex } from "../../lib/kit/bytes.ts";
import {
  MsgpackScanner,
  STRUCT_LIMITS,
} from "../../lib/wire/msgpack_scanner.ts";
import { withTrailing } from "./vectors.ts";

const values = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom<unknown>(null, true, false),
    fc.integer(),
    fc.bigInt(0n, 0xffff_ffff_ffff_ffffn).map(Number),
    fc.double(),
    fc.string({ maxLength: 300 }),
    fc.uint8Array({ maxLength: 300 }),
    fc.date({ noInvalidDate: true }),
    fc.array(tie("value"), { maxLength: 20 }),
    fc.dictionary(fc.string({ maxLength: 4 }), tie("value"), { maxKeys: 20 }),
  ),
})).value;

function scanner(): MsgpackScanner {
  const made = new MsgpackScanner(STRUCT_LIMITS);
  made.restart(0);
  return made;
}

Deno.test("MsgpackScanner finds the end of whatever the library writes", () => {
  fc.assert(fc.property(values, (value) => {
    const bytes = encode(value);
    const trailing = withTrailing(bytes);
    assert.equal(scanner().scan(trailing, trailing.length), bytes.length);
  }));
});

Deno.test("MsgpackScanner finds it byte by byte, and not before", () => {
  fc.assert(fc.property(values, (value) => {
    const bytes = encode(value);
    const slow = scanner();
    for (let available = 0; available < bytes.length; available++) {
      assert.equal(slow.scan(bytes, available), undefined);
    }
    assert.equal(slow.scan(bytes, bytes.length), bytes.length);
  }));
});

Deno.test("MsgpackScanner knows the size of every form", () => {
  const forms: [hex: string, size: number][] = [
    ["c0", 1],
    ["00", 1],
    ["ff", 1],
    ["ca00000000", 5],
    ["cb0000000000000000", 9],
    ["cc00", 2],
    ["cd0000", 3],
    ["ce00000000", 5],
    ["cf0000000000000000", 9],
    ["d000", 2],
    ["d10000", 3],
    ["d200000000", 5],
    ["d30000000000000000", 9],
    ["d40000", 3],
    ["d5000000", 4],
    ["d60000000000", 6],
    ["d7" + "00".repeat(9), 10],
    ["d8" + "00".repeat(17), 18],
    ["c70100ff", 4],
    ["c8000100ff", 5],
    ["c90000000100ff", 7],
    ["c401ff", 3],
    ["c50001ff", 4],
    ["c600000001ff", 6],
    ["d901ff", 3],
    ["da0001ff", 4],
    ["db00000001ff", 6],
    ["dc0001c0", 4],
    ["dd00000001c0", 6],
    ["de0001c0c0", 5],
    ["df00000001c0c0", 7],
  ];
  for (const [hex, size] of forms) {
    const bytes = bytesOfHex(hex);
    assert.equal(scanner().scan(bytes, bytes.length), size, hex);
    assert.equal(scanner().scan(bytes, bytes.length - 1), undefined, hex);
  }
});

Deno.test("MsgpackScanner refuses the byte that starts nothing", () => {
  const bytes = bytesOfHex("92c0c1");
  assert.throws(() => scanner().scan(bytes, bytes.length), {
    code: "badValue",
  });
});

Deno.test("MsgpackScanner refuses lengths beyond its limit before they arrive", () => {
  const limited = new MsgpackScanner({ bytesMax: 100, valuesMax: 10 });
  for (const hex of ["da0062", "c40100", "dc0064", "df00000032"]) {
    const bytes = bytesOfHex(hex);
    limited.restart(0);
    const scan = () => limited.scan(bytes, bytes.length);
    if (hex === "da0062" || hex === "dc0064" || hex === "df00000032") {
      assert.throws(scan, { code: "oversized" }, hex);
    } else {
      assert.equal(scan(), 3, hex);
    }
  }
});

Deno.test("MsgpackScanner counts values", () => {
  const limited = new MsgpackScanner({ bytesMax: 100, valuesMax: 4 });
  limited.restart(0);
  assert.equal(limited.scan(bytesOfHex("93c0c0c0"), 4), 4);
  limited.restart(0);
  assert.throws(() => limited.scan(bytesOfHex("94c0c0c0c0"), 5), {
    code: "oversized",
  });
});
