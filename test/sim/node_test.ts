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

Deno.test("a slow node handles each message late and in order, its timers on time", () => {
  const { cluster, a, b, engineB } = pair();
  cluster.call(b, () => {
    engineB.deadlineMs = 20;
  });
  cluster.perform({ kind: "slow", node: b.index, byMs: 50 });
  ask(cluster, a, packet(b, "one"));
  cluster.runUntil(30);
  ask(cluster, a, packet(b, "two"));
  cluster.perform({ kind: "slow", node: b.index, byMs: 0 });
  ask(cluster, a, packet(b, "three"));
  cluster.runUntil(200);
  assert.deepEqual(engineB.inputs.slice(1), [
    "timeout @20",
    `packet ${a.address} one @51`,
    `packet ${a.address} two @51`,
    `packet ${a.address} three @51`,
  ]);
  assert.equal(cluster.faults.slow, 3);
  ask(cluster, a, packet(b, "four"));
  cluster.runUntil(300);
  assert.equal(engineB.inputs.at(-1), `packet ${a.address} four @201`);
});

Deno.test("messages of a slow node keep their order through a pause", () => {
  const { cluster, a, b, engineB } = pair();
  cluster.slow(b, 50);
  ask(cluster, a, packet(b, "one"));
  cluster.runUntil(10);
  cluster.pause(b);
  ask(cluster, a, packet(b, "two"));
  cluster.runUntil(55);
  cluster.resume(b);
  cluster.runUntil(200);
  assert.deepEqual(engineB.inputs.slice(1), [
    `packet ${a.address} one @55`,
    `packet ${a.address} two @61`,
  ]);
});

Deno.test("a crash forgets what waited for a slow node", () => {
  const { cluster, a, b } = pair();
  cluster.slow(b, 50);
  ask(cluster, a, packet(b, "one"));
  cluster.runUntil(10);
  cluster.crash(b);
  cluster.restart(b);
  cluster.runUntil(200);
  assert.deepEqual(engineOf(b).inputs, ["start @10"]);
});

Deno.test("the kernel of a slow node keeps a limited number of packets", () => {
  const { cluster, a, b, engineB } = pair();
  cluster.slow(b, 50);
  for (let i = 0; i < 1_000; i++) ask(cluster, a, packet(b, `${i}`));
  cluster.runUntil(100);
  assert.equal(engineB.inputs.length, 1 + 256);
});

Deno.test("a stalled node neither takes nor sends packets, and then all at once", () => {
  const { cluster, a, b, engineA, engineB } = pair();
  cluster.stall(b, 100);
  ask(cluster, a, packet(b, "one"));
  ask(cluster, b, packet(a, "two"));
  cluster.runUntil(99);
  assert.deepEqual([engineA.inputs.length, engineB.inputs.length], [1, 1]);
  cluster.runUntil(200);
  assert.equal(engineB.inputs.at(-1), `packet ${a.address} one @100`);
  assert.equal(engineA.inputs.at(-1), `packet ${b.address} two @101`);
});

Deno.test("a clock that leaps makes timers due at once, and is never put back", () => {
  const { cluster, b, engineB } = pair();
  cluster.call(b, () => {
    engineB.deadlineMs = 5_000;
  });
  cluster.runUntil(10);
  cluster.perform({ kind: "jumpClock", node: b.index, byMs: 60_000 });
  cluster.runUntil(20);
  assert.deepEqual(engineB.inputs.slice(1), ["timeout @60010"]);
  cluster.call(b, () => {
    engineB.deadlineMs = 60_025;
  });
  cluster.runUntil(30);
  assert.deepEqual(engineB.inputs.slice(2), ["timeout @60025"]);
  cluster.crash(b);
  cluster.restart(b);
  assert.deepEqual(engineOf(b).inputs, ["start @60030"]);
  assert.equal(cluster.faults.clockJump, 1);
});

Deno.test("relocate() brings a node back at another address, where old packets do not go", () => {
  const { cluster, a, b } = pair();
  b.disk = "alive: a 10.0.0.1:7946\n";
  const before = b.address;
  ask(cluster, a, packet(b, "on its way"));
  cluster.crash(b);
  ask(cluster, a, { kind: "dial", streamId: 1, to: before });
  cluster.perform({ kind: "relocate", node: b.index });
  assert.notEqual(b.address, before);
  assert.equal(b.disk, "");
  ask(cluster, a, { ...packet(b, "to the old one"), to: before } as never);
  ask(cluster, a, packet(b, "to the new one"));
  cluster.runUntil(40_000);
  assert.deepEqual(engineOf(b).inputs, [
    "start @0",
    `packet ${a.address} to the new one @1`,
  ]);
  assert.match(engineOf(a).inputs.at(-1) ?? "", /^dialFailed 1 .*i\/o timeout/);
  assert.equal(cluster.faults.nameReuse, 1);
});

Deno.test("restart() counts whether there was a disk, or what it is told", () => {
  const { cluster, b } = pair();
  const again = (options: { wipes?: boolean; fault?: "massLeave" }) => {
    cluster.crash(b);
    b.disk = "clock: 1\n";
    cluster.restart(b, [], options);
  };
  again({});
  again({ wipes: true });
  again({ fault: "massLeave" });
  const { restart, restartWithState, massLeave } = cluster.faults;
  assert.deepEqual([restartWithState, restart, massLeave], [1, 1, 1]);
});
