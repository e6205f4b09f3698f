/**
 * That each metric of the SWIM layer counts what it says, and nothing else does.
 *
 * A table of situations in virtual time: what is done, and everything that
 * changes in the metrics of node `a` by it, under the names that sinks show.
 */

import assert from "node:assert/strict";
import { EMPTY_BYTES } from "../../lib/kit/bytes.ts";
import { SWIM_LIMITS } from "../../lib/swim/limits.ts";
import { SWIM_METRICS } from "../../lib/swim/metrics.ts";
import { Keyring } from "../../lib/wire/keyring.ts";
import { encodeCompound } from "../../lib/wire/compound.ts";
import { encodeMessage } from "../../lib/wire/message_codec.ts";
import { encodeStreamMessage } from "../../lib/wire/stream_body.ts";
import { type Alive, MessageType, type Ping } from "../../lib/wire/messages.ts";
import {
  assertChanges,
  changesOf,
  type ExpectedChanges,
  fullName,
} from "../kit/metric_changes.ts";
import { aliveOf, Arena, feed, type Node } from "./arena.ts";

interface Situation {
  readonly what: string;
  /** Prepares the arena; the returned function is what counts. */
  readonly act: (arena: Arena) => readonly [Node, () => void];
  readonly changes: ExpectedChanges;
}

/** One packet that came in. */
const PACKET_IN = {
  "memberlist.udp.received": "some",
  "memberlist.packets.received": 1,
} as const;

const STRANGER = "10.9.9.9:7946";

/** A ping that is to be answered where it comes from. */
function pingOf(seqNo: number): Ping {
  const source = { sourceAddr: EMPTY_BYTES, sourcePort: 0, sourceNode: "" };
  return { kind: "ping", seqNo, node: "", ...source };
}

/** Of the versions that the arena's nodes speak, for push/pulls. */
function fitting(claim: Alive): Alive {
  const vsn = Uint8Array.of(1, 5, 2, 0, 0, 0);
  return { ...claim, node: { ...claim.node, vsn } };
}

/** A node that knows `count` others, `m0` and so on, which are not there. */
function knowing(arena: Arena, count: number): Node {
  const a = arena.add("a");
  for (let i = 0; i < count; i++) {
    feed(arena, a, fitting(aliveOf(`m${i}`, 1, [10, 0, 1, i])));
  }
  return a;
}

function accuse(
  arena: Arena,
  a: Node,
  node: string,
  from: string,
  kind: "suspect" | "dead" = "suspect",
): void {
  feed(arena, a, { kind, node, from, incarnation: 1 });
}

/** `a` and `others`, of whom `a` is cut off, with all traffic of the joins over. */
function cutOff(arena: Arena, others: readonly string[]): Node {
  const [a] = arena.cluster(["a", ...others]) as [Node];
  arena.advance(10_000);
  arena.block = ({ from, to }) => from === a.address || to === a.address;
  // A round that had begun before ends well or badly; the next one is meant.
  const { probeNode } = a.engine.metrics;
  const rounds = probeNode.count;
  arena.runUntil(() => probeNode.count > rounds, 3_000);
  return a;
}

function join(arena: Arena, node: Node, address: string): void {
  node.engine.join([{ address }], arena.nowMs);
  arena.perform(node);
  arena.advance(100);
}

const SITUATIONS: readonly Situation[] = [
  {
    what: "a stranger is alive",
    act: (arena) => {
      const a = arena.add("a");
      return [a, () => feed(arena, a, aliveOf("b", 1, [10, 0, 1, 1]))];
    },
    changes: { ...PACKET_IN, "memberlist.msg.alive": 1 },
  },
  {
    what: "old news",
    act: (arena) => {
      const a = knowing(arena, 1);
      return [a, () => feed(arena, a, aliveOf("m0", 1, [10, 0, 1, 0]))];
    },
    changes: PACKET_IN,
  },
  {
    what: "our own start",
    act: (arena) => {
      const a = arena.add("a");
      return [a, () => a.engine.start(arena.nowMs)];
    },
    changes: { "memberlist.msg.alive": 1 },
  },
  {
    what: "a member is suspected",
    act: (arena) => {
      const a = knowing(arena, 1);
      return [a, () => accuse(arena, a, "m0", "x")];
    },
    changes: { ...PACKET_IN, "memberlist.msg.suspect": 1 },
  },
  {
    what: "a suspicion is confirmed",
    act: (arena) => {
      const a = knowing(arena, 4);
      accuse(arena, a, "m0", "x");
      return [a, () => accuse(arena, a, "m0", "y")];
    },
    changes: { ...PACKET_IN, "memberlist.suspicion.confirmed": 1 },
  },
  {
    what: "a suspect refutes",
    act: (arena) => {
      const a = knowing(arena, 1);
      accuse(arena, a, "m0", "x");
      return [a, () => feed(arena, a, aliveOf("m0", 2, [10, 0, 1, 0]))];
    },
    changes: {
      ...PACKET_IN,
      "memberlist.msg.alive": 1,
      "memberlist.suspicion.refuted": 1,
    },
  },
  {
    what: "a member has died",
    act: (arena) => {
      const a = knowing(arena, 1);
      return [a, () => accuse(arena, a, "m0", "x", "dead")];
    },
    changes: { ...PACKET_IN, "memberlist.msg.dead": 1 },
  },
  {
    what: "our own leave",
    act: (arena) => {
      const a = arena.add("a");
      return [a, () => a.engine.leave(1_000, arena.nowMs)];
    },
    changes: { "memberlist.msg.dead": 1 },
  },
  {
    what: "somebody suspects us",
    act: (arena) => {
      const a = arena.add("a");
      return [a, () => accuse(arena, a, "a", "x")];
    },
    changes: {
      ...PACKET_IN,
      "memberlist.refuted": 1,
      "memberlist.health.score": 1,
    },
  },
  {
    what: "somebody is alive under our name",
    act: (arena) => {
      const a = arena.add("a");
      return [a, () => feed(arena, a, aliveOf("a", 9, [10, 0, 0, 1]))];
    },
    changes: {
      ...PACKET_IN,
      "memberlist.msg.alive": 1,
      "memberlist.refuted": 1,
      "memberlist.health.score": 1,
    },
  },
  {
    what: "a name at another address",
    act: (arena) => {
      const a = knowing(arena, 1);
      return [a, () => feed(arena, a, aliveOf("m0", 2, [10, 0, 1, 99]))];
    },
    changes: {
      ...PACKET_IN,
      "memberlist.conflict": 1,
      "memberlist.refused": 1,
    },
  },
  {
    what: "a packet that is nothing",
    act: (arena) => {
      const a = arena.add("a");
      return [
        a,
        () => a.engine.handlePacket("10.9.9.9:1", new Uint8Array(0), 0),
      ];
    },
    changes: {
      "memberlist.packets.received": 1,
      "memberlist.packets.refused": 1,
      "memberlist.refused": 1,
    },
  },
  {
    what: "several pings of a stranger in one packet",
    act: (arena) => {
      const a = arena.add("a");
      const ping = encodeMessage(pingOf(1));
      const three = encodeCompound([ping, ping, ping]);
      return [a, () => a.engine.handlePacket(STRANGER, three, arena.nowMs)];
    },
    changes: {
      ...PACKET_IN,
      "memberlist.udp.sent": "some",
      "memberlist.packets.sent": 1,
      "memberlist.reply.refused": 2,
      "memberlist.refused": 2,
    },
  },
  {
    what: "more pings of a stranger than are answered at length",
    act: (arena) => {
      const a = arena.add("a");
      const { burst } = SWIM_LIMITS.fullReplies.perDestination;
      return [a, () => {
        for (let i = 0; i < burst + 3; i++) feed(arena, a, pingOf(i));
      }];
    },
    changes: {
      "memberlist.udp.received": "some",
      "memberlist.packets.received":
        SWIM_LIMITS.fullReplies.perDestination.burst + 3,
      "memberlist.udp.sent": "some",
      "memberlist.packets.sent": SWIM_LIMITS.fullReplies.perDestination.burst +
        3,
      "memberlist.reply.shortened": 3,
    },
  },
  {
    what: "a message of no known type",
    act: (arena) => {
      const a = arena.add("a");
      const bytes = Uint8Array.of(200, 1, 2);
      return [a, () => a.engine.handlePacket("10.9.9.9:1", bytes, 0)];
    },
    changes: {
      "memberlist.packets.received": 1,
      "memberlist.udp.received": 3,
      "memberlist.refused": 1,
    },
  },
  {
    what: "a claim with an incarnation that cannot be right",
    act: (arena) => {
      const a = arena.add("a");
      const bytes = encodeMessage({
        kind: "suspect",
        incarnation: 2 ** 32 - 1,
        node: "a",
        from: "x",
      });
      return [a, () => a.engine.handlePacket("10.9.9.9:1", bytes, 0)];
    },
    changes: {
      "memberlist.packets.received": 1,
      "memberlist.udp.received": "some",
      "memberlist.refused": 1,
      "memberlist.incarnation_refused": 1,
    },
  },
  {
    what: "plain packets to a node with a key",
    act: (arena) => {
      const keyring = new Keyring([new Uint8Array(16)]);
      const a = arena.add("a", { keyring });
      const types = [MessageType.compound, MessageType.alive];
      return [a, () => {
        for (const type of types) {
          const bytes = new Uint8Array(60).fill(type);
          a.engine.handlePacket("10.9.9.9:1", bytes, arena.nowMs);
        }
      }];
    },
    changes: {
      "memberlist.packets.received": 2,
      "memberlist.udp.received": 120,
      "memberlist.packets.refused": 2,
      "memberlist.decrypt.failed": 2,
      "memberlist.refused": 2,
    },
  },
  {
    what: "a packet under another key",
    act: (arena) => {
      const a = arena.add("a", { keyring: new Keyring([new Uint8Array(16)]) });
      const foreign = new Keyring([new Uint8Array(16).fill(1)]);
      const options = {
        version: 1,
        nonce: new Uint8Array(12),
        associated: new Uint8Array(0),
      } as const;
      const bytes = foreign.seal(Uint8Array.of(1, 2), options);
      return [a, () => a.engine.handlePacket("10.9.9.9:1", bytes, 0)];
    },
    changes: {
      ...PACKET_IN,
      "memberlist.packets.refused": 1,
      "memberlist.decrypt.failed": 1,
      "memberlist.refused": 1,
    },
  },
  {
    what: "a plain stream to a node with a key, which says so",
    act: (arena) => {
      const a = arena.add("a", { keyring: new Keyring([new Uint8Array(16)]) });
      return [a, () => {
        const id = a.engine.handleStreamOpened("10.9.9.9:1", arena.nowMs);
        const bytes = Uint8Array.of(MessageType.pushPull, 0x80);
        a.engine.handleStreamData(id, bytes, arena.nowMs);
      }];
    },
    changes: {
      "memberlist.tcp.accept": 1,
      "memberlist.tcp.received": 2,
      "memberlist.tcp.sent": "some",
      "memberlist.tcp.refused": 1,
      "memberlist.decrypt.failed": 1,
      "memberlist.refused": 1,
    },
  },
  {
    what: "a stream that says nothing",
    act: (arena) => {
      const a = arena.add("a");
      return [a, () => {
        a.engine.handleStreamOpened("10.9.9.9:1", arena.nowMs);
        arena.advance(30_000);
      }];
    },
    changes: {
      "memberlist.tcp.accept": 1,
      "memberlist.tcp.refused": 1,
      "memberlist.refused": 1,
    },
  },
  {
    what: "a ping, which is answered",
    act: (arena) => {
      const a = arena.add("a");
      const ping = {
        kind: "ping",
        seqNo: 1,
        node: "a",
        sourceAddr: Uint8Array.of(10, 9, 9, 9),
        sourcePort: 1,
        sourceNode: "x",
      } as const;
      // Our own announcement has nowhere to go, and would ride along.
      a.engine.leave(0, arena.nowMs);
      arena.perform(a);
      return [a, () => feed(arena, a, ping)];
    },
    changes: {
      ...PACKET_IN,
      "memberlist.udp.sent": "some",
      "memberlist.packets.sent": 1,
    },
  },
  {
    what: "a second of a quiet pair: each pings once",
    act: (arena) => {
      const [a] = arena.cluster(["a", "b"]) as [Node, Node];
      // Away from the instants at which something happens.
      arena.advance(10_000.5);
      return [a, () => arena.advance(1_000)];
    },
    changes: {
      "memberlist.udp.received": "some",
      "memberlist.packets.received": 2,
      "memberlist.udp.sent": "some",
      "memberlist.packets.sent": 2,
      "memberlist.probeNode": 1,
      "memberlist.probe.rtt": 1,
    },
  },
  {
    what: "a round without any answer, with one helper in vain",
    act: (arena) => {
      const a = cutOff(arena, ["b", "c"]);
      const { probeNode } = a.engine.metrics;
      const rounds = probeNode.count;
      // The suspicion of the round before is not over yet.
      return [
        a,
        () => arena.runUntil(() => probeNode.count > rounds, 5_000),
      ];
    },
    changes: {
      "memberlist.udp.sent": "some",
      "memberlist.packets.sent": "some",
      "memberlist.gossip": "some",
      "memberlist.degraded.probe": 1,
      "memberlist.probe.indirect": 1,
      "memberlist.probeNode": 1,
      "memberlist.probe.failed": 1,
      "memberlist.msg.suspect": 1,
      "memberlist.health.score": 2,
    },
  },
  {
    what: "suspicions that run out unconfirmed",
    act: (arena) => {
      const a = knowing(arena, 4);
      a.engine.handleTimeout(arena.nowMs);
      accuse(arena, a, "m0", "x");
      return [a, () => {
        arena.runUntil(() => a.stateOf("m0") === "dead", 120_000);
      }];
    },
    changes: {
      "memberlist.udp.sent": "some",
      "memberlist.packets.sent": "some",
      "memberlist.gossip": "some",
      "memberlist.degraded.probe": "some",
      "memberlist.degraded.timeout": 1,
      "memberlist.probe.indirect": "some",
      "memberlist.probeNode": "some",
      "memberlist.probe.failed": "some",
      "memberlist.msg.suspect": "some",
      "memberlist.msg.dead": 1,
      // We accuse it as well, but two others are wanted.
      "memberlist.suspicion.confirmed": 1,
      "memberlist.suspicion.expired": 1,
      "memberlist.health.score": "some",
    },
  },
  {
    what: "a suspicion of which no confirmation was expected runs out",
    act: (arena) => {
      const a = knowing(arena, 1);
      accuse(arena, a, "m0", "x");
      return [a, () => {
        arena.runUntil(() => a.stateOf("m0") === "dead", 120_000);
      }];
    },
    changes: {
      "memberlist.udp.sent": "some",
      "memberlist.packets.sent": "some",
      "memberlist.gossip": "some",
      "memberlist.degraded.probe": "some",
      "memberlist.probe.indirect": "some",
      "memberlist.probeNode": "some",
      "memberlist.probe.failed": "some",
      "memberlist.msg.dead": 1,
      "memberlist.suspicion.expired": 1,
      "memberlist.health.score": "some",
    },
  },
  {
    what: "a join of ours",
    act: (arena) => {
      const a = arena.add("a");
      arena.add("b");
      return [a, () => {
        a.engine.join([{ address: "10.0.0.2:7946" }], arena.nowMs);
        arena.perform(a);
        arena.runUntil(() => a.stateOf("b") === "alive", 5);
      }];
    },
    changes: {
      "memberlist.tcp.connect": 1,
      "memberlist.tcp.sent": "some",
      "memberlist.tcp.received": "some",
      "memberlist.size.local": "some",
      "memberlist.size.remote": 1,
      "memberlist.pushPullNode": 1,
      "memberlist.node.instances.alive": 1,
      "memberlist.msg.alive": 1,
      // The announcements of both, which waited for somebody to tell.
      "memberlist.gossip": 1,
      "memberlist.udp.sent": "some",
      "memberlist.packets.sent": 1,
      ...PACKET_IN,
    },
  },
  {
    what: "a join at us, who know members in every state",
    act: (arena) => {
      const a = knowing(arena, 7);
      accuse(arena, a, "m0", "x", "dead");
      accuse(arena, a, "m1", "m1", "dead");
      accuse(arena, a, "m2", "m2", "dead");
      accuse(arena, a, "m3", "x");
      accuse(arena, a, "m4", "x");
      const b = arena.add("b");
      return [a, () => {
        b.engine.join([{ address: a.address }], arena.nowMs);
        arena.perform(b);
        arena.runUntil(() => a.stateOf("b") === "alive", 10);
      }];
    },
    changes: {
      "memberlist.tcp.accept": 1,
      "memberlist.tcp.sent": "some",
      "memberlist.tcp.received": "some",
      "memberlist.size.local": "some",
      "memberlist.size.remote": 1,
      "memberlist.node.instances.alive": 3,
      "memberlist.node.instances.suspect": 2,
      "memberlist.node.instances.dead": 1,
      "memberlist.node.instances.left": 2,
      "memberlist.msg.alive": 1,
      "memberlist.gossip": 1,
      "memberlist.udp.sent": "some",
      "memberlist.packets.sent": "some",
    },
  },
  {
    what: "a join at nobody",
    act: (arena) => {
      const a = arena.add("a");
      return [a, () => join(arena, a, "10.0.0.77:7946")];
    },
    changes: { "memberlist.pushPull.failed": 1, "memberlist.pushPullNode": 1 },
  },
  {
    what: "the layer above has news",
    act: (arena) => {
      const [a] = arena.cluster(["a", "b"]) as [Node, Node];
      arena.advance(10_000.5);
      return [a, () => {
        a.broadcasts.push(Uint8Array.of(MessageType.user, 42));
        a.engine.wakeGossip(arena.nowMs);
        arena.advance(0);
      }];
    },
    changes: {
      "memberlist.gossip": 1,
      "memberlist.udp.sent": 7,
      "memberlist.packets.sent": 1,
    },
  },
  {
    what: "the look at the queue",
    act: (arena) => {
      const a = arena.add("a");
      return [a, () => a.engine.sampleQueue()];
    },
    changes: { "memberlist.queue.broadcasts": 1 },
  },
];

for (const { what, act, changes } of SITUATIONS) {
  Deno.test(`SWIM_METRICS when ${what}`, () => {
    const arena = new Arena();
    const [node, run] = act(arena);
    assertChanges(changesOf(node.metrics, run), changes, what);
  });
}

Deno.test("SWIM_METRICS are all in the table of situations", () => {
  const covered = new Set(
    SITUATIONS.flatMap(({ changes }) => Object.keys(changes)),
  );
  const all = SWIM_METRICS.definitions.map(({ metric }) => fullName(metric));
  assert.deepEqual(all.filter((name) => !covered.has(name)), []);
});

Deno.test("SWIM_METRICS measure what they count", () => {
  const arena = new Arena();
  const [a, b] = arena.cluster(["a", "b"]) as [Node, Node];
  // Long enough for periodic push/pulls.
  arena.advance(90_000.5);
  const { metrics } = a.engine;
  // Two hops of one millisecond each.
  assert.deepEqual([metrics.probeRtt.min, metrics.probeRtt.max], [2, 2]);
  assert.deepEqual([metrics.probeNode.min, metrics.probeNode.max], [2, 2]);
  // A dial, the state there, the state back: a hop each.
  assert.equal(b.engine.metrics.pushPullNode.min, 3);
  // Nothing but states came over streams.
  assert.equal(metrics.sizeRemote.sum, metrics.tcpReceived.value);
  const state = encodeStreamMessage({
    kind: "pushPull",
    join: false,
    states: a.engine.members(),
    userState: new Uint8Array(0),
  });
  assert.equal(metrics.sizeLocal.value, state.length);
  // What one has sent, the other has received, but for what is on its way.
  assert.equal(metrics.udpReceived.value, b.engine.metrics.udpSent.value);
  assert.equal(metrics.tcpReceived.value, b.engine.metrics.tcpSent.value);
  a.engine.sampleQueue();
  assert.equal(metrics.queueBroadcasts.last, a.engine.queueDepth);
  const packet = encodeMessage(aliveOf("x", 1, [10, 0, 1, 1]));
  const { "memberlist.udp.received": bytes } = changesOf(
    a.metrics,
    () => a.engine.handlePacket("10.9.9.9:1", packet, arena.nowMs),
  );
  assert.equal(bytes, packet.length);
});

Deno.test("healthScore is the score after each change", () => {
  const arena = new Arena();
  const a = cutOff(arena, ["b", "c"]);
  assert.equal(a.engine.metrics.healthScore.value, a.engine.healthScore);
  assert.ok(a.engine.healthScore > 0);
  arena.block = () => false;
  arena.runUntil(() => a.engine.healthScore === 0, 120_000);
  assert.equal(a.engine.metrics.healthScore.value, 0);
});
