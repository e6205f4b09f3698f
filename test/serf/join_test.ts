import assert from "node:assert/strict";
import { StateError } from "../../lib/serf/engine.ts";
import { joinErrorText } from "../../lib/serf/join.ts";
import { Cluster, joined, type Node } from "./cluster.ts";

const NOWHERE = "10.9.9.9:7946";

/** Sends a user event of the given name from a node. */
function say(cluster: Cluster, node: Node, name: string): void {
  cluster.call(node, (engine, nowMs) => {
    engine.userEvent(name, new Uint8Array(0), { coalesce: false }, nowMs);
  });
}

Deno.test("Joins reports how many addresses answered, and what others said", () => {
  const cluster = new Cluster();
  const [a, b] = [cluster.start("a"), cluster.start("b")];
  const targets = [{ address: NOWHERE }, { address: a.address }];
  const operation = cluster.call(
    b,
    (engine, nowMs) => engine.join(targets, { ignoreOld: false }, nowMs),
  );
  const result = cluster.finish(b, operation);
  assert.equal(result.contacted, 1);
  assert.equal(result.error, undefined);
  assert.equal(result.errors?.length, 1);
  assert.match(result.errors?.[0] ?? "", /10\.9\.9\.9/);
  assert.deepEqual(b.statuses(), ["a: alive", "b: alive"]);
});

Deno.test("Joins fails when nobody answers, and then announces nothing", () => {
  const cluster = new Cluster();
  const b = cluster.start("b");
  const operation = cluster.call(
    b,
    (engine, nowMs) =>
      engine.join([{ address: NOWHERE }], { ignoreOld: false }, nowMs),
  );
  const result = cluster.finish(b, operation);
  assert.equal(result.contacted, 0);
  assert.match(
    result.error ?? "",
    /^1 error occurred:\n\t\* .*10\.9\.9\.9.*\n\n$/,
  );
  assert.equal(b.engine.stats().get("intent_queue"), "0");
  assert.equal(b.engine.stats().get("member_time"), "1");
});

Deno.test("Joins of no address succeeds without contact", () => {
  const cluster = new Cluster();
  const b = cluster.start("b");
  const operation = cluster.call(
    b,
    (engine, nowMs) => engine.join([], { ignoreOld: false }, nowMs),
  );
  const result = cluster.finish(b, operation);
  assert.deepEqual([result.contacted, result.error], [0, undefined]);
});

Deno.test("Joins announces us once somebody answered", () => {
  const { nodes: [a, b] } = joined(["a", "b"]);
  // The clock moves past the join intent of b, which carried time 1.
  assert.equal(a?.engine.stats().get("member_time"), "2");
  assert.equal(b?.engine.stats().get("member_time"), "2");
});

Deno.test("Joins replays events of the past unless they are to be ignored", () => {
  for (const ignoreOld of [false, true]) {
    const { cluster, nodes: [a] } = joined(["a", "b"]);
    assert(a !== undefined);
    say(cluster, a, "past");
    cluster.settle();
    const late = cluster.start("late");
    cluster.finish(late, cluster.join(late, a, ignoreOld));
    say(cluster, a, "present");
    cluster.settle();
    const heard = late.events.filter((line) => line.startsWith("user"));
    const expected = ["user: past@1=", "user: present@2="];
    assert.deepEqual(heard, ignoreOld ? expected.slice(1) : expected);
  }
});

Deno.test("Joins that ignores the past does so for its own time only", () => {
  const { cluster, nodes: [a] } = joined(["a", "b"]);
  assert(a !== undefined);
  const other = cluster.start("other");
  say(cluster, other, "elsewhere");
  const late = cluster.start("late");
  cluster.finish(late, cluster.join(late, a, true));
  say(cluster, a, "here");
  cluster.runUntil(() => late.events.includes("user: here@1="), 5_000, "heard");
  // Time 1 is not before the present of the cluster joined first, so it counts.
  cluster.finish(late, cluster.join(late, other, false));
  const heard = late.events.filter((line) => line.startsWith("user"));
  assert.deepEqual(heard, ["user: here@1=", "user: elsewhere@1="]);
});

Deno.test("Joins runs one after the other, and each ends", () => {
  const cluster = new Cluster();
  const [a, b, c] = ["a", "b", "c"].map((name) => cluster.start(name));
  assert(a !== undefined && b !== undefined && c !== undefined);
  const operations = [
    cluster.join(c, a),
    cluster.join(c, b),
    cluster.join(c, a),
  ];
  for (const operation of operations) {
    assert.equal(cluster.finish(c, operation).contacted, 1);
  }
  assert.deepEqual([...c.results.keys()], operations);
});

Deno.test("Joins waiting when we leave end with an error", () => {
  const { cluster, nodes: [a, b] } = joined(["a", "b"]);
  assert(a !== undefined && b !== undefined);
  cluster.crash(a);
  const [first, second] = [cluster.join(b, a), cluster.join(b, a)];
  cluster.call(b, (engine, nowMs) => engine.leave(nowMs));
  assert.throws(() => cluster.join(b, a), {
    name: "StateError",
    message: "Serf can't Join after Leave or Shutdown",
  });
  assert.equal(cluster.finish(b, first).contacted, 0);
  const { error } = cluster.finish(b, second);
  assert.equal(error, "Serf can't Join after Leave or Shutdown");
});

Deno.test("Joins that end while we leave do not call the leave untrue", () => {
  const { cluster, nodes: [a, b] } = joined(["a", "b"]);
  assert(a !== undefined && b !== undefined);
  const join = cluster.join(b, a);
  const leave = cluster.call(b, (engine, nowMs) => engine.leave(nowMs));
  assert.equal(cluster.finish(b, join).contacted, 1);
  assert.deepEqual(b.statuses(), ["a: alive", "b: leaving"]);
  cluster.finish(b, leave);
  assert.deepEqual(a.statuses(), ["a: alive", "b: left"]);
});

Deno.test("Joins refuses more than it is ready to hold", () => {
  const cluster = new Cluster();
  const b = cluster.start("b");
  const join = () =>
    b.engine.join([{ address: NOWHERE }], { ignoreOld: false }, cluster.nowMs);
  for (let i = 0; i < 257; i++) join();
  assert.throws(join, StateError);
});

Deno.test("joinErrorText() is worded as Go's multierror", () => {
  assert.equal(joinErrorText(["x"]), "1 error occurred:\n\t* x\n\n");
  assert.equal(
    joinErrorText(["x", "y"]),
    "2 errors occurred:\n\t* x\n\t* y\n\n",
  );
});
