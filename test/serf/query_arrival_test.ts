import assert from "node:assert/strict";
import fc from "fast-check";
import { compileExpression } from "../../lib/kit/re2.ts";
import {
  decodeSerfMessage,
  encodeFilter,
} from "../../lib/wire/serf_messages.ts";
import { Parts } from "./parts.ts";
import { ASKER, query } from "./queries.ts";

const byRole = (expr: string) => [
  encodeFilter({ kind: "tag", tag: "role", expr }),
];

Deno.test("ArrivedQueries passes each query on once", () => {
  const parts = new Parts();
  const { queries, core } = parts;
  assert.equal(queries.arrived(query(5n, 1), 0), true);
  assert.equal(queries.arrived(query(5n, 1), 0), false);
  assert.equal(queries.arrived(query(5n, 2), 0), true);
  assert.equal(queries.arrived(query(6n, 1), 0), true);
  assert.equal(core.queryClock.time, 7n);
  assert.equal(core.metrics.queries.total.value, 3);
  assert.deepEqual(parts.takeEvents(), [
    "query: load@5=",
    "query: load@5=",
    "query: load@6=",
  ]);
});

Deno.test("ArrivedQueries keeps a query to itself when asked to", () => {
  const { queries, core } = new Parts();
  assert.equal(queries.arrived(query(5n, 1, { flags: 2 }), 0), false);
  assert.equal(queries.arrived(query(5n, 2, { flags: 1 }), 0), true);
  assert.equal(queries.arrived(query(5n, 3, { flags: 3 }), 0), false);
  assert.equal(core.metrics.queries.total.value, 3);
});

Deno.test("ArrivedQueries drops queries older than its ring", () => {
  const parts = new Parts();
  const { queries } = parts;
  const accepted = [1_000n, 489n, 488n].map((ltime) =>
    queries.arrived(query(ltime, 1), 0)
  );
  assert.deepEqual(accepted, [true, true, false]);
  assert.deepEqual(parts.takeLog(), [
    "[WARN] serf: received old query load from time 488 (current: 1001)",
  ]);
});

Deno.test("ArrivedQueries bounds what one time may hold", () => {
  const parts = new Parts();
  for (let id = 0; id < 1_024; id++) parts.queries.arrived(query(1n, id), 0);
  assert.equal(parts.queries.arrived(query(1n, 9_999), 0), false);
  assert.deepEqual(parts.takeLog(), [
    "[WARN] serf: too many queries at time 1, dropping load",
  ]);
  assert.equal(parts.core.metrics.queries.total.value, 1_024);
});

Deno.test("ArrivedQueries delivers each query once in any order of arrival", () => {
  const arrival = fc.record({
    ltime: fc.bigInt({ min: 1n, max: 12n }),
    id: fc.nat(3),
  });
  fc.assert(fc.property(fc.array(arrival), (arrivals) => {
    const parts = new Parts({ queryBuffer: 4 });
    // The slow and obvious version: everything ever seen, and the newest time.
    const seen = new Set<string>();
    let newest = 0n;
    for (const { ltime, id } of arrivals) {
      if (ltime > newest) newest = ltime;
      const isOld = newest + 1n > 4n && ltime < newest + 1n - 4n;
      const isNew = !isOld && !seen.has(`${ltime} ${id}`);
      seen.add(`${ltime} ${id}`);
      assert.equal(parts.queries.arrived(query(ltime, id), 0), isNew);
      assert.equal(parts.takeEvents().length, isNew ? 1 : 0);
    }
  }));
});

Deno.test("ArrivedQueries acks what is for us before it delivers it", () => {
  const parts = new Parts();
  parts.queries.arrived(query(5n, 7, { flags: 1 }), 0);
  const [sent, ...others] = parts.answersSent;
  assert.deepEqual(others, []);
  assert.equal(sent?.to, ASKER);
  const ack = decodeSerfMessage(sent?.body as Uint8Array);
  assert.deepEqual(
    ack,
    {
      kind: "queryResponse",
      ltime: 5n,
      id: 7,
      from: "self",
      flags: 1,
      payload: new Uint8Array(0),
    },
  );
  assert.equal(parts.takeEvents().length, 1);
});

Deno.test("ArrivedQueries passes on what is for others, and says nothing of it", () => {
  const parts = new Parts();
  parts.tags = new Map([["role", "db"]]);
  const other = query(5n, 7, { flags: 1, filters: byRole("web") });
  assert.equal(parts.queries.arrived(other, 0), true);
  assert.deepEqual(parts.answersSent, []);
  assert.deepEqual(parts.takeEvents(), []);
  assert.deepEqual(parts.takeLog(), []);
});

Deno.test("ArrivedQueries holds back what needs a compiler until there is one", () => {
  const parts = new Parts();
  parts.tags = new Map([["role", "web"]]);
  for (let id = 0; id < 70; id++) {
    const filters = byRole(id % 2 === 0 ? "w.b" : "d.b");
    parts.queries.arrived(query(5n, id, { filters, flags: 1 }), 1_000);
  }
  parts.queries.arrived(query(6n, 0, { filters: byRole("we") }), 1_000);
  assert.deepEqual(parts.takeEvents(), ["query: load@6="]);
  assert.equal(parts.take("compilerWanted").length, 1, "is asked for once");
  assert.equal(parts.takeLog().length, 6, "64 wait, the others do not match");
  parts.queries.provideCompiler(compileExpression, 1_500);
  const events = parts.take("event").flatMap(({ event }) =>
    event.type === "query" ? [event.deadlineMs] : []
  );
  assert.deepEqual(events, new Array(32).fill(2_000), "the wait counts");
  assert.equal(parts.answersSent.length, 32);
  parts.queries.arrived(query(7n, 0, { filters: byRole("w.b") }), 2_000);
  assert.equal(parts.takeEvents().length, 1);
  assert.deepEqual(parts.take("compilerWanted"), []);
});

Deno.test("ArrivedQueries takes any time that a query may last", () => {
  const parts = new Parts();
  const timeouts = [-1n, -(2n ** 63n), 2n ** 63n - 1n, 0n];
  for (const [id, timeoutNs] of timeouts.entries()) {
    parts.queries.arrived(query(5n, id, { timeoutNs, flags: 1 }), 1_000);
  }
  const events = parts.take("event").flatMap(({ event }) =>
    event.type === "query" ? [event] : []
  );
  const outcomes = events.map((event) => {
    try {
      parts.queries.respond(event, new Uint8Array(0), 1_000);
      return "answered";
    } catch (error) {
      return (error as Error).message;
    }
  });
  const late = "failed to respond to key query: response is past the deadline";
  assert.deepEqual(outcomes, [late, late, "answered", "answered"]);
});

Deno.test("ArrivedQueries never throws, whatever a query or a reply says", () => {
  const uint64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
  const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
  const bytes = fc.uint8Array({ maxLength: 20 });
  const name = fc.constantFrom(
    "",
    "x",
    "_serf_",
    "_serf_ping",
    "_serf_conflict",
  );
  const hostile = fc.record({
    ltime: uint64,
    id: fc.nat(0xffff_ffff),
    addr: bytes,
    port: fc.nat(0xffff),
    sourceNode: fc.string(),
    filters: fc.array(bytes, { maxLength: 3 }),
    flags: fc.nat(0xffff_ffff),
    relayFactor: fc.nat(255),
    timeoutNs: int64,
    name,
    payload: bytes,
  });
  fc.assert(fc.property(fc.array(hostile), bytes, (messages, payload) => {
    const parts = new Parts();
    parts.queries.provideCompiler(compileExpression, 0);
    parts.queries.ask({ name: "q", requestAck: true }, 0);
    for (const message of messages) {
      parts.queries.arrived({ kind: "query", ...message }, 10);
      const { ltime, id, sourceNode: from, flags } = message;
      parts.queries.responseArrived(
        { kind: "queryResponse", ltime, id, from, flags, payload },
        10,
      );
    }
    parts.fireTimers(Number.MAX_VALUE);
  }));
});
