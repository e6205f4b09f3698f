import assert from "node:assert/strict";
import { RecentIntents } from "../../lib/serf/intent.ts";

Deno.test("RecentIntents.upsert() keeps the newest intent of either type", () => {
  const intents = new RecentIntents();
  assert.equal(intents.upsert("b", "join", 5n, 0), true);
  assert.equal(intents.upsert("b", "leave", 5n, 1), false);
  assert.deepEqual(intents.get("b"), { type: "join", ltime: 5n, atMs: 0 });
  assert.equal(intents.upsert("b", "leave", 6n, 2), true);
  assert.deepEqual(intents.get("b"), { type: "leave", ltime: 6n, atMs: 2 });
});

Deno.test("RecentIntents.upsert() refuses new names when full, not newer times", () => {
  const intents = new RecentIntents(2);
  assert.equal(intents.upsert("a", "join", 1n, 0), true);
  assert.equal(intents.upsert("b", "join", 1n, 0), true);
  assert.equal(intents.upsert("c", "join", 9n, 0), false);
  assert.equal(intents.get("c"), undefined);
  assert.equal(intents.upsert("a", "leave", 2n, 0), true);
  assert.equal(intents.size, 2);
});

Deno.test("RecentIntents.upsert() refuses names too long for any member", () => {
  const intents = new RecentIntents();
  assert.equal(intents.upsert("x".repeat(512), "join", 1n, 0), true);
  assert.equal(intents.upsert("x".repeat(513), "join", 1n, 0), false);
});

Deno.test("RecentIntents.expire() forgets what is older than the timeout", () => {
  const intents = new RecentIntents(1);
  intents.upsert("a", "join", 1n, 1_000);
  intents.expire(500, 1_500);
  assert.equal(intents.size, 1);
  intents.expire(500, 1_501);
  assert.equal(intents.size, 0);
  assert.equal(intents.upsert("b", "join", 1n, 1_501), true);
});
