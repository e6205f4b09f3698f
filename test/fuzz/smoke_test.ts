/**
 * A quick run of every fuzz target, the same at each time; longer runs with other
 * seeds are what `main.ts` is for.
 */

import assert from "node:assert/strict";
import { CANARY } from "./canary.ts";
import { fuzz } from "./fuzz.ts";
import { TARGETS } from "./registry.ts";

const SEED = 1;
const INPUTS = 2_000;

for (const target of TARGETS) {
  Deno.test(`fuzz ${target.name}: any bytes decode or raise a WireError`, () => {
    const { accepted, refused, finding } = fuzz(target, SEED, INPUTS);
    assert.equal(finding, undefined, JSON.stringify(finding));
    // A run that never decodes, or never fails to, does not test much.
    assert.ok(accepted > 0, "some inputs decode");
    assert.ok(accepted + refused >= INPUTS);
  });
}

Deno.test("fuzz() finds the mistake planted in the canary", () => {
  const { finding } = fuzz(CANARY, SEED, INPUTS);
  assert.equal(finding?.target, "canary");
  assert.match(finding?.why ?? "", /TypeError/);
});

Deno.test("fuzz() is a function of its seed", () => {
  const hexOf = (seed: number) => fuzz(CANARY, seed, INPUTS).finding?.hex;
  assert.equal(hexOf(SEED), hexOf(SEED));
  assert.notEqual(hexOf(SEED), hexOf(SEED + 3));
});

Deno.test("fuzz targets have names of their own", () => {
  const names = TARGETS.map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
});
