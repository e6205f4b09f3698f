/** Events, user events and queries of embedded nodes. */

import assert from "node:assert/strict";
import type { NodeEvent } from "../../lib/net/node_event.ts";
import { until } from "./deadline.ts";
import { Nodes, sees, shortText } from "./serf_nodes.ts";

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

/** Time for answers that a busy machine may need; a question ends when all are there. */
const PATIENT_MS = 20_000;

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
  const replies = a.query("load", {
    ...{ payload: "now", acks: true, timeoutMs: PATIENT_MS },
  });
  for await (const reply of replies) {
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
  const asked: string[] = [];
  for (const node of [a, b]) {
    node.respondTo("who", () => {
      asked.push(node.name);
      return node.name;
    });
  }
  const byName = await a.query("who", { nodes: ["b"], timeoutMs: PATIENT_MS })
    .collect();
  assert.deepEqual(byName.responses.map(({ text }) => text), ["b"]);
  await b.setTags({ role: "web" });
  // How many match is not known, so that it would run for all its time.
  const byTag = b.query("who", {
    ...{ tags: { role: "^w.b$" }, timeoutMs: PATIENT_MS },
  });
  for await (const reply of byTag) {
    assert.ok(reply.kind === "response");
    assert.equal(reply.text, "b");
    break;
  }
  assert.deepEqual(asked, ["b", "b"]);
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
      a.query(name, { timeoutMs: 300 }).collect()
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
