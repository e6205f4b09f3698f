/**
 * Large clusters in virtual time.
 *
 * Goal: a cluster forms, spreads an event, loses a tenth of its nodes, is cut in
 * half and grows together again, each time ending in agreement of all nodes
 * within the time that the configuration allows; no live node is called dead as
 * long as nothing is cut. Convergence times and traffic are printed.
 */

import assert from "node:assert/strict";
import { type Chapter, growthStory } from "../../lib/sim/stories.ts";

const NODES = 1_000;

function printChapter(chapter: Chapter): void {
  const { name, tookMs, packetsPerNode, bytesPerNode } = chapter;
  console.log(
    `${name.padEnd(28)} ${
      ((tookMs ?? Number.NaN) / 1_000).toFixed(1).padStart(6)
    } s virtual, ${packetsPerNode.toFixed(1).padStart(5)} packets/node/s, ` +
      `${bytesPerNode.toFixed(0).padStart(6)} bytes/node/s`,
  );
}

Deno.test(`${NODES} nodes join, spread an event, lose a tenth, are cut in half and heal`, () => {
  const report = growthStory({
    seed: 1,
    nodes: NODES,
    onChapter: printChapter,
  });
  console.log(`${report.inputs} inputs, hash ${report.hash}`);

  const replay = `replay: deno task sim --nodes ${NODES}`;
  assert.deepEqual(report.violations, [], replay);
  for (const { name, tookMs, falseFailures } of report.chapters) {
    assert.notEqual(tookMs, undefined, `${name}: never; ${replay}`);
    // When a cut has healed, accusations from before are still on their way.
    if (name !== "healed") assert.equal(falseFailures, 0, `${name}; ${replay}`);
  }
});
