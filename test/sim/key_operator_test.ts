/** A key that changes while things go wrong: no step before all took the last. */

import assert from "node:assert/strict";
import { Cluster } from "../../lib/sim/cluster.ts";
import { newKeyFor } from "../../lib/sim/key_operator.ts";
import { startPlan } from "../../lib/sim/simulate.ts";

const OLD_KEY = new Uint8Array(16).fill(1);
const NEW_KEY = newKeyFor(OLD_KEY);

function encrypted(): Cluster {
  const cluster = new Cluster({ seed: 1, keys: [OLD_KEY] });
  cluster.addNodes(4);
  cluster.schedule(startPlan(4, { overMs: 400 }));
  cluster.runUntil(5_000);
  return cluster;
}

function keysOf(cluster: Cluster): string[] {
  return cluster.nodes.map(({ keyring }) =>
    keyring?.keys().map((key) => key[0]).join() ?? "none"
  );
}

Deno.test("rotateKeys() replaces the key of all nodes, and counts its steps", () => {
  const cluster = encrypted();
  cluster.perform({ kind: "rotateKeys", untilMs: 60_000 });
  cluster.runUntil(60_000);
  const key = String(NEW_KEY[0]);
  assert.deepEqual(keysOf(cluster), [key, key, key, key]);
  assert.equal(cluster.faults.keyRotation, 3);
});

Deno.test("rotateKeys() waits with the next step for a node that is paused", () => {
  const cluster = encrypted();
  cluster.pause(cluster.node(2));
  cluster.perform({ kind: "rotateKeys", untilMs: 300_000 });
  cluster.runUntil(120_000);
  assert.equal(cluster.faults.keyRotation, 0);
  for (const node of cluster.nodes) {
    assert.deepEqual(node.keyring?.primary, OLD_KEY, node.name);
  }
  cluster.resume(cluster.node(2));
  cluster.runUntil(300_000);
  assert.equal(cluster.faults.keyRotation, 3);
});

Deno.test("rotateKeys() writes the keys of a node that is down into its file", () => {
  const cluster = encrypted();
  cluster.crash(cluster.node(2));
  cluster.perform({ kind: "rotateKeys", untilMs: 60_000 });
  cluster.runUntil(60_000);
  assert.equal(cluster.faults.keyRotation, 3);
  cluster.restart(cluster.node(2));
  assert.deepEqual(cluster.node(2).keyring?.keys(), [NEW_KEY]);
});

Deno.test("rotateKeys() gives up when its time is over", () => {
  const cluster = encrypted();
  cluster.pause(cluster.node(2));
  cluster.perform({ kind: "rotateKeys", untilMs: 20_000 });
  cluster.runUntil(30_000);
  cluster.resume(cluster.node(2));
  cluster.runUntil(120_000);
  assert.equal(cluster.faults.keyRotation, 0);
});

Deno.test("rotateKeys() does nothing in a cluster without keys", () => {
  const cluster = new Cluster({ seed: 1 });
  cluster.addNodes(2);
  cluster.perform({ kind: "rotateKeys", untilMs: 1_000 });
  cluster.runUntil(1_000);
  assert.equal(cluster.faults.keyRotation, 0);
});
