/** How engines form a cluster, detect failures and end, in virtual time. */

import assert from "node:assert/strict";
import { encodeMessage } from "../../lib/wire/message_codec.ts";
import { Keyring } from "../../lib/wire/keyring.ts";
import { MessageType } from "../../lib/wire/messages.ts";
import { suspicionTimeoutMs } from "../../lib/swim/suspicion.ts";
import {
  FIRST_BYTE_MS,
  SILENT_STREAMS_MAX,
} from "../../lib/swim/inbound_streams.ts";
import { aliveOf, Arena, feed, type Node } from "./arena.ts";

Deno.test("start() makes ourselves the first member", () => {
  const arena = new Arena();
  const a = arena.add("a");
  assert.deepEqual(a.story, ["memberJoin a"]);
  assert.equal(a.engine.local?.incarnation, 1);
  assert.equal(a.engine.liveCount, 1);
});

Deno.test("join() teaches both sides everything the other holds", () => {
  const arena = new Arena();
  const [a, b, c] = arena.cluster(["a", "b", "c"]) as [Node, Node, Node];
  for (const node of [a, b, c]) {
    for (const name of ["a", "b", "c"]) {
      assert.equal(node.stateOf(name), "alive");
    }
  }
  const joined = b.events.find((event) => event.type === "joinFinished");
  assert.deepEqual(joined, {
    type: "joinFinished",
    operation: 1,
    contacted: 1,
    errors: [],
  });
});

Deno.test("join() of a lone node gossips on only a few of what it learned", () => {
  const arena = new Arena();
  const a = arena.add("a");
  const learned = 200;
  for (let i = 1; i <= learned; i++) {
    const claim = aliveOf(`n${i}`, 1, [10, 1, 0, i]);
    const vsn = Uint8Array.of(1, 5, 2, 0, 0, 0);
    feed(arena, a, { ...claim, node: { ...claim.node, vsn } });
  }
  const late = arena.add("late");
  late.engine.join([{ address: a.address }], arena.nowMs);
  arena.perform(late);
  arena.runUntil(() => late.engine.liveCount === learned + 2, 1_000);
  const depth = late.engine.queueDepth;
  // 32 on average, with a standard deviation of 5, and what it says of itself.
  assert.ok(depth > 10 && depth < 60, `${depth}`);
});

Deno.test("join() to several addresses links clusters that did not know each other", () => {
  const arena = new Arena();
  const [a, b] = arena.cluster(["a", "b"]) as [Node, Node];
  const [c, d] = arena.cluster(["c", "d"]) as [Node, Node];
  arena.advance(5_000);
  const link = arena.add("link");
  link.engine.join(
    [{ address: a.address }, { address: c.address }],
    arena.nowMs,
  );
  arena.perform(link);
  const all = [a, b, c, d, link];
  // Well before the next push/pull could do it.
  arena.runUntil(() => all.every((node) => node.engine.liveCount === 5), 3_000);
});

Deno.test("join() tells per address why it failed", () => {
  const arena = new Arena();
  const a = arena.add("a");
  arena.add("b");
  a.engine.join([
    { address: "10.0.0.77:7946" },
    { address: "10.0.0.2:7946" },
    { address: "[::1]:7946" },
  ], arena.nowMs);
  arena.perform(a);
  arena.advance(100);
  const joined = a.events.find((event) => event.type === "joinFinished");
  assert.deepEqual(joined, {
    type: "joinFinished",
    operation: 1,
    contacted: 1,
    errors: [
      "Failed to join 10.0.0.77: dial tcp 10.0.0.77:7946: connect: connection refused",
      "Failed to join ::1: dial tcp [::1]:7946: connect: connection refused",
    ],
  });
});

Deno.test("join() is not held up by a peer that accepts and says nothing", () => {
  const arena = new Arena();
  const a = arena.add("a");
  const silent = arena.add("silent");
  silent.engine.shutdown();
  const good = arena.add("good");
  a.engine.join(
    [{ address: silent.address }, { address: good.address }],
    arena.nowMs,
  );
  arena.perform(a);
  arena.runUntil(() => a.stateOf("good") === "alive", 1_100);
});

Deno.test("join() gives up a dial that never ends", () => {
  const arena = new Arena();
  const a = arena.add("a");
  arena.block = ({ kind }) => kind === "stream";
  a.engine.join([{ address: "10.0.0.2:7946" }], arena.nowMs);
  arena.perform(a);
  arena.advance(10_000);
  const joined = a.events.find((event) => event.type === "joinFinished");
  assert.deepEqual(joined?.errors, [
    "Failed to join 10.0.0.2: dial tcp 10.0.0.2:7946: i/o timeout",
  ]);
});

Deno.test("a quiet cluster suspects nobody and queues nothing", () => {
  const arena = new Arena();
  const nodes = arena.cluster(["a", "b", "c", "d"]);
  arena.advance(60_000);
  for (const node of nodes) {
    assert.equal(node.engine.liveCount, 4);
    assert.equal(node.engine.queueDepth, 0);
    assert.equal(node.engine.healthScore, 0);
    assert.deepEqual(
      node.story.filter((line) => line.startsWith("memberLeave")),
      [],
    );
  }
});

Deno.test("a crashed member is suspected, then dead, within the derived time", () => {
  const arena = new Arena();
  const nodes = arena.cluster(["a", "b", "c", "d", "e"]);
  const [crashed, ...others] = nodes as [Node, ...Node[]];
  arena.crash(crashed);
  const crashedMs = arena.nowMs;
  arena.runUntil(
    () => others.every((node) => node.stateOf("a") === "dead"),
    60_000,
  );
  const tookMs = arena.nowMs - crashedMs;
  // One round to reach it, one round without ack, the longest suspicion.
  const { probeIntervalMs, suspicionMult, suspicionMaxTimeoutMult } =
    crashed.config.profile;
  const longestMs = 5 * probeIntervalMs +
    suspicionMaxTimeoutMult *
      suspicionTimeoutMs(suspicionMult, 5, probeIntervalMs);
  assert.ok(tookMs < longestMs, `took ${tookMs} ms`);
  assert.ok(tookMs > probeIntervalMs, `took ${tookMs} ms`);
  for (const node of others) {
    assert.deepEqual(
      node.story.filter((line) => line === "memberLeave a").length,
      1,
    );
  }
});

Deno.test("an indirect ping saves a member that we cannot reach", () => {
  const arena = new Arena();
  const [a, b] = arena.cluster(["a", "b", "c", "d"]) as [Node, Node];
  arena.block = ({ from, to }) =>
    (from === a.address && to === b.address) ||
    (from === b.address && to === a.address);
  arena.advance(30_000);
  assert.equal(a.stateOf("b"), "alive");
  assert.equal(b.stateOf("a"), "alive");
  assert.ok(
    a.logs.some((line) =>
      line.includes("Failed UDP ping: b (timeout reached)")
    ),
  );
  assert.ok(!a.logs.some((line) => line.includes("Suspect b has failed")));
});

Deno.test("a stream ping saves a member whose packets are lost, with a warning", () => {
  const arena = new Arena();
  const [a, b] = arena.cluster(["a", "b"]) as [Node, Node];
  arena.block = ({ kind }) => kind === "packet";
  arena.advance(20_000);
  assert.equal(a.stateOf("b"), "alive");
  assert.equal(b.stateOf("a"), "alive");
  assert.ok(
    a.logs.some((line) =>
      line.includes("Was able to connect to b over TCP but UDP probes failed")
    ),
  );
});

Deno.test("without stream pings, lost packets make a member suspect", () => {
  const arena = new Arena();
  const [a] = arena.cluster(["a", "b"], { streamPings: false }) as [Node];
  arena.block = ({ kind }) => kind === "packet";
  arena.advance(5_000);
  assert.notEqual(a.stateOf("b"), "alive");
});

Deno.test("nacks keep our health score: the target is at fault, not we", () => {
  const arena = new Arena();
  const [a, b] = arena.cluster(["a", "b", "c", "d", "e"], {
    streamPings: false,
  }) as [Node, Node];
  arena.crash(b);
  arena.runUntil(
    () => a.logs.some((line) => line.includes("Suspect b has failed")),
    20_000,
  );
  assert.equal(a.engine.healthScore, 0);
});

Deno.test("missing acks and nacks make us slower", () => {
  const arena = new Arena();
  const [a] = arena.cluster(["a", "b", "c", "d", "e"], {
    streamPings: false,
  }) as [Node];
  arena.block = ({ from, to }) => from === a.address || to === a.address;
  arena.advance(4_000);
  assert.ok(a.engine.healthScore > 1, `${a.engine.healthScore}`);
});

Deno.test("leave() is seen as left, not dead, and is not refuted", () => {
  const arena = new Arena();
  const [a, b, c] = arena.cluster(["a", "b", "c"]) as [Node, Node, Node];
  const operation = b.engine.leave(5_000, arena.nowMs);
  arena.perform(b);
  arena.runUntil(
    () => b.events.some((event) => event.type === "broadcastFinished"),
    5_000,
  );
  assert.deepEqual(b.events.at(-1), { type: "broadcastFinished", operation });
  arena.runUntil(
    () => a.stateOf("b") === "left" && c.stateOf("b") === "left",
    1_000,
  );
  arena.advance(10_000);
  assert.notEqual(a.stateOf("b"), "alive");
});

Deno.test("leave() of a lone node is over at once, a second one as well", () => {
  const arena = new Arena();
  const a = arena.add("a");
  const first = a.engine.leave(5_000, arena.nowMs);
  const second = a.engine.leave(5_000, arena.nowMs);
  arena.perform(a);
  assert.deepEqual(a.events.slice(-2), [
    { type: "broadcastFinished", operation: first },
    { type: "broadcastFinished", operation: second },
  ]);
});

Deno.test("updateMeta() reaches everybody as an update", () => {
  const arena = new Arena();
  const [a, b] = arena.cluster(["a", "b", "c"]) as [Node, Node];
  b.meta = Uint8Array.of(1, 2, 3);
  const operation = b.engine.updateMeta(5_000, arena.nowMs);
  arena.perform(b);
  arena.runUntil(() => a.story.includes("memberUpdate b"), 5_000);
  assert.deepEqual(a.engine.member("b")?.node.meta, b.meta);
  arena.runUntil(
    () =>
      b.events.some((event) =>
        event.type === "broadcastFinished" && event.operation === operation
      ),
    5_000,
  );
});

Deno.test("updateMeta() that cannot be gossiped in time ends with an error", () => {
  const arena = new Arena();
  const a = arena.add("a");
  const mute = arena.add("mute", {
    profile: { ...a.config.profile, gossipIntervalMs: 0, probeIntervalMs: 0 },
  });
  mute.engine.join([{ address: a.address }], arena.nowMs);
  arena.perform(mute);
  arena.runUntil(() => mute.stateOf("a") === "alive", 1_000);
  arena.block = () => true;
  const operation = mute.engine.updateMeta(500, arena.nowMs);
  arena.perform(mute);
  arena.advance(500);
  assert.deepEqual(mute.events.at(-1), {
    type: "broadcastFinished",
    operation,
    error: "timeout waiting for update broadcast",
  });
});

Deno.test("a member of an incompatible version is refused with the whole exchange", () => {
  const arena = new Arena();
  const a = arena.add("a", { delegateVersion: { min: 2, max: 5, current: 5 } });
  const b = arena.add("b", { delegateVersion: { min: 6, max: 7, current: 6 } });
  b.engine.join([{ address: a.address }], arena.nowMs);
  arena.perform(b);
  arena.advance(50);
  assert.equal(a.stateOf("b"), undefined);
  const joined = b.events.find((event) => event.type === "joinFinished");
  assert.match(
    joined?.errors[0] ?? "",
    /delegate protocol version \(5\) is incompatible: \[6, 5\]/,
  );
});

Deno.test("the host may refuse a member, alone or within a join", () => {
  const arena = new Arena();
  const a = arena.add("a");
  const b = arena.add("b");
  a.refusal = "not on the list";
  b.engine.join([{ address: a.address }], arena.nowMs);
  arena.perform(b);
  arena.advance(50);
  assert.equal(a.stateOf("b"), undefined);
  assert.ok(
    a.logs.some((line) =>
      line.includes("Failed push/pull merge: not on the list")
    ),
  );
});

Deno.test("news leave at once after a quiet time, and an idle node does not gossip", () => {
  const arena = new Arena();
  const [a, b] = arena.cluster(["a", "b"]) as [Node, Node];
  arena.advance(10_000);
  const before = a.engine.metrics.packetsSent.value;
  arena.advance(5_000);
  // One ping and one ack per second, nothing else.
  assert.ok(a.engine.metrics.packetsSent.value - before <= 12);
  a.broadcasts.push(Uint8Array.of(MessageType.user, 42));
  a.engine.wakeGossip(arena.nowMs);
  arena.perform(a);
  arena.advance(2);
  assert.deepEqual(b.events.at(-1), {
    type: "userMessage",
    body: Uint8Array.of(42),
    from: a.address,
  });
});

Deno.test("push/pull repairs what gossip missed", () => {
  const arena = new Arena();
  const [a, b, c] = arena.cluster(["a", "b", "c"], { streamPings: false }) as [
    Node,
    Node,
    Node,
  ];
  arena.advance(5_000);
  arena.block = ({ to, kind }) => kind === "packet" && to === c.address;
  b.meta = Uint8Array.of(7);
  b.engine.updateMeta(1_000, arena.nowMs);
  arena.perform(b);
  arena.runUntil(() => a.story.includes("memberUpdate b"), 5_000);
  arena.runUntil(
    () => b.engine.queueDepth === 0 && a.engine.queueDepth === 0,
    5_000,
  );
  assert.ok(!c.story.includes("memberUpdate b"));
  arena.block = () => false;
  arena.runUntil(() => c.story.includes("memberUpdate b"), 120_000);
});

Deno.test("an encrypted cluster keeps strangers out, and a key lets them in", () => {
  const key = Uint8Array.from({ length: 16 }, (_, i) => i);
  const arena = new Arena();
  const a = arena.add("a", { keyring: new Keyring([key]) });
  const stranger = arena.add("stranger");
  const friend = arena.add("friend", { keyring: new Keyring([key]) });
  for (const node of [stranger, friend]) {
    node.engine.join([{ address: a.address }], arena.nowMs);
    arena.perform(node);
  }
  arena.advance(1_000);
  assert.equal(a.stateOf("friend"), "alive");
  assert.equal(a.stateOf("stranger"), undefined);
  assert.equal(stranger.stateOf("a"), undefined);
  const joined = stranger.events.find((event) => event.type === "joinFinished");
  assert.equal(joined?.contacted, 0);
  assert.equal(joined?.errors.length, 1);
});

Deno.test("labels keep clusters apart", () => {
  const arena = new Arena();
  const a = arena.add("a", { label: "red" });
  const b = arena.add("b", { label: "blue" });
  const c = arena.add("c", { label: "red" });
  for (const node of [b, c]) {
    node.engine.join([{ address: a.address }], arena.nowMs);
    arena.perform(node);
  }
  arena.advance(1_000);
  assert.equal(a.stateOf("c"), "alive");
  assert.equal(a.stateOf("b"), undefined);
});

Deno.test("a flood of garbage becomes a few log lines and a count", () => {
  const arena = new Arena();
  const a = arena.add("a");
  const before = a.logs.length;
  for (let i = 0; i < 1_000; i++) {
    a.engine.handlePacket(
      "10.9.9.9:1",
      Uint8Array.of(200, i & 255),
      arena.nowMs,
    );
  }
  arena.perform(a);
  arena.advance(1_000);
  assert.equal(a.engine.metrics.refused.value, 1_000);
  assert.equal(a.logs.length - before, 11);
  assert.match(a.logs.at(-1) ?? "", /990 more messages were refused/);
});

Deno.test("streams that never end are cut by time, and there is a most of them", () => {
  const arena = new Arena();
  const a = arena.add("a");
  for (let i = 0; i < SILENT_STREAMS_MAX + 5; i++) {
    a.engine.handleStreamOpened(`10.9.9.9:${i}`, arena.nowMs);
  }
  const closes = () =>
    a.engine.drain().filter((output) => output.kind === "close").length;
  assert.equal(closes(), 5);
  arena.nowMs += FIRST_BYTE_MS;
  a.engine.handleTimeout(arena.nowMs);
  assert.equal(closes(), SILENT_STREAMS_MAX);
});

Deno.test("a stream that goes on arriving has the whole stream timeout", () => {
  const arena = new Arena();
  const a = arena.add("a");
  const id = a.engine.handleStreamOpened("10.9.9.9:1", arena.nowMs);
  // The beginning of a push/pull of many members, and names without an end.
  const beginning = Uint8Array.of(6, 0x81, 0xdb, 0, 0, 0xff, 0xff);
  a.engine.handleStreamData(id, beginning, arena.nowMs);
  const closes = () =>
    a.engine.drain().filter((output) => output.kind === "close").length;
  const startMs = arena.nowMs;
  while (arena.nowMs < startMs + 9_500) {
    arena.nowMs += 500;
    a.engine.handleTimeout(arena.nowMs);
    a.engine.handleStreamData(id, new Uint8Array(500), arena.nowMs);
  }
  assert.equal(closes(), 0);
  arena.nowMs = startMs + 10_000;
  a.engine.handleTimeout(arena.nowMs);
  assert.equal(closes(), 1);
});

Deno.test("pings for another name are not answered, indirect pings are relayed", () => {
  const arena = new Arena();
  const [a, b] = arena.cluster(["a", "b"]) as [Node, Node];
  arena.advance(5_000);
  const source = {
    sourceAddr: Uint8Array.of(10, 9, 9, 9),
    sourcePort: 7946,
    sourceNode: "x",
  };
  a.engine.handlePacket(
    "10.9.9.9:7946",
    encodeMessage({ kind: "ping", seqNo: 5, node: "zz", ...source }),
    arena.nowMs,
  );
  assert.deepEqual(
    a.engine.drain().filter((output) => output.kind === "packet"),
    [],
  );
  const replies: string[] = [];
  arena.block = ({ to }) => {
    if (to === "10.9.9.9:7946") replies.push(to);
    return false;
  };
  feed(arena, a, {
    kind: "indirectPing",
    seqNo: 6,
    target: b.config.advertiseAddr,
    port: 7946,
    node: "b",
    nack: true,
    ...source,
  });
  arena.advance(10);
  assert.equal(replies.length, 1, "an ack");
  arena.crash(b);
  feed(arena, a, {
    kind: "indirectPing",
    seqNo: 7,
    target: b.config.advertiseAddr,
    port: 7946,
    node: "b",
    nack: true,
    ...source,
  });
  arena.advance(399);
  assert.equal(replies.length, 1);
  arena.advance(1);
  assert.equal(replies.length, 2, "a nack");
  arena.advance(1_000);
  assert.equal(replies.length, 2);
});

Deno.test("after shutdown() inputs are ignored and nothing is planned", () => {
  const arena = new Arena();
  const [a] = arena.cluster(["a", "b"]) as [Node];
  a.engine.shutdown();
  a.engine.drain();
  assert.equal(a.engine.nextDeadlineMs(), undefined);
  feed(arena, a, aliveOf("z", 1, [10, 0, 0, 9]));
  assert.equal(a.stateOf("z"), undefined);
});
