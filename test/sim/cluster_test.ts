import assert from "node:assert/strict";
import { utf8Bytes } from "../../lib/kit/bytes.ts";
import type { Output } from "../../lib/serf/event.ts";
import { Cluster, type ClusterOptions } from "../../lib/sim/cluster.ts";
import type { SimNode } from "../../lib/sim/node.ts";
import { FakeEngine } from "./fake_engine.ts";

/** A link where everything takes exactly one millisecond. */
const STEADY = { latencyMs: 1, jitterMs: 0, tailChance: 0 };

interface Fixture {
  readonly cluster: Cluster;
  readonly a: SimNode;
  readonly b: SimNode;
  readonly engineA: FakeEngine;
  readonly engineB: FakeEngine;
}

function engineOf(node: SimNode): FakeEngine {
  return node.engine as FakeEngine;
}

/** Two running nodes. */
function pair(options: Partial<ClusterOptions> = {}): Fixture {
  const cluster = new Cluster({
    seed: 1,
    link: STEADY,
    makeEngine: (config) => new FakeEngine(config),
    ...options,
  });
  const a = cluster.addNode("a");
  const b = cluster.addNode("b");
  cluster.start(a);
  cluster.start(b);
  return { cluster, a, b, engineA: engineOf(a), engineB: engineOf(b) };
}

/** Has a node ask for something, as if an input had caused it. */
function ask(cluster: Cluster, node: SimNode, ...outputs: Output[]): void {
  cluster.call(node, () => engineOf(node).outputs.push(...outputs));
}

function packet(to: SimNode, text: string): Output {
  return { kind: "packet", to: to.address, bytes: utf8Bytes(text) };
}

function write(streamId: number, text: string): Output {
  return { kind: "write", streamId, bytes: utf8Bytes(text) };
}

// --- Packets and timers -------------------------------------------------------

Deno.test("a packet arrives after its latency, with the sender's address", () => {
  const { cluster, a, b, engineB } = pair();
  ask(cluster, a, packet(b, "hello"));
  cluster.runUntil(10);
  assert.deepEqual(engineB.inputs, [
    "start @0",
    `packet ${a.address} hello @1`,
  ]);
  assert.equal(a.traffic.packetsOut, 1);
  assert.equal(b.traffic.bytesIn, 5);
});

Deno.test("a packet to nobody, and one to a node that is down, is lost without a word", () => {
  const { cluster, a, b, engineA } = pair();
  cluster.crash(b);
  ask(cluster, a, packet(b, "gone"), {
    kind: "packet",
    to: "10.9.9.9:1",
    bytes: utf8Bytes("x"),
  });
  cluster.runUntil(100);
  assert.deepEqual(engineA.inputs, ["start @0"]);
});

Deno.test("the timer of a node fires at its deadline, follows it, and is cancelled with it", () => {
  const { cluster, a, engineA } = pair();
  const setDeadline = (atMs: number | undefined) =>
    cluster.call(a, () => {
      engineA.deadlineMs = atMs;
    });
  setDeadline(50);
  setDeadline(20);
  cluster.runUntil(100);
  assert.deepEqual(engineA.inputs, ["start @0", "timeout @20"]);
  setDeadline(150);
  setDeadline(undefined);
  cluster.runUntil(200);
  assert.equal(engineA.inputs.length, 2);
});

Deno.test("an engine whose deadline never moves on is caught", () => {
  const { cluster, a, engineA } = pair();
  engineA.onInput = () => {
    engineA.deadlineMs = 5;
  };
  cluster.call(a, () => {
    engineA.deadlineMs = 5;
  });
  assert.throws(
    () => cluster.runUntil(10),
    /the deadline of a moves past 5 ms/,
  );
});

Deno.test("runUntil() stops as soon as its condition holds", () => {
  const { cluster, a, b, engineB } = pair();
  ask(cluster, a, packet(b, "one"));
  cluster.runUntil(5);
  ask(cluster, a, packet(b, "two"));
  assert.equal(cluster.runUntil(100, () => engineB.inputs.length === 3), true);
  assert.equal(cluster.nowMs, 6);
  assert.equal(cluster.runUntil(100, () => false), false);
  assert.equal(cluster.nowMs, 100);
});

// --- Streams ------------------------------------------------------------------

Deno.test("a stream is dialed, carries bytes both ways in order, and closes", () => {
  const { cluster, a, b, engineA, engineB } = pair({
    link: { ...STEADY, jitterMs: 5 },
  });
  ask(cluster, a, { kind: "dial", streamId: 1, to: b.address });
  cluster.runUntil(20);
  ask(cluster, a, write(1, "one "), write(1, "two "), write(1, "three"));
  ask(cluster, b, write(1_001, "four "), write(1_001, "five"), {
    kind: "close",
    streamId: 1_001,
  });
  cluster.runUntil(40);
  const texts = (engine: FakeEngine) =>
    engine.inputs.map((text) => text.replace(/ @.*/, "")).slice(1);
  assert.deepEqual(texts(engineA), [
    "dialed 1",
    "data 1 four ",
    "data 1 five",
    "closed 1",
  ]);
  assert.deepEqual(texts(engineB), ["opened 1001"]);
  assert.equal(a.streams.size + b.streams.size, 0);
  assert.equal(a.connections.size + b.connections.size, 0);
});

Deno.test("bytes arrive in pieces when the link splits them, none lost or swapped", () => {
  const { cluster, a, b, engineB } = pair({
    link: { ...STEADY, jitterMs: 3, chunkBytesMax: 4 },
  });
  ask(cluster, a, { kind: "dial", streamId: 1, to: b.address });
  cluster.runUntil(20);
  ask(cluster, a, write(1, "abcdefghijklmnopqrstuvwxyz"));
  cluster.runUntil(100);
  const pieces = engineB.inputs.slice(2).map((text) => text.split(" ")[2]);
  assert.ok(pieces.length >= 7);
  assert.equal(pieces.join(""), "abcdefghijklmnopqrstuvwxyz");
});

Deno.test("dialing a node that is down is refused, dialing across a cut times out", () => {
  const { cluster, a, b, engineA } = pair();
  cluster.crash(b);
  ask(cluster, a, { kind: "dial", streamId: 1, to: b.address });
  cluster.runUntil(10);
  assert.deepEqual(engineA.inputs.slice(1), [
    `dialFailed 1 dial tcp ${b.address}: connect: connection refused @2`,
  ]);
  cluster.start(b);
  cluster.partition([0, 1]);
  ask(cluster, a, { kind: "dial", streamId: 2, to: b.address });
  cluster.runUntil(60_000);
  assert.deepEqual(engineA.inputs.slice(2), [
    `dialFailed 2 dial tcp ${b.address}: i/o timeout @30010`,
  ]);
});

Deno.test("a dial that is closed before it succeeds reaches nobody", () => {
  const { cluster, a, b, engineA, engineB } = pair();
  ask(cluster, a, { kind: "dial", streamId: 1, to: b.address }, {
    kind: "close",
    streamId: 1,
  });
  cluster.runUntil(100);
  assert.equal(engineA.inputs.length, 1);
  assert.equal(engineB.inputs.length, 1);
});

Deno.test("a crash closes the streams of the other ends", () => {
  const { cluster, a, b, engineA } = pair();
  ask(cluster, a, { kind: "dial", streamId: 1, to: b.address });
  cluster.runUntil(10);
  cluster.crash(b);
  cluster.runUntil(20);
  assert.deepEqual(engineA.inputs.slice(1), ["dialed 1 @2", "closed 1 @11"]);
});

Deno.test("a stream across a cut goes silent, and stays so after the cut heals", () => {
  const { cluster, a, b, engineB } = pair();
  ask(cluster, a, { kind: "dial", streamId: 1, to: b.address });
  cluster.runUntil(10);
  cluster.partition([0, 1]);
  ask(cluster, a, write(1, "lost"));
  cluster.heal();
  ask(cluster, a, write(1, "also lost"), { kind: "close", streamId: 1 });
  cluster.runUntil(60_000);
  assert.deepEqual(engineB.inputs.slice(1), ["opened 1001 @1"]);
});

Deno.test("a stream that breaks delivers a part and closes at both ends", () => {
  const { cluster, a, b, engineA, engineB } = pair({
    link: { ...STEADY, streamBreak: 1 },
  });
  ask(cluster, a, { kind: "dial", streamId: 1, to: b.address });
  cluster.runUntil(10);
  ask(cluster, a, write(1, "x".repeat(5_000)));
  cluster.runUntil(20);
  assert.equal(engineA.inputs.at(-1), "closed 1 @11");
  assert.equal(engineB.inputs.at(-1), "closed 1001 @11");
  const arrived = engineB.inputs.find((text) => text.startsWith("data"))?.split(
    " ",
  )[2];
  assert.ok((arrived?.length ?? 0) < 1_200);
  assert.equal(cluster.faults.streamBreak, 1);
});

Deno.test("a node can dial itself", () => {
  const { cluster, a, engineA } = pair();
  ask(cluster, a, { kind: "dial", streamId: 1, to: a.address });
  cluster.runUntil(10);
  ask(cluster, a, write(1, "me"), { kind: "close", streamId: 1 });
  cluster.runUntil(20);
  assert.deepEqual(engineA.inputs.slice(1), [
    "opened 1001 @1",
    "dialed 1 @2",
    "data 1001 me @11",
    "closed 1001 @11",
  ]);
  assert.equal(a.connections.size, 0);
});

// --- Processes ----------------------------------------------------------------

Deno.test("a paused node takes in afterwards what arrived, in order, and its late timer", () => {
  const { cluster, a, b, engineA, engineB } = pair();
  cluster.call(b, () => {
    engineB.deadlineMs = 5;
  });
  cluster.pause(b);
  ask(cluster, a, packet(b, "one"), {
    kind: "dial",
    streamId: 1,
    to: b.address,
  });
  cluster.runUntil(10);
  ask(cluster, a, write(1, "two"), packet(b, "three"));
  cluster.runUntil(100);
  assert.deepEqual(engineA.inputs.slice(1), ["dialed 1 @2"]);
  assert.equal(engineB.inputs.length, 1);
  cluster.resume(b);
  cluster.runUntil(100);
  assert.deepEqual(engineB.inputs.slice(1), [
    `packet ${a.address} one @100`,
    "opened 1001 @100",
    "data 1001 two @100",
    `packet ${a.address} three @100`,
    "timeout @100",
  ]);
});

Deno.test("the kernel of a paused node keeps a limited number of packets", () => {
  const { cluster, a, b, engineB } = pair();
  cluster.pause(b);
  for (let i = 0; i < 1_000; i++) ask(cluster, a, packet(b, `${i}`));
  cluster.runUntil(10);
  cluster.resume(b);
  assert.equal(engineB.inputs.length, 1 + 256);
});

Deno.test("restart() gives a node a new engine under the same name and address", () => {
  const { cluster, a, b, engineB } = pair();
  cluster.crash(b);
  assert.equal(b.engine, undefined);
  cluster.restart(b);
  assert.notEqual(b.engine, engineB);
  ask(cluster, a, packet(b, "again"));
  cluster.runUntil(10);
  assert.deepEqual(engineOf(b).inputs, [
    "start @0",
    `packet ${a.address} again @1`,
  ]);
  assert.deepEqual(engineB.inputs, ["start @0"]);
  assert.deepEqual([cluster.faults.crash, cluster.faults.restart], [1, 1]);
});

Deno.test("leave() ends the process when the engine is done", () => {
  const { cluster, b } = pair();
  cluster.leave(b);
  assert.equal(b.isUp, true);
  cluster.runUntil(1);
  assert.equal(b.isUp, false);
  assert.equal(cluster.faults.crash, 0);
});

Deno.test("a node whose engine shuts down by itself stops", () => {
  const { cluster, a, b, engineB } = pair();
  engineB.state = "shutdown";
  ask(cluster, a, packet(b, "any input"));
  cluster.runUntil(10);
  assert.equal(b.isUp, false);
});

// --- Determinism --------------------------------------------------------------

Deno.test("the fingerprint is a function of the seed and of what nodes ask for", () => {
  const run = (seed: number, text: string) => {
    const { cluster, a, b } = pair({ seed, link: { jitterMs: 5, loss: 0.5 } });
    engineOf(b).onInput = () => {
      engineOf(b).outputs.push(packet(a, "answer"));
    };
    for (let i = 0; i < 20; i++) ask(cluster, a, packet(b, text));
    cluster.runUntil(100);
    return cluster.fingerprint.text();
  };
  assert.equal(run(1, "x"), run(1, "x"));
  assert.notEqual(run(1, "x"), run(2, "x"));
  assert.notEqual(run(1, "x"), run(1, "y"));
});
