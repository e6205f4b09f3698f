/**
 * Packets that cost their receiver, or a third party, more than their sender:
 * some kilobytes each, with up to a thousand messages, compressed.
 *
 * They are made for agents on 127.0.0.1 of which one is called `VICTIM`. Answers go
 * to a port of the test, the sink.
 */

import { compress } from "../../lib/wire/compress.ts";
import { encodeMessage } from "../../lib/wire/message_codec.ts";
import {
  encodeFilter,
  encodeSerfMessage,
  QueryFlag,
  type QueryMessage,
} from "../../lib/wire/serf_messages.ts";
import { nested } from "../fuzz/work/attack.ts";

/** Name of the agent that is attacked. */
export const VICTIM = "victim";
const LOOPBACK = Uint8Array.of(127, 0, 0, 1);
const MESSAGES = 1_000;
/** Most that a packet may hold when it is decompressed, bytes; and some room. */
const CONTENT_BYTES_MAX = 65_000;
/** What a compound adds to each part, bytes. */
const LENGTH_BYTES = 2;
const FILTERS = 4;
const EXPRESSION = "a{0,990}";
const RELAYS = 3;
const TIMEOUT_NS = 15_000_000_000n;
/** Where nobody is, on this machine. */
const UNREACHABLE_PORT = 9;

/** As many messages as there is room for. */
function packet(make: (i: number) => Uint8Array): Uint8Array {
  const parts: Uint8Array[] = [];
  let length = 0;
  while (parts.length < MESSAGES) {
    const part = make(parts.length);
    length += part.length + LENGTH_BYTES;
    if (length > CONTENT_BYTES_MAX) break;
    parts.push(part);
  }
  return compress(nested(parts));
}

/** A query that no packet before had. */
function query(
  packetNumber: number,
  i: number,
  given: Partial<QueryMessage>,
): Uint8Array {
  const body = encodeSerfMessage({
    kind: "query",
    ltime: BigInt(packetNumber + 1),
    id: packetNumber * MESSAGES + i,
    addr: LOOPBACK,
    port: UNREACHABLE_PORT,
    sourceNode: "",
    filters: [],
    flags: QueryFlag.noBroadcast,
    relayFactor: 0,
    timeoutNs: TIMEOUT_NS,
    name: "q",
    payload: new Uint8Array(0),
    ...given,
  });
  return encodeMessage({ kind: "user", body });
}

type MakePacket = (packetNumber: number, sinkPort: number) => Uint8Array;

export const COSTLY_PACKETS: Readonly<Record<string, MakePacket>> = {
  /** Queries whose filters are short to write and long to compile. */
  filters(packetNumber) {
    const filter = encodeFilter({ kind: "tag", tag: "role", expr: EXPRESSION });
    const filters = Array.from({ length: FILTERS }, () => filter);
    return packet((i) => query(packetNumber, i, { filters, flags: 0 }));
  },

  /** Accusations that were refuted long ago, each of which asks for the proof. */
  accusations: () =>
    packet(() =>
      encodeMessage({
        kind: "suspect",
        incarnation: 0,
        node: VICTIM,
        from: "x",
      })
    ),

  /** Pings that name the sink as their source. */
  pings: (_, sinkPort) =>
    packet((seqNo) =>
      encodeMessage({
        kind: "ping",
        seqNo,
        node: VICTIM,
        sourceAddr: LOOPBACK,
        sourcePort: sinkPort,
        sourceNode: "x",
      })
    ),

  /** Requests to ping the sink. */
  indirectPings: (_, sinkPort) =>
    packet((seqNo) =>
      encodeMessage({
        kind: "indirectPing",
        seqNo,
        target: LOOPBACK,
        port: sinkPort,
        node: "x",
        nack: true,
        sourceAddr: LOOPBACK,
        sourcePort: sinkPort,
        sourceNode: "x",
      })
    ),

  /** Queries of which the sink wants an ack, directly and through others. */
  acks: (packetNumber, sinkPort) =>
    packet((i) =>
      query(packetNumber, i, {
        port: sinkPort,
        flags: QueryFlag.ack | QueryFlag.noBroadcast,
        relayFactor: RELAYS,
      })
    ),
};
