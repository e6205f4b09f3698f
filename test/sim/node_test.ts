import assert from "node:assert/strict";
import { ask, engineOf, packet, pair, write } from "./pair.ts";

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
