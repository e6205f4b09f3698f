/** The metrics of the last minute, in virtual time. */

import assert from "node:assert/strict";
import { MetricNames } from "../../lib/agent/metric_name.ts";
import { goTime } from "../../lib/agent/metrics_text.ts";
import { RecentMetrics } from "../../lib/agent/recent_metrics.ts";
import type { Metric, MetricKind } from "../../lib/kit/metrics.ts";

function metric(kind: MetricKind, name: string): Metric {
  return { kind, name, unit: "", meaning: "" };
}

const JOIN = metric("counter", "serf.member.join");
const SENT = metric("counter", "memberlist.udp.sent");
const PROBE = metric("sample", "memberlist.probeNode");
const LOOPS = metric("gauge", "runtime.num_goroutines");

/** A multiple of ten seconds, so that intervals are easy to follow. */
const START_MS = Date.UTC(2026, 10, 20, 13, 0, 40);

class Stage {
  nowMs = START_MS;
  readonly recent = new RecentMetrics(
    new MetricNames(),
    () => this.nowMs,
  );

  hear(afterMs: number, of: Metric, ...values: number[]): void {
    this.nowMs = START_MS + afterMs;
    for (const value of values) this.recent.hear(of, value);
  }

  /** What is dumped at that time, one text a line. */
  dumpAt(afterMs: number): string[] {
    this.nowMs = START_MS + afterMs;
    return this.recent.dump().split("\n").slice(0, -1);
  }
}

function at(afterMs: number): string {
  return goTime(new Date(START_MS + afterMs));
}

Deno.test("RecentMetrics.dump() shows finished intervals in the original's form", () => {
  const stage = new Stage();
  stage.hear(0, LOOPS, 21);
  stage.hear(1_500, JOIN, 1);
  stage.hear(2_377, JOIN, 1);
  stage.hear(3_000, SENT, 64, 204, 150);
  stage.hear(9_999, PROBE, 0.5);
  stage.hear(9_999, LOOPS, 22);
  stage.hear(10_000, JOIN, 7);
  assert.deepEqual(stage.dumpAt(10_001), [
    `[${at(0)}][G] 'serf-agent.runtime.num_goroutines': 22.000`,
    `[${at(0)}][C] 'serf-agent.serf.member.join': Count: 2 Sum: 2.000 ` +
    `LastUpdated: ${at(2_377)} m=+2.377000000`,
    `[${at(0)}][C] 'serf-agent.memberlist.udp.sent': Count: 3 Min: 64.000 ` +
    `Mean: 139.333 Max: 204.000 Stddev: 70.607 Sum: 418.000 ` +
    `LastUpdated: ${at(3_000)} m=+3.000000000`,
    `[${at(0)}][S] 'serf-agent.memberlist.probeNode': Count: 1 Sum: 0.500 ` +
    `LastUpdated: ${at(9_999)} m=+9.999000000`,
  ]);
});

Deno.test("RecentMetrics keeps a minute, the running interval included", () => {
  const stage = new Stage();
  const starts = () =>
    stage.recent.dump().split("\n").slice(0, -1).map((line) =>
      line.slice(1, line.indexOf("]"))
    );
  for (let interval = 0; interval < 8; interval++) {
    stage.hear(interval * 10_000, JOIN, 1);
  }
  assert.deepEqual(starts(), [2, 3, 4, 5, 6].map((i) => at(i * 10_000)));
  // Silence does not keep what is older alive.
  assert.equal(stage.dumpAt(90_000).length, 4);
  assert.deepEqual(stage.dumpAt(140_000), []);
});

Deno.test("RecentMetrics holds a bounded number of metrics", () => {
  const stage = new Stage();
  for (let i = 0; i < 5_000; i++) stage.hear(0, metric("counter", `m${i}`), 1);
  assert.equal(stage.dumpAt(10_000).length, 1_024);
});

Deno.test("RecentMetrics is not led astray by rounding", () => {
  const stage = new Stage();
  // Their squares add up to a little less than the square of their sum.
  stage.hear(0, PROBE, ...new Array(5).fill(0.7));
  const [line = ""] = stage.dumpAt(10_000);
  assert.match(line, /: Count: 5 Sum: 3\.500 LastUpdated: /);
});

Deno.test("RecentMetrics stays small while the clock is set to and fro", () => {
  const stage = new Stage();
  for (let i = 0; i < 100; i++) stage.hear((i % 2) * 10_000, JOIN, 1);
  assert.ok(stage.dumpAt(20_000).length <= 6);
});

Deno.test("goTime() prints local time as Go does", () => {
  const before = Deno.env.get("TZ");
  try {
    const texts: [string, number, string][] = [
      ["UTC", 0, "2026-11-20 13:00:40 +0000 UTC"],
      ["UTC", 377, "2026-11-20 13:00:40.377 +0000 UTC"],
      ["UTC", 50, "2026-11-20 13:00:40.05 +0000 UTC"],
      ["America/New_York", 0, "2026-11-20 08:00:40 -0500 EST"],
      ["Asia/Kolkata", 0, "2026-11-20 18:30:40 +0530 +0530"],
    ];
    for (const [zone, afterMs, text] of texts) {
      Deno.env.set("TZ", zone);
      assert.equal(at(afterMs), text);
    }
  } finally {
    if (before === undefined) Deno.env.delete("TZ");
    else Deno.env.set("TZ", before);
  }
});
