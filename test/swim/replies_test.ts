/**
 * Whom we answer, how much of it, and when no more: the rules of `replies.ts` one by
 * one. What attackers make of them is in `test/hostile/amplification_test.ts`.
 */

import assert from "node:assert/strict";
import { EMPTY_BYTES } from "../../lib/kit/bytes.ts";
import { Random } from "../../lib/kit/random.ts";
import { swimConfig } from "../../lib/swim/config.ts";
import { SwimCore } from "../../lib/swim/core.ts";
import {
  NO_SWIM_LIMITS,
  SWIM_LIMITS,
  type SwimLimits,
} from "../../lib/swim/limits.ts";
import { Descriptor, Member } from "../../lib/swim/member.ts";
import { Replies } from "../../lib/swim/replies.ts";
import { aliveOf } from "./arena.ts";

const FROM = "10.9.9.9:7946";
const B = { name: "b", address: "10.0.0.2:7946" };
const STRANGER = { name: "x", address: "10.0.0.8:7946" };

function repliesOf(limits?: SwimLimits): Replies {
  const core = new SwimCore(
    swimConfig({
      name: "a",
      advertiseAddr: Uint8Array.of(10, 0, 0, 1),
      advertisePort: 7946,
      ...(limits && { limits }),
    }),
    {
      nodeMeta: () => EMPTY_BYTES,
      hasBroadcasts: () => false,
      takeUrgent: () => [],
      takeBroadcasts: () => [],
      localState: () => EMPTY_BYTES,
      ackPayload: () => EMPTY_BYTES,
      refuseMember: () => undefined,
    },
    { random: new Random(1), nextNonce: () => new Uint8Array(12) },
  );
  for (const [i, name] of ["a", "b", "c"].entries()) {
    const { node } = aliveOf(name, 1, [10, 0, 0, i + 1]);
    core.members.add(new Member(new Descriptor(node)));
  }
  return core.replies;
}

/** Who a ping says that it is of: a name, and the last byte of an address. */
function source(sourceNode: string, lastByte?: number) {
  return lastByte === undefined
    ? { sourceNode, sourceAddr: EMPTY_BYTES, sourcePort: 0 }
    : {
      sourceNode,
      sourceAddr: Uint8Array.of(10, 0, 0, lastByte),
      sourcePort: 7946,
    };
}

/** How often something is allowed at one instant. */
function countOf(isAllowed: () => boolean): number {
  let count = 0;
  while (count < 10_000 && isAllowed()) count++;
  return count;
}

Deno.test("Replies.replyAddress() believes members, and otherwise the packet", () => {
  const cases: [
    source: ReturnType<typeof source>,
    from: string,
    expected: string,
  ][] = [
    [source("b", 2), B.address, `${B.address} gossip`],
    [source("b", 2), FROM, `${B.address} coordinate`],
    [source("b", 3), FROM, `${FROM} nothing`],
    [source("c", 2), FROM, `${FROM} nothing`],
    [source("", 2), FROM, `${FROM} nothing`],
    [source("x", 8), FROM, `${FROM} nothing`],
    [source("x", 8), STRANGER.address, `${STRANGER.address} coordinate`],
    [source(""), FROM, `${FROM} coordinate`],
    // A port of 0 or an address of no known length is none.
    [{ ...source("b", 2), sourcePort: 0 }, FROM, `${FROM} coordinate`],
    [
      { ...source("b"), sourceAddr: new Uint8Array(5), sourcePort: 1 },
      FROM,
      `${FROM} coordinate`,
    ],
  ];
  for (const [ping, from, expected] of cases) {
    const { address, carries } = repliesOf().replyAddress(ping, from, 0);
    assert.equal(`${address} ${carries}`, expected);
  }
});

Deno.test("Replies.replyAddress() believes everybody without limits", () => {
  const replies = repliesOf(NO_SWIM_LIMITS);
  for (let i = 0; i < 1_000; i++) {
    assert.deepEqual(replies.replyAddress(source("x", 8), FROM, 0), {
      address: STRANGER.address,
      carries: "gossip",
    });
  }
});

Deno.test("Replies.replyAddress() answers more shortly beyond the budget", () => {
  const replies = repliesOf();
  const { perSecond, burst } = SWIM_LIMITS.fullReplies.perDestination;
  const isFull = (nowMs: number, from = B.address) =>
    replies.replyAddress(source("b", 2), from, nowMs).carries === "gossip";
  assert.equal(countOf(() => isFull(0)), burst);
  assert.deepEqual(replies.replyAddress(source("b", 2), FROM, 0), {
    address: FROM,
    carries: "nothing",
  }, "nobody else can have more sent to the member");
  assert.equal(countOf(() => isFull(1_000)), perSecond);
  const { address } = replies.replyAddress(source("b", 2), B.address, 1_000);
  assert.equal(address, B.address, "the member itself is always answered");
});

Deno.test("Replies.replyAddress() holds to the budget over all", () => {
  const replies = repliesOf();
  let next = 0;
  const isFull = () =>
    replies.replyAddress(source(""), `10.8.0.1:${++next}`, 0).carries !==
      "nothing";
  assert.equal(countOf(isFull), SWIM_LIMITS.fullReplies.overAll.burst);
});

Deno.test("Replies admits one request of each kind for a packet", () => {
  const replies = repliesOf();
  const ask = () => [
    replies.admitPing(FROM, 0),
    replies.admitRelayedPing(FROM, B, 0),
    replies.admitStaleClaim(B.address, 0),
  ];
  replies.beginPacket();
  assert.deepEqual(ask(), [true, true, true]);
  assert.deepEqual(ask(), [false, false, false]);
  replies.beginPacket();
  assert.deepEqual(ask(), [true, true, true]);
});

/** Each in a packet of its own. */
function countPackets(replies: Replies, isAllowed: () => boolean): number {
  return countOf(() => {
    replies.beginPacket();
    return isAllowed();
  });
}

Deno.test("Replies.admitRelayedPing() has a budget for each asker, for strangers and for all", () => {
  const { relayedPings, strangerPings } = SWIM_LIMITS;
  let replies = repliesOf();
  const ofOne = () => replies.admitRelayedPing(FROM, B, 0);
  assert.equal(
    countPackets(replies, ofOne),
    relayedPings.perDestination.burst,
  );
  let next = 0;
  const ofMany = (target: typeof B) => () =>
    replies.admitRelayedPing(`10.8.0.1:${++next}`, target, 0);
  replies = repliesOf();
  assert.equal(countPackets(replies, ofMany(B)), relayedPings.overAll.burst);
  replies = repliesOf();
  assert.equal(countPackets(replies, ofMany(STRANGER)), strangerPings.burst);
  assert.equal(countPackets(replies, ofMany({ ...B, name: "c" })), 0);
});

Deno.test("Replies.admitStaleClaim() answers members alone", () => {
  const replies = repliesOf();
  assert.equal(
    countPackets(replies, () => replies.admitStaleClaim(STRANGER.address, 0)),
    0,
  );
  assert.equal(
    countPackets(replies, () => replies.admitStaleClaim(B.address, 0)),
    SWIM_LIMITS.staleClaims.perDestination.burst,
  );
  const open = repliesOf(NO_SWIM_LIMITS);
  assert.equal(
    countOf(() => open.admitStaleClaim(STRANGER.address, 0)),
    10_000,
  );
});

Deno.test("Replies.admitHostReply() has a budget for each kind, and small ones for strangers", () => {
  const replies = repliesOf();
  const kinds = [
    "queryReplies",
    "internalReplies",
    "queryCopies",
    "forwards",
  ] as const;
  for (const kind of kinds) {
    assert.equal(
      countOf(() => replies.admitHostReply(kind, B, 0)),
      SWIM_LIMITS[kind].perDestination.burst,
      kind,
    );
    const { perDestination } = kind === "internalReplies"
      ? SWIM_LIMITS.strangerInternalReplies
      : SWIM_LIMITS.strangerReplies;
    for (const stranger of [STRANGER, { ...STRANGER, name: "b" }]) {
      const count = countOf(() => replies.admitHostReply(kind, stranger, 0));
      assert.ok(count <= perDestination.burst, kind);
    }
  }
});
