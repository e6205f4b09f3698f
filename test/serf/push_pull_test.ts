/**
 * Tests with a name in backquotes are sequences that were run against serf 0.9.4
 * and expect what was observed there.
 */

import assert from "node:assert/strict";
import {
  decodePushPull,
  encodePushPull,
  type SerfPushPull,
} from "../../lib/wire/serf_messages.ts";
import { nodeOf, Parts, SELF } from "./parts.ts";

const NO_BYTES = new Uint8Array(0);

function start(): Parts {
  const parts = new Parts();
  parts.roster.joined(nodeOf(SELF), 0);
  parts.takeEvents();
  parts.takeLog();
  return parts;
}

function state(changes: Partial<SerfPushPull>): Uint8Array {
  return encodePushPull({
    ltime: 0n,
    statusLTimes: new Map(),
    leftMembers: [],
    eventLTime: 0n,
    events: [],
    queryLTime: 0n,
    ...changes,
  });
}

Deno.test("PushPulls.merge() takes over clocks, intents and events (`pushpull_merge`)", () => {
  const parts = start();
  const { pushPulls, core, recent, queues } = parts;
  const remote = state({
    ltime: 100n,
    statusLTimes: new Map([["w", 7n]]),
    leftMembers: ["v"],
    eventLTime: 50n,
    events: [undefined, {
      ltime: 3n,
      events: [{ name: "old", payload: NO_BYTES }],
    }],
    queryLTime: 60n,
  });
  assert.equal(pushPulls.merge(remote, false, 9), false);
  assert.equal(core.clock.time, 100n);
  assert.equal(core.eventClock.time, 50n);
  assert.equal(core.queryClock.time, 60n);
  assert.deepEqual(recent.get("w"), { type: "join", ltime: 7n, atMs: 9 });
  assert.deepEqual(recent.get("v"), { type: "leave", ltime: 1n, atMs: 9 });
  assert.deepEqual(parts.takeEvents(), ["user: old@3="]);
  assert.equal(queues.isEmpty, true, "nothing of it is passed on");
});

Deno.test("PushPulls.merge() drops the past when asked to (`ignore_old_join`)", () => {
  const parts = start();
  const remote = state({
    eventLTime: 80n,
    events: [
      { ltime: 79n, events: [{ name: "ign", payload: NO_BYTES }] },
      { ltime: 80n, events: [{ name: "keep", payload: NO_BYTES }] },
    ],
  });
  parts.pushPulls.merge(remote, true, 0);
  assert.deepEqual(parts.takeEvents(), ["user: keep@80="]);
  assert.equal(parts.userEvents.minTime, 80n);
  assert.equal(parts.core.eventClock.time, 81n);
});

Deno.test("PushPulls.merge() leaves clocks at 0 alone", () => {
  const parts = start();
  parts.pushPulls.merge(state({}), false, 0);
  assert.equal(parts.core.clock.time, 1n);
  assert.equal(parts.core.eventClock.time, 1n);
  assert.equal(parts.core.queryClock.time, 1n);
});

Deno.test("PushPulls.merge() moves a failed member that left to left", () => {
  const parts = start();
  parts.roster.joined(nodeOf("b"), 0);
  parts.roster.joinIntent("b", 5n, 0);
  parts.roster.gone("b", 0);
  parts.takeEvents();
  const remote = { statusLTimes: new Map([["b", 5n]]), leftMembers: ["b"] };
  parts.pushPulls.merge(state(remote), false, 0);
  assert.deepEqual(parts.takeEvents(), ["member-leave: b(left)"]);
  assert.equal(parts.roster.statusLTime("b"), 6n);
});

Deno.test("PushPulls.merge() says when somebody believes that we left", () => {
  const parts = start();
  const statusLTimes = new Map([[SELF, 30n]]);
  const remote = state({ ltime: 31n, statusLTimes, leftMembers: [SELF] });
  assert.equal(parts.pushPulls.merge(remote, false, 0), true);
  assert.equal(parts.roster.member(SELF)?.status, "alive");
  parts.intents.announceJoin(0);
  // Now our own time is the newer one.
  assert.equal(parts.pushPulls.merge(remote, false, 0), false);
});

Deno.test("PushPulls.merge() wraps the status time of a member that left", () => {
  const parts = start();
  const statusLTimes = new Map([["b", 2n ** 64n - 1n]]);
  parts.pushPulls.merge(state({ statusLTimes, leftMembers: ["b"] }), false, 0);
  assert.equal(parts.recent.get("b")?.ltime, 0n);
});

Deno.test("PushPulls.merge() refuses what is no state", () => {
  const parts = start();
  for (const body of [[], [3], [2, 0xc1]]) {
    assert.equal(parts.pushPulls.merge(Uint8Array.from(body), false, 0), false);
  }
  const log = parts.takeLog();
  assert.equal(log[0], "[ERR] serf: Remote state is zero bytes");
  assert.equal(log[1], "[ERR] serf: Remote state has bad type prefix: 3");
  assert.match(log[2] ?? "", /^\[ERR\] serf: Failed to decode remote state: /);
  assert.equal(parts.core.metrics.refused.value, 3);
});

Deno.test("PushPulls.localState() tells all that we know", () => {
  const parts = start();
  const { roster, userEvents, pushPulls, core } = parts;
  for (const name of ["b", "c"]) roster.joined(nodeOf(name), 0);
  roster.joinIntent("b", 9n, 0);
  roster.leaveIntent({ node: "c", ltime: 10n, prune: false }, 0);
  roster.gone("c", 0);
  const payload = Uint8Array.of(1, 2);
  userEvents.arrived({ ltime: 4n, name: "e", payload, coalesce: true }, 0);
  core.queryClock.witness(20n);

  const told = decodePushPull(pushPulls.localState());
  assert.equal(told.ltime, 11n);
  assert.deepEqual(
    new Map(told.statusLTimes),
    new Map([[SELF, 0n], ["b", 9n], ["c", 10n]]),
  );
  assert.deepEqual(told.leftMembers, ["c"]);
  assert.equal(told.eventLTime, 5n);
  assert.equal(told.queryLTime, 21n);
  assert.equal(told.events.length, 512);
  assert.deepEqual(told.events.filter((group) => group !== undefined), [
    { ltime: 4n, events: [{ name: "e", payload }] },
  ]);
});

Deno.test("PushPulls.localState() does not get ahead of a leave intent", () => {
  const teller = start();
  const listener = start();
  const intent = { node: "b", ltime: 9n, prune: false };
  for (const { roster } of [teller, listener]) roster.joined(nodeOf("b"), 0);
  teller.roster.leaveIntent(intent, 0);
  listener.pushPulls.merge(teller.pushPulls.localState(), false, 0);
  assert.equal(listener.roster.member("b")?.status, "alive");
  assert.equal(listener.roster.leaveIntent(intent, 0), "new");
  assert.equal(listener.roster.member("b")?.status, "leaving");
});

Deno.test("PushPulls carries a state from one node to another", () => {
  const teller = start();
  const listener = start();
  for (let i = 1n; i <= 30n; i++) {
    const payload = Uint8Array.of(Number(i));
    teller.userEvents.arrived(
      { ltime: i, name: "e", payload, coalesce: true },
      0,
    );
  }
  listener.pushPulls.merge(teller.pushPulls.localState(), false, 0);
  assert.deepEqual(listener.takeEvents(), teller.takeEvents());
  assert.equal(listener.core.eventClock.time, teller.core.eventClock.time);
  listener.pushPulls.merge(teller.pushPulls.localState(), false, 0);
  assert.deepEqual(listener.takeEvents(), [], "nothing comes twice");
});
