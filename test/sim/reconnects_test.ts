import assert from "node:assert/strict";
import { Cluster } from "../../lib/sim/cluster.ts";
import { tryChances } from "../../lib/sim/reconnects.ts";
import { startPlan } from "../../lib/sim/simulate.ts";

Deno.test("tryChances() are failed / up, shared among those that failed", () => {
  const cluster = new Cluster({ seed: 1 });
  cluster.addNodes(8);
  cluster.schedule(startPlan(8, { overMs: 1_000 }));
  cluster.runUntil(60_000);
  const chancesOf = (name: string) =>
    tryChances(cluster, (other) => other === name);
  assert.deepEqual(chancesOf("n6"), []);
  cluster.crash(cluster.node(6));
  cluster.runUntil(180_000);
  assert.deepEqual(chancesOf("n6"), Array(7).fill(1 / 7));
  assert.deepEqual(chancesOf("n7"), []);
  cluster.crash(cluster.node(7));
  cluster.runUntil(300_000);
  // Each of six tries one of two, with a chance of 2 / 6.
  assert.deepEqual(chancesOf("n6"), Array(6).fill(1 / 6));
  assert.deepEqual(tryChances(cluster, () => true), Array(6).fill(1 / 3));
  for (const index of [2, 3, 4, 5]) cluster.crash(cluster.node(index));
  cluster.runUntil(600_000);
  // Six failed and two up: both try always.
  assert.deepEqual(tryChances(cluster, () => true), [1, 1]);
  // Only those who are wanted by a node help it.
  assert.deepEqual(
    tryChances(cluster, (_, observer) => observer === 0),
    [1],
  );
});
