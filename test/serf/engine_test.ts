/**
 * Whole engines with each other, in virtual time. What belongs to one mechanism
 * is tested beside it; here are the ways through several of them.
 */

import assert from "node:assert/strict";
import { Keyring } from "../../lib/wire/keyring.ts";
import { encodeMessage } from "../../lib/wire/message_codec.ts";
import {
  encodePushPull,
  type SerfPushPull,
} from "../../lib/wire/serf_messages.ts";
import { encodeStreamMessage } from "../../lib/wire/stream_frame.ts";
import { Cluster, joined, type Node } from "./cluster.ts";

const ALL_ALIVE = ["a: alive", "b: alive", "c: alive"];

Deno.test("SerfEngine tells of itself first", () => {
  const a = new Cluster().start("a");
  assert.deepEqual(a.events, ["member-join: a(alive)"]);
  assert.equal(a.engine.localMember().ip, "10.0.0.1");
});

Deno.test("SerfEngine.localMember() has no status before the start", () => {
  const cluster = new Cluster();
  const engine = cluster.make("a").engine;
  const { name, status, delegateCur } = engine.localMember();
  assert.deepEqual([name, status, delegateCur], ["a", "none", 5]);
});

Deno.test("SerfEngine: three nodes find each other and agree", () => {
  const { nodes } = joined(["a", "b", "c"]);
  for (const node of nodes) {
    assert.deepEqual(node.statuses(), ALL_ALIVE);
    const stats = node.engine.stats();
    assert.equal(stats.get("members"), "3");
    assert.equal(stats.get("failed"), "0");
    assert.equal(stats.get("member_time"), "3");
  }
});

Deno.test("SerfEngine: a user event reaches everybody once, the sender first", () => {
  const { cluster, nodes } = joined(["a", "b", "c"]);
  const [a] = nodes as [Node, Node, Node];
  const payload = new TextEncoder().encode("v1");
  cluster.call(a, (engine, nowMs) => {
    engine.userEvent("deploy", payload, { coalesce: true }, nowMs);
  });
  assert.deepEqual(a.events, ["user: deploy@1=v1"]);
  cluster.settle();
  // A push/pull brings the whole ring once more.
  cluster.run(120_000);
  for (const node of nodes) {
    assert.deepEqual(node.events, ["user: deploy@1=v1"], node.name);
    assert.equal(node.engine.stats().get("event_time"), "2");
  }
});

Deno.test("SerfEngine gossips what was asked for without delay", () => {
  const { cluster, nodes } = joined(["a", "b"]);
  const [a] = nodes as [Node, Node];
  cluster.run(1_000);
  cluster.call(a, (engine, nowMs) => {
    engine.userEvent("now", new Uint8Array(0), { coalesce: false }, nowMs);
    assert.equal(engine.nextDeadlineMs(), nowMs);
  });
});

/** Lets a node receive a push/pull whose only content is Serf's state. */
function pushPull(
  cluster: Cluster,
  node: Node,
  join: boolean,
  state: Partial<SerfPushPull>,
): void {
  const userState = encodePushPull({
    ltime: 0n,
    statusLTimes: new Map(),
    leftMembers: [],
    eventLTime: 0n,
    events: [],
    queryLTime: 0n,
    ...state,
  });
  const bytes = encodeStreamMessage({
    kind: "pushPull",
    join,
    states: [],
    userState,
  });
  cluster.call(node, (engine, nowMs) => {
    const id = engine.handleStreamOpened("10.9.9.9:1", nowMs);
    engine.handleStreamData(id, bytes, nowMs);
  });
}

Deno.test("SerfEngine refutes a push/pull that calls it left", () => {
  const { cluster, nodes } = joined(["a", "b"]);
  const [a] = nodes as [Node, Node];
  const statusLTimes = new Map([["a", 50n]]);
  pushPull(cluster, a, false, { statusLTimes, leftMembers: ["a"] });
  assert.equal(a.engine.localMember().status, "alive");
  assert.equal(a.engine.stats().get("intent_queue"), "1");
  // The leave had time 51, so that the refutation has 52.
  assert.equal(a.engine.stats().get("member_time"), "53");
});

Deno.test("SerfEngine ignores the past for a join only", () => {
  for (const isJoin of [true, false]) {
    const cluster = new Cluster();
    const a = cluster.start("a");
    const other = cluster.start("other");
    cluster.join(a, other, true);
    const events = [{ name: "past", payload: new Uint8Array(0) }];
    const state = { eventLTime: 80n, events: [{ ltime: 79n, events }] };
    pushPull(cluster, a, isJoin, state);
    const heard = a.events.filter((line) => line.startsWith("user"));
    assert.deepEqual(heard, isJoin ? [] : ["user: past@79="]);
  }
});

Deno.test("SerfEngine coalesces events as configured", () => {
  const cluster = new Cluster();
  const options = { coalescePeriodMs: 3_000, quiescentPeriodMs: 1_000 };
  const a = cluster.start("a", options);
  for (const name of ["b", "c"]) cluster.join(cluster.start(name), a);
  cluster.run(1_500);
  assert.deepEqual(a.events, ["member-join: a(alive),b(alive),c(alive)"]);
});

Deno.test("SerfEngine: halves of a cluster fail each other and find back", () => {
  const { cluster, nodes } = joined(["a", "b", "c"], {
    reconnectIntervalMs: 5_000,
  });
  const [a, b, c] = nodes as [Node, Node, Node];
  c.partition = 1;
  const isSplit = () =>
    a.statuses().includes("c: failed") && b.statuses().includes("c: failed") &&
    c.statuses().includes("a: failed") && c.statuses().includes("b: failed");
  cluster.runUntil(isSplit, 120_000, "both sides call the other failed");
  // Beyond the time in which the dead are still gossiped to.
  cluster.run(120_000);
  c.partition = 0;
  const isWhole = () =>
    nodes.every((node) => node.statuses().join() === ALL_ALIVE.join());
  cluster.runUntil(isWhole, 120_000, "all are alive again");
  assert.deepEqual(a.events, [
    "member-failed: c(failed)",
    "member-join: c(alive)",
  ]);
  const attempts = nodes.flatMap(({ log }) =>
    log.filter((line) =>
      line.startsWith("[INFO] serf: attempting reconnect to")
    )
  );
  assert(attempts.length > 0);
});

Deno.test("SerfEngine forgets members that failed long ago", () => {
  const { cluster, nodes } = joined(["a", "b"], {
    reconnectTimeoutMs: 60_000,
    reapIntervalMs: 1_000,
  });
  const [a, b] = nodes as [Node, Node];
  cluster.crash(b);
  cluster.run(300_000);
  assert.deepEqual(a.events, [
    "member-failed: b(failed)",
    "member-reap: b(failed)",
  ]);
  assert.deepEqual(a.statuses(), ["a: alive"]);
});

Deno.test("SerfEngine does neither reap nor reconnect without an interval", () => {
  const { cluster, nodes } = joined(["a", "b"], {
    reapIntervalMs: 0,
    reconnectIntervalMs: 0,
    reconnectTimeoutMs: 1_000,
  });
  const [a, b] = nodes as [Node, Node];
  cluster.crash(b);
  cluster.run(300_000);
  assert.deepEqual(a.events, ["member-failed: b(failed)"]);
  assert(!a.log.some((line) => line.includes("reconnect")));
});

Deno.test("SerfEngine: who missed a leave intent learns it from a push/pull", () => {
  const { cluster, nodes } = joined(["a", "b", "c"]);
  const [a, b, c] = nodes as [Node, Node, Node];
  c.partition = 1;
  const operation = cluster.call(b, (engine, nowMs) => engine.leave(nowMs));
  cluster.finish(b, operation);
  cluster.call(b, (engine, nowMs) => engine.shutdown(nowMs));
  cluster.crash(b);
  const isFailed = () => c.statuses().includes("b: failed");
  cluster.runUntil(isFailed, 120_000, "c calls b failed");
  c.partition = 0;
  const isLeft = () => c.statuses().join() === "a: alive,b: left,c: alive";
  cluster.runUntil(isLeft, 240_000, "c calls b left");
  assert(c.events.includes("member-leave: b(left)"));
  assert(!a.events.includes("member-failed: b(failed)"));
});

Deno.test("SerfEngine.shutdown() ends every operation, and ends all", () => {
  const { cluster, nodes } = joined(["a", "b"]);
  const [a, b] = nodes as [Node, Node];
  cluster.crash(b);
  const operations = [
    cluster.join(a, b),
    cluster.join(a, b),
    cluster.call(
      a,
      (engine, nowMs) => engine.forceLeave("x", { prune: false }, nowMs),
    ),
    cluster.call(
      a,
      (engine, nowMs) => engine.setTags(new Map([["k", "v"]]), nowMs),
    ),
    cluster.call(a, (engine, nowMs) => engine.leave(nowMs)),
  ];
  cluster.call(a, (engine, nowMs) => engine.shutdown(nowMs));
  for (const operation of operations) {
    assert.equal(a.results.get(operation)?.error, "Serf was shut down");
  }
  assert.equal(a.engine.state, "shutdown");
  assert.equal(a.engine.nextDeadlineMs(), undefined);
  assert.equal(a.log.at(-1), "[WARN] serf: Shutdown without a Leave");

  const resultCount = a.results.size;
  cluster.call(a, (engine, nowMs) => {
    engine.shutdown(nowMs);
    engine.handlePacket("10.0.0.2:7946", Uint8Array.of(0), nowMs);
    engine.handleTimeout(nowMs);
    assert.throws(
      () =>
        engine.userEvent("x", new Uint8Array(0), { coalesce: false }, nowMs),
      {
        name: "StateError",
        message: "Cannot send a user event after Shutdown",
      },
    );
    assert.throws(
      () => engine.forceLeave("b", { prune: false }, nowMs),
      { name: "StateError", message: "Cannot force a leave after Shutdown" },
    );
    assert.throws(
      () => engine.join([], { ignoreOld: false }, nowMs),
      { name: "StateError" },
    );
  });
  assert.equal(a.results.size, resultCount);
});

Deno.test("SerfEngine.shutdown() brings out the events held back", () => {
  const cluster = new Cluster();
  const a = cluster.start("a", {
    coalescePeriodMs: 3_000,
    quiescentPeriodMs: 1_000,
  });
  assert.deepEqual(a.events, []);
  cluster.call(a, (engine, nowMs) => engine.shutdown(nowMs));
  assert.deepEqual(a.events, ["member-join: a(alive)"]);
});

Deno.test("SerfEngine.shutdown() after a leave has nothing to complain about", () => {
  const cluster = new Cluster();
  const a = cluster.start("a");
  cluster.finish(a, cluster.call(a, (engine, nowMs) => engine.leave(nowMs)));
  cluster.call(a, (engine, nowMs) => engine.shutdown(nowMs));
  assert(!a.log.some((line) => line.includes("Shutdown without")));
});

Deno.test("SerfEngine.swim shows the layer below", () => {
  const { nodes } = joined(["a", "b"]);
  const { swim } = (nodes as [Node, Node])[0].engine;
  assert.equal(swim.liveCount, 2);
  assert.equal(swim.member("b")?.state, "alive");
  assert(swim.metrics.packetsReceived.value > 0);
});

Deno.test("SerfEngine.stats() has the keys of serf", () => {
  const keys = [...new Cluster().start("a").engine.stats().keys()].sort();
  assert.deepEqual(keys, [
    "coordinate_resets",
    "encrypted",
    "event_queue",
    "event_time",
    "failed",
    "health_score",
    "intent_queue",
    "left",
    "member_time",
    "members",
    "query_queue",
    "query_time",
  ]);
});

Deno.test("SerfEngine.stats() says whether there are keys", () => {
  const cluster = new Cluster();
  const plain = cluster.start("a").engine;
  assert.equal(plain.stats().get("encrypted"), "false");
  const keyring = new Keyring([new Uint8Array(16).fill(1)]);
  const sealed = cluster.start("b", {}, { keyring }).engine;
  assert.equal(sealed.stats().get("encrypted"), "true");
});

Deno.test("SerfEngine: one hostile event cannot stop the others for good", () => {
  const { cluster, nodes } = joined(["a", "b"]);
  const [a, b] = nodes as [Node, Node];
  // A user event with time 2^64 - 2: believed, it would take the clocks to their end.
  const body = Uint8Array.of(
    ...[3, 0x84, 0xa2, 0x43, 0x43, 0xc2],
    ...[0xa5, 0x4c, 0x54, 0x69, 0x6d, 0x65, 0xcf],
    ...[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe],
    ...[0xa4, 0x4e, 0x61, 0x6d, 0x65, 0xa1, 0x78],
    ...[0xa7, 0x50, 0x61, 0x79, 0x6c, 0x6f, 0x61, 0x64, 0xc0],
  );
  const packet = encodeMessage({ kind: "user", body });
  cluster.call(a, (engine, nowMs) => {
    engine.handlePacket("10.9.9.9:1", packet, nowMs);
  });
  cluster.settle();
  assert.equal(b.engine.stats().get("event_time"), "1");
  for (const name of ["one", "two", "three"]) {
    cluster.call(a, (engine, nowMs) => {
      engine.userEvent(name, new Uint8Array(0), { coalesce: false }, nowMs);
    });
    cluster.settle();
  }
  assert.deepEqual(b.events, [
    "user: one@1=",
    "user: two@2=",
    "user: three@3=",
  ]);
});
