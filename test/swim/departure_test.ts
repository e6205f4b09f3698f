/** What does not wait behind the news of others: urgent messages, and our own departure. */

import assert from "node:assert/strict";
import { Random } from "../../lib/kit/random.ts";
import { swimConfig } from "../../lib/swim/config.ts";
import { SwimCore } from "../../lib/swim/core.ts";
import type { SwimHost } from "../../lib/swim/host.ts";
import { Arena, type Node } from "./arena.ts";

/** A core whose host has one urgent message and one in no hurry. */
function coreOf(host: { urgent: Uint8Array[]; others: Uint8Array[] }): {
  core: SwimCore;
  /** Room that the host was offered, urgent first. */
  rooms: number[];
} {
  const rooms: number[] = [];
  const config = swimConfig({
    name: "self",
    advertiseAddr: Uint8Array.of(10, 0, 0, 1),
    advertisePort: 7946,
  });
  const swimHost: SwimHost = {
    nodeMeta: () => new Uint8Array(0),
    hasBroadcasts: () => host.urgent.length + host.others.length > 0,
    takeUrgent: (_, roomBytes) => {
      rooms.push(roomBytes);
      return host.urgent;
    },
    takeBroadcasts: (_, roomBytes) => {
      rooms.push(roomBytes);
      return host.others;
    },
    localState: () => new Uint8Array(0),
    ackPayload: () => new Uint8Array(0),
    refuseMember: () => undefined,
  };
  const seeds = { random: new Random(1), nextNonce: () => new Uint8Array(12) };
  return { core: new SwimCore(config, swimHost, seeds), rooms };
}

/** A message of 48 bytes, which takes 50 of a packet. */
function message(mark: number): Uint8Array {
  return new Uint8Array(48).fill(mark);
}

function marksIn(core: SwimCore, roomBytes: number): (number | undefined)[] {
  return core.takeBroadcasts(roomBytes).map(([mark]) => mark);
}

Deno.test("SwimCore.takeBroadcasts() puts the urgent and our departure before all news", () => {
  const host = { urgent: [message(1)], others: [message(4)] };
  const { core, rooms } = coreOf(host);
  for (let i = 0; i < 1_000; i++) {
    core.broadcasts.queueNamed(`other${i}`, message(3));
  }
  core.departures.queueNamed("self", message(2));
  assert.deepEqual(marksIn(core, 250), [1, 2, 3, 3, 3]);
  assert.deepEqual(rooms, [200], "there is no room for what is in no hurry");
  core.departures.queueNamed("self", message(2));
  assert.deepEqual(marksIn(core, 50), [1, 2], "the host has to fit in itself");
  assert.deepEqual(rooms, [200, 0]);
});

Deno.test("SwimCore.takeBroadcasts() asks a host that has nothing for nothing", () => {
  const { core, rooms } = coreOf({ urgent: [], others: [] });
  core.broadcasts.queueNamed("other", message(3));
  assert.equal(core.hasBroadcasts, true);
  assert.deepEqual(marksIn(core, 250), [3]);
  assert.deepEqual(rooms, []);
});

Deno.test("a departure takes the place of the announcement that still waits", () => {
  const arena = new Arena();
  const [a, b] = arena.cluster(["a", "b"]) as [Node, Node];
  const update = b.engine.updateMeta(5_000, arena.nowMs);
  const leave = b.engine.leave(5_000, arena.nowMs);
  arena.perform(b);
  assert.ok(
    b.events.some((event) =>
      event.type === "broadcastFinished" && event.operation === update
    ),
    "nobody waits for it any more",
  );
  arena.runUntil(() => a.stateOf("b") === "left", 1_000);
  arena.runUntil(
    () =>
      b.events.some((event) =>
        event.type === "broadcastFinished" && event.operation === leave
      ),
    5_000,
  );
  assert.equal(a.story.includes("memberUpdate b"), false);
});
