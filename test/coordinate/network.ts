/**
 * A made-up network for simulations of coordinates: nodes on a plane, each with
 * an access link of its own, and round trips that are never twice the same.
 *
 * It knows the true round trip times, which is what an estimate is held against.
 */

import type { Random } from "../../lib/kit/random.ts";

/** Sides of the plane, about a continent's width in light through glass, s. */
const WIDTH_SECONDS = 0.1;
const DEPTH_SECONDS = 0.06;
/** Access links: most are short, a few are long, s. */
const ACCESS_MEAN_SECONDS = 0.004;
/** Queueing adds up to this share to a round trip. */
const JITTER = 0.05;
/** How often a packet is caught in a full queue, and how much longer it takes. */
const SPIKE_PROBABILITY = 0.005;
const SPIKE_FACTOR = 8;

interface Site {
  readonly x: number;
  readonly y: number;
  readonly accessSeconds: number;
}

export class MadeUpNetwork {
  readonly #random: Random;
  readonly #sites: readonly Site[];

  constructor(nodes: number, random: Random) {
    this.#random = random;
    this.#sites = Array.from({ length: nodes }, () => ({
      x: random.fraction() * WIDTH_SECONDS,
      y: random.fraction() * DEPTH_SECONDS,
      accessSeconds: -Math.log(1 - random.fraction()) * ACCESS_MEAN_SECONDS,
    }));
  }

  /** Round trip time between two nodes of an idle network, ns. */
  trueNs(a: number, b: number): number {
    const from = this.#sites[a] as Site;
    const to = this.#sites[b] as Site;
    const plain = Math.hypot(from.x - to.x, from.y - to.y);
    return (plain + from.accessSeconds + to.accessSeconds) * 1e9;
  }

  /** One measurement, ns. All chance is drawn each time, whether used or not. */
  measureNs(a: number, b: number): number {
    const jitter = 1 + this.#random.fraction() * JITTER;
    const spike = this.#random.chance(SPIKE_PROBABILITY) ? SPIKE_FACTOR : 1;
    return Math.round(this.trueNs(a, b) * jitter * spike);
  }
}
