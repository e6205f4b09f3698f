/** Many seeds taken together: what happened in all of them, and the worst of it. */

import {
  addFaultCounts,
  FAULT_CLASSES,
  type FaultClass,
  type FaultCounts,
  noFaultCounts,
} from "./faults.ts";
import type { SimulationReport } from "./simulate.ts";

/** The sum of simulated runs. */
export class SweepTotals {
  /** Runs, and those among them in which a rule was broken. */
  runs = 0;
  readonly failedSeeds: number[] = [];
  readonly faults: FaultCounts = noFaultCounts();
  inputs = 0;
  /** How often a live, reachable member was called failed, and in how many runs. */
  falseFailures = 0;
  runsWithFalseFailures = 0;
  /** Longest time from the end of the faults to agreement, ms, and its seed. */
  slowestMs = 0;
  slowestSeed: number | undefined;
  #agreementsMs: number[] = [];
  #nodeSeconds = 0;
  #packets = 0;
  #bytes = 0;

  add(report: SimulationReport, nodes: number): void {
    this.runs++;
    if (report.violations.length > 0) this.failedSeeds.push(report.seed);
    addFaultCounts(this.faults, report.faults);
    this.inputs += report.inputs;
    this.falseFailures += report.falseFailures;
    if (report.falseFailures > 0) this.runsWithFalseFailures++;
    const { agreedAfterMs } = report;
    if (agreedAfterMs !== undefined) {
      this.#agreementsMs.push(agreedAfterMs);
      if (this.slowestSeed === undefined || agreedAfterMs > this.slowestMs) {
        this.slowestMs = agreedAfterMs;
        this.slowestSeed = report.seed;
      }
    }
    this.#nodeSeconds += nodes * report.virtualMs / 1_000;
    this.#packets += report.packets;
    this.#bytes += report.packetBytes + report.streamBytes;
  }

  /** Median time from the end of the faults to agreement, ms. */
  get medianMs(): number {
    const sorted = this.#agreementsMs.sort((a, b) => a - b);
    return sorted[sorted.length >> 1] ?? 0;
  }

  /** Packets sent per node and second, on average over all runs. */
  get packetsPerNode(): number {
    return this.#packets / this.#nodeSeconds;
  }

  /** Bytes sent per node and second, in packets and streams. */
  get bytesPerNode(): number {
    return this.#bytes / this.#nodeSeconds;
  }

  /** Virtual time of all nodes together, hours. */
  get nodeHours(): number {
    return this.#nodeSeconds / 3_600;
  }

  /** Fault classes that never happened. */
  get missingFaults(): FaultClass[] {
    return FAULT_CLASSES.filter((fault) => this.faults[fault] === 0);
  }
}
