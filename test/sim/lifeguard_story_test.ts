/** Lifeguard's parts do what the paper says of them, in small. */

import assert from "node:assert/strict";
import {
  countFalsePositives,
  LIFEGUARD_CONFIGS,
  percentile,
  timeDetections,
} from "../../lib/sim/lifeguard_story.ts";

const NODES = 40;

Deno.test("fewer live members are called failed with each of Lifeguard's parts, fewest with all", () => {
  const counts = LIFEGUARD_CONFIGS.map((parts) =>
    countFalsePositives({
      ...{
        seed: 1,
        nodes: NODES,
        parts,
        slow: 8,
        blockedMs: 8_192,
        openMs: 64,
      },
    }).all
  );
  const [swim, probe, suspicion, buddy, lifeguard] = counts as [
    number,
    number,
    number,
    number,
    number,
  ];
  assert.ok(swim > 100, counts.join());
  for (const one of [probe, suspicion, buddy]) {
    assert.ok(one < swim && lifeguard < one, counts.join());
  }
  assert.ok(lifeguard < swim / 20, counts.join());
});

Deno.test("members that are silent for good are found, with and without Lifeguard", () => {
  for (const parts of [LIFEGUARD_CONFIGS.at(0), LIFEGUARD_CONFIGS.at(-1)]) {
    assert.ok(parts);
    const found = timeDetections({ seed: 1, nodes: NODES, parts, slow: 4 });
    assert.equal(found.slow, 4);
    assert.equal(found.firstMs.length, 4);
    assert.equal(found.allMs.length, 4);
    // The shortest suspicion of 40 members is 6.4 s.
    assert.ok(Math.min(...found.firstMs) > 6_400);
    assert.ok(Math.max(...found.allMs) < 40_000);
  }
});

Deno.test("percentile() is the least number that the share does not exceed", () => {
  assert.equal(percentile([], 0.5), undefined);
  assert.equal(percentile([3, 1, 2], 0.5), 2);
  assert.equal(percentile([3, 1, 2], 0.99), 3);
  assert.equal(percentile([3, 1, 2], 0), 1);
});
