/**
 * Network coordinates: places in a space in which distance is round trip time.
 *
 * A coordinate has a position (`vec`) in a Euclidean space, which stands for the
 * core of the network, and a `height` above it, which stands for the access link
 * that every packet of the node must cross whatever its destination. The estimate
 * of the round trip time between two nodes is therefore
 *
 *     |a.vec - b.vec| + a.height + b.height + a.adjustment + b.adjustment
 *
 * where the adjustments correct what the space cannot express, as long as the sum
 * stays positive. All of it is in seconds, but for `error`, which has no unit.
 *
 * How a node finds its coordinate is in `vivaldi.ts`; how coordinates travel is in
 * `lib/wire/serf_payloads.ts`.
 *
 * Each formula adds and multiplies in the order of the original, so that two
 * implementations fed the same measurements stay at the same place.
 *
 * Source: Dabek, Cox, Kaashoek, Morris, "Vivaldi: A Decentralized Network
 * Coordinate System" (SIGCOMM 2004), section 5.4 on heights; Lee, Guha, Sahni
 * and others, "On Suitability of Euclidean Embedding for Host-Based Network
 * Coordinate Systems", on adjustments; serf, `coordinate/coordinate.go`.
 */

import { assert } from "../kit/assert.ts";
import type { Random } from "../kit/random.ts";

/** A place in the network. A value: what changes is a new coordinate. */
export interface Coordinate {
  /** Position, s; as many components as the whole cluster has agreed on. */
  readonly vec: readonly number[];
  /** Confidence in the coordinate, 0 for certainty. */
  readonly error: number;
  /** Correction of estimates, s; may be negative. */
  readonly adjustment: number;
  /** Distance from the core of the network, s. */
  readonly height: number;
}

/** A coordinate or a measurement that cannot be used. Nothing has changed. */
export class CoordinateError extends Error {
  override name = "CoordinateError";
}

/** Two positions nearer than this have no direction from one to the other, s. */
const ZERO_THRESHOLD_SECONDS = 1e-6;
const NS_PER_SECOND = 1e9;
/** Where the original's 64-bit nanoseconds end: about 292 years. */
const NS_MAX = 2 ** 63;

/** Whether all numbers of the coordinate are finite. Signs are not looked at. */
export function isValid(coordinate: Coordinate): boolean {
  const { vec, error, adjustment, height } = coordinate;
  return Number.isFinite(error) && Number.isFinite(adjustment) &&
    Number.isFinite(height) && vec.every(Number.isFinite);
}

/** Whether both live in a space of the same number of dimensions. */
export function isCompatible(a: Coordinate, b: Coordinate): boolean {
  return a.vec.length === b.vec.length;
}

/**
 * Estimated round trip time between two nodes, in whole nanoseconds.
 *
 * Not negative for valid coordinates with heights of at least 0, and no more
 * than 2^63 however far they are apart; what the original makes of larger ones
 * depends on the processor. NaN when a coordinate is not valid.
 *
 * @throws {CoordinateError} when the numbers of dimensions differ
 */
export function distanceNs(a: Coordinate, b: Coordinate): number {
  if (!isCompatible(a, b)) {
    throw new CoordinateError("coordinate dimensionality does not match");
  }
  const plain = plainDistanceSeconds(a, b);
  const adjusted = plain + a.adjustment + b.adjustment;
  const seconds = adjusted > 0 ? adjusted : plain;
  const ns = Math.trunc(seconds * NS_PER_SECOND);
  return Math.max(-NS_MAX, Math.min(ns, NS_MAX));
}

/** Estimate without the adjustments, s. The dimensions must agree. */
export function plainDistanceSeconds(a: Coordinate, b: Coordinate): number {
  return magnitude(difference(a.vec, b.vec)) + a.height + b.height;
}

/** Seconds of a time in nanoseconds, rounded as Go's `Duration.Seconds` does. */
export function secondsOf(ns: number): number {
  return Math.trunc(ns / NS_PER_SECOND) + (ns % NS_PER_SECOND) / NS_PER_SECOND;
}

/**
 * The coordinate that a push from `other` leads to.
 *
 * Two nodes at the same place are pushed apart in a direction of chance. The
 * height follows the push in proportion, since a share of every error is due to
 * the access links.
 *
 * Source: Vivaldi, figure 3 and section 5.4; serf, `ApplyForce`.
 *
 * @param options `forceSeconds`: how far to move, s; negative is towards `other`.
 * `heightMinSeconds`: the new height is at least this
 */
export function pushed(
  coordinate: Coordinate,
  other: Coordinate,
  options: {
    readonly forceSeconds: number;
    readonly heightMinSeconds: number;
    readonly random: Random;
  },
): Coordinate {
  const { forceSeconds: force, heightMinSeconds, random } = options;
  const away = difference(coordinate.vec, other.vec);
  const gap = magnitude(away);
  const isApart = gap > ZERO_THRESHOLD_SECONDS;
  const unit = isApart
    ? scaled(away, 1 / gap)
    : randomDirection(away.length, random);
  const vec = coordinate.vec.map((component, i) =>
    component + (unit[i] as number) * force
  );
  if (!isApart) return { ...coordinate, vec };
  const { height } = coordinate;
  const raised = (height + other.height) * force / gap + height;
  return { ...coordinate, vec, height: Math.max(raised, heightMinSeconds) };
}

/** A vector of length 1. */
function randomDirection(dimensions: number, random: Random): number[] {
  const vec = Array.from({ length: dimensions }, () => random.fraction() - 0.5);
  const length = magnitude(vec);
  if (length > ZERO_THRESHOLD_SECONDS) return scaled(vec, 1 / length);
  return vec.map((_, i) => i === 0 ? 1 : 0);
}

function difference(a: readonly number[], b: readonly number[]): number[] {
  assert(a.length === b.length, "vectors have the same dimensions");
  return a.map((component, i) => component - (b[i] as number));
}

function scaled(vec: readonly number[], factor: number): number[] {
  return vec.map((component) => component * factor);
}

function magnitude(vec: readonly number[]): number {
  let sum = 0;
  for (const component of vec) sum += component * component;
  return Math.sqrt(sum);
}
