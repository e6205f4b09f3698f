import fc from "fast-check";
import assert from "node:assert/strict";
import {
  type Coordinate,
  CoordinateError,
  distanceNs,
  isCompatible,
  isValid,
  plainDistanceSeconds,
  pushed,
  secondsOf,
} from "../../lib/coordinate/coordinate.ts";
import { Random } from "../../lib/kit/random.ts";
import {
  plausibleCoordinates,
  refusedCoordinates,
  validCoordinates,
} from "./arbitraries.ts";
import { RECORDED_DISTANCES } from "./vectors.ts";

/** A coordinate on the axes, with the height of a new node. */
function at(...vec: number[]): Coordinate {
  return { vec, error: 1, adjustment: 0, height: 1e-5 };
}

Deno.test("distanceNs() agrees with the original to the nanosecond", () => {
  assert.equal(RECORDED_DISTANCES.length, 10);
  for (const { name, a, b, distanceNs: expected } of RECORDED_DISTANCES) {
    assert.equal(distanceNs(a, b), expected, name);
  }
});

Deno.test("distanceNs() is symmetric and not negative, however far apart", () => {
  fc.assert(fc.property(validCoordinates, validCoordinates, (a, b) => {
    const there = distanceNs(a, b);
    assert.ok(Number.isInteger(there), `${there}`);
    assert.ok(there >= 0 && there <= 2 ** 63, `${there}`);
    // The sums are not formed in the same order, which may cost a last bit, and
    // with it a nanosecond or the choice to use the adjustments at all.
    const back = distanceNs(b, a);
    assert.ok(back >= 0 && back <= 2 ** 63, `${back}`);
  }));
  fc.assert(fc.property(plausibleCoordinates, plausibleCoordinates, (a, b) => {
    const difference = Math.abs(distanceNs(a, b) - distanceNs(b, a));
    assert.ok(difference <= 1, `${difference} ns`);
  }));
});

Deno.test("distanceNs() refuses spaces of different dimensions", () => {
  assert.ok(!isCompatible(at(0, 0), at(0)));
  assert.throws(
    () => distanceNs(at(0, 0), at(0)),
    new CoordinateError("coordinate dimensionality does not match"),
  );
});

Deno.test("distanceNs() of an invalid coordinate is no number", () => {
  assert.ok(Number.isNaN(distanceNs(at(NaN), at(0))));
  assert.ok(Number.isNaN(distanceNs(at(Infinity), at(Infinity))));
});

Deno.test("isValid() accepts finite numbers of any sign, and nothing else", () => {
  fc.assert(fc.property(validCoordinates, isValid));
  assert.ok(isValid({ vec: [], error: -1, adjustment: -1, height: -1 }));
  fc.assert(fc.property(refusedCoordinates, (refused) => {
    assert.equal(isValid(refused), refused.vec.length !== 8);
  }));
});

Deno.test("secondsOf() adds whole seconds and the rest, as Go does", () => {
  assert.equal(secondsOf(0), 0);
  assert.equal(secondsOf(1), 1e-9);
  assert.equal(secondsOf(1_500_000_000), 1.5);
  assert.equal(secondsOf(10_000_000_001), 10 + 1e-9);
  assert.equal(secondsOf(-1_500_000_000), -1.5);
});

Deno.test("pushed() moves along the line between the two, and lifts in proportion", () => {
  const random = new Random(1);
  const options = { heightMinSeconds: 1e-5, random };
  const a = { ...at(0.003, 0), height: 0.001 };
  const b = { ...at(0.001, 0), height: 0.003 };
  const away = pushed(a, b, { forceSeconds: 0.001, ...options });
  assert.deepEqual(away.vec, [0.004, 0]);
  assert.equal(away.height, 0.004 * 0.001 / 0.002 + 0.001);
  assert.deepEqual(a.vec, [0.003, 0], "a coordinate is a value");
  const near = pushed(a, b, { forceSeconds: -0.001, ...options });
  assert.deepEqual(near.vec, [0.002, 0]);
  assert.equal(near.height, 1e-5, "a height keeps its least value");
});

Deno.test("pushed() parts two nodes at one place in a direction of chance", () => {
  const push = (seed: number) =>
    pushed(at(0, 0, 0), at(0, 0, 0), {
      forceSeconds: 2,
      heightMinSeconds: 1e-5,
      random: new Random(seed),
    });
  const one = push(1);
  const gap = plainDistanceSeconds(one, at(0, 0, 0));
  assert.ok(Math.abs(gap - 2 - 2e-5) < 1e-12, `${gap}`);
  assert.equal(one.height, 1e-5, "the height has no part in it");
  assert.deepEqual(push(1), one);
  assert.notDeepEqual(push(2).vec, one.vec);
});

Deno.test("pushed() takes the first axis when chance gives no direction", () => {
  const random = new Random(1);
  random.fraction = () => 0.5;
  const { vec } = pushed(at(0, 0), at(0, 0), {
    forceSeconds: 3,
    heightMinSeconds: 1e-5,
    random,
  });
  assert.deepEqual(vec, [3, 0]);
});
