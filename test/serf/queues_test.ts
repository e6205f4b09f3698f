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

Deno.test("Queues gives leaves apart from the rest, our own before those of others", () => {
  const { queues } = new Parts();
  queues.put("Intent", message(10, 3));
  queues.putLeave("others", message(20, 2));
  queues.putLeave("own", message(10, 1));
  const marksOf = (taken: Uint8Array[]) =>
    taken.map((bytes) => bodyOf(bytes)[0]);
  assert.equal(queues.depth("Intent"), 3, "all of them are intents");
  const urgent = (roomBytes: number) =>
    marksOf(queues.takeUrgent(OVERHEAD_BYTES, roomBytes, 1));
  assert.deepEqual(urgent(12), []);
  assert.deepEqual(urgent(13), [1]);
  assert.deepEqual(urgent(1_000), [1, 2]);
  assert.deepEqual(marksOf(queues.take(OVERHEAD_BYTES, 1_000, 1)), [3]);
  for (let i = 0; i < 2; i++) assert.deepEqual(urgent(1_000), [1, 2]);
  assert.deepEqual(urgent(1_000), [2]);
  assert.deepEqual(urgent(1_000), []);
  assert.equal(queues.depth("Intent"), 1);
});

Deno.test("Queues.takeUrgent() gives leaves of others a quarter of the room", () => {
  const { queues } = new Parts();
  for (let i = 0; i < 100; i++) {
    queues.putLeave("own", message(47, 1));
    queues.putLeave("others", message(47, 2));
  }
  const countsIn = (roomBytes: number) => {
    const marks = queues.takeUrgent(OVERHEAD_BYTES, roomBytes, 1)
      .map((bytes) => bodyOf(bytes)[0]);
    return [1, 2].map((mark) => marks.filter((each) => each === mark).length);
  };
  // Each takes 50 bytes.
  assert.deepEqual(countsIn(1_000), [20, 0], "our own may take all of it");
  for (let i = 0; i < 19; i++) countsIn(1_000);
  assert.deepEqual(countsIn(1_000), [0, 5]);
  assert.deepEqual(countsIn(199), [0, 0]);
});

Deno.test("Queues.putLeave() lets one of others that is too long for its share wait with the rest", () => {
  const { queues } = new Parts();
  // A quarter of the longest message, less the overhead and the type byte.
  const longest = 1_396 / 4 - OVERHEAD_BYTES - 1;
  queues.putLeave("others", message(longest, 1));
  queues.putLeave("others", message(longest + 1, 2));
  queues.putLeave("own", message(longest + 2, 3));
  const marksOf = (taken: Uint8Array[]) =>
    taken.map((bytes) => bodyOf(bytes)[0]);
  assert.deepEqual(
    marksOf(queues.takeUrgent(OVERHEAD_BYTES, 1_398, 1)),
    [3, 1],
  );
  assert.deepEqual(marksOf(queues.take(OVERHEAD_BYTES, 1_398, 1)), [2]);
});

Deno.test("Queues counts what it drops of leaves among the intents", () => {
  const parts = new Parts({ queueDepthMax: 100 });
  const { queues } = parts;
  for (let i = 0; i < 102; i++) queues.putLeave("others", message(10, i));
  for (let i = 0; i < 40; i++) queues.put("Intent", message(10, i));
  queues.check();
  assert.deepEqual(parts.takeLog(), [
    "[WARN] serf: Intent queue depth: 142",
    "[WARN] serf: Intent queue depth (142) exceeds limit (100), dropping messages!",
  ]);
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
  queues.putLeave("own", message(10, 1), 7);
  queues.putLeave("others", message(10, 2));
  assert.deepEqual(queues.drainFinished(), []);
  for (let i = 0; i < 4; i++) queues.takeUrgent(OVERHEAD_BYTES, 1_000, 1);
  assert.deepEqual(queues.drainFinished(), [7]);
  assert.deepEqual(queues.drainFinished(), []);
});

Deno.test("Queues is done at once with a message too long for any packet", () => {
  const { queues } = new Parts();
  queues.putLeave("own", message(1_396, 1), 7);
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
