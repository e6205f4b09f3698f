/**
 * How long a suspected member has to prove that it lives.
 *
 * A suspicion starts with the longest timeout. Every further accuser shortens
 * it, logarithmically, down to the shortest, which is reached with `k`
 * confirmations: one slow accuser cannot have a healthy member declared dead
 * quickly, while a real failure, seen by many, is settled fast.
 *
 * Source: Lifeguard (arXiv 1707.00788), section IV-B, local health aware
 * suspicion and dogpile; memberlist `suspicion.go` and `util.go`.
 */

/**
 * The shortest suspicion, ms.
 *
 *     mult * max(1, log10(max(1, n))) * probeInterval
 *
 * with the logarithm cut to three decimals, as memberlist computes it.
 *
 * @param members members we know, ourselves and dead ones included
 */
export function suspicionTimeoutMs(
  suspicionMult: number,
  members: number,
  probeIntervalMs: number,
): number {
  const scale = Math.max(1, Math.log10(Math.max(1, members)));
  return suspicionMult * Math.trunc(scale * 1_000) * probeIntervalMs / 1_000;
}

/**
 * Time left of a suspicion after `confirmations` of the `expected` ones, ms;
 * not above zero when it is over.
 */
export function remainingSuspicionMs(options: {
  readonly confirmations: number;
  readonly expected: number;
  readonly elapsedMs: number;
  readonly minMs: number;
  readonly maxMs: number;
}): number {
  const { confirmations, expected, elapsedMs, minMs, maxMs } = options;
  const share = Math.log(confirmations + 1) / Math.log(expected + 1);
  const totalSeconds = (maxMs - share * (maxMs - minMs)) / 1_000;
  const totalMs = Math.max(Math.floor(totalSeconds * 1_000), minMs);
  return totalMs - elapsedMs;
}

/** One running suspicion. It keeps no clock; the caller owns the deadline. */
export class Suspicion {
  readonly #accusers: Set<string>;
  #confirmations = 0;

  /** @param expected confirmations that shorten it to `minMs`; 0 starts there */
  constructor(
    readonly expected: number,
    readonly minMs: number,
    readonly maxMs: number,
    readonly startedMs: number,
    accuser: string,
  ) {
    this.#accusers = new Set([accuser]);
  }

  /** Independent accusers after the first one. */
  get confirmations(): number {
    return this.#confirmations;
  }

  /**
   * Counts an accuser.
   *
   * @returns whether it was a new one and still wanted; only then is the
   * accusation worth passing on
   */
  confirm(accuser: string): boolean {
    if (this.#confirmations >= this.expected) return false;
    if (this.#accusers.has(accuser)) return false;
    this.#accusers.add(accuser);
    this.#confirmations++;
    return true;
  }

  /** The instant at which the member is dead unless it has refuted. */
  deadlineMs(nowMs: number): number {
    if (this.expected < 1) return this.startedMs + this.minMs;
    if (this.#confirmations === 0) return this.startedMs + this.maxMs;
    const elapsedMs = nowMs - this.startedMs;
    const remainingMs = remainingSuspicionMs({
      confirmations: this.#confirmations,
      expected: this.expected,
      elapsedMs,
      minMs: this.minMs,
      maxMs: this.maxMs,
    });
    return nowMs + Math.max(remainingMs, 0);
  }
}
