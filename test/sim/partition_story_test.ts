/**
 * A cut of two hours heals by the reconnect loop.
 *
 * Goal: 20 nodes, cut 10 to 10 and 3 to 17 for two hours, all know each other
 * alive again soon after the cut, nobody is lost, user events of each side reach
 * the other once, and who left or crashed meanwhile is listed so by everybody.
 *
 * How soon: each interval of 30 s, a node with `failed` failed and `up` other
 * members makes one try with the chance failed / up, at most 1, at a random one
 * of its failed members. One member of the larger side has left and one crashed.
 *
 * - 10 to 10: up = 10 - 0 and failed = 10 on the first side, 8 and 11 on the
 *   other: all try in every interval. A try helps unless it is for one of the two
 *   that are gone, on the first side 8 times in 10, on the other 10 in 11.
 *   Together that is 10 * 8/10 + 8 * 10/11 = 15.3 good tries an interval, and the
 *   chance of none is 0.2^10 * (1/11)^8, less than one in a million: one interval.
 * - 3 to 17: the three try always, 15 times in 17 with success; the 15 of the
 *   other side have up = 15, failed = 4, and try the three with 4/15 * 3/4 = 1/5.
 *   That is 3 * 15/17 + 15/5 = 5.6 good tries, and none with the chance
 *   (2/17)³ * 0.8^15 = 6e-5: two intervals make it less than one in a million.
 *
 * One stream (10 s), one spread of gossip (2.6 s) and, for whom gossip misses, one
 * interval of exchanges (30 s) come on top. Each of the two runs takes about 3 s.
 */

import assert from "node:assert/strict";
import { SerfEngine } from "../../lib/serf/engine.ts";
import { partitionStory } from "../../lib/sim/partition_story.ts";

const NODES = 20;

for (
  const { minority, tries, intervals } of [
    { minority: 10, tries: 10 * 8 / 10 + 8 * 10 / 11, intervals: 1 },
    { minority: 3, tries: 3 * 15 / 17 + 15 / 5, intervals: 2 },
  ]
) {
  Deno.test(`a cut of two hours, ${minority} to ${NODES - minority}, heals by reconnecting`, () => {
    const report = partitionStory({
      seed: 1,
      nodes: NODES,
      minority,
      hours: 2,
    });
    assert.deepEqual(
      report.violations,
      [],
      "replay: deno task sim --story partition",
    );
    assert.ok(report.faults.partition > 1_000);
    assert.ok(Math.abs(report.triesPerInterval - tries) < 1e-9);
    const { healedAfterMs = Number.NaN, healMs } = report;
    console.log(
      `${minority} to ${NODES - minority}: healed after ` +
        `${healedAfterMs.toFixed(0)} ms, at most ${healMs} ms`,
    );
    assert.equal(healMs, intervals * 30_000 + 10_000 + 2_600 + 30_000);
    assert.ok(healedAfterMs <= healMs);
  });
}

Deno.test("partitionStory() notices a cut that never heals, and what it leaves behind", () => {
  const { violations } = partitionStory({
    seed: 1,
    nodes: 8,
    minority: 3,
    hours: 0.2,
    makeEngine: (config, seeds) =>
      new SerfEngine({ ...config, reconnectIntervalMs: 0 }, seeds),
  });
  const texts = violations.map(({ text }) => text).join("\n");
  assert.match(texts, /"healed" was not reached/);
  assert.match(texts, /"events of both sides known" was not reached/);
  assert.match(texts, /not everybody lists who left and who failed/);
});
