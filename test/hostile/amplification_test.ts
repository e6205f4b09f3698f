/**
 * One node must not become a stranger's loudspeaker: a packet can be sent with a
 * forged source, and much of what a packet may ask for is sent to an address that
 * the packet names. How many bytes leave for each that came in is what counts.
 *
 * Each attack is fed to a whole engine that has members, tags and news to spread.
 * The sizes are payloads; with the headers of IP and UDP, 28 bytes for each
 * datagram on both sides, the ratios would be smaller.
 */

import assert from "node:assert/strict";
import { EMPTY_BYTES, utf8Bytes } from "../../lib/kit/bytes.ts";
import { compileExpression } from "../../lib/kit/re2.ts";
import { Random } from "../../lib/kit/random.ts";
import { serfConfig } from "../../lib/serf/config.ts";
import { SerfEngine } from "../../lib/serf/engine.ts";
import { encodeCompound } from "../../lib/wire/compound.ts";
import { decodeMessage, encodeMessage } from "../../lib/wire/message_codec.ts";
import type { Message } from "../../lib/wire/messages.ts";
import { PacketCodec } from "../../lib/wire/packet.ts";
import {
  encodeSerfMessage,
  QueryFlag,
  type QueryMessage,
} from "../../lib/wire/serf_messages.ts";
import { SWIM_METRICS } from "../../lib/swim/metrics.ts";
import { NO_SWIM_LIMITS, type SwimLimits } from "../../lib/swim/limits.ts";
import { nodeOf } from "../serf/parts.ts";
import { codecConfig } from "../wire/vectors.ts";

const SELF = "self";
const STRANGER = "203.0.113.9:4242";
/** No member of the cluster. */
const VICTIM = { addr: Uint8Array.of(198, 51, 100, 7), port: 53, name: "" };
const VICTIM_ADDRESS = "198.51.100.7:53";
/**
 * Bytes out for each byte in that are allowed: to a third party hardly more than
 * the attacker could send itself, to a member a few times that.
 */
const STRANGER_RATIO_MAX = 2.5;
const MEMBER_RATIO_MAX = 10;
/** Bytes that may leave in a second, whatever comes in. */
const ALL_BYTES_PER_SECOND_MAX = 1_000_000;
const MEMBERS = 300;
/** Events that wait to be gossiped, three to a packet. */
const NEWS = 40;
/** What the tags of a fleet may come to. */
const TAGS = new Map([
  ["role", "database"],
  ["build", Array.from({ length: 74 }, (_, i) => `${i}`).join("-")],
]);
const codec = new PacketCodec(codecConfig({ compression: true }));

/** A packet as an attacker packs it: as short as it gets. */
function packetOf(messages: readonly Message[]): Uint8Array {
  let parts = messages.map(encodeMessage);
  while (parts.length > 1) {
    const packed: Uint8Array[] = [];
    for (let at = 0; at < parts.length; at += 127) {
      packed.push(encodeCompound(parts.slice(at, at + 127)));
    }
    parts = packed;
  }
  return codec.seal(parts[0] as Uint8Array, { crc: false });
}

/** An engine, and what left it to each address. */
class Target {
  readonly engine: SerfEngine;
  nowMs = 0;
  bytesIn = 0;
  readonly packets: { readonly to: string; readonly bytes: Uint8Array }[] = [];

  constructor(limits?: SwimLimits) {
    const config = serfConfig({
      tags: TAGS,
      swim: {
        name: SELF,
        advertiseAddr: Uint8Array.of(10, 0, 0, 1),
        advertisePort: 7946,
        logLevel: "ERR",
        ...(limits && { limits }),
      },
    });
    this.engine = new SerfEngine(config, {
      random: new Random(1),
      nextNonce: () => new Uint8Array(12),
      compileExpression,
    });
    this.engine.start(0);
    for (let i = 0; i < MEMBERS; i++) {
      this.engine.handlePacket(memberAddress(0), packetOf([aliveOf(i)]), 0);
    }
    assert.equal(this.engine.members().length, MEMBERS + 1);
    // News that wait to be spread. Its timers never fire here, so that all that
    // leaves from here on is caused by what comes in.
    for (let i = 0; i < NEWS; i++) {
      const news = new Random(i).fill(new Uint8Array(400));
      this.engine.userEvent(`news-${i}`, news, { coalesce: false }, 0);
    }
    this.engine.drain();
  }

  /** Bytes that have left so far. */
  get bytesOut(): number {
    return this.packets.reduce((sum, { bytes }) => sum + bytes.length, 0);
  }

  /** Bytes out for each byte in. */
  get ratio(): number {
    return this.bytesOut / this.bytesIn;
  }

  feed(bytes: Uint8Array, from = STRANGER): void {
    this.bytesIn += bytes.length;
    this.engine.handlePacket(from, bytes, this.nowMs);
    this.#perform();
  }

  /** What the metrics say of what was not sent. */
  get refusedReplies(): number {
    return this.engine.metrics.of(SWIM_METRICS).repliesRefused.value;
  }

  #perform(): void {
    for (const output of this.engine.drain()) {
      if (output.kind === "packet") this.packets.push(output);
    }
  }
}

function memberName(i: number): string {
  return `member-${i}`;
}
function memberBytes(i: number): Uint8Array {
  return Uint8Array.of(10, 0, 1 + (i >> 8), i & 0xff);
}
function memberAddress(i: number): string {
  return `${memberBytes(i).join(".")}:7946`;
}
function aliveOf(i: number): Message {
  const node = { ...nodeOf(memberName(i), 0, TAGS), addr: memberBytes(i) };
  return { kind: "alive", incarnation: 1, node };
}

/** The first of what `make` gives for 0, 1, 2 ... */
function times<T>(count: number, make: (i: number) => T): T[] {
  return Array.from({ length: count }, (_, i) => make(i));
}

interface Named {
  readonly addr: Uint8Array;
  readonly port: number;
  readonly name: string;
}
function memberNamed(i: number): Named {
  return { addr: memberBytes(i), port: 7946, name: memberName(i) };
}
function sourceOf({ addr, port, name }: Named) {
  return { sourceAddr: addr, sourcePort: port, sourceNode: name };
}

function ping(source: Named, seqNo = 1): Message {
  return { kind: "ping", seqNo, node: "", ...sourceOf(source) };
}

function indirectPing(source: Named, target: Named, seqNo = 1): Message {
  const { addr, port, name: node } = target;
  const what = { target: addr, port, node, nack: true };
  return { kind: "indirectPing", seqNo, ...what, ...sourceOf(source) };
}

function accusation(): Message {
  return { kind: "suspect", node: SELF, from: "x", incarnation: 0 };
}

function query(
  id: number,
  { addr, port, name: sourceNode }: Named,
  changes: Partial<QueryMessage> = {},
): Message {
  const body = encodeSerfMessage({
    kind: "query",
    ltime: 1n,
    id,
    addr,
    port,
    sourceNode,
    filters: [],
    flags: QueryFlag.ack,
    relayFactor: 0,
    timeoutNs: 60_000_000_000n,
    name: "q",
    payload: EMPTY_BYTES,
    ...changes,
  });
  return { kind: "user", body };
}

/** An answer to somebody's query, to be passed on. */
function relayed(to: Named, body: Uint8Array): Message {
  const { addr: destAddr, port: destPort, name: destName } = to;
  return {
    kind: "user",
    body: encodeSerfMessage({
      kind: "relay",
      ...{ destAddr, destPort, destZone: "", destName, body },
    }),
  };
}
const ANSWER = encodeSerfMessage({
  kind: "queryResponse",
  ltime: 1n,
  id: 1,
  from: "a",
  flags: 0,
  payload: new Uint8Array(900).map((_, i) => i * i),
});

/** A packet that used to be answered with many times its bytes. */
interface Attack {
  readonly name: string;
  /** Each one is different where repetitions would be recognised. */
  make(seed: number, victim: Named): Uint8Array;
  /** Bytes out for each byte in, at least, if there are no limits. */
  readonly without: number;
}

const CONFLICT = { name: "_serf_conflict", payload: utf8Bytes(memberName(1)) };

/** Different queries; a whole packet of them. */
function queries(
  count: number,
  seed: number,
  victim: Named,
  changes: Partial<QueryMessage> = {},
): Uint8Array {
  return packetOf(
    times(count, (i) => query(i, victim, { ltime: BigInt(seed), ...changes })),
  );
}

const ATTACKS: readonly Attack[] = [
  {
    name: "1,000 stale accusations",
    make: () => packetOf(times(1_000, accusation)),
    without: 100,
  },
  {
    name: "one stale accusation",
    make: () => packetOf([accusation()]),
    without: 5,
  },
  {
    name: "700 pings",
    make: (_, victim) => packetOf(times(700, () => ping(victim))),
    without: 100,
  },
  {
    name: "one ping",
    make: (_, victim) => packetOf([ping(victim)]),
    without: 10,
  },
  {
    name: "500 pings for others",
    make: (_, victim) =>
      packetOf(times(500, () => indirectPing(victim, victim))),
    without: 50,
  },
  {
    name: "400 queries that want acks",
    make: (seed, victim) => queries(400, seed, victim),
    without: 4,
  },
  {
    name: "400 queries with the largest relay factor",
    make: (seed, victim) => queries(400, seed, victim, { relayFactor: 255 }),
    without: 2_000,
  },
  {
    name: "400 questions who has a name",
    make: (seed, victim) => queries(400, seed, victim, CONFLICT),
    without: 25,
  },
  {
    name: "60 answers to be passed on",
    make: (_, victim) => packetOf(times(60, () => relayed(victim, ANSWER))),
    without: 3,
  },
];

/** For so long an attack goes on, a packet a second. */
const SECONDS = 20;

/** What an attack makes of one byte, at once and in the long run. */
function ratiosOf(attack: Attack, target: Target, victim: Named): number[] {
  target.feed(attack.make(1, victim));
  const atOnce = target.ratio;
  for (let second = 1; second < SECONDS; second++) {
    target.nowMs = second * 1_000;
    target.feed(attack.make(second + 1, victim));
  }
  return [atOnce, target.ratio];
}

for (const attack of ATTACKS) {
  Deno.test(`amplification: ${attack.name}, without limits`, () => {
    const target = new Target(NO_SWIM_LIMITS);
    target.feed(attack.make(1, VICTIM));
    assert.ok(target.ratio >= attack.without, `${target.ratio}`);
  });

  Deno.test(`amplification: ${attack.name}, aimed at a stranger`, () => {
    for (const ratio of ratiosOf(attack, new Target(), VICTIM)) {
      assert.ok(ratio <= STRANGER_RATIO_MAX, `${ratio}`);
    }
  });

  Deno.test(`amplification: ${attack.name}, aimed at a member`, () => {
    const ratios = ratiosOf(attack, new Target(), memberNamed(7));
    for (const ratio of ratios) {
      assert.ok(ratio <= MEMBER_RATIO_MAX, `${ratios}`);
    }
  });
}

Deno.test("amplification: everything at once, in the name of every member", () => {
  const target = new Target();
  const seconds = 3;
  for (let i = 0; i < 1_000 * seconds; i++) {
    target.nowMs = i;
    const member = memberNamed(i % MEMBERS);
    const other = memberNamed((i + 1) % MEMBERS);
    const packet = packetOf([
      ...[accusation(), ping(member), indirectPing(member, other)],
      ...[
        query(i, member, { relayFactor: 255 }),
        query(10_000 + i, member, CONFLICT),
      ],
      relayed(other, ANSWER),
    ]);
    target.feed(packet, memberAddress(i % MEMBERS));
  }
  const perSecond = target.bytesOut / seconds;
  assert.ok(perSecond <= ALL_BYTES_PER_SECOND_MAX, `${perSecond}`);
  assert.ok(target.refusedReplies > 0);
});

// --- What must go on ----------------------------------------------------------

/** What left to an address, taken apart. */
function sent(target: Target, address: string): Message[] {
  return target.packets
    .filter(({ to }) => to === address)
    .flatMap(({ bytes }) =>
      codec.open(bytes).parts.map((part) => decodeMessage(part))
    );
}

Deno.test("a member's ping is answered with our coordinate and gossip", () => {
  const target = new Target();
  target.feed(packetOf([ping(memberNamed(7), 5)]), memberAddress(7));
  const [ack, ...gossip] = sent(target, memberAddress(7));
  assert.ok(ack?.kind === "ack" && ack.seqNo === 5);
  assert.ok(ack.payload.length > 0);
  assert.ok(gossip.length > 0);
});

Deno.test("a member that sends from another address is answered where it says", () => {
  const target = new Target();
  target.feed(packetOf([ping(memberNamed(7))]), "10.0.99.9:7946");
  const [ack, ...gossip] = sent(target, memberAddress(7));
  assert.ok(ack?.kind === "ack" && ack.payload.length > 0);
  assert.deepEqual(gossip, []);
});

Deno.test("a node that nobody knows yet is answered where it is", () => {
  const target = new Target();
  const newcomer = { ...VICTIM, name: "newcomer" };
  target.feed(packetOf([ping(newcomer)]), VICTIM_ADDRESS);
  target.feed(packetOf([ping(newcomer)]), "10.0.99.9:7946");
  for (const address of [VICTIM_ADDRESS, "10.0.99.9:7946"]) {
    assert.deepEqual(sent(target, address).map(({ kind }) => kind), ["ack"]);
  }
});

Deno.test("members are answered however many pings are forged in their names", () => {
  const target = new Target();
  const member = memberNamed(7);
  for (let i = 0; i < 500; i++) target.feed(packetOf([ping(member)]));
  target.feed(packetOf([ping(member, 77)]), memberAddress(7));
  const last = sent(target, memberAddress(7)).at(-1);
  assert.ok(last?.kind === "ack" && last.seqNo === 77);
});

Deno.test("news is not used up by pings of strangers", () => {
  const target = new Target();
  const waiting = () => target.engine.stats().get("event_queue");
  const before = waiting();
  for (let i = 0; i < 500; i++) target.feed(packetOf([ping(VICTIM)]));
  assert.equal(waiting(), before);
});

Deno.test("a member is pinged for another, and the asker hears of it", () => {
  const target = new Target();
  const asker = memberNamed(1);
  target.feed(
    packetOf([indirectPing(asker, memberNamed(2), 9)]),
    memberAddress(1),
  );
  const [relayedPing] = sent(target, memberAddress(2));
  assert.ok(relayedPing?.kind === "ping");
  const { seqNo } = relayedPing;
  const ack: Message = { kind: "ack", seqNo, payload: EMPTY_BYTES };
  target.feed(packetOf([ack]), memberAddress(2));
  const [heard] = sent(target, memberAddress(1));
  assert.ok(heard?.kind === "ack" && heard.seqNo === 9);
});

Deno.test("a member hears that its accusation is stale", () => {
  const target = new Target();
  target.feed(packetOf([accusation()]), memberAddress(7));
  const [proof] = sent(target, memberAddress(7));
  assert.ok(proof?.kind === "alive" && proof.node.name === SELF);
});

Deno.test("a member that asks 100 times a second gets every ack and its copies", () => {
  const target = new Target();
  const member = memberNamed(7);
  const seconds = 10;
  for (let i = 0; i < 100 * seconds; i++) {
    target.nowMs = 10 * i;
    target.feed(packetOf([query(i, member, { relayFactor: 0 })]));
  }
  assert.equal(sent(target, memberAddress(7)).length, 100 * seconds);
  const before = target.packets.length;
  target.nowMs += 1_000;
  target.feed(packetOf([query(99_999, member, { relayFactor: 5 })]));
  assert.equal(target.packets.length - before, 6);
  assert.equal(target.refusedReplies, 0);
});

Deno.test("answers are passed on to members, and nothing else is passed on", () => {
  const target = new Target();
  target.feed(packetOf([relayed(memberNamed(7), ANSWER)]));
  const [message] = sent(target, memberAddress(7));
  assert.deepEqual(message, { kind: "user", body: ANSWER });
  const inner = relayed(memberNamed(8), ANSWER);
  assert.ok(inner.kind === "user");
  target.feed(packetOf([relayed(memberNamed(8), inner.body)]));
  assert.deepEqual(sent(target, memberAddress(8)), []);
});
