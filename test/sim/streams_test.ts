import assert from "node:assert/strict";
import type { FakeEngine } from "./fake_engine.ts";
import { ask, pair, STEADY, write } from "./pair.ts";

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
