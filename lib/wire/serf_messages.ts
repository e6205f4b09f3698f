/**
 * The messages of the Serf layer: their type bytes, fields and encodings.
 *
 * Most travel as the body of a SWIM user message, the push/pull as user state of
 * SWIM's own (`serf_push_pull.ts`), and some only inside the payload of a query
 * or its response (`serf_payloads.ts`). Each is one type byte and one msgpack
 * struct. A relay is followed by the message that it passes on.
 *
 * What a node gossips on is a copy of the bytes it received, never a new
 * encoding, so that fields unknown here survive.
 *
 * Source: serf `messages.go`.
 */

import { unreachable } from "../kit/assert.ts";
import { type Layout, Struct } from "./msgpack.ts";
import { MsgpackWriter } from "./msgpack_writer.ts";
import { SerfMessageType } from "./serf_message_types.ts";
import { decodeAs, WireError } from "./wire_error.ts";

export {
  QueryFlag,
  ResponseFlag,
  SerfMessageType,
} from "./serf_message_types.ts";
export * from "./serf_payloads.ts";
export * from "./serf_push_pull.ts";
export * from "./serf_tags.ts";

/** `node` is about to leave, or is declared gone. */
export interface LeaveIntent {
  readonly kind: "leave";
  /** Time of the member clock. */
  readonly ltime: bigint;
  readonly node: string;
  /** Forget the member at once. */
  readonly prune: boolean;
}

/** `node` has joined. */
export interface JoinIntent {
  readonly kind: "join";
  /** Time of the member clock. */
  readonly ltime: bigint;
  readonly node: string;
}

export interface UserEventMessage {
  readonly kind: "userEvent";
  /** Time of the event clock. */
  readonly ltime: bigint;
  readonly name: string;
  /** Empty for none. */
  readonly payload: Uint8Array;
  /** Whether receivers may keep only the newest of one name. */
  readonly coalesce: boolean;
}

export interface QueryMessage {
  readonly kind: "query";
  /** Time of the query clock. */
  readonly ltime: bigint;
  /** Tells queries of one time apart; unsigned 32 bits. */
  readonly id: number;
  /** Address bytes of the asker, 4 or 16. */
  readonly addr: Uint8Array;
  /** Gossip port of the asker. */
  readonly port: number;
  /** Name of the asker; empty from very old ones. */
  readonly sourceNode: string;
  /** One encoded filter each; see `decodeFilter`. All must match. */
  readonly filters: readonly Uint8Array[];
  /** Bits of `QueryFlag`. */
  readonly flags: number;
  /** Through how many others each answer is sent as well, 0 to 255. */
  readonly relayFactor: number;
  /** How long the asker waits, nanoseconds, signed 64 bits. */
  readonly timeoutNs: bigint;
  readonly name: string;
  /** Empty for none. */
  readonly payload: Uint8Array;
}

/** An ack of a query, or an answer to it. */
export interface QueryResponse {
  readonly kind: "queryResponse";
  /** As in the query. */
  readonly ltime: bigint;
  /** As in the query. */
  readonly id: number;
  /** Name of who answers. */
  readonly from: string;
  /** Bits of `ResponseFlag`. */
  readonly flags: number;
  /** Empty in an ack. */
  readonly payload: Uint8Array;
}

/** A message to be passed on unread. */
export interface Relay {
  readonly kind: "relay";
  /** Address bytes of the receiver, 4 or 16. */
  readonly destAddr: Uint8Array;
  readonly destPort: number;
  /** Zone of a link-local IPv6 address, empty for none. */
  readonly destZone: string;
  /** Name of the receiver; may be empty. */
  readonly destName: string;
  /** A whole Serf message, type byte included. */
  readonly body: Uint8Array;
}

/** Everything that a SWIM user message can hold. */
export type SerfMessage =
  | LeaveIntent
  | JoinIntent
  | UserEventMessage
  | QueryMessage
  | QueryResponse
  | Relay;

const UINT8_MAX = 0xff;
const UINT16_MAX = 0xffff;
const UINT32_MAX = 0xffff_ffff;

/** Fields in Go's order of declaration, for peers that send a struct as an array. */
const LEAVE: Layout = ["LTime", "Node", "Prune"];
const JOIN: Layout = ["LTime", "Node"];
const USER_EVENT: Layout = ["LTime", "Name", "Payload", "CC"];
const QUERY: Layout = [
  "LTime",
  "ID",
  "Addr",
  "Port",
  "SourceNode",
  "Filters",
  "Flags",
  "RelayFactor",
  "Timeout",
  "Name",
  "Payload",
];
const QUERY_RESPONSE: Layout = ["LTime", "ID", "From", "Flags", "Payload"];
const RELAY: Layout = ["DestAddr", "DestName"];
const UDP_ADDR: Layout = ["IP", "Port", "Zone"];

const writer = new MsgpackWriter();

/** The message with its type byte. */
export function encodeSerfMessage(message: SerfMessage): Uint8Array {
  switch (message.kind) {
    case "leave":
      return writer.begin().byte(SerfMessageType.leave).map(3)
        .text("LTime").uint64(message.ltime)
        .text("Node").text(message.node)
        .text("Prune").bool(message.prune)
        .finish();
    case "join":
      return writer.begin().byte(SerfMessageType.join).map(2)
        .text("LTime").uint64(message.ltime)
        .text("Node").text(message.node)
        .finish();
    case "userEvent":
      return writer.begin().byte(SerfMessageType.userEvent).map(4)
        .text("CC").bool(message.coalesce)
        .text("LTime").uint64(message.ltime)
        .text("Name").text(message.name)
        .text("Payload").bytesOrNil(message.payload)
        .finish();
    case "query":
      return encodeQuery(message);
    case "queryResponse":
      return writer.begin().byte(SerfMessageType.queryResponse).map(5)
        .text("Flags").uint(message.flags)
        .text("From").text(message.from)
        .text("ID").uint(message.id)
        .text("LTime").uint64(message.ltime)
        .text("Payload").bytesOrNil(message.payload)
        .finish();
    case "relay":
      return writer.begin().byte(SerfMessageType.relay).map(2)
        .text("DestAddr").map(3)
        .text("IP").bytesOrNil(message.destAddr)
        .text("Port").uint(message.destPort)
        .text("Zone").text(message.destZone)
        .text("DestName").text(message.destName)
        .append(message.body)
        .finish();
    default:
      return unreachable(message);
  }
}

/**
 * Decodes the body of a SWIM user message. Bytes after its struct are ignored.
 *
 * Byte fields of the result are views into `bytes`; whoever keeps one copies it.
 *
 * @param bytes type byte and struct, not empty
 * @throws {WireError} worded as Serf's log has it
 */
export function decodeSerfMessage(bytes: Uint8Array): SerfMessage {
  const type = bytes[0];
  switch (type) {
    case SerfMessageType.leave:
      return decodeAs("Error decoding leave message", decodeLeave, bytes);
    case SerfMessageType.join:
      return decodeAs("Error decoding join message", decodeJoin, bytes);
    case SerfMessageType.userEvent:
      return decodeAs(
        "Error decoding user event message",
        decodeUserEvent,
        bytes,
      );
    case SerfMessageType.query:
      return decodeAs("Error decoding query message", decodeQuery, bytes);
    case SerfMessageType.queryResponse:
      return decodeAs(
        "Error decoding query response message",
        decodeQueryResponse,
        bytes,
      );
    case SerfMessageType.relay:
      return decodeAs("Error decoding relay header", decodeRelay, bytes);
    case undefined:
      throw new WireError("empty", "missing message type byte");
    default:
      throw new WireError(
        "badType",
        `Received message of unknown type: ${type}`,
      );
  }
}

function decodeLeave(bytes: Uint8Array): LeaveIntent {
  const struct = Struct.decode(bytes, LEAVE, 1);
  return {
    kind: "leave",
    ltime: struct.uint64("LTime"),
    node: struct.text("Node"),
    prune: struct.bool("Prune"),
  };
}

function decodeJoin(bytes: Uint8Array): JoinIntent {
  const struct = Struct.decode(bytes, JOIN, 1);
  return {
    kind: "join",
    ltime: struct.uint64("LTime"),
    node: struct.text("Node"),
  };
}

function decodeUserEvent(bytes: Uint8Array): UserEventMessage {
  const struct = Struct.decode(bytes, USER_EVENT, 1);
  return {
    kind: "userEvent",
    ltime: struct.uint64("LTime"),
    name: struct.text("Name"),
    payload: struct.bytes("Payload"),
    coalesce: struct.bool("CC"),
  };
}

function encodeQuery(query: QueryMessage): Uint8Array {
  writer.begin().byte(SerfMessageType.query).map(11)
    .text("Addr").bytesOrNil(query.addr)
    .text("Filters");
  if (query.filters.length === 0) {
    writer.nil();
  } else {
    writer.array(query.filters.length);
    for (const filter of query.filters) writer.bytes(filter);
  }
  return writer
    .text("Flags").uint(query.flags)
    .text("ID").uint(query.id)
    .text("LTime").uint64(query.ltime)
    .text("Name").text(query.name)
    .text("Payload").bytesOrNil(query.payload)
    .text("Port").uint(query.port)
    .text("RelayFactor").uint(query.relayFactor)
    .text("SourceNode").text(query.sourceNode)
    .text("Timeout").int64(query.timeoutNs)
    .finish();
}

function decodeQuery(bytes: Uint8Array): QueryMessage {
  const struct = Struct.decode(bytes, QUERY, 1);
  return {
    kind: "query",
    ltime: struct.uint64("LTime"),
    id: struct.uint("ID", UINT32_MAX),
    addr: struct.bytes("Addr"),
    port: struct.uint("Port", UINT16_MAX),
    sourceNode: struct.text("SourceNode"),
    filters: struct.byteStrings("Filters"),
    flags: struct.uint("Flags", UINT32_MAX),
    relayFactor: struct.uint("RelayFactor", UINT8_MAX),
    timeoutNs: struct.int64("Timeout"),
    name: struct.text("Name"),
    payload: struct.bytes("Payload"),
  };
}

function decodeQueryResponse(bytes: Uint8Array): QueryResponse {
  const struct = Struct.decode(bytes, QUERY_RESPONSE, 1);
  return {
    kind: "queryResponse",
    ltime: struct.uint64("LTime"),
    id: struct.uint("ID", UINT32_MAX),
    from: struct.text("From"),
    flags: struct.uint("Flags", UINT32_MAX),
    payload: struct.bytes("Payload"),
  };
}

function decodeRelay(bytes: Uint8Array): Relay {
  const struct = Struct.decode(bytes, RELAY, 1);
  const address = struct.struct("DestAddr", UDP_ADDR);
  return {
    kind: "relay",
    destAddr: address.bytes("IP"),
    // Signed and wider in Go, but nothing can be sent to other ports.
    destPort: address.uint("Port", UINT16_MAX),
    destZone: address.text("Zone"),
    destName: struct.text("DestName"),
    body: bytes.subarray(struct.end),
  };
}
