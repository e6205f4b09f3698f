import assert from "node:assert/strict";
import { Parts } from "./parts.ts";
import { query } from "./queries.ts";

Deno.test("InternalQueries never reach the application, but are acked", () => {
  const parts = new Parts();
  for (const [id, name] of ["_serf_ping", "_serf_nope", "_serf_"].entries()) {
    assert.ok(parts.queries.arrived(query(5n, id, { name, flags: 1 }), 0));
  }
  assert.deepEqual(parts.takeEvents(), []);
  assert.equal(parts.answersSent.length, 3);
  assert.deepEqual(parts.takeLog(), [
    "[WARN] serf: Unhandled internal query 'nope'",
    "[WARN] serf: Unhandled internal query ''",
  ]);
});

Deno.test("InternalQueries leaves names alone that only look alike", () => {
  const parts = new Parts();
  parts.queries.arrived(query(5n, 1, { name: "serf_ping" }), 0);
  parts.queries.arrived(query(5n, 2, { name: "_SERF_ping" }), 0);
  assert.deepEqual(parts.takeEvents(), [
    "query: serf_ping@5=",
    "query: _SERF_ping@5=",
  ]);
});
