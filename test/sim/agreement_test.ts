import assert from "node:assert/strict";
import { disagreements, wrongLists } from "../../lib/sim/agreement.ts";
import { Cluster } from "../../lib/sim/cluster.ts";
import type { SimNode } from "../../lib/sim/node.ts";

/** Three nodes that agree. */
function trio() {
  const cluster = new Cluster({ seed: 1 });
  const nodes = cluster.addNodes(3) as [SimNode, SimNode, SimNode];
  for (const node of nodes) {
    cluster.start(node, node.index === 0 ? [] : [nodes[0]]);
  }
  const settle = () => {
    while (disagreements(cluster, 1).length > 0 && cluster.nowMs < 600_000) {
      cluster.runUntil(cluster.nowMs + 100);
    }
  };
  settle();
  assert.deepEqual(disagreements(cluster, 9), []);
  return { cluster, nodes, settle };
}

Deno.test("disagreements() tells of a crashed node that is still listed, until it is not", () => {
  const { cluster, nodes, settle } = trio();
  cluster.crash(nodes[2]);
  assert.deepEqual(wrongLists(cluster, 9), [
    "n0 lists n2 alive, which is gone",
    "n1 lists n2 alive, which is gone",
  ]);
  assert.deepEqual(disagreements(cluster, 1), [
    "n0 lists n2 alive, which is gone",
  ]);
  settle();
  assert.deepEqual(wrongLists(cluster, 9), []);
});

Deno.test("disagreements() tells of new tags that have not arrived", () => {
  const { cluster, nodes, settle } = trio();
  cluster.call(
    nodes[1],
    (engine, nowMs) => engine.setTags(new Map([["role", "db"]]), nowMs),
  );
  assert.deepEqual(disagreements(cluster, 9), [
    "n0 holds n1 alive@1, which is alive@2",
    "n1 still has 1 broadcasts to send",
    "n2 holds n1 alive@1, which is alive@2",
  ]);
  assert.deepEqual(wrongLists(cluster, 9), []);
  settle();
  assert.deepEqual(disagreements(cluster, 9), []);
});
