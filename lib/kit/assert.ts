/**
 * Checks on our own reasoning.
 *
 * A failed assertion is a bug of ours, never the fault of a peer or a caller;
 * those get a `WireError` or one of the built-in error classes. Assertions stay
 * on in production: a wrong membership table is worse than a stopped process.
 */

/** Thrown when the program contradicts itself. */
export class AssertionError extends Error {
  override name = "AssertionError";
}

/**
 * States what must hold here.
 *
 * @throws {AssertionError} when `condition` is false
 */
export function assert(condition: boolean, detail: string): asserts condition {
  if (!condition) throw new AssertionError(`Assertion failed: ${detail}`);
}

/** Narrows away `undefined` where an absent value would be our own bug. */
export function defined<T>(value: T | undefined, detail: string): T {
  if (value === undefined) {
    throw new AssertionError(`Assertion failed: ${detail} is undefined`);
  }
  return value;
}

/** The default case of a switch that covers a whole union. */
export function unreachable(value: never): never {
  throw new AssertionError(`Unreachable case: ${JSON.stringify(value)}`);
}
