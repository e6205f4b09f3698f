/**
 * Nobody can take a node's clocks to their end, and the end does no harm.
 *
 * Goal: after messages with Lamport times near 2^64, and claims with incarnations
 * near 2^32, events, queries, intents and refutations work as before, without a
 * restart. Method: whole engines are sent the packets of an attack; once as they
 * are, and once believing every time, as members of HashiCorp's do, so that their
 * clocks really wrap.
 */

import assert from "node:assert/strict";
import { utf8Bytes } from "../../lib/kit/bytes.ts";
import { NO_SERF_LIMITS } from "../../lib/serf/limits.ts";
import { SERF_METRICS } from "../../lib/serf/metrics.ts";
import { readSnapshot } from "../../lib/serf/snapshot_file.ts";
import { SWIM_METRICS } from "../../lib/swim/metrics.ts";
import { encodeMessage } from "../../lib/wire/message_codec.ts";
import type { Message } from "../../lib/wire/messages.ts";
import {
  encodePushPull,
  encodeTags,
  type SerfMessage,
} from "../../lib/wire/serf_messages.ts";
import { encodeStreamMessage } from "../../lib/wire/stream_frame.ts";
import { joined, type Node } from "../serf/cluster.ts";
import { nodeOf, type SerfOptions } from "../serf/parts.ts";
import { query } from "../serf/queries.ts";
import { packetOf, sealParts, Victim } from "./traffic.ts";

const STRANGER = "192.0.2.1:7946";
const END = 2n ** 64n - 1n;
const INCARNATION_END = 0xffff_ffff;
/** Every time is believed. */
const CREDULOUS: SerfOptions = { limits: NO_SERF_LIMITS };
const KINDS = [
  { what: "refusing such times", options: {} },
  { what: "believing such times", options: CREDULOUS },
];

/** Packets of 200 messages each: many with times near the end, then one at it. */
function attack(
  count: number,
  messageAt: (ltime: bigint) => SerfMessage,
): Uint8Array[] {
  const packets: Uint8Array[] = [];
  const ltimes = Array.from(
    { length: count },
    (_, i) => END - BigInt(count - i),
  );
  for (let at = 0; at < count; at += 200) {
    packets.push(packetOf(ltimes.slice(at, at + 200).map(messageAt)));
  }
  return [...packets, packetOf([messageAt(END)])];
}

function userEvent(name: string, ltime: bigint, bytes = 0): SerfMessage {
  const payload = new Uint8Array(bytes);
  return { kind: "userEvent", ltime, name, payload, coalesce: false };
}

function timesRefused(engine: Victim["engine"]): number {
  return engine.metrics.of(SERF_METRICS).timesRefused.value;
}

for (const { what, options } of KINDS) {
  Deno.test(`queries go on after 18,000 near the end of time, ${what}`, () => {
    const victim = new Victim(options);
    victim.packet(STRANGER, packetOf([query(40n, 1)]));
    const packets = attack(18_000, (ltime) => query(ltime, 2, { name: "far" }));
    for (const packet of packets) victim.packet(STRANGER, packet);
    victim.outputs.length = 0;

    const clock = BigInt(victim.engine.stats().get("query_time") as string);
    victim.call((engine, nowMs) => engine.query({ name: "own" }, nowMs));
    victim.packet(STRANGER, packetOf([query(clock + 2n, 3, { name: "new" })]));
    assert.deepEqual(victim.seen, ["own", "new"]);
    const isBelieved = options === CREDULOUS;
    assert.equal(timesRefused(victim.engine), isBelieved ? 0 : 18_001);
    assert.equal(clock, isBelieved ? 0n : 41n);
  });

  Deno.test(`events go on after a ring full of them near the end of time, ${what}`, () => {
    const victim = new Victim(options);
    const packets = attack(5_000, (ltime) => userEvent("far", ltime, 1_000));
    for (const packet of packets) victim.packet(STRANGER, packet);
    victim.outputs.length = 0;
    victim.call((engine, nowMs) =>
      engine.userEvent("own", new Uint8Array(0), { coalesce: false }, nowMs)
    );
    victim.packet(STRANGER, packetOf([userEvent("new", 3n)]));
    assert.deepEqual(victim.seen, ["own", "new"]);
  });

  Deno.test(`a member can leave after an intent at the end of time, ${what}`, () => {
    const { cluster, nodes } = joined(["a", "b", "c"], options);
    const [a, b, c] = nodes as [Node, Node, Node];
    for (const target of nodes) {
      const intents = ["a", "b", "c"].map((node): SerfMessage => ({
        kind: "join",
        ltime: END,
        node,
      }));
      cluster.call(
        target,
        (engine, nowMs) =>
          engine.handlePacket(STRANGER, packetOf(intents), nowMs),
      );
    }
    cluster.settle();
    cluster.crash(c);
    cluster.runUntil(
      () => [a, b].every((node) => node.statuses().includes("c: failed")),
      60_000,
      "c has failed",
    );
    cluster.call(
      a,
      (engine, nowMs) => engine.forceLeave("c", { prune: false }, nowMs),
    );
    cluster.settle();
    assert.deepEqual(b.statuses(), ["a: alive", "b: alive", "c: left"]);
    const operation = cluster.call(b, (engine, nowMs) => engine.leave(nowMs));
    cluster.finish(b, operation);
    assert.deepEqual(a.statuses(), ["a: alive", "b: left", "c: left"]);
  });
}

Deno.test("a clock near the end is not believed of a stranger on a stream", () => {
  const victim = new Victim();
  const userState = encodePushPull({
    ltime: END,
    statusLTimes: new Map([["victim", END], ["gone", END - 1n]]),
    leftMembers: ["gone"],
    eventLTime: END,
    events: [{ ltime: END, events: [{ name: "far", payload: utf8Bytes("") }] }],
    queryLTime: END,
  });
  const bytes = encodeStreamMessage({
    kind: "pushPull",
    join: true,
    states: [],
    userState,
  });
  const before = victim.engine.stats();
  victim.call((engine, nowMs) => {
    const id = engine.handleStreamOpened(STRANGER, nowMs);
    engine.handleStreamData(id, bytes, nowMs);
    engine.handleStreamClosed(id, nowMs);
  });
  assert.deepEqual(victim.engine.stats(), before);
  assert.deepEqual(victim.seen, []);
  assert.equal(timesRefused(victim.engine), 6);
});

Deno.test("a snapshot with clocks near the end is begun anew", () => {
  const text = `clock: ${END}\nevent-clock: ${END - 1n}\nquery-clock: ${END}\n`;
  const restored = readSnapshot(utf8Bytes(text), { rejoinAfterLeave: false });
  const victim = new Victim({ snapshot: { restored } });
  assert.equal(timesRefused(victim.engine), 3);
  victim.packet(STRANGER, packetOf([userEvent("new", 1n), query(1n, 1)]));
  assert.deepEqual(victim.seen, ["new", "load"]);
  const written = victim.outputs.flatMap((output) =>
    output.kind === "persist" ? [output.text] : []
  );
  // The last line of a kind is the one that counts.
  assert.ok(written.includes("event-clock: 1\n"));
  assert.ok(written.includes("query-clock: 1\n"));
});

Deno.test("a snapshot follows a clock that wraps", () => {
  const restored = readSnapshot(new Uint8Array(0), { rejoinAfterLeave: false });
  const victim = new Victim({ ...CREDULOUS, snapshot: { restored } });
  const times = [7n, END - 1n, END, 1n, 2n];
  victim.packet(STRANGER, packetOf(times.map((time) => userEvent("e", time))));
  assert.equal(victim.seen.length, times.length);
  const written = victim.outputs.flatMap((output) =>
    output.kind === "persist" && output.text.startsWith("event-clock")
      ? [output.text.trim()]
      : []
  );
  assert.deepEqual(
    written,
    [7n, END - 1n, 1n, 2n].map((time) => `event-clock: ${time}`),
  );
});

Deno.test("a node goes on together with members that believe a far time", () => {
  // "a" is one of those, as HashiCorp's are; "b" is not.
  const far = 2n ** 63n + 1_000_000n;
  const { cluster, nodes } = joined(
    ["a", "b"],
    (name) => name === "a" ? CREDULOUS : {},
  );
  const [a, b] = nodes as [Node, Node];
  const packet = packetOf([
    query(far, 1, { name: "far" }),
    userEvent("far", far),
    { kind: "join", ltime: far, node: "x" },
  ]);
  for (const node of nodes) {
    cluster.call(
      node,
      (engine, nowMs) => engine.handlePacket(STRANGER, packet, nowMs),
    );
  }
  cluster.settle();
  for (const node of nodes) {
    node.answer = () => node.name;
    node.replies.length = 0;
  }
  for (const [asker, other] of [[a, b], [b, a]] as const) {
    cluster.call(
      asker,
      (engine, nowMs) => engine.query({ name: "q", timeoutMs: 5_000 }, nowMs),
    );
    cluster.runUntil(
      () => asker.replies.includes(`${other.name}: ${other.name}`),
      5_000,
      `${other.name} answers`,
    );
  }
  assert.equal(
    a.engine.stats().get("query_time"),
    b.engine.stats().get("query_time"),
  );
});

Deno.test("clocks that a member has brought to their end wrap without harm", () => {
  const { cluster, nodes } = joined(
    ["x", "a", "b"],
    (name) => name === "x" ? CREDULOUS : {},
  );
  const [x, a, b] = nodes as [Node, Node, Node];
  const packet = packetOf([userEvent("far", END - 1n)]);
  cluster.call(
    x,
    (engine, nowMs) => engine.handlePacket(STRANGER, packet, nowMs),
  );
  const timeOf = ({ engine }: Node) => engine.stats().get("event_time");
  cluster.runUntil(
    () => nodes.every((node) => timeOf(node) === `${END}`),
    120_000,
    "all follow",
  );
  cluster.settle();
  cluster.crash(x);
  b.events.length = 0;
  for (const name of ["one", "two", "three"]) {
    cluster.call(
      a,
      (engine, nowMs) =>
        engine.userEvent(name, utf8Bytes(""), { coalesce: false }, nowMs),
    );
    cluster.settle();
  }
  const heard = b.events.filter((event) => event.startsWith("user"));
  assert.deepEqual(heard, [
    `user: one@${END}=`,
    "user: two@0=",
    "user: three@1=",
  ]);
});

Deno.test("a far time that no member has passed on is asked about nobody", () => {
  const { cluster, nodes } = joined(["a", "b"]);
  const [a, b] = nodes as [Node, Node];
  const exchanges = () =>
    a.log.filter((line) => line.includes("Initiating push/pull")).length;
  const before = exchanges();
  for (let i = 0; i < 500; i++) {
    const from = i % 2 === 0 ? STRANGER : b.address;
    cluster.call(
      a,
      (engine, nowMs) =>
        engine.handlePacket(from, packetOf([query(END, i)]), nowMs),
    );
  }
  cluster.run(1_000);
  assert.ok(
    exchanges() - before <= 3,
    "a few at most, whoever it is said to be",
  );
  assert.equal(a.engine.stats().get("query_time"), "1");
});

Deno.test("nobody is silenced by an incarnation at the end", () => {
  const { cluster, nodes } = joined(["a", "b", "c"]);
  const [a, b] = nodes as [Node, Node];
  const node = {
    ...nodeOf("b", 2),
    meta: encodeTags(new Map([["x", "y"]]), 5),
  };
  for (const incarnation of [INCARNATION_END - 1, INCARNATION_END]) {
    const claims: Message[] = [
      { kind: "alive", incarnation, node },
      { kind: "suspect", incarnation, node: "b", from: "c" },
      { kind: "dead", incarnation, node: "b", from: "c" },
      { kind: "dead", incarnation, node: "b", from: "b" },
    ];
    for (const target of nodes) {
      const packet = sealParts(claims.map((claim) => encodeMessage(claim)));
      cluster.call(
        target,
        (engine, nowMs) => engine.handlePacket(STRANGER, packet, nowMs),
      );
    }
  }
  cluster.run(60_000);
  assert.deepEqual(nodes.flatMap(({ events }) => events), []);
  const refused = a.engine.metrics.of(SWIM_METRICS).incarnationsRefused.value;
  assert.equal(refused, 8);
  cluster.call(
    b,
    (engine, nowMs) => engine.setTags(new Map([["role", "db"]]), nowMs),
  );
  cluster.runUntil(
    () => a.engine.member("b")?.tags.get("role") === "db",
    10_000,
    "the tags have come",
  );
});

Deno.test("a thousand accusations, each a little higher, are all answered", () => {
  const { cluster, nodes } = joined(["a", "b"]);
  const [a, b] = nodes as [Node, Node];
  // The highest that is believed without question, and on from there.
  for (let i = 0; i < 1_000; i++) {
    const incarnation = 0x7fff_ffff + i * 1_000;
    const claim = {
      kind: "suspect",
      incarnation,
      node: "b",
      from: "c",
    } as const;
    cluster.call(
      b,
      (engine, nowMs) =>
        engine.handlePacket(STRANGER, sealParts([encodeMessage(claim)]), nowMs),
    );
    cluster.run(20);
  }
  cluster.run(60_000);
  const known = a.engine.swim.member("b");
  assert.equal(known?.state, "alive");
  assert.equal(known?.incarnation, b.engine.swim.member("b")?.incarnation);
  assert.deepEqual(a.statuses(), ["a: alive", "b: alive"]);
});
