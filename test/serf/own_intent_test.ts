import assert from "node:assert/strict";
import { decodeSerfMessage } from "../../lib/wire/serf_messages.ts";
import { bodyOf, nodeOf, Parts, SELF } from "./parts.ts";

function start(): Parts {
  const parts = new Parts();
  parts.roster.joined(nodeOf(SELF), 0);
  return parts;
}

function queuedIntents(parts: Parts): unknown[] {
  const { queues } = parts;
  return [...queues.takeUrgent(2, 1_000, 1), ...queues.take(2, 1_000, 1)]
    .map((bytes) => decodeSerfMessage(bodyOf(bytes)));
}

Deno.test("OwnIntents.announceJoin() carries a time above all seen", () => {
  const parts = start();
  parts.core.clock.witness(40n);
  parts.intents.announceJoin(0);
  assert.deepEqual(queuedIntents(parts), [
    { kind: "join", ltime: 41n, node: SELF },
  ]);
  assert.equal(parts.core.clock.time, 42n);
  assert.equal(parts.roster.statusLTime(SELF), 41n);
});

Deno.test("OwnIntents.announceLeave() tells nobody when nobody is there", () => {
  const parts = start();
  parts.roster.joined(nodeOf("b"), 0);
  parts.roster.gone("b", 0);
  assert.equal(parts.intents.announceLeave("b", false, 1, 0), undefined);
  assert.equal(parts.roster.member("b")?.status, "left");
  assert.deepEqual(queuedIntents(parts), []);
});

Deno.test("OwnIntents.announceLeave() handles the intent here and gossips it", () => {
  const parts = start();
  for (const name of ["b", "c"]) parts.roster.joined(nodeOf(name), 0);
  const message = parts.intents.announceLeave("b", true, 1, 0);
  assert.equal(parts.roster.member("b")?.status, "leaving");
  const intent = { kind: "leave", ltime: 1n, node: "b", prune: true };
  assert.deepEqual(queuedIntents(parts), [intent]);
  assert.ok(message !== undefined);
  assert.deepEqual(decodeSerfMessage(bodyOf(message)), intent);
  assert.equal(parts.core.clock.time, 2n);
});

Deno.test("OwnIntents.announceLeave() of ourselves while alive is refuted too", () => {
  const parts = start();
  parts.roster.joined(nodeOf("b"), 0);
  assert.ok(parts.intents.announceLeave(SELF, false, 1, 0) !== undefined);
  assert.equal(parts.roster.member(SELF)?.status, "alive");
  const kinds = queuedIntents(parts).map((intent) =>
    (intent as { kind: string }).kind
  );
  assert.deepEqual(kinds.sort(), ["join", "leave"]);
});
