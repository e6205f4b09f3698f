import assert from "node:assert/strict";
import fc from "fast-check";
import type { QueryMessage } from "../../lib/wire/serf_messages.ts";
import { decodeSerfMessage } from "../../lib/wire/serf_messages.ts";
import type { QueryParams } from "../../lib/serf/running_query.ts";
import { bodyOf, nodeOf, Parts, SELF, type SerfOptions } from "./parts.ts";
import { reply } from "./queries.ts";

/** Parts that know themselves and the others; they answer nothing by themselves. */
function knowing(others: readonly string[], options?: SerfOptions): Parts {
  const parts = new Parts(options);
  parts.roster.joined(nodeOf(SELF, 0), 0);
  for (const [i, name] of others.entries()) {
    parts.roster.joined(nodeOf(name, i + 1), 0);
  }
  parts.takeEvents();
  parts.takeLog();
  return parts;
}

/** Asks, and returns what goes out to the cluster. */
function ask(
  parts: Parts,
  params: Partial<QueryParams> = {},
  nowMs = 0,
): QueryMessage {
  parts.queries.ask({ name: "load", ...params }, nowMs);
  const bodies = parts.queues.take(3, 1_400, 1).map(bodyOf);
  // What was sent least often comes first, and so the newest.
  const message = decodeSerfMessage(bodies[0] as Uint8Array);
  assert.ok(message.kind === "query");
  return message;
}

Deno.test("RunningQueries asks with what it was given", () => {
  const parts = knowing(["b"]);
  const message = ask(parts, {
    payload: Uint8Array.of(1, 2),
    filterNodes: ["b", "c"],
    filterTags: new Map([["role", "w.*"], ["dc", ""]]),
    requestAck: true,
    relayFactor: 255,
    timeoutMs: 1.5,
  });
  assert.equal(message.ltime, 1n);
  assert.ok(message.id < 2 ** 31);
  assert.equal(message.sourceNode, SELF);
  assert.deepEqual([...message.addr], [10, 0, 0, 0]);
  assert.equal(message.port, 7946);
  assert.equal(message.filters.length, 3);
  assert.equal(message.filters[0]?.[0], 0, "nodes come first");
  assert.equal(message.flags, 1);
  assert.equal(message.relayFactor, 255);
  assert.equal(message.timeoutNs, 1_500_000n);
  assert.equal(parts.core.queryClock.time, 2n);
  assert.equal(ask(parts).ltime, 2n);
});

Deno.test("RunningQueries waits longer in larger clusters", () => {
  // Gossip every 200 ms, 16 rounds, times the digits of the size plus one.
  assert.equal(ask(knowing([])).timeoutNs, 3_200_000_000n);
  assert.equal(ask(knowing([]), { timeoutMs: 0 }).timeoutNs, 3_200_000_000n);
  assert.equal(
    ask(knowing([], { queryTimeoutMult: 2 })).timeoutNs,
    400_000_000n,
  );
});

Deno.test("RunningQueries refuses what it cannot send, and changes nothing", () => {
  const parts = knowing(["b"]);
  const cases: [Partial<QueryParams>, RegExp][] = [
    [{ payload: new Uint8Array(1_024) }, /^query exceeds limit of 1024 bytes$/],
    [{ name: "x".repeat(1_024) }, /^query exceeds limit of 1024 bytes$/],
    [{ relayFactor: 256 }, /^Relay factor must be between 0 and 255$/],
    [{ relayFactor: -1 }, /^Relay factor must be between 0 and 255$/],
    [{ relayFactor: 0.5 }, /^Relay factor must be between 0 and 255$/],
    [{ timeoutMs: Infinity }, /^Cannot wait Infinity ms for a query$/],
    [{ timeoutMs: NaN }, /^Cannot wait NaN ms for a query$/],
  ];
  for (const [params, message] of cases) {
    assert.throws(
      () => parts.queries.ask({ name: "q", ...params }, 0),
      { name: "RangeError", message },
    );
  }
  assert.equal(parts.core.queryClock.time, 1n);
  assert.equal(parts.queues.depth("Query"), 0);
  assert.equal(parts.core.deadlines.size, 0);
  assert.deepEqual(parts.takeEvents(), []);
  const old = knowing([], { protocolVersion: 3 });
  assert.throws(() => old.queries.ask({ name: "q" }, 0), {
    name: "StateError",
    message: "Feature not supported",
  });
});

Deno.test("RunningQueries tells each ack and each answer of a member once", () => {
  const parts = knowing(["b", "c"]);
  const message = ask(parts, { requestAck: true });
  parts.takeEvents();
  const { queries } = parts;
  queries.responseArrived(reply(message, "b", "1"), 10);
  queries.responseArrived(reply(message, "b"), 10);
  queries.responseArrived(reply(message, "b", "2"), 20);
  queries.responseArrived(reply(message, "b"), 20);
  assert.deepEqual(parts.takeReplies(), [`ack ${SELF}`, "b: 1", "ack b"]);
  const { metrics } = parts.core;
  assert.equal(metrics.queryAcks.value, 2);
  assert.equal(metrics.queryResponses.value, 1);
  assert.equal(metrics.queryDuplicateAcks.value, 1);
  assert.equal(metrics.queryDuplicateResponses.value, 1);
  assert.equal(parts.core.queryClock.time, 2n, "a reply moves no clock");
});

Deno.test("RunningQueries drops what it cannot place", () => {
  const parts = knowing(["b", "c"]);
  const message = ask(parts);
  const { ltime, id } = message;
  const { queries } = parts;
  queries.responseArrived(reply({ ltime: 9n, id: 4 }, "b", "x"), 0);
  queries.responseArrived(reply({ ltime, id: id ^ 1 }, "b", "x"), 0);
  queries.responseArrived(reply(message, "b"), 0);
  queries.responseArrived(reply(message, "b".repeat(513), "x"), 0);
  queries.responseArrived(reply(message, "b", "late"), 3_201);
  assert.deepEqual(parts.takeReplies(), []);
  assert.deepEqual(parts.takeLog(), [
    "[WARN] serf: reply for non-running query (LTime: 9, ID: 4) From: b",
    `[WARN] serf: query reply ID mismatch (Local: ${id}, Response: ${id ^ 1})`,
    "[WARN] serf: Failed to deliver query response, dropping",
    "[WARN] serf: Failed to deliver query response, dropping",
  ]);
});

Deno.test("RunningQueries takes so many replies and no more", () => {
  const parts = knowing(["b"]);
  const message = ask(parts);
  for (let i = 0; i < 300; i++) {
    parts.queries.responseArrived(reply(message, `x${i}`, ""), 0);
  }
  assert.equal(parts.takeReplies().length, 2 + 256);
});

Deno.test("RunningQueries ends at the deadline when somebody may still answer", () => {
  const parts = knowing(["b", "c"]);
  const message = ask(parts, { requestAck: true, timeoutMs: 1_000 });
  for (const name of [SELF, "b"]) {
    parts.queries.responseArrived(reply(message, name, name), 10);
  }
  parts.queries.responseArrived(reply(message, "b"), 10);
  // This one has the query, and its answer may be on the way.
  parts.queries.responseArrived(reply(message, "c"), 10);
  parts.fireTimers(999);
  assert.ok(!parts.takeReplies().includes("done"));
  parts.fireTimers(1_000);
  assert.deepEqual(parts.takeReplies(), ["done"]);
  parts.queries.responseArrived(reply(message, "c", "late"), 1_001);
  assert.deepEqual(parts.takeReplies(), []);
  assert.match(parts.takeLog().at(-1) ?? "", /reply for non-running query/);
});

Deno.test("RunningQueries ends once everybody has sent all that is owed", () => {
  const parts = knowing(["b", "c", "gone", "left"]);
  parts.roster.gone("gone", 0);
  parts.roster.leaveIntent({ node: "left", ltime: 9n, prune: false }, 0);
  parts.roster.gone("left", 0);
  parts.takeEvents();
  parts.takeLog();
  const message = ask(parts, { requestAck: true });
  const { queries } = parts;
  queries.responseArrived(reply(message, "c"), 1);
  for (const name of ["b", "c", SELF]) {
    queries.responseArrived(reply(message, name, ""), 1);
  }
  assert.ok(!parts.takeReplies().includes("done"), "an ack is missing");
  queries.responseArrived(reply(message, "b"), 2);
  assert.deepEqual(parts.takeReplies(), ["ack b", "done"]);
  // Copies that were relayed come late, and are no mistake of anybody.
  queries.responseArrived(reply(message, "b"), 3);
  queries.responseArrived(reply(message, "gone", "back"), 3);
  assert.deepEqual(parts.takeLog(), []);
  parts.fireTimers(3_200);
  assert.deepEqual(parts.takeReplies(), [], "it ends once");
});

Deno.test("RunningQueries waits for those who join meanwhile", () => {
  const parts = knowing(["b"]);
  const message = ask(parts);
  parts.roster.joined(nodeOf("new", 7), 5);
  for (const name of [SELF, "b"]) {
    parts.queries.responseArrived(reply(message, name, ""), 10);
  }
  assert.ok(!parts.takeReplies().includes("done"));
  parts.queries.responseArrived(reply(message, "new", ""), 20);
  assert.deepEqual(parts.takeReplies(), ["new: ", "done"]);
});

Deno.test("RunningQueries with a filter for nodes waits for those, known or not", () => {
  const parts = knowing(["b", "c"]);
  const known = ask(parts, { filterNodes: ["b"] });
  parts.queries.responseArrived(reply(known, "b", "1"), 0);
  assert.deepEqual(parts.takeReplies(), ["b: 1", "done"]);
  const partly = ask(parts, { filterNodes: ["b", "stranger"] });
  parts.queries.responseArrived(reply(partly, "b", "1"), 0);
  parts.queries.responseArrived(reply(partly, "c", "not asked"), 0);
  assert.deepEqual(parts.takeReplies(), ["b: 1", "c: not asked"]);
  parts.queries.responseArrived(reply(partly, "stranger", "2"), 0);
  assert.deepEqual(parts.takeReplies(), ["stranger: 2", "done"]);
});

Deno.test("RunningQueries with a filter for tags counts on nobody's absence", () => {
  const parts = knowing(["b"]);
  const message = ask(parts, { filterTags: new Map([["role", "web"]]) });
  parts.queries.responseArrived(reply(message, "b", ""), 0);
  assert.deepEqual(parts.takeReplies(), ["b: "]);
  parts.queries.responseArrived(reply(message, SELF, ""), 0);
  assert.deepEqual(parts.takeReplies(), [`${SELF}: `, "done"]);
});

Deno.test("RunningQueries wants nothing but acks of a ping", () => {
  const parts = knowing(["b"]);
  const message = ask(parts, { name: "_serf_ping", requestAck: true });
  assert.deepEqual(parts.takeReplies(), [`ack ${SELF}`]);
  parts.queries.responseArrived(reply(message, "b"), 0);
  assert.deepEqual(parts.takeReplies(), ["ack b", "done"]);
  ask(parts, { name: "_serf_ping" });
  parts.fireTimers(3_199);
  assert.deepEqual(parts.takeReplies(), [], "without acks nothing is proven");
  parts.fireTimers(3_200);
  assert.deepEqual(parts.takeReplies(), ["done"]);
});

Deno.test("RunningQueries ends at once when the time is negative", () => {
  const parts = knowing([]);
  const message = ask(parts, { timeoutMs: -1, requestAck: true }, 50);
  assert.equal(message.timeoutNs, -1_000_000n);
  parts.fireTimers(50);
  assert.deepEqual(parts.takeReplies(), ["done"]);
});

Deno.test("RunningQueries takes the longest time there is", () => {
  const parts = knowing([]);
  const message = ask(parts, { timeoutMs: Number(2n ** 63n) / 1e6 });
  assert.equal(message.timeoutNs, 2n ** 63n - 1n);
});

Deno.test("RunningQueries.giveUp() ends a query; its time in the cluster goes on", () => {
  const parts = knowing(["b"]);
  const operation = parts.queries.ask({ name: "q" }, 0);
  parts.queries.giveUp(operation, 5);
  parts.queries.giveUp(operation, 6);
  assert.deepEqual(parts.takeReplies(), ["done"]);
  assert.equal(parts.queues.depth("Query"), 1);
});

Deno.test("RunningQueries holds so many, and drops ended ones first", () => {
  const parts = knowing(["b"]);
  const operations: number[] = [];
  for (let i = 0; i < 1_024; i++) {
    operations.push(parts.queries.ask({ name: "q" }, 0));
  }
  assert.throws(() => parts.queries.ask({ name: "q" }, 0), {
    name: "StateError",
    message: "Too many queries are running",
  });
  parts.queries.giveUp(operations[500] as number, 0);
  parts.queries.ask({ name: "q" }, 0);
  assert.throws(() => parts.queries.ask({ name: "q" }, 0));
  assert.equal(parts.core.deadlines.size, 1_024);
});

Deno.test("RunningQueries.abandon() ends all with an error", () => {
  const parts = knowing(["b"]);
  ask(parts);
  ask(parts);
  parts.queries.abandon("Serf was shut down", 10);
  assert.deepEqual(parts.takeReplies(), [
    "Serf was shut down",
    "Serf was shut down",
  ]);
});

Deno.test("RunningQueries uses no time that is still in use", () => {
  const parts = knowing(["b"]);
  assert.equal(ask(parts).ltime, 1n);
  // A hostile time sets every clock back to the beginning.
  parts.core.queryClock.witness(2n ** 64n - 1n);
  parts.core.queryClock.increment();
  assert.equal(parts.core.queryClock.time, 1n);
  assert.equal(ask(parts).ltime, 2n);
});

Deno.test("RunningQueries ends early only if all that is owed has come", () => {
  const names = [SELF, "b", "c"];
  const arrival = fc.record({
    from: fc.constantFrom(...names, "stranger"),
    isAck: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.boolean(), fc.array(arrival), (requestAck, arrivals) => {
      const parts = knowing(["b", "c"]);
      const message = ask(parts, { requestAck });
      const seen = new Set(requestAck ? [`ack ${SELF}`] : []);
      const owed = names.flatMap((name) => [
        name,
        ...requestAck ? [`ack ${name}`] : [],
      ]);
      let hasEnded = false;
      parts.takeReplies();
      for (const { from, isAck } of arrivals) {
        parts.queries.responseArrived(
          isAck ? reply(message, from) : reply(message, from, ""),
          1,
        );
        seen.add(isAck ? `ack ${from}` : from);
        hasEnded ||= owed.every((each) => seen.has(each));
        const isTold = parts.takeReplies().includes("done");
        if (isTold) assert.ok(hasEnded);
        if (hasEnded) break;
      }
      parts.fireTimers(3_200);
      assert.equal(parts.takeReplies().includes("done"), !hasEnded);
    }),
  );
});
