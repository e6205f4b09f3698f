import assert from "node:assert/strict";
import { joined, type Node } from "./cluster.ts";

Deno.test("reportConflict() names both claimants, and differs for our own name", () => {
  const { cluster, nodes } = joined(["a", "b"]);
  const [a, b] = nodes as [Node, Node];
  const impostor = cluster.start("b");
  cluster.finish(impostor, cluster.join(impostor, a));
  cluster.run(5_000);
  const line =
    "[WARN] serf: Name conflict for 'b' both 10.0.0.2:7946 and 10.0.0.3:7946 are claiming";
  assert(a.log.includes(line), a.log.join("\n"));
  const ownLine =
    "[ERR] serf: Node name conflicts with another node at 10.0.0.2:7946. Names must be unique! (Resolution enabled: false)";
  assert(impostor.log.includes(ownLine), impostor.log.join("\n"));
  assert.deepEqual(b.statuses(), ["a: alive", "b: alive"]);
});
