import assert from "node:assert/strict";
import fc from "fast-check";
import { LamportClock, nextLTime } from "../../lib/serf/lamport.ts";

const LTIME_MAX = 2n ** 64n - 1n;

Deno.test("LamportClock starts at 0 and increments by one", () => {
  const clock = new LamportClock();
  assert.equal(clock.time, 0n);
  assert.equal(clock.increment(), 1n);
  assert.equal(clock.time, 1n);
});

Deno.test("LamportClock.witness() moves past a time that is not behind", () => {
  const clock = new LamportClock();
  clock.witness(41n);
  assert.equal(clock.time, 42n);
  clock.witness(41n);
  assert.equal(clock.time, 42n);
  clock.witness(42n);
  assert.equal(clock.time, 43n);
});

Deno.test("LamportClock wraps to 0 after the last time", () => {
  const clock = new LamportClock();
  clock.witness(LTIME_MAX - 1n);
  assert.equal(clock.time, LTIME_MAX);
  clock.witness(LTIME_MAX);
  assert.equal(clock.time, 0n);
  assert.equal(nextLTime(LTIME_MAX), 0n);
});

Deno.test("LamportClock agrees with a slow model and never goes back", () => {
  const step = fc.option(fc.bigInt({ min: 0n, max: 2n ** 40n }), {
    nil: undefined,
  });
  fc.assert(fc.property(fc.array(step), (steps) => {
    const clock = new LamportClock();
    const seen: bigint[] = [];
    for (const witnessed of steps) {
      const before = clock.time;
      if (witnessed === undefined) seen.push(clock.increment() - 1n);
      else {
        clock.witness(witnessed);
        seen.push(witnessed);
      }
      assert(clock.time >= before);
      // The clock is one past the latest time that anybody was known to use.
      const latest = seen.reduce((a, b) => a > b ? a : b);
      assert.equal(clock.time, latest + 1n);
    }
  }));
});
