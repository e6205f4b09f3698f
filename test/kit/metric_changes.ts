/** What an action changed in the metrics of a node, for tables of expectations. */

import assert from "node:assert/strict";
import type { Metric, Metrics } from "../../lib/kit/metrics.ts";

/** By full name: a counter's growth, a sample's new values, a gauge's value. */
export type Changes = Record<string, number>;

/** `some` stands for any growth: of bytes, say, which are counted elsewhere. */
export type ExpectedChanges = Readonly<Record<string, number | "some">>;

/** The name with its labels' values, as statsd would see it. */
export function fullName({ name, labels = {} }: Metric): string {
  return [name, ...Object.values(labels)].join(".");
}

/** Everything that is not as it was before the action. */
export function changesOf(metrics: Metrics, act: () => void): Changes {
  const before = numbersOf(metrics);
  act();
  const changes: Changes = {};
  for (const [name, { kind, value }] of numbersOf(metrics)) {
    const old = before.get(name)?.value ?? 0;
    if (value === old) continue;
    changes[name] = kind === "gauge" ? value : value - old;
  }
  return changes;
}

export function assertChanges(
  actual: Changes,
  expected: ExpectedChanges,
  what: string,
): void {
  const shown: Record<string, number | "some"> = {};
  for (const [name, change] of Object.entries(actual)) {
    shown[name] = expected[name] === "some" && change > 0 ? "some" : change;
  }
  assert.deepEqual(shown, expected, what);
}

function numbersOf(
  metrics: Metrics,
): Map<string, { kind: Metric["kind"]; value: number }> {
  return new Map(
    metrics.read().map((reading) => [fullName(reading.metric), {
      kind: reading.metric.kind,
      value: "value" in reading ? reading.value : reading.summary.count,
    }]),
  );
}
