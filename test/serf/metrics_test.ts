/**
 * That each metric of the Serf layer counts what it says, and nothing else does.
 *
 * A table of situations in virtual time, as for the SWIM layer: of one mechanism,
 * where that is enough, and of a small cluster, where messages must travel.
 */

import assert from "node:assert/strict";
import { utf8Bytes } from "../../lib/kit/bytes.ts";
import { Random } from "../../lib/kit/random.ts";
import { Vivaldi } from "../../lib/coordinate/vivaldi.ts";
import { SERF_METRICS } from "../../lib/serf/metrics.ts";
import { type QueueName, userMessage } from "../../lib/serf/queues.ts";
import { SWIM_METRICS } from "../../lib/swim/metrics.ts";
import { encodeMessage } from "../../lib/wire/message_codec.ts";
import {
  encodeFilter,
  encodePingPayload,
  encodePushPull,
} from "../../lib/wire/serf_messages.ts";
import {
  assertChanges,
  changesOf,
  type ExpectedChanges,
  fullName,
} from "../kit/metric_changes.ts";
import { Cluster, joined, type Node } from "./cluster.ts";
import { nodeOf, Parts, SELF } from "./parts.ts";
import { query, reply } from "./queries.ts";

/** Counted by who writes the snapshot, which is not the engine. */
const COUNTED_ELSEWHERE = [
  "serf.snapshot.appendLine",
  "serf.snapshot.compact",
  "serf.snapshot.failed",
];

interface Situation<Stage> {
  readonly what: string;
  readonly prepare?: (stage: Stage) => void;
  readonly act: (stage: Stage) => void;
  readonly changes: ExpectedChanges;
}

// --- One mechanism ------------------------------------------------------------

function event(ltime: bigint, name: string) {
  return { ltime, name, payload: new Uint8Array(0), coalesce: false };
}

/** Parts that know themselves and `b`. */
function knowing(): Parts {
  const parts = new Parts();
  parts.roster.joined(nodeOf(SELF, 0), 0);
  parts.roster.joined(nodeOf("b", 1), 0);
  return parts;
}

/** Queues one message more than the queue holds. */
function overflow(parts: Parts, name: QueueName): void {
  const { queueDepthMax } = parts.core.config;
  for (let i = 0; i <= queueDepthMax; i++) {
    parts.queues.put(name, userMessage(Uint8Array.of(1)));
  }
}

/** A query of ours, and what comes back to it. */
function ask(parts: Parts, replies: readonly (string | undefined)[]): void {
  const running: { ltime: bigint; id: number }[] = [];
  parts.queries.ask(
    { name: "load", requestAck: true, timeoutMs: 1_000 },
    0,
  );
  for (const output of parts.take("event")) {
    if (output.event.type === "query") running.push(output.event);
  }
  const [asked] = running;
  assert.ok(asked !== undefined);
  for (const text of replies) {
    parts.queries.responseArrived(reply(asked, "b", text), 1);
  }
}

const THEIRS = {
  ...new Vivaldi(new Random(0)).coordinate,
  vec: [0.01, 0, 0, 0, 0, 0, 0, 0],
};

function pinged(parts: Parts, rttMs: number, payload?: Uint8Array): void {
  const answer = { payload: payload ?? encodePingPayload(THEIRS), rttMs };
  parts.coordinates.pingCompleted("b", answer, 0);
}

const OF_PARTS: readonly Situation<Parts>[] = [
  {
    what: "a member comes up",
    act: ({ roster }) => roster.joined(nodeOf("c", 2), 0),
    changes: { "serf.member.join": 1, "serf.members.alive": 3 },
  },
  {
    what: "a member fails",
    act: ({ roster }) => roster.gone("b", 0),
    changes: {
      "serf.member.failed": 1,
      "serf.members.alive": 1,
      "serf.members.failed": 1,
    },
  },
  {
    what: "a member comes back in less than a minute",
    prepare: ({ roster }) => roster.gone("b", 0),
    act: ({ roster }) => roster.joined(nodeOf("b", 1), 59_999),
    changes: {
      "serf.member.join": 1,
      "serf.member.flap": 1,
      "serf.members.alive": 2,
      "serf.members.failed": 0,
    },
  },
  {
    what: "a member comes back after a minute",
    prepare: ({ roster }) => roster.gone("b", 0),
    act: ({ roster }) => roster.joined(nodeOf("b", 1), 60_000),
    changes: {
      "serf.member.join": 1,
      "serf.members.alive": 2,
      "serf.members.failed": 0,
    },
  },
  {
    what: "a member says that it leaves",
    act: ({ roster }) =>
      roster.leaveIntent({ node: "b", ltime: 9n, prune: false }, 0),
    changes: { "serf.members.alive": 1, "serf.members.leaving": 1 },
  },
  {
    what: "a member that leaves is gone",
    prepare: ({ roster }) =>
      roster.leaveIntent({ node: "b", ltime: 9n, prune: false }, 0),
    act: ({ roster }) => roster.gone("b", 0),
    changes: {
      "serf.member.left": 1,
      "serf.members.leaving": 0,
      "serf.members.left": 1,
    },
  },
  {
    what: "a failed member is made to leave and erased",
    prepare: ({ roster }) => roster.gone("b", 0),
    act: ({ roster }) =>
      roster.leaveIntent({ node: "b", ltime: 9n, prune: true }, 0),
    changes: { "serf.members.failed": 0 },
  },
  {
    what: "a member is reaped",
    prepare: ({ roster }) => roster.gone("b", 0),
    act: ({ roster }) => roster.reap(1e9),
    changes: { "serf.members.failed": 0 },
  },
  {
    what: "a member changes its tags",
    act: ({ roster }) =>
      roster.updated(nodeOf("b", 1, new Map([["role", "web"]])), 0),
    changes: { "serf.member.update": 1 },
  },
  {
    what: "user events, one of them twice",
    act: ({ userEvents }) => {
      for (const name of ["deploy", "deploy", "restart"]) {
        userEvents.arrived(event(5n, name), 0);
      }
    },
    changes: {
      "serf.events": 2,
      "serf.events.deploy": 1,
      "serf.events.restart": 1,
    },
  },
  {
    what: "a user event that is too old",
    prepare: ({ core }) => core.eventClock.witness(1_000n),
    act: ({ userEvents }) => userEvents.arrived(event(5n, "deploy"), 0),
    changes: { "serf.event_dropped": 1, "serf.refused": 1 },
  },
  {
    what: "one user event too many of one time",
    prepare: ({ userEvents }) => {
      for (let i = 0; i < 1_024; i++) userEvents.arrived(event(5n, `e${i}`), 0);
    },
    act: ({ userEvents }) => userEvents.arrived(event(5n, "deploy"), 0),
    changes: { "serf.event_dropped": 1, "serf.refused": 1 },
  },
  {
    what: "queries, one of them twice",
    act: ({ queries }) => {
      queries.arrived(query(5n, 1), 0);
      queries.arrived(query(5n, 1), 0);
      queries.arrived(query(5n, 2, { name: "_serf_ping" }), 0);
    },
    changes: {
      "serf.queries": 2,
      "serf.queries.load": 1,
      "serf.queries._serf_ping": 1,
    },
  },
  {
    what: "a query that is too old",
    prepare: ({ core }) => core.queryClock.witness(1_000n),
    act: ({ queries }) => queries.arrived(query(5n, 1), 0),
    changes: { "serf.query_dropped": 1, "serf.refused": 1 },
  },
  {
    what: "one query too many of one time",
    prepare: ({ queries }) => {
      for (let id = 0; id < 1_024; id++) queries.arrived(query(5n, id), 0);
    },
    act: ({ queries }) => queries.arrived(query(5n, 9_999), 0),
    changes: { "serf.query_dropped": 1, "serf.refused": 1 },
  },
  {
    what: "an exchange of state with clocks too far ahead",
    act: ({ pushPulls }) => {
      const far = 2n ** 64n - 1n;
      const body = encodePushPull({
        ltime: far,
        statusLTimes: new Map(),
        leftMembers: [],
        eventLTime: far,
        events: [],
        queryLTime: far,
      });
      pushPulls.merge(body, false, 0);
    },
    changes: { "serf.ltime_refused": 3, "serf.refused": 3 },
  },
  {
    what: "a query whose filter is too much work for now",
    prepare: ({ queries }) => queries.provideCompiler(() => () => true, 0),
    act: ({ queries }) => {
      for (let id = 0; id < 9; id++) {
        const expr = `x${id}{999}`;
        const filters = [encodeFilter({ kind: "tag", tag: "role", expr })];
        queries.arrived(query(5n, id, { filters }), 0);
      }
    },
    changes: {
      "serf.queries": 9,
      "serf.queries.load": 9,
      "serf.query_filter_refused": 1,
      "serf.refused": 1,
    },
  },
  {
    what: "a query of ours, with an ack and an answer, some of them again",
    act: (parts) =>
      ask(parts, [undefined, undefined, undefined, "yes", "again"]),
    changes: {
      "serf.queries": 1,
      "serf.queries.load": 1,
      // One of the acks is our own.
      "serf.query_acks": 2,
      "serf.query_duplicate_acks": 2,
      "serf.query_responses": 1,
      "serf.query_duplicate_responses": 1,
    },
  },
  {
    what: "an ack that nobody asked for",
    act: (parts) => {
      parts.queries.ask({ name: "load", timeoutMs: 1_000 }, 0);
      const [output] = parts.take("event").slice(-1);
      assert.ok(output?.event.type === "query");
      parts.queries.responseArrived(reply(output.event, "b"), 1);
    },
    changes: {
      "serf.queries": 1,
      "serf.queries.load": 1,
      "serf.query_acks": 1,
      "serf.query_response_dropped": 1,
      "serf.refused": 1,
    },
  },
  ...(["Intent", "Event", "Query"] as const).map((name) => ({
    what: `the ${name} queue overflows`,
    act: (parts: Parts) => overflow(parts, name),
    changes: { [`serf.queue_dropped.${name}`]: 1 },
  })),
  {
    what: "messages are gossiped, in one packet for three members",
    prepare: ({ queues }) => {
      queues.put("Event", userMessage(Uint8Array.of(3, 1, 2)));
      queues.put("Intent", userMessage(Uint8Array.of(0, 1)));
    },
    act: ({ queues }) => queues.take(2, 1_000, 10, 3),
    changes: { "serf.msgs.sent": 6 },
  },
  {
    what: "leaves are gossiped, ahead of everything",
    prepare: ({ queues }) => {
      queues.putLeave("own", userMessage(Uint8Array.of(0, 1)));
      queues.putLeave("others", userMessage(Uint8Array.of(0, 2)));
    },
    act: ({ queues }) => queues.takeUrgent(2, 1_000, 10, 3),
    changes: { "serf.msgs.sent": 6 },
  },
  {
    what: "the look at the queues",
    act: ({ queues }) => queues.check(),
    changes: {
      "serf.queue.Intent": 1,
      "serf.queue.Event": 1,
      "serf.queue.Query": 1,
    },
  },
  {
    what: "a ping brings a coordinate",
    act: (parts) => pinged(parts, 20),
    changes: { "serf.coordinate.adjustment-ms": 1 },
  },
  {
    what: "a ping takes no time",
    act: (parts) => pinged(parts, 0),
    changes: {
      "serf.coordinate.adjustment-ms": 1,
      "serf.coordinate.zero-rtt": 1,
    },
  },
  {
    what: "a ping takes too long to be true",
    act: (parts) => pinged(parts, 10_001),
    changes: { "serf.coordinate.rejected": 1 },
  },
  {
    what: "a ping brings something else",
    act: (parts) => pinged(parts, 20, Uint8Array.of(1, 2)),
    changes: { "serf.refused": 1 },
  },
];

for (const { what, prepare, act, changes } of OF_PARTS) {
  Deno.test(`SERF_METRICS when ${what}`, () => {
    const parts = knowing();
    prepare?.(parts);
    assertChanges(
      changesOf(parts.metrics, () => act(parts)),
      changes,
      what,
    );
  });
}

// --- A cluster ----------------------------------------------------------------

/** What changed of the Serf layer alone. */
function serfChanges(node: Node, act: () => void): Record<string, number> {
  const all = Object.entries(changesOf(node.engine.metrics, act));
  return Object.fromEntries(all.filter(([name]) => name.startsWith("serf.")));
}

function userPacket(body: Uint8Array): Uint8Array {
  return encodeMessage({ kind: "user", body });
}

type Stage = { readonly cluster: Cluster; readonly nodes: readonly Node[] };

/** Of the first of three nodes. */
const OF_CLUSTERS: readonly Situation<Stage>[] = [
  {
    what: "somebody else sends an event",
    act: ({ cluster, nodes: [, b] }) => {
      const payload = utf8Bytes("v1");
      cluster.call(
        b as Node,
        (engine, nowMs) =>
          engine.userEvent("deploy", payload, { coalesce: false }, nowMs),
      );
      cluster.settle();
    },
    changes: {
      "serf.events": 1,
      "serf.events.deploy": 1,
      "serf.msgs.received": "some",
      "serf.msgs.sent": "some",
    },
  },
  {
    what: "we ask, and all answer, by relays too",
    prepare: ({ nodes }) => {
      for (const node of nodes) node.answer = () => node.name;
    },
    act: ({ cluster, nodes: [a] }) => {
      const params = { name: "load", requestAck: true, relayFactor: 1 };
      cluster.call(
        a as Node,
        (engine, nowMs) => engine.query({ ...params, timeoutMs: 500 }, nowMs),
      );
      cluster.settle();
    },
    changes: {
      "serf.queries": 1,
      "serf.queries.load": 1,
      "serf.query_acks": 3,
      "serf.query_responses": 3,
      "serf.query_duplicate_acks": "some",
      "serf.query_duplicate_responses": "some",
      "serf.msgs.received": "some",
      "serf.msgs.sent": "some",
    },
  },
  {
    what: "somebody sends nothing that we know",
    act: ({ cluster, nodes: [a] }) =>
      cluster.call(a as Node, (engine, nowMs) => {
        const packet = userPacket(Uint8Array.of(99, 1, 2));
        engine.handlePacket("10.9.9.9:1", packet, nowMs);
        const empty = userPacket(new Uint8Array(0));
        engine.handlePacket("10.9.9.9:1", empty, nowMs);
      }),
    changes: { "serf.msgs.received": 1, "serf.refused": 1 },
  },
];

for (const { what, prepare, act, changes } of OF_CLUSTERS) {
  Deno.test(`SerfEngine.metrics when ${what}`, () => {
    const stage = joined(["a", "b", "c"]);
    prepare?.(stage);
    const [a] = stage.nodes as [Node];
    assertChanges(serfChanges(a, () => act(stage)), changes, what);
  });
}

Deno.test("SERF_METRICS are all in the tables of situations", () => {
  const covered = new Set(
    [...OF_PARTS, ...OF_CLUSTERS].flatMap((situation) =>
      Object.keys(situation.changes)
    ),
  );
  const missing = SERF_METRICS.definitions
    .map(({ metric }) => fullName(metric))
    .filter((name) => !covered.has(name));
  assert.deepEqual(missing, COUNTED_ELSEWHERE);
});

Deno.test("SERF_METRICS measure what they count", () => {
  const parts = knowing();
  const { metrics } = parts.core;
  parts.queues.put("Event", userMessage(new Uint8Array(10)));
  parts.queues.put("Event", userMessage(new Uint8Array(20)));
  parts.queues.check();
  assert.equal(metrics.queueEvent.last, 2);
  parts.queues.take(2, 1_000, 10);
  assert.deepEqual([metrics.msgsSent.min, metrics.msgsSent.max], [10, 20]);
  overflow(parts, "Query");
  parts.queues.check();
  // With what was dropped, as the original has it before it drops.
  assert.equal(metrics.queueQuery.last, parts.core.config.queueDepthMax + 1);
  pinged(parts, 20);
  const ours = parts.coordinates.of(SELF);
  assert.ok(ours !== undefined);
  const { vec, height } = ours;
  const movedMs = 1_000 * (Math.hypot(...vec) + height + 1e-5);
  const { last } = metrics.coordinateAdjustment;
  assert.ok(Math.abs(last - movedMs) < 1, `${last} is about ${movedMs} ms`);
});

Deno.test("SerfEngine.metrics hold both layers, and its queue check looks at all queues", () => {
  const { cluster, nodes } = joined(["a", "b"]);
  const [a] = nodes as [Node];
  const { metrics } = a.engine;
  assert.equal(metrics.of(SWIM_METRICS), a.engine.swim.metrics);
  assert.equal(metrics.of(SERF_METRICS).membersAlive.value, 2);
  const changes = changesOf(metrics, () => cluster.run(30_000));
  for (const queue of ["Intent", "Event", "Query"]) {
    assert.equal(changes[`serf.queue.${queue}`], 1);
  }
  assert.equal(changes["memberlist.queue.broadcasts"], 1);
  const bytes = metrics.of(SERF_METRICS).msgsReceived;
  const body = Uint8Array.of(99, 1, 2);
  a.engine.handlePacket("10.9.9.9:1", userPacket(body), cluster.nowMs);
  assert.equal(bytes.last, body.length);
});

Deno.test("SerfEngine.metrics tell a listener of every packet, and cost the same names after many", () => {
  const { cluster, nodes } = joined(["a", "b"]);
  const [a] = nodes as [Node];
  let packets = 0;
  const names = a.engine.metrics.read().length;
  const stop = a.engine.metrics.subscribe(({ name }) => {
    if (name === "memberlist.packets.received") packets++;
  });
  const changes = changesOf(a.engine.metrics, () => cluster.run(60_000));
  stop();
  assert.equal(packets, changes["memberlist.packets.received"]);
  assert.ok(packets > 50);
  assert.equal(a.engine.metrics.read().length, names);
  cluster.run(10_000);
  assert.equal(packets, changes["memberlist.packets.received"]);
});
