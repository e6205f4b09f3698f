import assert from "node:assert/strict";
import { WIRE_CASES } from "./wire_cases.ts";

Deno.test("the work of the wire benchmarks is the same each time", () => {
  const sums = () => WIRE_CASES.map(({ run }) => run());
  const first = sums();
  assert.ok(first.every((sum) => sum > 0));
  assert.deepEqual(sums(), first);
});
