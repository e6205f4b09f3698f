/**
 * Our view of our own health (Lifeguard's local health multiplier).
 *
 * A member that keeps missing acks, or has to refute accusations, is probably
 * slow itself. It then probes more slowly and so accuses others less readily.
 *
 * Source: Lifeguard (Dadgar, Phillips, Currey 2017, arXiv 1707.00788), section
 * IV-A; memberlist `awareness.go`.
 */

import type { Gauge } from "../kit/metrics.ts";

/** The score, 0 to `multiplierMax - 1`, and what it stretches. */
export class Awareness {
  readonly #gauge: Gauge | undefined;
  #score = 0;

  /**
   * @param multiplierMax the score stays below this; 8 in memberlist
   * @param gauge is told of each change
   */
  constructor(readonly multiplierMax: number, gauge?: Gauge) {
    this.#gauge = gauge;
  }

  /** 0 is healthy; at most `multiplierMax - 1`. */
  get score(): number {
    return this.#score;
  }

  /** Moves the score, within its range. Negative is healthier. */
  apply(delta: number): void {
    const before = this.#score;
    const moved = before + delta;
    this.#score = Math.min(Math.max(moved, 0), this.multiplierMax - 1);
    if (this.#score !== before) this.#gauge?.set(this.#score);
  }

  /** A duration stretched by the score. */
  scaleMs(durationMs: number): number {
    return durationMs * (this.#score + 1);
  }
}
