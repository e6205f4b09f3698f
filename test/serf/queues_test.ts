import assert from "node:assert/strict";
import { userMessage } from "../../lib/serf/queues.ts";
import { bodyOf, Parts } from "./parts.ts";

/** What a packet spends on each part. */
const OVERHEAD_BYTES = 2;

function message(bodyBytes: number, mark: number): Uint8Array {
  return userMessage(new Uint8Array(bodyBytes).fill(mark));
}

Deno.test("Queues fills a packet with intents, then queries, then events", () => {
  const { queues } = new Parts();
  queues.put("Event", message(10, 3));
  queues.put("Query", message(10, 2));
  queues.put("Intent", message(10, 1));
  const marksIn = (roomBytes: number) =>
    queues.take(OVERHEAD_BYTES, roomBytes, 1).map((bytes) => bodyOf(bytes)[0]);
  assert.deepEqual(marksIn(1_000), [1, 2, 3]);
  assert.deepEqual(marksIn(2 * 13), [1, 2]);
  assert.deepEqual(marksIn(13), [1]);
  assert.deepEqual(marksIn(12), []);
});

Deno.test("Queues.take() gives a message up after its transmissions", () => {
  const { queues } = new Parts();
  queues.put("Event", message(10, 1));
  // Four times ceil(log10(1 + 1)).
  for (let i = 0; i < 4; i++) {
    assert.equal(queues.isEmpty, false);
    assert.equal(queues.take(OVERHEAD_BYTES, 1_000, 1).length, 1);
  }
  assert.equal(queues.isEmpty, true);
});

Deno.test("Queues.drainFinished() names the operations that were gossiped", () => {
  const { queues } = new Parts();
  queues.put("Intent", message(10, 1), 7);
  queues.put("Intent", message(10, 2));
  assert.deepEqual(queues.drainFinished(), []);
  for (let i = 0; i < 4; i++) queues.take(OVERHEAD_BYTES, 1_000, 1);
  assert.deepEqual(queues.drainFinished(), [7]);
  assert.deepEqual(queues.drainFinished(), []);
});

Deno.test("Queues is done at once with a message too long for any packet", () => {
  const { queues } = new Parts();
  queues.put("Intent", message(1_396, 1), 7);
  assert.deepEqual(queues.drainFinished(), [7]);
  assert.equal(queues.isEmpty, true);
  queues.put("Intent", message(1_395, 1));
  assert.equal(queues.depth("Intent"), 1);
});

Deno.test("Queues drops beyond its depth and says so at the next check", () => {
  const parts = new Parts({ queueDepthMax: 200 });
  const { queues } = parts;
  for (let i = 0; i < 127; i++) queues.put("Event", message(10, i));
  queues.check();
  assert.deepEqual(parts.takeLog(), []);
  queues.put("Event", message(10, 127));
  queues.check();
  assert.deepEqual(parts.takeLog(), ["[WARN] serf: Event queue depth: 128"]);
  for (let i = 128; i < 203; i++) queues.put("Event", message(10, i));
  assert.equal(queues.depth("Event"), 200);
  queues.check();
  assert.deepEqual(parts.takeLog(), [
    "[WARN] serf: Event queue depth: 203",
    "[WARN] serf: Event queue depth (203) exceeds limit (200), dropping messages!",
  ]);
  queues.check();
  assert.deepEqual(parts.takeLog(), ["[WARN] serf: Event queue depth: 200"]);
});
