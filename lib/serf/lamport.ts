/**
 * Lamport clocks: which of two messages is the newer one, without wall clocks.
 *
 * A node keeps three of them, for members, user events and queries. The value of
 * a clock is the time that the next message of ours will carry; witnessing the
 * time of another's message moves our clock past it.
 *
 * Times are unsigned 64-bit and wrap to zero. One message with a time near 2^64
 * therefore sets the clocks of a whole cluster back to the beginning: until they
 * have caught up, members keep ignoring newer intents about the member named in
 * it, since those look older. Serf does the same, and a cluster of both kinds
 * agrees only if we do too; encryption is what keeps such messages out.
 *
 * Source: Lamport, "Time, Clocks, and the Ordering of Events in a Distributed
 * System" (1978); serf `lamport.go`.
 */

/** Width of a time on the wire. */
const LTIME_BITS = 64;

/** The time after `ltime`, 0 after the last one. */
export function nextLTime(ltime: bigint): bigint {
  return BigInt.asUintN(LTIME_BITS, ltime + 1n);
}

export class LamportClock {
  #time = 0n;

  /** The time that our next message will carry. */
  get time(): bigint {
    return this.#time;
  }

  /** Moves on by one and returns the new time. */
  increment(): bigint {
    this.#time = nextLTime(this.#time);
    return this.#time;
  }

  /** Takes note of a time in use elsewhere: ours is later from now on. */
  witness(seen: bigint): void {
    if (seen >= this.#time) this.#time = nextLTime(seen);
  }
}
