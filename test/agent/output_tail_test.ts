import assert from "node:assert/strict";
import fc from "fast-check";
import { OutputTail } from "../../lib/agent/output_tail.ts";
import { concatBytes } from "../../lib/kit/bytes.ts";

Deno.test("OutputTail keeps the last bytes, however they came", () => {
  fc.assert(fc.property(
    fc.integer({ min: 1, max: 20 }),
    fc.array(fc.uint8Array({ maxLength: 30 })),
    (bytesMax, chunks) => {
      const tail = new OutputTail(bytesMax);
      for (const chunk of chunks) tail.push(chunk);
      const whole = concatBytes(chunks);
      assert.equal(tail.bytesTotal, whole.length);
      assert.deepEqual(
        [...tail.toBytes()],
        [...whole].slice(-bytesMax),
      );
    },
  ));
});

Deno.test("OutputTail does not hold on to the buffer of a chunk", () => {
  const tail = new OutputTail(4);
  const chunk = Uint8Array.of(1, 2, 3, 4, 5);
  tail.push(chunk);
  chunk.fill(0);
  assert.deepEqual([...tail.toBytes()], [2, 3, 4, 5]);
  assert.equal(tail.toBytes().buffer.byteLength, 4);
});
