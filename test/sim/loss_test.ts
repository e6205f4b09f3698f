/**
 * A bad network alone kills nobody.
 *
 * Goal: with 20 % of all packets lost, 100 nodes and 10 virtual minutes, no node
 * is told that a live one failed. Method: count the member-failed events about
 * nodes that are up and reachable, from the first start on.
 */

import assert from "node:assert/strict";
import { lossStory } from "../../lib/sim/stories.ts";

Deno.test("20 % packet loss, 100 nodes, 10 minutes: no live node is declared dead", () => {
  const report = lossStory({ seed: 1, nodes: 100, loss: 0.2, minutes: 10 });
  const deaths = report.chapters.reduce(
    (sum, { falseFailures }) => sum + falseFailures,
    0,
  );
  const packets = report.chapters.map(({ packetsPerNode }) => packetsPerNode);
  console.log(
    `${report.faults.loss} packets lost, ${
      Math.max(...packets).toFixed(1)
    } packets/node/s at most, hash ${report.hash}`,
  );
  assert.ok(report.virtualMs >= 600_000);
  assert.ok(report.faults.loss > 100_000);
  assert.deepEqual(report.violations, []);
  assert.equal(
    deaths,
    0,
    "replay: deno task sim --nodes 100 --loss 20 --minutes 10",
  );
});
