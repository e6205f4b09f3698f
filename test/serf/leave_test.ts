import assert from "node:assert/strict";
import { retransmitLimit } from "../../lib/swim/broadcast_queue.ts";
import { PROFILES } from "../../lib/swim/config.ts";
import { encodeMessage } from "../../lib/wire/message_codec.ts";
import { Cluster, joined, type Node } from "./cluster.ts";

const LAN = PROFILES.lan;

function leave(cluster: Cluster, node: Node): number {
  return cluster.call(node, (engine, nowMs) => engine.leave(nowMs));
}

function forceLeave(
  cluster: Cluster,
  node: Node,
  name: string,
  prune = false,
): number {
  return cluster.call(
    node,
    (engine, nowMs) => engine.forceLeave(name, { prune }, nowMs),
  );
}

/** Crashes a node and waits until the others call it failed. */
function fail(cluster: Cluster, node: Node, others: readonly Node[]): void {
  cluster.crash(node);
  const line = `${node.name}: failed`;
  const isKnown = () =>
    others.every((other) => other.statuses().includes(line));
  cluster.runUntil(isKnown, 120_000, line);
  for (const other of others) other.events.length = 0;
}

Deno.test("Departures: a lone node leaves after the propagate delay (`leave_alone`)", () => {
  // The event was observed with serf 0.9.4.
  const cluster = new Cluster();
  const a = cluster.start("a");
  a.events.length = 0;
  const operation = leave(cluster, a);
  assert.equal(a.engine.state, "leaving");
  const { error } = cluster.finish(a, operation);
  assert.equal(error, undefined);
  assert.equal(cluster.nowMs, 1_000);
  assert.equal(a.engine.state, "left");
  assert.deepEqual(a.events, ["member-leave: a(left)"]);
});

Deno.test("Departures: everybody calls a node that left in good order left", () => {
  const { cluster, nodes } = joined(["a", "b", "c"]);
  const [a, b, c] = nodes as [Node, Node, Node];
  const operation = leave(cluster, b);
  assert.equal(b.engine.localMember().status, "leaving");
  assert.equal(cluster.finish(b, operation).error, undefined);
  for (const node of [a, b, c]) {
    assert.deepEqual(node.events, ["member-leave: b(left)"], node.name);
  }
  cluster.call(b, (engine, nowMs) => engine.shutdown(nowMs));
  cluster.crash(b);
  cluster.run(60_000);
  assert.deepEqual(a.statuses(), ["a: alive", "b: left", "c: alive"]);
  assert.equal(a.events.length, 1, "and never failed");
});

Deno.test("Departures: who says to the SWIM layer that it goes has left, without an intent", () => {
  for (const from of ["b", "c"]) {
    const { cluster, nodes } = joined(["a", "b", "c"]);
    const [a, b] = nodes as [Node, Node];
    cluster.crash(b);
    const { incarnation = 0 } = a.engine.swim.member("b") ?? {};
    const dead = encodeMessage({ kind: "dead", node: "b", from, incarnation });
    cluster.call(a, (engine, nowMs) => {
      engine.handlePacket(b.address, dead, nowMs);
    });
    assert.deepEqual(a.events, [
      from === "b" ? "member-leave: b(left)" : "member-failed: b(failed)",
    ]);
  }
});

const UNHEARD = "timeout while waiting for graceful leave";

Deno.test("Departures: a leave that nobody takes note of goes on, and ends with an error", () => {
  const { cluster, nodes: [a, b] } = joined(["a", "b"], {
    broadcastTimeoutMs: 200,
  });
  assert(a !== undefined && b !== undefined);
  cluster.crash(a);
  const startMs = cluster.nowMs;
  const result = cluster.finish(b, leave(cluster, b));
  assert.equal(result.error, UNHEARD);
  assert.equal(b.engine.state, "left");
  // Twice the broadcast timeout, then the propagate delay.
  assert.equal(cluster.nowMs - startMs, 1_400);
  const warnings = b.log.filter((line) => line.includes("[WARN] serf:"));
  assert.deepEqual(warnings, [
    "[WARN] serf: timeout while waiting for graceful leave",
    "[WARN] serf: timeout waiting for leave broadcast: timeout waiting for leave broadcast",
    "[WARN] serf: No member has acknowledged our leave",
  ]);
  assert.equal(cluster.finish(b, leave(cluster, b)).error, undefined);
  const sent = b.engine.swim.metrics.packetsSent.value;
  cluster.run(1_000);
  const more = b.engine.swim.metrics.packetsSent.value - sent;
  assert.ok(more <= 2, `${more} packets: probes, but no more requests`);
});

Deno.test("Departures: what was sent often enough is not what was heard", () => {
  // All timeouts are far away; gossip has done all it would.
  const { cluster, nodes } = joined(["a", "b", "c"]);
  const [a, b, c] = nodes as [Node, Node, Node];
  for (const other of [a, c]) cluster.block(b, other);
  const { error } = cluster.finish(b, leave(cluster, b), 4_000);
  assert.equal(error, UNHEARD);
  assert.deepEqual(a.statuses(), ["a: alive", "b: alive", "c: alive"]);
});

Deno.test("Departures: a leave whose acks are lost ends with an error, though it was heard", () => {
  const { cluster, nodes } = joined(["a", "b", "c"]);
  const [a, b, c] = nodes as [Node, Node, Node];
  for (const other of [a, c]) cluster.block(other, b);
  assert.equal(cluster.finish(b, leave(cluster, b)).error, UNHEARD);
  assert.deepEqual(a.statuses(), ["a: alive", "b: left", "c: alive"]);
});

Deno.test("Departures: one member that has heard of a leave is enough", () => {
  const names = ["a", "b", "c", "d", "e", "f"];
  const { cluster, nodes } = joined(names);
  const [leaver, ...others] = nodes as [Node, ...Node[]];
  for (const other of others.slice(1)) {
    cluster.block(leaver, other);
    cluster.block(other, leaver);
  }
  const { error } = cluster.finish(leaver, leave(cluster, leaver));
  assert.equal(error, undefined);
  for (const other of others) {
    assert.ok(other.statuses().includes("a: left"), other.name);
  }
});

Deno.test("Departures: a leave asks again until somebody has heard of it", () => {
  const { cluster, nodes } = joined(["a", "b"]);
  const [a, b] = nodes as [Node, Node];
  a.isUp = false;
  const operation = leave(cluster, b);
  // The intent has been sent as often as it may be by now, the leave is not over.
  cluster.run(1_500);
  a.isUp = true;
  assert.equal(cluster.finish(b, operation).error, undefined);
  assert.deepEqual(a.statuses(), ["a: alive", "b: left"]);
});

Deno.test("Departures: a good leave takes as long as its gossip, and no longer", () => {
  for (const count of [2, 3, 8, 12]) {
    const names = Array.from({ length: count }, (_, i) => `n${i}`);
    const { cluster, nodes } = joined(names);
    const [leaver, ...others] = nodes as [Node, ...Node[]];
    const startMs = cluster.nowMs;
    const { error } = cluster.finish(leaver, leave(cluster, leaver));
    assert.equal(error, undefined);
    const rounds = Math.ceil(
      retransmitLimit(count, LAN.retransmitMult) /
        Math.min(LAN.gossipNodes, count - 1),
    );
    // The intent, the same for the SWIM layer, and the propagate delay.
    const limitMs = 2 * rounds * LAN.gossipIntervalMs + 1_000;
    const tookMs = cluster.nowMs - startMs;
    assert.ok(tookMs <= limitMs, `${count} nodes: ${tookMs} ms`);
    for (const other of others) {
      assert.deepEqual(other.events, ["member-leave: n0(left)"]);
    }
  }
});

Deno.test("Departures: a shutdown ends a leave that waits to be heard", () => {
  const { cluster, nodes } = joined(["a", "b"]);
  const [a, b] = nodes as [Node, Node];
  cluster.crash(a);
  const operation = leave(cluster, b);
  cluster.run(300);
  cluster.call(b, (engine, nowMs) => engine.shutdown(nowMs));
  assert.equal(b.results.get(operation)?.error, "Serf was shut down");
  assert.equal(b.engine.nextDeadlineMs(), undefined);
});

Deno.test("Departures: leaving twice is refused until it is over", () => {
  const cluster = new Cluster();
  const a = cluster.start("a");
  const operation = leave(cluster, a);
  assert.throws(() => leave(cluster, a), {
    name: "StateError",
    message: "Leave already in progress",
  });
  cluster.finish(a, operation);
  const again = leave(cluster, a);
  assert.deepEqual(a.results.get(again), { kind: "done", operation: again });
  cluster.call(a, (engine, nowMs) => engine.shutdown(nowMs));
  assert.throws(() => leave(cluster, a), {
    name: "StateError",
    message: "Leave called after Shutdown",
  });
});

Deno.test("Departures: a forced leave moves a failed member to left everywhere", () => {
  const { cluster, nodes } = joined(["a", "b", "c"]);
  const [a, b, c] = nodes as [Node, Node, Node];
  fail(cluster, b, [a, c]);
  const result = cluster.finish(a, forceLeave(cluster, a, "b"));
  assert.equal(result.error, undefined);
  for (const node of [a, c]) {
    assert.deepEqual(node.events, ["member-leave: b(left)"], node.name);
    const line = "[INFO] serf: EventMemberLeave (forced): b 10.0.0.2";
    assert(node.log.includes(line));
  }
});

Deno.test("Departures: a forced leave with prune forgets a failed member at once", () => {
  const { cluster, nodes } = joined(["a", "b", "c"]);
  const [a, b, c] = nodes as [Node, Node, Node];
  fail(cluster, b, [a, c]);
  cluster.finish(a, forceLeave(cluster, a, "b", true));
  for (const node of [a, c]) {
    assert.deepEqual(node.events, [
      "member-leave: b(left)",
      "member-reap: b(left)",
    ], node.name);
    assert.deepEqual(node.statuses(), ["a: alive", "c: alive"]);
    const line = "[INFO] serf: EventMemberReap (forced): b 10.0.0.2";
    assert(node.log.includes(line));
  }
});

Deno.test("Departures: a member that is alive refutes a forced leave", () => {
  for (const prune of [false, true]) {
    const { cluster, nodes } = joined(["a", "b", "c"]);
    const [a] = nodes as [Node, Node, Node];
    cluster.finish(a, forceLeave(cluster, a, "b", prune));
    cluster.run(10_000);
    for (const node of nodes) {
      assert.deepEqual(node.statuses(), ["a: alive", "b: alive", "c: alive"]);
      assert.deepEqual(node.events, []);
    }
  }
});

Deno.test("Departures: a forced leave of ourselves is refuted at once", () => {
  const { cluster, nodes } = joined(["a", "b"]);
  const [a, b] = nodes as [Node, Node];
  const operation = forceLeave(cluster, a, "a");
  assert.equal(a.engine.localMember().status, "alive");
  cluster.finish(a, operation);
  cluster.run(10_000);
  assert.deepEqual(b.statuses(), ["a: alive", "b: alive"]);
});

Deno.test("Departures: a forced leave that nobody hears times out", () => {
  const { cluster, nodes } = joined(["a", "b"], { broadcastTimeoutMs: 200 });
  const [a, b] = nodes as [Node, Node];
  cluster.crash(b);
  const startMs = cluster.nowMs;
  const { error } = cluster.finish(a, forceLeave(cluster, a, "nobody"));
  assert.equal(error, "timed out broadcasting node removal");
  assert.equal(cluster.nowMs - startMs, 200);
});

Deno.test("Departures: a forced leave with nobody to tell ends at once", () => {
  const cluster = new Cluster();
  const a = cluster.start("a");
  const operation = forceLeave(cluster, a, "nobody");
  assert.deepEqual(a.results.get(operation), { kind: "done", operation });
});

Deno.test("Departures: a leaving member that is pruned goes once it had time to", () => {
  const { cluster, nodes } = joined(["a", "b", "c"]);
  const [a, b] = nodes as [Node, Node, Node];
  const operation = leave(cluster, b);
  forceLeave(cluster, a, "b", true);
  cluster.finish(b, operation);
  cluster.call(b, (engine, nowMs) => engine.shutdown(nowMs));
  cluster.crash(b);
  cluster.run(6_000);
  assert.deepEqual(a.events, ["member-leave: b(left)", "member-reap: b(left)"]);
});
