/**
 * Nodes as a program embeds them, on loopback: that the surface does what its
 * documentation says. What the cluster makes of it is tested with the engine.
 */

import assert from "node:assert/strict";
import { BindError } from "../../lib/net/bind.ts";
import type { NodeEvent } from "../../lib/net/node_event.ts";
import { SerfNode } from "../../lib/net/serf_node.ts";
import type { SerfNodeOptions } from "../../lib/net/serf_node_options.ts";
import { PROFILES } from "../../lib/swim/config.ts";
import { until } from "./deadline.ts";

/** Nodes of one test; shut down, without a leave, at its end. */
class Nodes implements AsyncDisposable {
  readonly #nodes: SerfNode[] = [];

  async start(name: string, options: SerfNodeOptions = {}): Promise<SerfNode> {
    const node = await SerfNode.start({
      name,
      bind: "127.0.0.1:0",
      profile: "local",
      ...options,
    });
    this.#nodes.push(node);
    return node;
  }

  /** Starts nodes that have all joined the first and know each other. */
  async cluster(...names: string[]): Promise<SerfNode[]> {
    const nodes = await Promise.all(names.map((name) => this.start(name)));
    const [first, ...others] = nodes;
    for (const node of others) await node.join(first?.address ?? "");
    const view = names.map((name) => `${name} alive`);
    for (const node of nodes) await sees(node, ...view);
    return nodes;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#nodes.map((node) => node.shutdown()));
  }
}

/** Waits until a node lists exactly these members, as `name status`. */
function sees(node: SerfNode, ...view: string[]): Promise<void> {
  const text = view.join(", ");
  return until(
    `${node.name} sees ${text}`,
    () =>
      node.members().map(({ name, status }) => `${name} ${status}`).join(
        ", ",
      ) ===
        text,
  );
}

function shortText(event: NodeEvent): string {
  switch (event.type) {
    case "user":
      return `user ${event.name} ${event.text}`;
    case "query":
      return `query ${event.name} ${event.text}`;
    case "lost":
      return `lost ${event.count}`;
    default:
      return `${event.type} ${event.members.map(({ name }) => name).join(" ")}`;
  }
}

/** Whether both sockets of an address are free. */
function isFree(address: string): boolean {
  const [hostname = "", port] = address.split(":");
  const at = { hostname, port: Number(port) };
  try {
    Deno.listen(at).close();
    Deno.listenDatagram({ transport: "udp", ...at }).close();
    return true;
  } catch {
    return false;
  }
}

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
  const asked = await node
    .query("x", { tags: { role: "^web$" }, acks: true, timeoutMs: 100 })
    .collect();
  assert.deepEqual(asked.acks, ["a"]);
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
  assert.ok(rttMs > 0 && rttMs < 1_000, `${rttMs} ms`);
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

Deno.test("SerfNode.events() has what happens from the call on, in order, until the end", async () => {
  await using nodes = new Nodes();
  const a = await nodes.start("a");
  const b = await nodes.start("b");
  const events = a.events();
  // Nobody reads yet.
  await b.join(a.address);
  await sees(a, "a alive", "b alive");
  a.userEvent("one", "1");
  a.userEvent("two", Uint8Array.of(0x32));
  await b.setTags({ role: "x" });
  await until("the tags", () => a.member("b")?.tags.get("role") === "x");
  await b.leave();
  await sees(a, "a alive", "b left");
  await a.shutdown();
  assert.deepEqual((await Array.fromAsync(events)).map(shortText), [
    "member-join b",
    "user one 1",
    "user two 2",
    "member-update b",
    "member-leave b",
  ]);
});

Deno.test("streams of events are independent, filtered, and end with their loop", async () => {
  await using nodes = new Nodes();
  const a = await nodes.start("a");
  const all = a.events();
  const users = a.events({ types: ["user"] });
  const queries = a.events({ types: ["query", "member-failed"] });
  const short = a.events();
  a.userEvent("one");
  for await (const event of short) {
    assert.equal(shortText(event), "user one ");
    break;
  }
  a.userEvent("two");
  await a.query("load", { payload: "now", timeoutMs: 1 }).collect();
  assert.equal((await short.next()).done, true);
  await a.shutdown();
  const texts = async (events: AsyncIterable<NodeEvent>) =>
    (await Array.fromAsync(events)).map(shortText);
  assert.deepEqual(await texts(all), [
    "user one ",
    "user two ",
    "query load now",
  ]);
  assert.deepEqual(await texts(users), ["user one ", "user two "]);
  assert.deepEqual(await texts(queries), ["query load now"]);
});

Deno.test("a stream of events that nobody reads keeps the newest and tells the gap", async () => {
  await using nodes = new Nodes();
  const a = await nodes.start("a");
  const small = a.events({ types: ["user"], bufferMax: 2 });
  const usual = a.events({ types: ["user"] });
  for (let i = 1; i <= 1_030; i++) a.userEvent(`e${i}`);
  await a.shutdown();
  const [smallTexts, usualTexts] = await Promise.all([small, usual].map(
    async (events) => (await Array.fromAsync(events)).map(shortText),
  ));
  assert.deepEqual(smallTexts, ["lost 1028", "user e1029 ", "user e1030 "]);
  assert.equal(usualTexts?.length, 1_025);
  assert.deepEqual(usualTexts?.slice(0, 2), ["lost 6", "user e7 "]);
  assert.throws(() => a.events({ bufferMax: 0 }), { name: "RangeError" });
});

Deno.test("a signal ends a stream of events, the node goes on", async () => {
  await using nodes = new Nodes();
  const a = await nodes.start("a");
  const stop = new AbortController();
  const events = a.events({ signal: stop.signal });
  a.userEvent("one");
  const seen: string[] = [];
  for await (const event of events) {
    seen.push(shortText(event));
    stop.abort();
    a.userEvent("two");
  }
  assert.deepEqual(seen, ["user one "]);
  assert.deepEqual(
    await Array.fromAsync(a.events({ signal: stop.signal })),
    [],
  );
  assert.equal(a.state, "alive");
});

Deno.test("SerfNode.userEvent() refuses what is too long, and has its options", async () => {
  await using nodes = new Nodes();
  const a = await nodes.start("a", { settings: { userEventBytesMax: 100 } });
  const events = a.events({ types: ["user"] });
  assert.throws(() => a.userEvent("x", "y".repeat(100)), {
    name: "RangeError",
  });
  a.userEvent("a");
  a.userEvent("b", "", { coalesce: true });
  await a.shutdown();
  const flags = (await Array.fromAsync(events)).map((event) =>
    event.type === "user" && event.coalesce
  );
  assert.deepEqual(flags, [false, true]);
});

// --- Queries ---------------------------------------------------------------------

Deno.test("SerfNode.query() brings acks and answers of everybody", async () => {
  await using nodes = new Nodes();
  const [a, b] = await nodes.cluster("a", "b");
  assert.ok(a && b);
  a.respondTo("load", (query) => `${query.text} of a for ${query.from}`);
  b.respondTo("load", (query) => {
    assert.ok(query.remainingMs > 0);
    return Promise.resolve(Uint8Array.of(0x62));
  });
  const seen: string[] = [];
  for await (const reply of a.query("load", { payload: "now", acks: true })) {
    seen.push(
      `${reply.kind} ${reply.from} ${reply.kind === "ack" ? "" : reply.text}`,
    );
  }
  assert.deepEqual(seen.sort(), [
    "ack a ",
    "ack b ",
    "response a now of a for a",
    "response b b",
  ]);
});

Deno.test("SerfNode.query() asks those whom its filters name", async () => {
  await using nodes = new Nodes();
  const [a, b] = await nodes.cluster("a", "b");
  assert.ok(a && b);
  for (const node of [a, b]) node.respondTo("who", () => node.name);
  const byName = await a.query("who", { nodes: ["b"] }).collect();
  assert.deepEqual(byName.responses.map(({ text }) => text), ["b"]);
  await b.setTags({ role: "web" });
  const byTag = await b.query("who", {
    tags: { role: "^w.b$" },
    timeoutMs: 500,
  })
    .collect();
  assert.deepEqual(byTag.responses.map(({ text }) => text), ["b"]);
  assert.deepEqual(byTag.acks, []);
});

Deno.test("leaving the loop gives a query up", async () => {
  await using nodes = new Nodes();
  const [a, b] = await nodes.cluster("a", "b");
  assert.ok(a && b);
  a.respondTo("slow", () => "a");
  const late = Promise.withResolvers<string>();
  b.respondTo("slow", () => late.promise);
  // A loop that did not give up would wait for a minute.
  const replies = a.query("slow", { timeoutMs: 60_000 });
  for await (const reply of replies) {
    assert.equal(reply.from, "a");
    break;
  }
  assert.equal((await replies.next()).done, true);
  late.resolve("b");
});

Deno.test("queries that were given up do not count as running", async () => {
  await using nodes = new Nodes();
  const a = await nodes.start("a");
  // No more than 1,024 may run.
  for (let i = 0; i < 1_030; i++) {
    await a.query("x", { timeoutMs: 60_000 }).return();
  }
  const running = Array.from(
    { length: 1_024 },
    () => a.query("x", { timeoutMs: 60_000 }),
  );
  assert.throws(() => a.query("x"), {
    name: "StateError",
    message: "Too many queries are running",
  });
  for (const replies of running) await replies.return();
});

Deno.test("a signal gives a query up", async () => {
  await using nodes = new Nodes();
  const a = await nodes.start("a");
  const stop = new AbortController();
  const { signal } = stop;
  const waiting = a.query("x", { timeoutMs: 60_000, signal }).collect();
  stop.abort();
  assert.deepEqual(await waiting, { acks: [], responses: [] });
  const asked = a.events({ types: ["query"] });
  assert.deepEqual(
    await a.query("y", { timeoutMs: 60_000, signal }).collect(),
    { acks: [], responses: [] },
  );
  await a.shutdown();
  assert.deepEqual(await Array.fromAsync(asked), [], "it was not even asked");
});

Deno.test("a shutdown ends the queries under way", async () => {
  await using nodes = new Nodes();
  const a = await nodes.start("a");
  const waiting = a.query("x", { timeoutMs: 60_000, acks: true }).collect();
  await a.shutdown();
  assert.deepEqual(await waiting, { acks: ["a"], responses: [] });
});

Deno.test("SerfNode.query() refuses what cannot be asked", async () => {
  await using nodes = new Nodes();
  const a = await nodes.start("a");
  const bad: readonly [() => unknown, string][] = [
    [() => a.query("_serf_ping"), "Queries cannot contain the '_serf_' prefix"],
    [
      () => a.query("x", { payload: "y".repeat(1_024) }),
      "query exceeds limit of 1024 bytes",
    ],
    [
      () => a.query("x", { relayFactor: 256 }),
      "Relay factor must be between 0 and 255",
    ],
    [() => a.query("x", { timeoutMs: NaN }), "Cannot wait NaN ms for a query"],
  ];
  for (const [ask, message] of bad) {
    assert.throws(ask, { name: "RangeError", message });
  }
});

Deno.test("an answer is given once, by a responder or by whoever has the event", async () => {
  await using nodes = new Nodes();
  const log: string[] = [];
  const a = await nodes.start("a", {
    onLog: (level, text) => log.push(`[${level}] ${text}`),
    logLevel: "ERR",
  });
  const events = a.events({ types: ["query"] });
  const off = a.respondTo("load", () => "responder");
  const { responses } = await a.query("load").collect();
  assert.equal(responses[0]?.text, "responder");
  const asked = (await events.next()).value;
  assert.ok(asked?.type === "query");
  assert.throws(() => asked.respond("again"), {
    name: "StateError",
    message: "failed to respond to key query: response already sent",
  });
  off();
  const second = a.query("load").collect();
  const event = (await events.next()).value;
  assert.ok(event?.type === "query");
  assert.throws(() => event.respond("x".repeat(2_000)), { name: "RangeError" });
  event.respond("reader");
  assert.equal((await second).responses[0]?.text, "reader");
  assert.deepEqual(log, []);
});

Deno.test("a responder that fails is logged, and the asker hears nothing", async () => {
  await using nodes = new Nodes();
  const log: string[] = [];
  const a = await nodes.start("a", {
    onLog: (level, text) => {
      log.push(`[${level}] ${text}`);
    },
    logLevel: "ERR",
  });
  a.respondTo("throws", () => {
    throw new Error("no sensor");
  });
  a.respondTo("long", () => "x".repeat(2_000));
  const late = Promise.withResolvers<string>();
  a.respondTo("late", () => late.promise);
  const answers = await Promise.all(
    ["throws", "long", "late"].map((name) =>
      a.query(name, { timeoutMs: 50 }).collect()
    ),
  );
  late.resolve("too late");
  await until("three lines", () => log.length === 3);
  assert.deepEqual(answers.map(({ responses }) => responses.length), [0, 0, 0]);
  assert.deepEqual(log, [
    '[ERR] serf: Query "throws" of a was not answered: no sensor',
    '[ERR] serf: Query "long" of a was not answered: failed to respond to key ' +
    "query: response exceeds limit of 1024 bytes",
    '[ERR] serf: Query "late" of a was not answered: failed to respond to key ' +
    "query: response is past the deadline",
  ]);
  assert.throws(() => a.respondTo("late", () => ""), { name: "StateError" });
});

// --- Options ---------------------------------------------------------------------

Deno.test("each option that makes no sense has its own error, and nothing stays open", async () => {
  const free = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const bind = `127.0.0.1:${free.addr.port}`;
  free.close();
  const key = "QUJDREVGR0hJSktMTU5PUA==";
  const bad: readonly [SerfNodeOptions, string, RegExp][] = [
    [
      { name: "" },
      "RangeError",
      /^Cannot use a name of 0 characters, 1 to 512/,
    ],
    [{ name: "x".repeat(513) }, "RangeError", /^Cannot use a name of 513 /],
    [
      { bind: "127.0.0.1:x" },
      "SyntaxError",
      /^Cannot bind to "127\.0\.0\.1:x": address tcp\/x: unknown port$/,
    ],
    [
      { bind: "127.0.0.1:70000" },
      "RangeError",
      /^Cannot bind to "127\.0\.0\.1:70000": address 70000: invalid port$/,
    ],
    [
      { bind: "nosuch.invalid" },
      "BindError",
      /^Cannot bind to "nosuch\.invalid": lookup nosuch\.invalid: /,
    ],
    [{ bind: "192.0.2.1" }, "BindError", /cannot assign requested address$/],
    [
      { bind, advertise: "a:b:c" },
      "SyntaxError",
      /^Cannot advertise "a:b:c": address a:b:c: too many colons in address$/,
    ],
    [
      { bind, tags: { text: "x".repeat(600) } },
      "RangeError",
      /^Encoded length of tags exceeds limit of 512 bytes$/,
    ],
    [
      { bind, profile: "moon" as "lan" },
      "RangeError",
      /^Unknown profile "moon", there are lan, wan, local$/,
    ],
    [
      { bind, profile: { ...PROFILES.lan, gossipIntervalMs: NaN } },
      "RangeError",
      /^The profile field gossipIntervalMs cannot be NaN$/,
    ],
    [
      { bind, encryptKey: "not base64" },
      "SyntaxError",
      /^Cannot use encryptKey: illegal base64 data at input byte 3$/,
    ],
    [
      { bind, encryptKey: new Uint8Array(5) },
      "RangeError",
      /^Cannot use encryptKey: key size must be 16, 24 or 32 bytes$/,
    ],
    [{ bind, encryptKey: "" }, "RangeError", /^Cannot use encryptKey: empty/],
    [
      { bind, encryptKey: [] },
      "RangeError",
      /^Cannot use encryptKey: there is no key$/,
    ],
    [
      { bind, encryptKey: [key, "AAAA"] },
      "RangeError",
      /^Cannot use encryptKey: key size must be/,
    ],
    [
      { bind, settings: { protocolVersion: 6 } },
      "RangeError",
      /^Protocol version '6' too high/,
    ],
    [
      { bind, settings: { reapIntervalMs: -1 } },
      "RangeError",
      /^The setting reapIntervalMs cannot be -1$/,
    ],
    [
      { bind, settings: { label: "x".repeat(256) } },
      "RangeError",
      /as a label: too long$/,
    ],
    [
      { bind, onLog: () => {}, logLevel: "LOUD" as "ERR" },
      "RangeError",
      /^Unknown log level "LOUD", there are TRACE, DEBUG, INFO, WARN, ERR$/,
    ],
  ];
  for (const [options, name, message] of bad) {
    await assert.rejects(SerfNode.start({ name: "a", ...options }), {
      name,
      message,
    });
    assert.ok(isFree(bind), Deno.inspect(options));
  }
  await using nodes = new Nodes();
  const owner = await nodes.start("a", { bind });
  await assert.rejects(nodes.start("b", { bind: owner.address }), BindError);
});

Deno.test("SerfNode takes settings of both layers, and a profile of one's own", async () => {
  await using nodes = new Nodes();
  const profile = { ...PROFILES.local, gossipIntervalMs: 50 };
  const settings = {
    label: "blue",
    queryBytesMax: 80,
  };
  const a = await nodes.start("a", { profile, settings });
  const b = await nodes.start("b", { profile, settings });
  const green = await nodes.start("c", { settings: { label: "green" } });
  assert.equal(await b.join(a.address), 1);
  await assert.rejects(green.join(a.address), { name: "JoinError" });
  assert.throws(() => a.query("x", { payload: "y".repeat(80) }), {
    message: "query exceeds limit of 80 bytes",
  });
});

Deno.test("SerfNode logs what is asked for, and survives a sink that throws", async () => {
  await using nodes = new Nodes();
  const log: string[] = [];
  const a = await nodes.start("a", {
    onLog: (level, text) => log.push(`[${level}] ${text}`),
  });
  const warnings: string[] = [];
  const b = await nodes.start("b", {
    onLog: (level) => warnings.push(level),
    logLevel: "WARN",
  });
  await b.join(a.address);
  await sees(a, "a alive", "b alive");
  assert.ok(
    log.some((line) => line.startsWith("[INFO] serf: EventMemberJoin: b")),
  );
  assert.ok(
    !log.some((line) => /^\[(DEBUG|TRACE)\]/.test(line)),
    log.join("\n"),
  );
  assert.deepEqual(warnings.filter((level) => !/WARN|ERR/.test(level)), []);

  const reported: string[] = [];
  const onError = (event: ErrorEvent) => {
    event.preventDefault();
    reported.push(event.message);
  };
  globalThis.addEventListener("error", onError);
  let isFull = true;
  try {
    const c = await nodes.start("c", {
      onLog: () => {
        if (isFull) throw new Error("disk full");
      },
    });
    await c.join(a.address);
    await sees(c, "a alive", "b alive", "c alive");
  } finally {
    isFull = false;
    globalThis.removeEventListener("error", onError);
  }
  assert.ok(reported.length > 0);
  assert.match(reported[0] ?? "", /disk full/);
});
