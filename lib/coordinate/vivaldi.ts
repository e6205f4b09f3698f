/**
 * How a node finds its place in the network: Vivaldi, with Serf's refinements.
 *
 * A spring is imagined between us and every node that we measure. Its length at
 * rest is the measured round trip time, its length now is the estimate, and each
 * measurement lets it pull or push us a little. No node knows the whole; all of
 * them together relax into coordinates that predict each other's round trips.
 *
 *     (peer, rtt) -> latency filter -> spring -> adjustment -> gravity -> new place
 *
 * - *Latency filter*: the median of the last few times of this peer, so that one
 *   slow packet moves nobody.
 * - *Spring*: moves us in proportion to the mismatch, and the more, the surer the
 *   peer is of its coordinate and the less we are of ours.
 * - *Adjustment*: half the mean of the recent mismatches, which the position does
 *   not express. Kept apart from the position, so that it moves nobody else.
 * - *Gravity*: a pull to the origin that grows with the square of the distance, so
 *   that the cluster as a whole does not drift away.
 *
 * The rule that keeps it honest: an input that cannot be right is refused before
 * anything changes, and a result that is not finite puts us back to where we
 * started. As in the original only the coordinate goes back; the measurements
 * that led there stay until newer ones have replaced them.
 *
 * No clock and no network here: `lib/serf/coordinates.ts` brings measurements.
 *
 * Source: Vivaldi (SIGCOMM 2004), figure 3; Ledlie, Gardner, Seltzer, "Network
 * Coordinates in the Wild" (NSDI 2007), on the filter and on gravity; Lee and
 * others on adjustments, see `coordinate.ts`; serf, `coordinate/client.go`.
 */

import { formatDuration } from "../kit/duration.ts";
import type { Random } from "../kit/random.ts";
import {
  type Coordinate,
  CoordinateError,
  distanceNs,
  isCompatible,
  isValid,
  plainDistanceSeconds,
  pushed,
  secondsOf,
} from "./coordinate.ts";

/**
 * How coordinates are computed. Nodes of one cluster must agree on the number of
 * dimensions, and should agree on the rest.
 */
export interface VivaldiConfig {
  /**
   * Components of a position, at least 1. More fit a network better and cost
   * more bytes in every ack; beyond 8 hardly anything is gained.
   */
  readonly dimensions: number;
  /** Greatest `error`, and the one that we start with. */
  readonly errorMax: number;
  /**
   * Share of a new mismatch in our `error`, 0 to 1, called ce in the paper.
   * Raised, confidence follows the latest measurements more closely.
   */
  readonly errorGain: number;
  /**
   * Share of a mismatch by which we move at once, 0 to 1, called cc in the
   * paper. Raised, a node finds its place sooner and trembles more once there.
   */
  readonly moveGain: number;
  /** Measurements that the adjustment is averaged over; 0 for no adjustment. */
  readonly adjustmentWindow: number;
  /**
   * Smallest height, s, and the one that we start with. Above 0, since a height
   * of 0 could never grow again.
   */
  readonly heightMinSeconds: number;
  /**
   * Round trip times of one peer whose median counts, at least 1. Three let a
   * single spike pass without harm; more react later to a real change.
   */
  readonly latencyFilterSize: number;
  /**
   * Strength of gravity, s: at this distance from the origin a node is pulled back
   * by a whole second per measurement. A larger value is a weaker pull.
   */
  readonly gravityRhoSeconds: number;
}

/** The values of serf, `coordinate/config.go`. */
export const VIVALDI_DEFAULTS: VivaldiConfig = {
  dimensions: 8,
  errorMax: 1.5,
  errorGain: 0.25,
  moveGain: 0.25,
  adjustmentWindow: 20,
  heightMinSeconds: 1e-5,
  latencyFilterSize: 3,
  gravityRhoSeconds: 150,
};

/** Longest round trip time that is believed, ns; itself included. */
const RTT_NS_MAX = 10_000_000_000;
/** Stands for 0 where something is divided by it. */
const ZERO_THRESHOLD = 1e-6;

/** One node's coordinate, and the measurements that it follows from. */
export class Vivaldi {
  readonly #config: VivaldiConfig;
  readonly #random: Random;
  readonly #origin: Coordinate;
  /** Latest round trip times by peer, s, oldest first. */
  readonly #latencies = new Map<string, number[]>();
  /** A ring of the latest mismatches, s; 0 where none was measured yet. */
  readonly #mismatches: number[];
  #nextMismatch = 0;
  #coordinate: Coordinate;
  #resets = 0;

  /**
   * Starts at the origin.
   *
   * @param random where to go when two nodes are at one place
   * @throws {RangeError} `dimensionality must be >0`
   */
  constructor(random: Random, config: Partial<VivaldiConfig> = {}) {
    this.#random = random;
    this.#config = { ...VIVALDI_DEFAULTS, ...config };
    const { dimensions, errorMax, heightMinSeconds } = this.#config;
    if (!(dimensions > 0)) throw new RangeError("dimensionality must be >0");
    this.#origin = {
      vec: new Array<number>(dimensions).fill(0),
      error: errorMax,
      adjustment: 0,
      height: heightMinSeconds,
    };
    this.#coordinate = this.#origin;
    this.#mismatches = new Array<number>(this.#config.adjustmentWindow).fill(0);
  }

  /** Where we are. A new value after each change, the same one until then. */
  get coordinate(): Coordinate {
    return this.#coordinate;
  }

  /** How often we went back to the origin because a result was not finite. */
  get resets(): number {
    return this.#resets;
  }

  /** Peers whose round trip times are remembered. */
  get peerCount(): number {
    return this.#latencies.size;
  }

  /**
   * Puts us at a place, for instance one that we had before.
   *
   * @throws {CoordinateError} when it is not finite, or has other dimensions
   */
  setCoordinate(coordinate: Coordinate): void {
    this.#check(coordinate);
    this.#coordinate = coordinate;
  }

  /** Forgets the round trip times of a peer. */
  forget(peer: string): void {
    this.#latencies.delete(peer);
  }

  /**
   * Takes in one measurement.
   *
   * @param peer a name that its earlier times are found by
   * @param remote the peer's coordinate; error, height and adjustment may be any
   * finite numbers, negative ones too
   * @param rttNs round trip time, ns, 0 to 10 s
   * @returns our coordinate afterwards
   * @throws {CoordinateError} in the words of serf, when the coordinate does not
   * fit ours or is not finite, or the time is out of range; nothing has changed
   */
  update(peer: string, remote: Coordinate, rttNs: number): Coordinate {
    this.#check(remote);
    if (!(rttNs >= 0 && rttNs <= RTT_NS_MAX)) {
      throw new CoordinateError(
        "round trip time not in valid range, duration " +
          `${durationText(rttNs)} is not a positive value less than 10s `,
      );
    }
    const rttSeconds = this.#filtered(peer, secondsOf(rttNs));
    let next = this.#sprung(remote, rttSeconds);
    next = this.#adjusted(next, remote, rttSeconds);
    next = this.#attracted(next);
    if (isValid(next)) this.#coordinate = next;
    else {
      this.#coordinate = this.#origin;
      this.#resets++;
    }
    return this.#coordinate;
  }

  #check(coordinate: Coordinate): void {
    if (!isCompatible(this.#origin, coordinate)) {
      throw new CoordinateError("dimensions aren't compatible");
    }
    if (!isValid(coordinate)) {
      throw new CoordinateError("coordinate is invalid");
    }
  }

  /** Remembers a time and returns the median; of two, the longer one. */
  #filtered(peer: string, rttSeconds: number): number {
    let samples = this.#latencies.get(peer);
    if (samples === undefined) this.#latencies.set(peer, samples = []);
    samples.push(rttSeconds);
    if (samples.length > this.#config.latencyFilterSize) samples.shift();
    const sorted = samples.toSorted((a, b) => a - b);
    return sorted[Math.floor(sorted.length / 2)] as number;
  }

  /** Where the spring between us and the peer moves us. */
  #sprung(remote: Coordinate, rttSeconds: number): Coordinate {
    const { errorMax, errorGain, moveGain } = this.#config;
    const ours = this.#coordinate;
    const distance = secondsOf(distanceNs(ours, remote));
    const rtt = Math.max(rttSeconds, ZERO_THRESHOLD);
    const wrongness = Math.abs(distance - rtt) / rtt;
    const totalError = Math.max(ours.error + remote.error, ZERO_THRESHOLD);
    const weight = ours.error / totalError;
    const error = errorGain * weight * wrongness +
      ours.error * (1 - errorGain * weight);
    return this.#push(
      { ...ours, error: Math.min(error, errorMax) },
      remote,
      moveGain * weight * (rtt - distance),
    );
  }

  /** With the adjustment that the latest mismatches call for. */
  #adjusted(
    ours: Coordinate,
    remote: Coordinate,
    rttSeconds: number,
  ): Coordinate {
    const { adjustmentWindow } = this.#config;
    if (adjustmentWindow === 0) return ours;
    this.#mismatches[this.#nextMismatch] = rttSeconds -
      plainDistanceSeconds(ours, remote);
    this.#nextMismatch = (this.#nextMismatch + 1) % adjustmentWindow;
    let sum = 0;
    for (const mismatch of this.#mismatches) sum += mismatch;
    return { ...ours, adjustment: sum / (2 * adjustmentWindow) };
  }

  /** Pulled to the origin. */
  #attracted(ours: Coordinate): Coordinate {
    const distance = secondsOf(distanceNs(this.#origin, ours));
    const ratio = distance / this.#config.gravityRhoSeconds;
    return this.#push(ours, this.#origin, -(ratio * ratio));
  }

  #push(from: Coordinate, other: Coordinate, forceSeconds: number): Coordinate {
    const { heightMinSeconds } = this.#config;
    const random = this.#random;
    return pushed(from, other, { forceSeconds, heightMinSeconds, random });
  }
}

/** A time for people; one that is no number has no other form. */
function durationText(ns: number): string {
  return Number.isFinite(ns) ? formatDuration(ns / 1e6) : `${ns}`;
}
