import assert from "node:assert/strict";
import { EMPTY_BYTES, utf8Bytes } from "../../lib/kit/bytes.ts";
import type { QueryEvent } from "../../lib/serf/event.ts";
import { ask, engineOf, packet, pair } from "./pair.ts";

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

Deno.test("a keyring that is to be saved is kept at once, and the engine goes on", () => {
  const { cluster, a, b, engineA, engineB } = pair();
  engineA.onInput = (text) => {
    if (text.startsWith("saved")) engineA.outputs.push(packet(b, "kept"));
  };
  ask(cluster, a, { kind: "saveKeyring", saveId: 7, keys: [] });
  assert.deepEqual(engineA.inputs, ["start @0", "saved 7 undefined @0"]);
  cluster.runUntil(10);
  assert.deepEqual(engineB.inputs, [
    "start @0",
    `packet ${a.address} kept @1`,
  ]);
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

function queryEvent(name: string): QueryEvent {
  return {
    type: "query",
    ltime: 1n,
    id: 1,
    name,
    payload: EMPTY_BYTES,
    sourceNode: "b",
    sourceAddr: Uint8Array.of(10, 0, 0, 2),
    sourcePort: 7_946,
    relayFactor: 0,
    deadlineMs: 1_000,
  };
}

Deno.test("the application of a node answers its queries at once, if it has an answer", () => {
  const { cluster, a, b, engineA, engineB } = pair({
    answer: (node, query) =>
      query.name === "load" ? utf8Bytes(`${node.name} 3`) : undefined,
  });
  cluster.runUntil(5);
  for (const node of [a, b]) {
    for (const name of ["load", "other"]) {
      ask(cluster, node, { kind: "event", event: queryEvent(name) });
    }
  }
  // Answers are the business of one life.
  cluster.crash(b);
  cluster.runUntil(10);
  assert.deepEqual(engineA.inputs, ["start @0", "respond a 3 @5"]);
  assert.deepEqual(engineB.inputs, ["start @0"]);
});

Deno.test("observers are told what comes back to a query", () => {
  const { cluster, a } = pair();
  const replies: string[] = [];
  cluster.observers.push({
    onReply: (node, operation, { kind, from }) => {
      replies.push(`${node.name} ${operation} ${kind} ${from}`);
    },
  });
  ask(
    cluster,
    a,
    { kind: "queryReply", operation: 7, reply: { kind: "ack", from: "b" } },
  );
  assert.deepEqual(replies, ["a 7 ack b"]);
});
