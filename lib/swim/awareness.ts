/**
 * Our view of our own health (Lifeguard's local health multiplier).
 *
 * A member that keeps missing acks, or has to refute accusations, is probably
 * slow itself. It then probes more slowly and so accuses others less readily.
 *
 * Source: Lifeguard (Dadgar, Phillips, Currey 2017, arXiv 1707.00788), section
 * IV-A; memberlist `awareness.go`.
 */
export class Awareness {
  #score = 0;

  /** @param multiplierMax the score stays below this; 8 in memberlist */
  constructor(readonly multiplierMax: number) {}

  /** 0 is healthy; at most `multiplierMax - 1`. */
  get score(): number {
    return this.#score;
  }

  /** Moves the score, within its range. Negative is healthier. */
  apply(delta: number): void {
    const moved = this.#score + delta;
    this.#score = Math.min(Math.max(moved, 0), this.multiplierMax - 1);
  }

  /** A duration stretched by the score. */
  scaleMs(durationMs: number): number {
    return durationMs * (this.#score + 1);
  }
}
