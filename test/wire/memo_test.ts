import assert from "node:assert/strict";
import fc from "fast-check";
import { hexOf } from "../../lib/kit/bytes.ts";
import { Memo } from "../../lib/wire/memo.ts";

Deno.test("Memo.get() gives what decode gives, and the same object again", () => {
  let calls = 0;
  const memo = new Memo((bytes) => ({ hex: hexOf(bytes), call: ++calls }), {
    slots: 64,
    bytesMax: 16,
  });
  const first = memo.get(Uint8Array.of(1, 2, 3));
  assert.equal(first.hex, "010203");
  assert.equal(memo.get(Uint8Array.of(1, 2, 3)), first);
  assert.equal(calls, 1);
  assert.equal(memo.get(Uint8Array.of(1, 2, 4)).hex, "010204");
});

Deno.test("Memo.get() keeps its own copy of the bytes", () => {
  const memo = new Memo((bytes) => bytes, { slots: 4, bytesMax: 16 });
  const packet = Uint8Array.of(7, 7);
  const value = memo.get(packet);
  packet.fill(0);
  assert.deepEqual(value, Uint8Array.of(7, 7));
});

Deno.test("Memo.get() remembers neither long input nor a failure", () => {
  let calls = 0;
  const memo = new Memo((bytes) => {
    calls++;
    if (bytes[0] === 0) throw new RangeError("zero");
    return bytes.length;
  }, { slots: 4, bytesMax: 2 });
  assert.equal(memo.get(Uint8Array.of(1, 2, 3)), 3);
  assert.equal(memo.get(Uint8Array.of(1, 2, 3)), 3);
  assert.throws(() => memo.get(Uint8Array.of(0)), /zero/);
  assert.throws(() => memo.get(Uint8Array.of(0)), /zero/);
  assert.equal(calls, 4);
});

Deno.test("Memo is never wrong, however its slots collide", () => {
  const memo = new Memo(hexOf, { slots: 2, bytesMax: 8 });
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 10 })), (inputs) => {
      for (const bytes of inputs) assert.equal(memo.get(bytes), hexOf(bytes));
    }),
  );
});
