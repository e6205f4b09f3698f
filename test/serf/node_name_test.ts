import assert from "node:assert/strict";
import { serfConfig } from "../../lib/serf/config.ts";
import { nodeNameProblem } from "../../lib/serf/node_name.ts";
import { Cluster } from "./cluster.ts";

Deno.test("nodeNameProblem() knows which names are unusual", () => {
  for (const name of ["web-1", "a.b.example.org", "", "Z9", "x".repeat(128)]) {
    assert.equal(nodeNameProblem(name), undefined, name);
  }
  for (const name of ["web_1", "a b", "ünï", "a\n", "a/b"]) {
    assert.equal(
      nodeNameProblem(name),
      `Node name contains invalid characters ${name} , ` +
        "Valid characters include all alpha-numerics and dashes and '.' ",
    );
  }
  assert.equal(
    nodeNameProblem("x".repeat(129)),
    "Node name is 129 characters. Valid length is between 1 and 128 characters",
  );
});

Deno.test("serfConfig() refuses our own name only if names are validated", () => {
  const swim = {
    name: "web_1",
    advertiseAddr: new Uint8Array(4),
    advertisePort: 1,
  };
  assert.equal(serfConfig({ swim }).validateNodeNames, false);
  assert.throws(() => serfConfig({ swim, validateNodeNames: true }), {
    name: "RangeError",
    message: /^Node name contains invalid characters web_1 ,/,
  });
});

Deno.test("SerfEngine that validates names lets no unusual one in", () => {
  const cluster = new Cluster();
  const strict = cluster.start("strict", { validateNodeNames: true });
  const good = cluster.start("good");
  const bad = cluster.start("bad_1");
  cluster.finish(good, cluster.join(good, strict));
  // It comes by gossip, from a member that does not mind.
  cluster.finish(bad, cluster.join(bad, good));
  cluster.run(60_000);
  const namesAt = (node: typeof strict) =>
    node.engine.members().map(({ name }) => name);
  assert.deepEqual(namesAt(good), ["bad_1", "good", "strict"]);
  assert.deepEqual(namesAt(strict), ["good", "strict"]);
  assert.ok(
    strict.log.some((line) => line.includes("Node name contains invalid")),
  );
});
