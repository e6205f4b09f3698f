/** How `deno task sim` shows what came of its runs. */

import type { Violation } from "../../lib/sim/violation.ts";
import { FAULT_CLASSES, type FaultCounts } from "../../lib/sim/faults.ts";
import { missChance, type QueryTally } from "../../lib/sim/query_story.ts";
import type { SimulationReport } from "../../lib/sim/simulate.ts";
import type { Chapter } from "../../lib/sim/stories.ts";
import type { SweepTotals } from "../../lib/sim/sweep.ts";

export function printRunHead(): void {
  console.log(
    "seed      nodes  hash              agreed after  packets/node/s  inputs  live nodes called dead",
  );
}

export function printRun(report: SimulationReport, nodes: number): void {
  const perNode = report.packets / nodes / (report.virtualMs / 1_000);
  console.log(
    [
      String(report.seed).padEnd(8),
      String(nodes).padStart(5),
      ` ${report.hash}`,
      seconds(report.agreedAfterMs).padStart(12),
      perNode.toFixed(1).padStart(14),
      String(report.inputs).padStart(6),
      String(report.falseFailures).padStart(22),
    ].join("  "),
  );
}

/** Says on a terminal how far a sweep is; `undefined` takes the line away. */
export function showProgress(
  now:
    | {
      readonly totals: SweepTotals;
      readonly seeds: number;
      readonly seed: number;
    }
    | undefined,
): void {
  if (!Deno.stderr.isTerminal()) return;
  const text = now === undefined
    ? ""
    : `seed ${now.seed}: ${now.totals.runs} of ${now.seeds} runs, ` +
      `${now.totals.failedSeeds.length} failed, ${now.totals.inputs} inputs`;
  // To the first column, and the rest of the line is cleared.
  Deno.stderr.writeSync(new TextEncoder().encode(`\r${text}\x1b[K`));
}

export function printTotals(totals: SweepTotals, realMs: number): void {
  const { runs, failedSeeds, slowestMs, slowestSeed } = totals;
  const failed = failedSeeds.length === 0
    ? "none failed"
    : `${failedSeeds.length} failed: seeds ${failedSeeds.join(", ")}`;
  console.log(
    `
runs                      ${runs}, ${failed}
inputs                    ${totals.inputs} in ${seconds(realMs)}
virtual time of all nodes ${totals.nodeHours.toFixed(1)} h
agreement after faults    median ${seconds(totals.medianMs)}, worst ${
      seconds(slowestMs)
    } (seed ${slowestSeed})
live nodes called dead    ${totals.falseFailures} times in ${totals.runsWithFalseFailures} runs
traffic per node          ${totals.packetsPerNode.toFixed(1)} packets/s, ${
      totals.bytesPerNode.toFixed(0)
    } bytes/s`,
  );
}

export function printChapterHead(): void {
  console.log(
    "                              virtual        real     packets        bytes   live nodes",
  );
  console.log(
    "chapter                          time        time     /node/s      /node/s  called dead",
  );
}

export function printChapter(chapter: Chapter, realMs: number): void {
  const { name, tookMs, packetsPerNode, bytesPerNode, falseFailures } = chapter;
  console.log(
    [
      name.padEnd(27),
      seconds(tookMs).padStart(8),
      seconds(realMs).padStart(10),
      packetsPerNode.toFixed(1).padStart(10),
      bytesPerNode.toFixed(0).padStart(11),
      String(falseFailures).padStart(11),
    ].join("  "),
  );
}

export function printTally(tally: QueryTally, loss: number): void {
  const { relayFactor, asked, received, acks, answers } = tally;
  const share = (count: number, of: number) =>
    `${(100 * count / of).toFixed(2)} %`;
  console.log(
    `${relayFactor} relays: ${share(received, asked)} got the query, ` +
      `of these ${share(acks, received)} of the acks and ` +
      `${share(answers, received)} of the answers arrived, ` +
      `expected ${share(1 - missChance(loss, relayFactor), 1)}`,
  );
}

export function printFaults(faults: Readonly<FaultCounts>): void {
  console.log("\nfaults that happened");
  for (const fault of FAULT_CLASSES) {
    console.log(`  ${fault.padEnd(16)} ${String(faults[fault]).padStart(9)}`);
  }
}

export function printViolations(violations: readonly Violation[]): void {
  for (const { atMs, rule, text } of violations) {
    console.log(`  BROKEN at ${seconds(atMs)}: ${rule}: ${text}`);
  }
}

export function seconds(ms: number | undefined, digits = 1): string {
  return ms === undefined ? "never" : `${(ms / 1_000).toFixed(digits)} s`;
}
