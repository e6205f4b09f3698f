/**
 * Two measurements of `deno task sim`, printed as tables in Markdown:
 * `--story lifeguard` and `--story scale`.
 */

import {
  type CurveReport,
  measureCurves,
  reachedMs,
} from "../../lib/sim/curves.ts";
import { type GossipModel, modelMs } from "../../lib/sim/gossip_model.ts";
import {
  countFalsePositives,
  type FalsePositives,
  LIFEGUARD_CONFIGS,
  type LifeguardParts,
  percentile,
  timeDetections,
} from "../../lib/sim/lifeguard_story.ts";
import { PROFILES } from "../../lib/swim/config.ts";
import { seconds } from "./printing.ts";

// --- Lifeguard ----------------------------------------------------------------

/** How many members are slow at once. */
const SLOW = [1, 4, 8, 16, 32];
/** How long they handle nothing, and then everything, ms. */
const BLOCKED_MS = [2_048, 8_192, 32_768];
const OPEN_MS = [64, 1_024];
/** Runs of the second experiment for each number of slow members. */
const DETECTION_RUNS = 2;

/** What one configuration gave. */
interface LifeguardRow {
  readonly parts: LifeguardParts;
  readonly counts: (FalsePositives & {
    readonly slow: number;
    readonly blockedMs: number;
  })[];
  readonly firstMs: number[];
  readonly allMs: number[];
  missed: number;
}

/** @returns always true: a measurement breaks no rule */
export function runLifeguard(
  options: { readonly seed: number; readonly nodes: number },
): boolean {
  const rows = LIFEGUARD_CONFIGS.map((parts) => measureRow(parts, options));
  const [swim] = rows as [LifeguardRow];
  console.log();
  printTable(
    ["", "FP", "FP-", "FP, % of SWIM", "FP-, % of SWIM"],
    rows.map((row) => {
      const [all, healthy] = sums(row.counts);
      const [allSwim, healthySwim] = sums(swim.counts);
      return [
        row.parts.name,
        all,
        healthy,
        percent(all, allSwim),
        percent(healthy, healthySwim),
      ];
    }),
  );
  printTable(
    ["FP / FP-, slow members", ...SLOW],
    rows.map(({ parts, counts }) => [
      parts.name,
      ...SLOW.map((slow) =>
        sums(counts.filter((one) => one.slow === slow)).join(" / ")
      ),
    ]),
  );
  printTable(
    ["FP / FP-, blocked for", ...BLOCKED_MS.map((ms) => `${ms} ms`)],
    rows.map(({ parts, counts }) => [
      parts.name,
      ...BLOCKED_MS.map((blockedMs) =>
        sums(counts.filter((one) => one.blockedMs === blockedMs)).join(" / ")
      ),
    ]),
  );
  const SHARES = [0.5, 0.99, 0.999];
  printTable(
    [
      "",
      ...["first", "all"].flatMap((what) => [
        `${what}, median`,
        `${what}, 99 %`,
        `${what}, 99.9 %`,
      ]),
      "not found",
    ],
    rows.map(({ parts, firstMs, allMs, missed }) => [
      parts.name,
      ...[firstMs, allMs].flatMap((times) =>
        SHARES.map((share) => seconds(percentile(times, share)))
      ),
      missed,
    ]),
  );
  printTable(
    ["", "packets, % of SWIM", "bytes, % of SWIM"],
    rows.map(({ parts, counts }) => {
      const total = (of: LifeguardRow["counts"], what: "packets" | "bytes") =>
        of.reduce((sum, one) => sum + one[what], 0);
      return [
        parts.name,
        percent(total(counts, "packets"), total(swim.counts, "packets")),
        percent(total(counts, "bytes"), total(swim.counts, "bytes")),
      ];
    }),
  );
  return true;
}

function measureRow(
  parts: LifeguardParts,
  { seed, nodes }: { readonly seed: number; readonly nodes: number },
): LifeguardRow {
  const row: LifeguardRow = {
    parts,
    counts: [],
    firstMs: [],
    allMs: [],
    missed: 0,
  };
  for (const slow of SLOW) {
    for (const blockedMs of BLOCKED_MS) {
      for (const openMs of OPEN_MS) {
        tell(`${parts.name}, ${slow} slow, ${blockedMs} + ${openMs} ms`);
        const counts = countFalsePositives({
          ...{ seed, nodes, parts, slow, blockedMs, openMs },
        });
        row.counts.push({ ...counts, slow, blockedMs });
      }
    }
    for (let run = 0; run < DETECTION_RUNS; run++) {
      tell(`${parts.name}, ${slow} silent`);
      const found = timeDetections({ seed: seed + run, nodes, parts, slow });
      row.firstMs.push(...found.firstMs);
      row.allMs.push(...found.allMs);
      row.missed += slow - found.allMs.length;
    }
  }
  tell("");
  return row;
}

/** FP and FP-. */
function sums(counts: readonly FalsePositives[]): [number, number] {
  return [
    counts.reduce((sum, { all }) => sum + all, 0),
    counts.reduce((sum, { atHealthy }) => sum + atHealthy, 0),
  ];
}

function percent(count: number, of: number): string {
  return of === 0 ? "-" : (100 * count / of).toFixed(1);
}

// --- Scale --------------------------------------------------------------------

/** @returns whether everything was reached */
export function runScale(
  options: { readonly seed: number; readonly sizes: readonly number[] },
): boolean {
  const { seed, sizes } = options;
  let isGood = true;
  const rows = [...new Set(sizes)].map((nodes) => {
    const startedMs = performance.now();
    const report = measureCurves({
      ...{ seed, nodes, profile: "lan", failed: 0 },
      onPart: (name) => tell(`${nodes} nodes: ${name}`),
    });
    tell("");
    const { formedMs, join, event, busyEvent, failure } = report;
    const curves = [join, event, busyEvent, failure];
    isGood &&= formedMs !== undefined &&
      curves.every(({ timesMs, of }) => timesMs.length >= of);
    return [...scaleRow(report, nodes), seconds(performance.now() - startedMs)];
  });
  printTable([
    "nodes",
    "formed after the last start",
    "join 50 / 99 / 100 %",
    "event 50 / 99 / 100 %",
    "event in a busy cluster",
    "formula 50 / 99 / 99.99 %",
    "failure first / 50 / 99 / 100 %",
    "quiet, packets /node/s",
    "quiet, bytes /node/s",
    "forming, packets /node/s",
    "forming, bytes /node/s",
    "false failures",
    "real time",
  ], rows);
  return isGood;
}

function scaleRow(report: CurveReport, nodes: number): (string | number)[] {
  const { formedMs, join, event, busyEvent, failure, quiet, forming } = report;
  const { gossipNodes: fanout, gossipIntervalMs: intervalMs } = PROFILES.lan;
  const model: GossipModel = { nodes, fanout, intervalMs, loss: 0, failed: 0 };
  const shares = [0.5, 0.99, 1];
  const times = (list: readonly (number | undefined)[]) =>
    list.map((ms) => seconds(ms, 2)).join(" / ");
  return [
    nodes,
    seconds(formedMs),
    times(shares.map((share) => reachedMs(join, share))),
    times(shares.map((share) => reachedMs(event, share))),
    times(shares.map((share) => reachedMs(busyEvent, share))),
    times([0.5, 0.99, 0.9999].map((share) => modelMs(model, share))),
    times([
      report.firstDetectionsMs[0],
      ...shares.map((share) => reachedMs(failure, share)),
    ]),
    quiet.packetsPerNode.toFixed(2),
    quiet.bytesPerNode.toFixed(0),
    forming.packetsPerNode.toFixed(2),
    forming.bytesPerNode.toFixed(0),
    report.falseFailures,
  ];
}

// --- Printing -----------------------------------------------------------------

/** Says on a terminal what is going on; an empty text takes the line away. */
function tell(text: string): void {
  if (!Deno.stderr.isTerminal()) return;
  Deno.stderr.writeSync(new TextEncoder().encode(`\r${text}\x1b[K`));
}

function printTable(
  head: readonly (string | number)[],
  rows: readonly (readonly (string | number)[])[],
): void {
  const line = (cells: readonly (string | number)[]) =>
    `| ${cells.join(" | ")} |`;
  console.log(
    [line(head), line(head.map(() => "---")), ...rows.map(line), ""].join("\n"),
  );
}
