/** A run is a function of its seed, to the last byte sent. */

import assert from "node:assert/strict";
import { Checkers } from "../../lib/sim/checkers.ts";
import { Cluster } from "../../lib/sim/cluster.ts";
import { startPlan } from "../../lib/sim/simulate.ts";
import { faultStory, growthStory } from "../../lib/sim/stories.ts";
import { Views } from "../../lib/sim/views.ts";

Deno.test("simulate() gives one hash for one seed, faults and all", () => {
  for (let seed = 1; seed <= 5; seed++) {
    const options = { seed, nodes: 6, minutes: 2 };
    assert.deepEqual(faultStory(options), faultStory(options));
  }
});

Deno.test("simulate() gives another hash for another seed", () => {
  const hashes = new Set<string>();
  for (let seed = 1; seed <= 10; seed++) {
    hashes.add(faultStory({ seed, nodes: 4, minutes: 1 }).hash);
  }
  assert.equal(hashes.size, 10);
});

Deno.test("growthStory() with 150 nodes gives one hash for one seed", () => {
  const options = { seed: 1, nodes: 150 };
  assert.equal(growthStory(options).hash, growthStory(options).hash);
});

Deno.test("a run is the same with and without observers", () => {
  const run = (isObserved: boolean) => {
    const cluster = new Cluster({ seed: 1, link: { loss: 0.1 } });
    cluster.addNodes(8);
    if (isObserved) {
      new Views(cluster);
      new Checkers(cluster);
    }
    cluster.schedule(startPlan(8, { overMs: 1_000 }));
    cluster.runUntil(60_000);
    return cluster.fingerprint.text();
  };
  assert.equal(run(true), run(false));
});
