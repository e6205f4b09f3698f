/** What `serf simulate` shows: curves that were measured, and the old formula. */

import assert from "node:assert/strict";
import {
  type CurveOptions,
  measureCurves,
  reachedMs,
  shareAt,
} from "../../lib/sim/curves.ts";
import {
  modelBytesPerSecond,
  modelMs,
  modelShare,
} from "../../lib/sim/gossip_model.ts";

/** The defaults of the page. */
const MODEL = { nodes: 30, fanout: 3, intervalMs: 200, loss: 0, failed: 0 };

Deno.test("modelShare() is the formula of Serf's website", () => {
  // Worked out by hand: 1 / (1 + 31 * e^-(1.5 * round)).
  const shares = [[0, 0.03125], [200, 0.12631], [600, 0.74387], [
    1_000,
    0.98315,
  ]];
  for (const [afterMs, share] of shares as [number, number][]) {
    assert.ok(
      Math.abs(modelShare(MODEL, afterMs) - share) < 1e-4,
      `${afterMs}`,
    );
  }
  // Half the packets lost, half the nodes failed: a quarter of the contacts.
  const bad = { ...MODEL, loss: 0.5, failed: 0.5 };
  assert.equal(modelShare(bad, 800), modelShare(MODEL, 200));
});

Deno.test("modelMs() is the inverse of modelShare()", () => {
  for (const share of [0.1, 0.5, 0.99, 0.9999]) {
    assert.ok(
      Math.abs(modelShare(MODEL, modelMs(MODEL, share)) - share) < 1e-9,
    );
  }
  assert.equal(modelMs(MODEL, 0.001), 0);
});

Deno.test("modelBytesPerSecond() is what the page shows for the defaults, 328 kbit/s", () => {
  assert.equal(modelBytesPerSecond(MODEL), 42_000);
});

Deno.test("reachedMs() and shareAt() read a curve both ways", () => {
  const curve = { of: 5, timesMs: [0, 10, 20, 30] };
  assert.deepEqual(
    [0, 0.2, 0.5, 0.8, 1].map((share) => reachedMs(curve, share)),
    [0, 0, 20, 30, undefined],
  );
  assert.deepEqual([0, 15, 30, 99].map((ms) => shareAt(curve, ms)), [
    0.2,
    0.4,
    0.8,
    0.8,
  ]);
});

Deno.test("measureCurves() follows a join, two events and a failure to everybody", () => {
  const parts: string[] = [];
  const report = measureCurves({
    seed: 1,
    nodes: 50,
    profile: "lan",
    failed: 0,
    onPart: (name) => parts.push(name),
  });
  const { join, event, busyEvent, failure, firstDetectionsMs } = report;
  assert.deepEqual(
    [join, event, busyEvent, failure].map(({ of, timesMs }) => [
      of,
      timesMs.length,
    ]),
    [[49, 49], [50, 50], [50, 50], [49, 49]],
  );
  for (const { timesMs } of [join, event, busyEvent, failure]) {
    assert.deepEqual(timesMs, [...timesMs].sort((a, b) => a - b));
  }
  // The sender knows at once; gossip takes a second; a death takes a suspicion.
  assert.equal(event.timesMs[0], 0);
  assert.ok((reachedMs(busyEvent, 1) as number) < 2_000);
  assert.ok((reachedMs(busyEvent, 0.5) as number) > 100);
  assert.equal(firstDetectionsMs.length, 1);
  assert.equal(firstDetectionsMs[0], failure.timesMs[0]);
  assert.ok((firstDetectionsMs[0] as number) > 6_000);
  assert.equal(report.falseFailures, 0);
  assert.ok(report.quiet.packetsPerNode > 1);
  assert.ok(report.forming.bytesPerNode > report.quiet.bytesPerNode);
  assert.equal(parts.length, 6);
});

Deno.test("measureCurves() sends the event among dead nodes when told so", () => {
  const measure = (seed: number, timing: NonNullable<CurveOptions["timing"]>) =>
    measureCurves({
      seed,
      nodes: 50,
      profile: "lan",
      failed: 0.2,
      timing,
      link: { loss: 0.2 },
    });
  let slowMs = 0;
  let fastMs = 0;
  // What one cluster takes depends on chance.
  for (const seed of [1, 2, 3]) {
    const slow = measure(seed, { gossipNodes: 1, gossipIntervalMs: 500 });
    assert.equal(slow.event.of, 40);
    assert.equal(slow.failure.of, 40 * 10);
    assert.equal(slow.firstDetectionsMs.length, 10);
    const fast = measure(seed, { gossipNodes: 3, gossipIntervalMs: 200 });
    slowMs += reachedMs(slow.busyEvent, 0.9) as number;
    fastMs += reachedMs(fast.busyEvent, 0.9) as number;
  }
  // One node told twice a second is slower than three told five times a second.
  assert.ok(slowMs > 1.5 * fastMs, `${slowMs} ms, ${fastMs} ms`);
});
