/** Simulated nodes with disks: what a restart finds, and what it must not do again. */

import assert from "node:assert/strict";
import { disagreements } from "../../lib/sim/agreement.ts";
import { convergenceMs } from "../../lib/sim/bounds.ts";
import { Checkers } from "../../lib/sim/checkers.ts";
import { Cluster } from "../../lib/sim/cluster.ts";
import { drawFaultPlan, drawNoise } from "../../lib/sim/fault_plan.ts";
import { ALL_FAULTS } from "../../lib/sim/faults.ts";
import type { SimNode } from "../../lib/sim/node.ts";
import { startPlan } from "../../lib/sim/simulate.ts";
import { Views } from "../../lib/sim/views.ts";

const SNAPSHOTS = { rejoinAfterLeave: false };

/** User events by node, all its lives together that share a disk. */
function watchEvents(cluster: Cluster): Map<SimNode, string[]> {
  const delivered = new Map<SimNode, string[]>(
    cluster.nodes.map((node) => [node, []]),
  );
  cluster.observers.push({
    onLifecycle: (node, change) => {
      if (change === "started" && node.disk === "") delivered.set(node, []);
    },
    onEvent: (node, event) => {
      if (event.type !== "user") return;
      delivered.get(node)?.push(`${event.name}@${event.ltime}`);
    },
  });
  return delivered;
}

Deno.test("a node restarted alone finds back through the disk, and only through it", () => {
  for (const options of [{ snapshots: SNAPSHOTS }, {}]) {
    const cluster = new Cluster({ seed: 7, ...options });
    cluster.addNodes(5);
    const delivered = watchEvents(cluster);
    const views = new Views(cluster);
    cluster.schedule(startPlan(5, { overMs: 1_000 }));
    cluster.runUntil(20_000, () => cluster.nowMs > 1_000 && views.wrong === 0);
    const victim = cluster.node(3);
    cluster.perform({ kind: "userEvent", node: 0, name: "before" });
    cluster.runUntil(cluster.nowMs + 10_000);
    cluster.crash(victim);
    cluster.runUntil(cluster.nowMs + 60_000);
    cluster.perform({ kind: "userEvent", node: 0, name: "missed" });
    cluster.perform({ kind: "restart", node: 3, alone: true });
    // By then a member that failed would have been tried again from outside.
    cluster.runUntil(cluster.nowMs + 10_000);
    const others = victim.engine?.members().length;
    const { restart, restartWithState } = cluster.faults;
    assert.equal(restart + restartWithState, 1);
    if ("snapshots" in options) {
      assert.equal(others, 5);
      assert.deepEqual(delivered.get(victim), ["before@1", "missed@2"]);
      assert.match(victim.disk, /^alive: n3 10\.0\.0\.4:7946\n/);
    } else {
      assert.equal(others, 1);
      assert.equal(victim.disk, "");
    }
  }
});

Deno.test("nodes with disks deliver no event in two of their lives, whatever goes wrong", () => {
  let restarts = 0;
  let events = 0;
  for (let seed = 1; seed <= 40; seed++) {
    const nodes = 3 + seed % 5;
    const cluster = new Cluster({
      ...{ seed, snapshots: SNAPSHOTS, link: drawNoise(seed) },
    });
    cluster.addNodes(nodes);
    const views = new Views(cluster);
    const checkers = new Checkers(cluster);
    const delivered = watchEvents(cluster);
    const times = { fromMs: 20_000, toMs: 140_000 };
    cluster.schedule([
      ...startPlan(nodes, { overMs: 5_000 }),
      ...drawFaultPlan({ seed, nodes, ...times, mask: ALL_FAULTS }),
    ]);
    cluster.runUntil(times.toMs);
    const limitMs = times.toMs +
      convergenceMs(cluster.configOf(cluster.node(0)), nodes);
    const isAgreed = () =>
      views.wrong === 0 && disagreements(cluster, 1).length === 0;
    while (!isAgreed() && cluster.nowMs < limitMs) {
      cluster.runUntil(Math.min(cluster.nowMs + 500, limitMs));
    }
    assert.deepEqual(checkers.violations, [], `seed ${seed}`);
    assert.deepEqual(disagreements(cluster, 3), [], `seed ${seed}`);
    for (const [node, keys] of delivered) {
      // A leave makes a node forget, and its next life is a new one.
      if (node.hasLeft) continue;
      assert.equal(
        new Set(keys).size,
        keys.length,
        `seed ${seed} ${node.name}`,
      );
      if (node.life > 1) events += keys.length;
    }
    restarts += cluster.faults.restartWithState;
  }
  assert.ok(restarts > 10 && events > 10, `${restarts}, ${events}`);
});

Deno.test("a run with disks is a function of its seed", () => {
  const run = (rejoinAfterLeave: boolean) => {
    const cluster = new Cluster({ seed: 3, snapshots: { rejoinAfterLeave } });
    cluster.addNodes(4);
    cluster.schedule([
      ...startPlan(4, { overMs: 1_000 }),
      { atMs: 10_000, action: { kind: "leave", node: 2 } },
      { atMs: 20_000, action: { kind: "restart", node: 2, alone: true } },
    ]);
    cluster.runUntil(60_000);
    const members = cluster.node(2).engine?.members().length;
    return { members, hash: cluster.fingerprint.text() };
  };
  assert.deepEqual(run(true), run(true));
  assert.equal(run(true).members, 4);
  assert.equal(run(false).members, 1);
});
