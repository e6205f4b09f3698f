import assert from "node:assert/strict";
import { Random } from "../../lib/kit/random.ts";
import { serfConfig } from "../../lib/serf/config.ts";
import { SerfEngine } from "../../lib/serf/engine.ts";
import { Cluster, joined, type Node } from "./cluster.ts";

const TOO_LONG = {
  name: "RangeError",
  message: "Encoded length of tags exceeds limit of 512 bytes",
};

function setTags(
  cluster: Cluster,
  node: Node,
  tags: Record<string, string>,
): number {
  return cluster.call(
    node,
    (engine, nowMs) => engine.setTags(new Map(Object.entries(tags)), nowMs),
  );
}

Deno.test("OwnTags.set() replaces the tags everywhere, here too", () => {
  const { cluster, nodes } = joined(["a", "b", "c"], {
    tags: new Map([["role", "web"], ["dc", "east"]]),
  });
  const [a, b] = nodes as [Node, Node, Node];
  assert.equal(b.engine.member("a")?.tags.get("dc"), "east");
  const operation = setTags(cluster, a, { role: "db" });
  assert.deepEqual(a.events, ["member-update: a(alive)"]);
  assert.equal(cluster.finish(a, operation).error, undefined);
  cluster.run(2_000);
  for (const node of nodes) {
    assert.deepEqual(node.events, ["member-update: a(alive)"], node.name);
    const tags = node.engine.member("a")?.tags;
    assert.deepEqual(tags, new Map([["role", "db"]]), node.name);
  }
});

Deno.test("OwnTags.set() refuses tags that are too long and keeps the old", () => {
  const cluster = new Cluster();
  const a = cluster.start("a", { tags: new Map([["role", "web"]]) });
  // Six bytes around a text that needs a three-byte head: 506 fit.
  const fitting = "x".repeat(505);
  assert.throws(() => setTags(cluster, a, { k: `${fitting}x` }), TOO_LONG);
  assert.equal(a.engine.localMember().tags.get("role"), "web");
  setTags(cluster, a, { k: fitting });
  assert.equal(a.engine.localMember().tags.get("k"), fitting);
});

Deno.test("OwnTags refuses configured tags that are too long", () => {
  const config = serfConfig({
    swim: {
      name: "a",
      advertiseAddr: Uint8Array.of(10, 0, 0, 1),
      advertisePort: 7946,
    },
    tags: new Map([["k", "x".repeat(600)]]),
  });
  const seeds = { random: new Random(1), nextNonce: () => new Uint8Array(12) };
  assert.throws(() => new SerfEngine(config, seeds), TOO_LONG);
});

Deno.test("OwnTags.set() says when nobody took note", () => {
  const { cluster, nodes } = joined(["a", "b"], { broadcastTimeoutMs: 200 });
  const [a, b] = nodes as [Node, Node];
  cluster.crash(b);
  const { error } = cluster.finish(a, setTags(cluster, a, { role: "db" }));
  assert.equal(error, "timeout waiting for update broadcast");
});

Deno.test("OwnTags of protocol 2 are the role alone", () => {
  const cluster = new Cluster();
  const a = cluster.start("a", {
    protocolVersion: 2,
    tags: new Map([["role", "web"], ["dc", "east"]]),
  });
  assert.deepEqual(a.engine.localMember().tags, new Map([["role", "web"]]));
});

Deno.test("OwnTags of protocol 2 knows all of them, and announces the role of the new ones", () => {
  const cluster = new Cluster();
  const a = cluster.start("a", { protocolVersion: 2 });
  setTags(cluster, a, { role: "db", dc: "west" });
  assert.deepEqual(a.engine.localMember().tags, new Map([["role", "db"]]));
  assert.deepEqual(
    a.engine.tags,
    new Map([["role", "db"], ["dc", "west"]]),
  );
});

Deno.test("SerfEngine.checkTags() refuses what setTags() would, and changes nothing", () => {
  const cluster = new Cluster();
  const a = cluster.start("a", { tags: new Map([["role", "web"]]) });
  a.events.length = 0;
  a.engine.checkTags(new Map([["role", "db"]]));
  assert.throws(
    () => a.engine.checkTags(new Map([["k", "x".repeat(506)]])),
    TOO_LONG,
  );
  assert.deepEqual(a.engine.tags, new Map([["role", "web"]]));
  cluster.call(a, (engine, nowMs) => engine.leave(nowMs));
  assert.throws(() => a.engine.checkTags(new Map()), { name: "StateError" });
});

Deno.test("OwnTags.set() is refused once we leave", () => {
  const cluster = new Cluster();
  const a = cluster.start("a");
  cluster.call(a, (engine, nowMs) => engine.leave(nowMs));
  assert.throws(() => setTags(cluster, a, {}), {
    name: "StateError",
    message: "Cannot set tags after Leave or Shutdown",
  });
});
