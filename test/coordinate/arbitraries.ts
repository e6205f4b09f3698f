/** Random coordinates, for property tests. */

import fc from "fast-check";
import type { Coordinate } from "../../lib/coordinate/coordinate.ts";

const DIMENSIONS = 8;

/** Seconds of any finite size and sign. */
const anySeconds = fc.double({ noNaN: true, noDefaultInfinity: true });
const anyPositive = fc.double({
  min: 0,
  noNaN: true,
  noDefaultInfinity: true,
});

function vecOf(component: fc.Arbitrary<number>): fc.Arbitrary<number[]> {
  return fc.array(component, { minLength: DIMENSIONS, maxLength: DIMENSIONS });
}

/** Valid coordinates, absurd ones among them, with heights of at least 0. */
export const validCoordinates: fc.Arbitrary<Coordinate> = fc.record({
  vec: vecOf(anySeconds),
  error: anyPositive,
  adjustment: anySeconds,
  height: anyPositive,
});

/** Coordinates such as a network has: within a second of the origin. */
export const plausibleCoordinates: fc.Arbitrary<Coordinate> = fc.record({
  vec: vecOf(fc.double({ min: -0.5, max: 0.5, noNaN: true })),
  error: fc.double({ min: 0, max: 1.5, noNaN: true }),
  adjustment: fc.double({ min: -0.05, max: 0.05, noNaN: true }),
  height: fc.double({ min: 1e-5, max: 0.1, noNaN: true }),
});

/** Coordinates with a number that is not finite, or of another dimension. */
export const refusedCoordinates: fc.Arbitrary<Coordinate> = fc.oneof(
  fc.tuple(
    plausibleCoordinates,
    fc.integer({ min: 0, max: DIMENSIONS + 2 }),
    fc.constantFrom(NaN, Infinity, -Infinity),
  ).map(([good, place, bad]) => broken(good, place, bad)),
  fc.tuple(
    plausibleCoordinates,
    fc.integer({ min: 0, max: 2 * DIMENSIONS })
      .filter((length) => length !== DIMENSIONS),
  ).map(([good, length]) => ({ ...good, vec: Array(length).fill(0) })),
);

function broken(good: Coordinate, place: number, bad: number): Coordinate {
  if (place < DIMENSIONS) return { ...good, vec: good.vec.with(place, bad) };
  const fields = ["error", "adjustment", "height"] as const;
  return { ...good, [fields[place - DIMENSIONS] as string]: bad };
}
