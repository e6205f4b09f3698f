/**
 * Nodes as a program embeds them, on loopback: that the surface does what its
 * documentation says. What the cluster makes of it is tested with the engine.
 */

import assert from "node:assert/strict";
import { SerfNode } from "../../lib/net/serf_node.ts";
import { until } from "./deadline.ts";
import { isFree, Nodes, sees, shortText } from "./serf_nodes.ts";

// --- Life ---------------------------------------------------------------------

Deno.test("SerfNode starts as a cluster of one, with what it was told", async () => {
  await using nodes = new Nodes();
  const node = await nodes.start("a", { tags: { role: "web", "ü": "☃" } });
  assert.equal(node.name, "a");
  assert.equal(node.state, "alive");
  assert.match(node.address, /^127\.0\.0\.1:\d+$/);
  assert.deepEqual(node.members().map(({ name }) => name), ["a"]);
  assert.equal(node.self.status, "alive");
  assert.equal(node.self.port, Number(node.address.split(":")[1]));
  assert.deepEqual([...node.tags], [["role", "web"], ["ü", "☃"]]);
  assert.deepEqual(node.member("a"), node.self);
  assert.equal(node.member("b"), undefined);
  assert.equal(node.stats().get("members"), "1");
});

Deno.test("SerfNode takes this machine's name unless it is given one", async () => {
  const node = await SerfNode.start({ bind: "127.0.0.1:0" });
  try {
    assert.equal(node.name, Deno.hostname());
  } finally {
    await node.shutdown();
  }
});

Deno.test("SerfNode tells others the address that it is told, and its own port", async () => {
  await using nodes = new Nodes();
  const a = await nodes.start("a", { advertise: "10.9.8.7" });
  const b = await nodes.start("b", { advertise: "[fd00::1]:7000" });
  assert.match(a.address, /^10\.9\.8\.7:\d+$/);
  assert.notEqual(a.address, "10.9.8.7:7946");
  assert.equal(b.address, "[fd00::1]:7000");
});

Deno.test("SerfNode binds to IPv6 addresses, with brackets or without", async () => {
  await using nodes = new Nodes();
  const a = await nodes.start("a", { bind: "[::1]:0" });
  const b = await nodes.start("b", { bind: "[::1]:0" });
  assert.equal(await a.join(b.address), 1);
  await sees(a, "a alive", "b alive");
  // The default port may be taken on this machine; the error tells how it was read.
  try {
    const c = await nodes.start("c", { bind: "::1" });
    assert.equal(c.address, "[::1]:7946");
  } catch (error) {
    assert.match((error as Error).message, /"::1" port 7946/);
  }
});

Deno.test("SerfNode.leave() makes the others see it left, and may be repeated", async () => {
  await using nodes = new Nodes();
  const [a, b] = await nodes.cluster("a", "b");
  assert.ok(a && b);
  const first = b.leave();
  assert.equal(b.state, "leaving");
  await Promise.all([first, b.leave()]);
  assert.equal(b.state, "left");
  await sees(a, "a alive", "b left");
  await b.leave();
  await assert.rejects(b.join(a.address), { name: "StateError" });
  await assert.rejects(b.setTags({}), { name: "StateError" });
});

Deno.test("SerfNode.leave() tells when nobody heard of it", async () => {
  await using nodes = new Nodes();
  const lines: string[] = [];
  const [a, b] = [
    await nodes.start("a"),
    await nodes.start("b", { onLog: (_, text) => lines.push(text) }),
  ];
  await b.join(a.address);
  await sees(b, "a alive", "b alive");
  await a.shutdown();
  await assert.rejects(b.leave(), {
    message: "timeout while waiting for graceful leave",
  });
  assert.equal(b.state, "left");
  assert.ok(lines.includes("serf: No member has acknowledged our leave"));
});

Deno.test("SerfNode.shutdown() frees the sockets, settles `closed`, and may be repeated", async () => {
  await using nodes = new Nodes();
  const node = await nodes.start("a");
  await node.shutdown();
  await node.shutdown();
  assert.equal(node.state, "shutdown");
  assert.equal(await node.closed, "shutdown");
  assert.ok(isFree(node.address));
  for (const request of [() => node.leave(), () => node.join("127.0.0.1")]) {
    await assert.rejects(request, { name: "StateError" });
  }
  assert.throws(() => node.userEvent("x"), { name: "StateError" });
  assert.throws(() => node.query("x"), { name: "StateError" });
  assert.deepEqual(await Array.fromAsync(node.events()), []);
});

Deno.test("SerfNode is seen failed after a shutdown without a leave, until it is forced out", async () => {
  await using nodes = new Nodes();
  const [a, b] = await nodes.cluster("a", "b");
  assert.ok(a && b);
  await b.shutdown();
  await sees(a, "a alive", "b failed");
  await a.forceLeave("b");
  await sees(a, "a alive", "b left");
  await a.forceLeave("b", { prune: true });
  await sees(a, "a alive");
});

Deno.test("`await using` leaves the cluster and shuts down", async () => {
  await using nodes = new Nodes();
  const a = await nodes.start("a");
  let b: SerfNode;
  {
    await using inner = await nodes.start("b");
    b = inner;
    await b.join(a.address);
    await sees(a, "a alive", "b alive");
  }
  assert.equal(b.state, "shutdown");
  await sees(a, "a alive", "b left");
});

Deno.test("`await using` does not mind a node that has left or is down", async () => {
  await using nodes = new Nodes();
  {
    await using left = await nodes.start("a");
    await left.leave();
    await using down = await nodes.start("b");
    await down.shutdown();
    await using cutShort = await nodes.start("c");
    cutShort.leave().catch(() => {});
    await cutShort.shutdown();
  }
  const node = await nodes.start("d");
  const disposing = node[Symbol.asyncDispose]();
  await node.shutdown();
  await disposing;
});

Deno.test("SerfNode closes when the cluster gives its name to another", async () => {
  await using nodes = new Nodes();
  const [a] = await nodes.cluster("a", "b");
  assert.ok(a);
  const impostor = await nodes.start("b");
  const events = impostor.events({ types: ["user"] });
  await impostor.join(a.address);
  assert.equal(await impostor.closed, "nameLost");
  assert.equal(impostor.state, "shutdown");
  assert.deepEqual(await Array.fromAsync(events), []);
  await impostor.shutdown();
  assert.equal(await impostor.closed, "nameLost");
});

// --- Joining --------------------------------------------------------------------

Deno.test("SerfNode.join() takes one address or several, and says how many answered", async () => {
  await using nodes = new Nodes();
  const a = await nodes.start("a");
  const b = await nodes.start("b");
  const c = await nodes.start("c");
  assert.equal(await c.join([a.address, b.address]), 2);
  assert.equal(await c.join(a.address), 1);
  assert.equal(await c.join([]), 0);
  await sees(a, "a alive", "b alive", "c alive");
});

Deno.test("SerfNode.join() tells why nobody was reached, and assumes the usual port", async () => {
  await using nodes = new Nodes();
  const node = await nodes.start("a");
  await assert.rejects(node.join(["127.9.9.9", "nosuch.invalid"]), (error) => {
    assert.ok(error instanceof Error && error.name === "JoinError");
    const { errors } = error as unknown as { errors: string[] };
    assert.match(errors[0] ?? "", /dial tcp 127\.9\.9\.9:7946: connect:/);
    assert.match(errors[1] ?? "", /nosuch\.invalid/);
    return true;
  });
});

Deno.test("SerfNode.join() replays user events of before only when asked", async () => {
  await using nodes = new Nodes();
  const [a, b, c] = await Promise.all(
    ["a", "b", "c"].map((n) => nodes.start(n)),
  );
  assert.ok(a && b && c);
  a.userEvent("old", "news");
  const [deaf, curious] = [
    b.events({ types: ["user"] }),
    c.events({ types: ["user"] }),
  ];
  await b.join(a.address);
  await c.join(a.address, { replay: true });
  a.userEvent("new");
  assert.equal(shortText((await curious.next()).value), "user old news");
  assert.equal(shortText((await curious.next()).value), "user new ");
  assert.equal(shortText((await deaf.next()).value), "user new ");
});

Deno.test("nodes with one key form a cluster, and others stay out", async () => {
  await using nodes = new Nodes();
  const key = new Uint8Array(32).fill(7);
  const old = new Uint8Array(16).fill(1);
  const a = await nodes.start("a", { encryptKey: key });
  const b = await nodes.start("b", { encryptKey: key.toBase64() });
  const c = await nodes.start("c", { encryptKey: [key, old.toBase64()] });
  const d = await nodes.start("d", { encryptKey: [old] });
  const plain = await nodes.start("plain");
  assert.equal(await b.join(a.address), 1);
  assert.equal(await c.join(a.address), 1);
  await sees(a, "a alive", "b alive", "c alive");
  await assert.rejects(d.join(a.address), { name: "JoinError" });
  await assert.rejects(plain.join(a.address), { name: "JoinError" });
  await sees(a, "a alive", "b alive", "c alive");
});

// --- Members and tags ------------------------------------------------------------

Deno.test("SerfNode.setTags() replaces all tags, updateTags() some of them", async () => {
  await using nodes = new Nodes();
  const [a, b] = await nodes.cluster("a", "b");
  assert.ok(a && b);
  const tagsOfA = () =>
    [...b.member("a")?.tags ?? []].map((pair) => pair.join("=")).sort().join();
  await a.setTags({ role: "web", zone: "eu" });
  await until("the tags", () => tagsOfA() === "role=web,zone=eu");
  const both = [
    a.updateTags({ role: "db", zone: undefined }),
    a.updateTags({ rack: "7" }),
  ];
  assert.deepEqual([...a.tags].sort(), [["rack", "7"], ["role", "db"]]);
  await Promise.all(both);
  await until("the changes", () => tagsOfA() === "rack=7,role=db");
  assert.deepEqual(b.members({ tags: { role: /^db$/ } }).map((m) => m.name), [
    "a",
  ]);
  await a.setTags(new Map([["only", "this"]]));
  await until("the map", () => tagsOfA() === "only=this");
});

Deno.test("SerfNode of protocol 2 shows the role alone, and forgets no other tag", async () => {
  await using nodes = new Nodes();
  const node = await nodes.start("a", {
    settings: { protocolVersion: 2 },
    tags: { role: "web", zone: "eu" },
  });
  await node.updateTags({ role: "db" });
  assert.deepEqual(node.tags, new Map([["role", "db"], ["zone", "eu"]]));
  assert.deepEqual(node.self.tags, new Map([["role", "db"]]));
});

Deno.test("SerfNode.setTags() refuses tags that are too long, and keeps the old ones", async () => {
  await using nodes = new Nodes();
  const node = await nodes.start("a", { tags: { role: "web" } });
  await assert.rejects(node.setTags({ text: "x".repeat(600) }), {
    name: "RangeError",
    message: "Encoded length of tags exceeds limit of 512 bytes",
  });
  assert.deepEqual([...node.tags], [["role", "web"]]);
});

Deno.test("the tags of a SerfNode do not follow the object that they came from", async () => {
  await using nodes = new Nodes();
  const given = new Map([["role", "web"]]);
  const node = await nodes.start("a", { tags: given });
  given.set("role", "db");
  assert.equal(node.tags.get("role"), "web");
  // The compiler for the expression is loaded first; the ack ends the loop.
  const asked = node.query("x", {
    ...{ tags: { role: "^web$" }, acks: true, timeoutMs: 60_000 },
  });
  for await (const reply of asked) {
    assert.deepEqual([reply.kind, reply.from], ["ack", "a"]);
    break;
  }
  const later = new Map([["role", "cache"]]);
  const set = node.setTags(later);
  later.set("role", "db");
  await set;
  assert.equal(node.tags.get("role"), "cache");
});

Deno.test("SerfNode knows where members are once they were pinged", async () => {
  await using nodes = new Nodes();
  const [a, b] = await nodes.cluster("a", "b");
  assert.ok(a && b);
  assert.equal(a.coordinate()?.vec.length, 8);
  assert.equal(a.coordinate("nobody"), undefined);
  assert.equal(a.estimateRttMs("nobody"), undefined);
  await until("a ping", () => a.estimateRttMs("b") !== undefined);
  const rttMs = a.estimateRttMs("b") ?? NaN;
  assert.ok(rttMs > 0 && rttMs < 10_000, `${rttMs} ms`);
  assert.equal(a.estimateRttMs("a", "b"), rttMs);
});

// --- Events ----------------------------------------------------------------------

Deno.test("SerfNode.metrics tell what the node counts, as values and as it happens", async () => {
  await using nodes = new Nodes();
  const node = await nodes.start("a");
  const heard: string[] = [];
  const stop = node.metrics.subscribe(({ name }, value) => {
    if (name.startsWith("serf.events")) heard.push(`${name} ${value}`);
  });
  node.userEvent("deploy");
  stop();
  node.userEvent("deploy");
  assert.deepEqual(heard, ["serf.events 1", "serf.events.deploy 1"]);
  await node.shutdown();
  const counted = new Map(
    node.metrics.read().map((reading) => [
      reading.metric.name,
      "value" in reading ? reading.value : reading.summary.count,
    ]),
  );
  assert.equal(counted.get("serf.events.deploy"), 2);
  // From the very first moment on, and of all layers.
  assert.equal(counted.get("serf.member.join"), 1);
  assert.equal(counted.get("memberlist.msg.alive"), 1);
  assert.equal(counted.get("memberlist.udp.send_failed"), 0);
});
