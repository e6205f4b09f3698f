/** Random values of the wire's types, for property tests. */

import fc from "fast-check";
import type {
  Message,
  NodeDescriptor,
  NodeState,
  StreamMessage,
} from "../../lib/wire/messages.ts";
import type {
  SerfMessage,
  SerfPushPull,
} from "../../lib/wire/serf_messages.ts";

/** Plain objects, so that they compare equal to decoded ones. */
function record<T>(
  fields: { [K in keyof T]: fc.Arbitrary<T[K]> },
): fc.Arbitrary<T> {
  return fc.record(fields, { noNullPrototype: true });
}

const uint8 = fc.nat(0xff);
const uint16 = fc.nat(0xffff);
const uint32 = fc.oneof(
  fc.nat(0xffff_ffff),
  fc.constantFrom(0, 127, 128, 255, 256, 65_535, 65_536),
);
export const ltimes = fc.oneof(
  fc.bigInt(0n, 0xffff_ffff_ffff_ffffn),
  fc.bigInt(0n, 300n),
);

/** Any text that UTF-8 can express, with the lengths at which headers change. */
export const texts = fc.oneof(
  fc.string({ unit: "binary", maxLength: 40 }),
  fc.string({ unit: "grapheme-ascii", maxLength: 40 }),
  fc.constantFrom(31, 32, 255, 256, 65_535, 65_536).map((n) => "x".repeat(n)),
  fc.constantFrom("__proto__", "constructor", "\0", "\uFEFFname", "7"),
);

/** Plain byte strings; fast-check's own may be views with an offset. */
export const byteStrings = fc.oneof(
  fc.uint8Array({ maxLength: 80 }),
  fc.constantFrom(31, 32, 255, 256).map((n) => new Uint8Array(n).fill(0xa5)),
);

const addresses = fc.oneof(
  fc.uint8Array({ minLength: 4, maxLength: 4 }),
  fc.uint8Array({ minLength: 16, maxLength: 16 }),
  fc.constant(new Uint8Array(0)),
);

const nodes: fc.Arbitrary<NodeDescriptor> = record({
  name: texts,
  addr: addresses,
  port: uint16,
  meta: byteStrings,
  vsn: fc.uint8Array({ minLength: 6, maxLength: 6 }),
});

const source = { sourceAddr: addresses, sourcePort: uint16, sourceNode: texts };
const pings = record({
  kind: fc.constant("ping" as const),
  seqNo: uint32,
  node: texts,
  ...source,
});
const acks = record({
  kind: fc.constant("ack" as const),
  seqNo: uint32,
  payload: byteStrings,
});
const users = record({
  kind: fc.constant("user" as const),
  body: byteStrings,
});
const accusation = { incarnation: uint32, node: texts, from: texts };

export const messages: fc.Arbitrary<Message> = fc.oneof(
  pings,
  record({
    kind: fc.constant("indirectPing" as const),
    seqNo: uint32,
    target: addresses,
    port: uint16,
    node: texts,
    nack: fc.boolean(),
    ...source,
  }),
  acks,
  record({ kind: fc.constant("nack" as const), seqNo: uint32 }),
  record({ kind: fc.constant("suspect" as const), ...accusation }),
  record({ kind: fc.constant("dead" as const), ...accusation }),
  record({
    kind: fc.constant("alive" as const),
    incarnation: uint32,
    node: nodes,
  }),
  users,
);

const nodeStates: fc.Arbitrary<NodeState> = record({
  node: nodes,
  incarnation: uint32,
  state: fc.constantFrom("alive", "suspect", "dead", "left", undefined),
});

export const streamMessages: fc.Arbitrary<StreamMessage> = fc.oneof(
  pings,
  users,
  record({
    kind: fc.constant("pushPull" as const),
    join: fc.boolean(),
    states: fc.array(nodeStates, { maxLength: 20 }),
    userState: byteStrings,
  }),
);

/** What a dialing node may get as an answer. */
export const streamReplies: fc.Arbitrary<StreamMessage> = fc.oneof(
  streamMessages,
  acks,
  record({ kind: fc.constant("error" as const), text: texts }),
);

export const serfMessages: fc.Arbitrary<SerfMessage> = fc.oneof(
  record({
    kind: fc.constant("leave" as const),
    ltime: ltimes,
    node: texts,
    prune: fc.boolean(),
  }),
  record({ kind: fc.constant("join" as const), ltime: ltimes, node: texts }),
  record({
    kind: fc.constant("userEvent" as const),
    ltime: ltimes,
    name: texts,
    payload: byteStrings,
    coalesce: fc.boolean(),
  }),
  record({
    kind: fc.constant("query" as const),
    ltime: ltimes,
    id: uint32,
    addr: addresses,
    port: uint16,
    sourceNode: texts,
    filters: fc.array(byteStrings, { maxLength: 20 }),
    flags: uint32,
    relayFactor: uint8,
    timeoutNs: fc.bigInt(-0x8000_0000_0000_0000n, 0x7fff_ffff_ffff_ffffn),
    name: texts,
    payload: byteStrings,
  }),
  record({
    kind: fc.constant("queryResponse" as const),
    ltime: ltimes,
    id: uint32,
    from: texts,
    flags: uint32,
    payload: byteStrings,
  }),
  record({
    kind: fc.constant("relay" as const),
    destAddr: addresses,
    destPort: uint16,
    destZone: texts,
    destName: texts,
    body: byteStrings,
  }),
);

export const serfPushPulls: fc.Arbitrary<SerfPushPull> = record({
  ltime: ltimes,
  statusLTimes: fc.uniqueArray(fc.tuple(texts, ltimes), {
    maxLength: 20,
    selector: ([name]) => name,
  }).map((entries) => new Map(entries)),
  leftMembers: fc.array(texts, { maxLength: 20 }),
  eventLTime: ltimes,
  events: fc.array(
    fc.option(
      record({
        ltime: ltimes,
        events: fc.array(record({ name: texts, payload: byteStrings }), {
          maxLength: 3,
        }),
      }),
      { nil: undefined },
    ),
    { maxLength: 20 },
  ),
  queryLTime: ltimes,
});
