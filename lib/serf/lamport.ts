/**
 * Lamport clocks: which of two messages is the newer one, without wall clocks.
 *
 * A node keeps three of them, for members, user events and queries. The value of
 * a clock is the time that the next message of ours will carry; witnessing the
 * time of another's message moves our clock past it.
 *
 * Times are unsigned 64-bit and wrap to zero. Whatever is remembered by its time
 * would then take all that follows for old, so it starts anew at each wrap (see
 * `wraps`). And no single message may bring a clock there: no honest cluster comes
 * to 2^63 in its life, so times from there on are believed only shortly ahead of
 * our clock. Serf believes any. A member that does will go on from such a time; we
 * follow it when it shows us its clock in an exchange of state that we have begun,
 * which a stranger cannot answer. So a cluster of both kinds stays one.
 *
 * Source: Lamport, "Time, Clocks, and the Ordering of Events in a Distributed
 * System" (1978); serf `lamport.go`.
 */

/** Width of a time on the wire. */
const LTIME_BITS = 64;
/** The last time before 0. */
export const LAST_LTIME = (1n << 64n) - 1n;

/** The time after `ltime`, 0 after the last one. */
export function nextLTime(ltime: bigint): bigint {
  return BigInt.asUintN(LTIME_BITS, ltime + 1n);
}

/** Times below this are believed, whatever our clock shows. */
export const FAR_LTIME = 1n << 63n;
/**
 * How far above our clock a time may be from there on. A cluster would have to
 * send a thousand messages a second for 49 days while we hear none.
 */
const FAR_WINDOW = 1n << 32n;

export class LamportClock {
  readonly #farFrom: bigint;
  #time = 0n;
  #wraps = 0;

  /** @param farFrom times below this are believed in any case */
  constructor(farFrom = FAR_LTIME) {
    this.#farFrom = farFrom;
  }

  /** The time that our next message will carry. */
  get time(): bigint {
    return this.#time;
  }

  /** How often it has wrapped. Times of before mean nothing after it. */
  get wraps(): number {
    return this.#wraps;
  }

  /** Whether a time of others is so far ahead that it cannot be right. */
  isFarAhead(ltime: bigint): boolean {
    return ltime >= this.#farFrom && ltime > this.#time + FAR_WINDOW;
  }

  /** Moves on by one and returns the new time. */
  increment(): bigint {
    this.#moveBehind(this.#time);
    return this.#time;
  }

  /** Takes note of a time in use elsewhere: ours is later from now on. */
  witness(seen: bigint): void {
    if (seen >= this.#time) this.#moveBehind(seen);
  }

  #moveBehind(ltime: bigint): void {
    this.#time = nextLTime(ltime);
    if (this.#time === 0n) this.#wraps++;
  }
}
