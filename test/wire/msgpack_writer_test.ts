import assert from "node:assert/strict";
import { decode } from "@msgpack/msgpack";
import fc from "fast-check";
import { hexOf } from "../../lib/kit/bytes.ts";
import { MsgpackWriter } from "../../lib/wire/msgpack_writer.ts";

const writer = new MsgpackWriter();

function hexWritten(write: (writer: MsgpackWriter) => MsgpackWriter): string {
  return hexOf(write(writer.begin()).finish());
}

Deno.test("MsgpackWriter.uint() takes the shortest unsigned form", () => {
  const forms: [value: number, hex: string][] = [
    [0, "00"],
    [127, "7f"],
    [128, "cc80"],
    [255, "ccff"],
    [256, "cd0100"],
    [65_535, "cdffff"],
    [65_536, "ce00010000"],
    [0xffff_ffff, "ceffffffff"],
    [0x1_0000_0000, "cf0000000100000000"],
    [Number.MAX_SAFE_INTEGER, "cf001fffffffffffff"],
  ];
  for (const [value, hex] of forms) {
    assert.equal(hexWritten((writer) => writer.uint(value)), hex);
    assert.equal(hexWritten((writer) => writer.uint64(BigInt(value))), hex);
    assert.equal(hexWritten((writer) => writer.int64(BigInt(value))), hex);
  }
  assert.equal(
    hexWritten((writer) => writer.uint64(0xffff_ffff_ffff_ffffn)),
    "cfffffffffffffffff",
  );
});

Deno.test("MsgpackWriter.int64() takes the shortest signed form below zero", () => {
  const forms: [value: bigint, hex: string][] = [
    [-1n, "ff"],
    [-32n, "e0"],
    [-33n, "d0df"],
    [-128n, "d080"],
    [-129n, "d1ff7f"],
    [-32_768n, "d18000"],
    [-32_769n, "d2ffff7fff"],
    [-0x8000_0000n, "d280000000"],
    [-0x8000_0001n, "d3ffffffff7fffffff"],
    [-0x8000_0000_0000_0000n, "d38000000000000000"],
  ];
  for (const [value, hex] of forms) {
    assert.equal(hexWritten((writer) => writer.int64(value)), hex);
  }
});

Deno.test("MsgpackWriter writes texts and bytes alike, never as str8 or bin", () => {
  const heads: [length: number, head: string][] = [
    [0, "a0"],
    [31, "bf"],
    [32, "da0020"],
    [255, "da00ff"],
    [65_535, "daffff"],
    [65_536, "db00010000"],
  ];
  for (const [length, head] of heads) {
    const expected = head + "78".repeat(length);
    assert.equal(
      hexWritten((writer) => writer.text("x".repeat(length))),
      expected,
    );
    const bytes = new Uint8Array(length).fill(0x78);
    assert.equal(hexWritten((writer) => writer.bytes(bytes)), expected);
  }
  // The length counts bytes, not characters.
  assert.equal(
    hexWritten((writer) => writer.text("é".repeat(16))).slice(0, 6),
    "da0020",
  );
  assert.equal(hexWritten((writer) => writer.text("日")), "a3e697a5");
});

Deno.test("MsgpackWriter.bytesOrNil() writes nil for nothing", () => {
  assert.equal(
    hexWritten((writer) => writer.bytesOrNil(new Uint8Array(0))),
    "c0",
  );
  assert.equal(
    hexWritten((writer) => writer.bytesOrNil(Uint8Array.of(0))),
    "a100",
  );
});

Deno.test("MsgpackWriter writes container heads of every width", () => {
  const heads: [size: number, map: string, array: string][] = [
    [0, "80", "90"],
    [15, "8f", "9f"],
    [16, "de0010", "dc0010"],
    [65_535, "deffff", "dcffff"],
    [65_536, "df00010000", "dd00010000"],
  ];
  for (const [size, map, array] of heads) {
    assert.equal(hexWritten((writer) => writer.map(size)), map);
    assert.equal(hexWritten((writer) => writer.array(size)), array);
  }
});

Deno.test("MsgpackWriter grows to any size and forgets it again", () => {
  const large = new Uint8Array(3_000_000).fill(7);
  const whole = writer.begin().bytes(large).uint(5).finish();
  assert.equal(whole.length, 5 + large.length + 1);
  assert.equal(whole.at(-1), 5);
  assert.equal(hexWritten((writer) => writer.uint(5)), "05");
});

Deno.test("MsgpackWriter refuses numbers that it cannot write", () => {
  for (const value of [-1, 1.5, Number.NaN, 2 ** 53]) {
    assert.throws(() => writer.begin().uint(value), { name: "AssertionError" });
  }
  assert.throws(() => writer.begin().uint64(-1n));
  assert.throws(() => writer.begin().uint64(1n << 64n));
  assert.throws(() => writer.begin().int64(-(1n << 63n) - 1n));
});

Deno.test("MsgpackWriter writes what the library reads", () => {
  fc.assert(fc.property(
    fc.string({ unit: "binary", maxLength: 100 }),
    fc.double(),
    fc.bigInt(-(1n << 63n), (1n << 63n) - 1n),
    fc.boolean(),
    (text, float, integer, flag) => {
      const bytes = writer.begin().array(5)
        .text(text).float64(float).int64(integer).bool(flag).nil()
        .finish();
      const [a, b, c, d, e] = decode(bytes, { useBigInt64: true }) as unknown[];
      assert.deepEqual([a, b, BigInt(c as number), d, e], [
        text,
        float,
        integer,
        flag,
        null,
      ]);
    },
  ));
});
