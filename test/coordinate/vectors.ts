/** Recorded runs of the original, from `test/vectors/serf.json`, for tests. */

import type { Coordinate } from "../../lib/coordinate/coordinate.ts";
import type { VivaldiConfig } from "../../lib/coordinate/vivaldi.ts";

/** A number; the file writes what is not finite as text. */
type GivenNumber = number | "NaN" | "+Inf" | "-Inf";

interface GivenCoordinate {
  readonly Vec: readonly GivenNumber[];
  readonly Error: GivenNumber;
  readonly Adjustment: GivenNumber;
  readonly Height: GivenNumber;
}

/** Two coordinates and their estimate, ns. */
export interface RecordedDistance {
  readonly name: string;
  readonly a: Coordinate;
  readonly b: Coordinate;
  readonly distanceNs: number;
}

/** One measurement and what it led to. */
export interface RecordedStep {
  readonly node: string;
  readonly remote: Coordinate;
  readonly rttNs: number;
  /** Estimate before the update, ns. */
  readonly estimateNs: number;
  readonly after: Coordinate;
  readonly resets: number;
  /** Why the measurement was refused. */
  readonly error: string | undefined;
}

export interface RecordedRun {
  readonly name: string;
  readonly config: VivaldiConfig;
  readonly start: Coordinate;
  readonly steps: readonly RecordedStep[];
}

interface VectorFile {
  readonly vivaldi: readonly {
    readonly name: string;
    readonly config: Readonly<Record<string, number>>;
    readonly start: GivenCoordinate;
    readonly steps: readonly {
      readonly node: string;
      readonly remote: GivenCoordinate;
      readonly rtt_ns: number;
      readonly estimate_before_ns: number;
      readonly after: GivenCoordinate;
      readonly resets: number;
      readonly error?: string;
    }[];
  }[];
  readonly distances: readonly {
    readonly name: string;
    readonly a: GivenCoordinate;
    readonly b: GivenCoordinate;
    readonly distance_ns: number;
  }[];
}

const file = JSON.parse(
  Deno.readTextFileSync(new URL("../vectors/serf.json", import.meta.url)),
) as VectorFile;

export const RECORDED_RUNS: readonly RecordedRun[] = file.vivaldi.map((run) => {
  const of = (name: string) => run.config[name] as number;
  return {
    name: run.name,
    config: {
      dimensions: of("Dimensionality"),
      errorMax: of("VivaldiErrorMax"),
      errorGain: of("VivaldiCE"),
      moveGain: of("VivaldiCC"),
      adjustmentWindow: of("AdjustmentWindowSize"),
      heightMinSeconds: of("HeightMin"),
      latencyFilterSize: of("LatencyFilterSize"),
      gravityRhoSeconds: of("GravityRho"),
    },
    start: coordinateOf(run.start),
    steps: run.steps.map((step) => ({
      node: step.node,
      remote: coordinateOf(step.remote),
      rttNs: step.rtt_ns,
      estimateNs: step.estimate_before_ns,
      after: coordinateOf(step.after),
      resets: step.resets,
      error: step.error,
    })),
  };
});

export const RECORDED_DISTANCES: readonly RecordedDistance[] = file.distances
  .map(({ name, a, b, distance_ns }) => ({
    name,
    a: coordinateOf(a),
    b: coordinateOf(b),
    distanceNs: distance_ns,
  }));

function coordinateOf(given: GivenCoordinate): Coordinate {
  return {
    vec: given.Vec.map(numberOf),
    error: numberOf(given.Error),
    adjustment: numberOf(given.Adjustment),
    height: numberOf(given.Height),
  };
}

function numberOf(given: GivenNumber): number {
  if (typeof given === "number") return given;
  return Number(given.replace("Inf", "Infinity"));
}
