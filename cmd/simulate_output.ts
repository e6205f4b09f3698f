/** How `serf simulate` shows what it found: for people and for programs. */

import { formatDuration } from "../lib/kit/duration.ts";
import {
  type Curve,
  type CurveReport,
  reachedMs,
  shareAt,
} from "../lib/sim/curves.ts";
import {
  type GossipModel,
  modelBytesPerSecond,
  modelMs,
  modelShare,
} from "../lib/sim/gossip_model.ts";
import type { JsonValue } from "./output.ts";

/** What was simulated, as far as the formula does not say it. */
export interface Simulated {
  readonly nodes: number;
  readonly profile: string;
  /** Shares from 0 to 1. */
  readonly loss: number;
  readonly failed: number;
  readonly seed: number;
}

/** Most rows of a curve that is printed as text. */
const ROWS_MAX = 24;
/** Width of a bar that stands for everybody. */
const BAR_WIDTH = 30;
/** The formula never reaches everybody; the original stops here. */
const MODEL_ALL = 0.9999;
const SHARES = [0.5, 0.9, 0.99, 1] as const;

/** The result for people. */
export function simulationText(
  { nodes, profile, loss, failed, seed }: Simulated,
  model: GossipModel,
  report: CurveReport,
): string {
  const { join, event, busyEvent, failure, quiet } = report;
  const times = (curve: Curve) =>
    SHARES.map((share) => timeText(reachedMs(curve, share)));
  const rows = [
    ["", "50%", "90%", "99%", "all"],
    ["a join", ...times(join)],
    ["an event", ...times(event)],
    ["an event, busy", ...times(busyEvent)],
    [
      "  by the formula",
      ...SHARES.map((share) =>
        timeText(modelMs(model, Math.min(share, MODEL_ALL)))
      ),
    ],
    ["a failure", ...times(failure)],
  ];
  const lines = [
    `${nodes} nodes, profile ${profile}: every ${
      formatDuration(model.intervalMs)
    } gossip to ${model.fanout} nodes,`,
    `${percentText(loss)} of packets lost, ${
      crashText(failed, report.crashed)
    }, seed ${seed}`,
    "",
    "Time until so many nodes know of",
    ...rows.map((row) => row.map(padCell).join("").trimEnd()),
    "",
    "   time      join     event      busy   formula",
    ...gossipRows(model, report),
    "",
    "   time   failure",
    ...failureRows(failure),
    "",
    `A quiet node sends ${quiet.packetsPerNode.toFixed(1)} packets and ${
      quiet.bytesPerNode.toFixed(0)
    } bytes per second;`,
    `by the formula ${
      modelBytesPerSecond(model).toFixed(0)
    } bytes at the most, to and fro.`,
    `Live nodes called failed: ${report.falseFailures}`,
  ];
  return `${lines.join("\n")}\n`;
}

/** When nodes crash: before the event, or after it in a healthy cluster. */
function crashText(failed: number, crashed: number): string {
  return failed > 0
    ? `${percentText(failed)} of nodes crashed`
    : `${crashed} ${crashed === 1 ? "node" : "nodes"} crashed after the events`;
}

function padCell(cell: string, column: number): string {
  return column === 0 ? cell.padEnd(18) : cell.padStart(8);
}

/** One row per gossip round, until nearly everybody knows. */
function gossipRows(model: GossipModel, report: CurveReport): string[] {
  const { join, event, busyEvent } = report;
  const ends = [join, event, busyEvent].map((curve) =>
    reachedMs(curve, 0.9) ?? 0
  );
  const endMs = Math.max(...ends, modelMs(model, 0.99));
  return stepsMs(endMs, model.intervalMs).map((atMs) => {
    const share = shareAt(busyEvent, atMs);
    const cells = [
      ...[join, event, busyEvent].map((curve) => shareAt(curve, atMs)),
      modelShare(model, atMs),
    ];
    return `${timeText(atMs).padStart(7)}${
      cells.map((cell) => percentText(cell, 1).padStart(10)).join("")
    }  ${bar(share)}`.trimEnd();
  });
}

function failureRows(failure: Curve): string[] {
  const endMs = failure.timesMs.at(-1) ?? 0;
  const steps = stepsMs(endMs, 1_000);
  const firstMs = failure.timesMs[0] ?? 0;
  // Nothing happens for a long time: one row says so.
  const isOfInterest = (_: number, i: number) =>
    i + 1 >= steps.length || (steps[i + 1] as number) >= firstMs;
  return steps.filter(isOfInterest).map((atMs) => {
    const share = shareAt(failure, atMs);
    return `${timeText(atMs).padStart(7)}${
      percentText(share, 1).padStart(10)
    }  ${bar(share)}`.trimEnd();
  });
}

/** Instants from 0 to at least the end, as many as fit. */
function stepsMs(endMs: number, stepMs: number): number[] {
  const steps = Math.ceil(endMs / stepMs);
  const stride = Math.max(1, Math.ceil(steps / ROWS_MAX));
  const count = Math.ceil(steps / stride) + 1;
  return Array.from({ length: count }, (_, i) => i * stride * stepMs);
}

function bar(share: number): string {
  return "#".repeat(Math.round(share * BAR_WIDTH));
}

function timeText(ms: number | undefined): string {
  return ms === undefined ? "never" : `${(ms / 1_000).toFixed(2)}s`;
}

function percentText(share: number, digits = 0): string {
  return `${(100 * share).toFixed(digits)}%`;
}

/** The result for programs. Times are milliseconds, shares are from 0 to 1. */
export function simulationJson(
  { nodes, profile, loss, failed, seed }: Simulated,
  model: GossipModel,
  report: CurveReport,
): JsonValue {
  const { join, event, busyEvent, failure } = report;
  return {
    nodes,
    profile,
    interval_ms: model.intervalMs,
    fanout: model.fanout,
    loss,
    failed,
    seed,
    join: curveJson(join, model.intervalMs),
    event: curveJson(event, model.intervalMs),
    event_busy: curveJson(busyEvent, model.intervalMs),
    failure: {
      ...curveJson(failure, 1_000),
      first_ms: report.firstDetectionsMs.map(tenths),
    },
    formula: {
      p50_ms: tenths(modelMs(model, 0.5)),
      p90_ms: tenths(modelMs(model, 0.9)),
      p99_ms: tenths(modelMs(model, 0.99)),
      p9999_ms: tenths(modelMs(model, MODEL_ALL)),
      bytes_per_second: modelBytesPerSecond(model),
      curve: stepsMs(modelMs(model, MODEL_ALL), model.intervalMs).map((
        atMs,
      ) => ({
        ms: atMs,
        share: modelShare(model, atMs),
      })),
    },
    quiet: rateJson(report.quiet),
    forming: rateJson(report.forming),
    formed_ms: report.formedMs === undefined ? null : tenths(report.formedMs),
    false_failures: report.falseFailures,
  };
}

function curveJson(
  curve: Curve,
  stepMs: number,
): { readonly [key: string]: JsonValue } {
  const [p50, p90, p99, all] = SHARES.map((share) => {
    const atMs = reachedMs(curve, share);
    return atMs === undefined ? null : tenths(atMs);
  }) as [number | null, number | null, number | null, number | null];
  return {
    of: curve.of,
    reached: curve.timesMs.length,
    p50_ms: p50,
    p90_ms: p90,
    p99_ms: p99,
    all_ms: all,
    curve: stepsMs(curve.timesMs.at(-1) ?? 0, stepMs).map((atMs) => ({
      ms: atMs,
      share: shareAt(curve, atMs),
    })),
  };
}

function rateJson(rate: CurveReport["quiet"]): JsonValue {
  return {
    packets_per_second: tenths(rate.packetsPerNode),
    bytes_per_second: tenths(rate.bytesPerNode),
  };
}

function tenths(value: number): number {
  return Math.round(value * 10) / 10;
}
