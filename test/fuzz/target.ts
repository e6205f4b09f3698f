/**
 * What is fuzzed: a decoder, and inputs to start from.
 *
 * The sentence that every target stands for: any bytes either decode or raise a
 * `WireError`, within a bounded time and size. A target may assert more, such as
 * that what was decoded survives being encoded.
 */

/** One decoder under test. */
export interface FuzzTarget {
  /** Unique; the choices of a run are a function of it and of the seed. */
  readonly name: string;
  /** Inputs that decode, or nearly; at least one. */
  seeds(): Uint8Array[];
  /** Throws nothing but `WireError`, whatever the bytes. */
  run(bytes: Uint8Array): void;
}
