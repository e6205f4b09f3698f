/**
 * Bytes of the messages that packets carry, and back.
 *
 * A message is a type byte and one msgpack struct; a user message is a type byte
 * and bytes for the layer above. Keys are Go's field names in byte order, all
 * present but for the source fields of pings, which are left out when empty.
 * Empty byte strings are written as nil, as Go writes one that was never set.
 *
 * Streams carry some of these too; what is only in streams is in
 * `stream_body.ts`.
 *
 * Source: memberlist `net.go` and `state.go`.
 */

import { unreachable } from "../kit/assert.ts";
import {
  type Ack,
  type Alive,
  type Dead,
  type IndirectPing,
  type Message,
  MessageType,
  type Nack,
  type NodeDescriptor,
  type Ping,
  type Suspect,
} from "./messages.ts";
import { type Layout, Struct } from "./msgpack.ts";
import { MsgpackWriter } from "./msgpack_writer.ts";
import { decodeAs, WireError } from "./wire_error.ts";

const UINT16_MAX = 0xffff;
const UINT32_MAX = 0xffff_ffff;

/** Fields in Go's order of declaration, for peers that send a struct as an array. */
const PING: Layout = [
  "SeqNo",
  "Node",
  "SourceAddr",
  "SourcePort",
  "SourceNode",
];
const INDIRECT_PING: Layout = [
  "SeqNo",
  "Target",
  "Port",
  "Node",
  "Nack",
  "SourceAddr",
  "SourcePort",
  "SourceNode",
];
const ACK: Layout = ["SeqNo", "Payload"];
const NACK: Layout = ["SeqNo"];
/** Of suspect and dead alike. */
const ACCUSATION: Layout = ["Incarnation", "Node", "From"];
const ALIVE: Layout = ["Incarnation", "Node", "Addr", "Port", "Meta", "Vsn"];

const writer = new MsgpackWriter();

/** The message with its type byte. */
export function encodeMessage(message: Message): Uint8Array {
  switch (message.kind) {
    case "ping":
      return encodePing(message);
    case "indirectPing":
      return encodeIndirectPing(message);
    case "ack":
      return writer.begin().byte(MessageType.ack).map(2)
        .text("Payload").bytesOrNil(message.payload)
        .text("SeqNo").uint(message.seqNo)
        .finish();
    case "nack":
      return writer.begin().byte(MessageType.nack).map(1)
        .text("SeqNo").uint(message.seqNo)
        .finish();
    case "suspect":
      return encodeAccusation(MessageType.suspect, message);
    case "alive":
      return encodeAlive(message);
    case "dead":
      return encodeAccusation(MessageType.dead, message);
    case "user":
      return writer.begin().byte(MessageType.user).append(message.body)
        .finish();
    default:
      return unreachable(message);
  }
}

/**
 * Decodes one message of a packet. Bytes after its struct are ignored.
 *
 * Byte fields of the result are views into `part`; whoever keeps one copies it.
 *
 * @param part type byte and body, all layers off
 * @throws {WireError} worded as memberlist's log has it
 */
export function decodeMessage(part: Uint8Array): Message {
  const type = part[0];
  switch (type) {
    case MessageType.ping:
      return decodeAs("Failed to decode ping request", decodePing, part);
    case MessageType.indirectPing:
      return decodeAs(
        "Failed to decode indirect ping request",
        decodeIndirectPing,
        part,
      );
    case MessageType.ack:
      return decodeAs("Failed to decode ack response", decodeAck, part);
    case MessageType.suspect:
      return decodeAs("Failed to decode suspect message", decodeSuspect, part);
    case MessageType.alive:
      return decodeAs("Failed to decode alive message", decodeAlive, part);
    case MessageType.dead:
      return decodeAs("Failed to decode dead message", decodeDead, part);
    case MessageType.user:
      return { kind: "user", body: part.subarray(1) };
    case MessageType.nack:
      return decodeAs("Failed to decode nack response", decodeNack, part);
    case undefined:
      throw new WireError("empty", "missing message type byte");
    default:
      throw new WireError("badType", `msg type (${type}) not supported`);
  }
}

/** A ping with its type byte; streams carry it too. */
export function encodePing(ping: Ping): Uint8Array {
  writer.begin().byte(MessageType.ping).map(2 + countSourceFields(ping))
    .text("Node").text(ping.node)
    .text("SeqNo").uint(ping.seqNo);
  writeSourceFields(ping);
  return writer.finish();
}

/** Decodes a ping, type byte included. */
export function decodePing(part: Uint8Array): Ping {
  const struct = Struct.decode(part, PING, 1);
  return {
    kind: "ping",
    seqNo: struct.uint("SeqNo", UINT32_MAX),
    node: struct.text("Node"),
    sourceAddr: struct.bytes("SourceAddr"),
    sourcePort: struct.uint("SourcePort", UINT16_MAX),
    sourceNode: struct.text("SourceNode"),
  };
}

function encodeIndirectPing(ping: IndirectPing): Uint8Array {
  writer.begin().byte(MessageType.indirectPing).map(5 + countSourceFields(ping))
    .text("Nack").bool(ping.nack)
    .text("Node").text(ping.node)
    .text("Port").uint(ping.port)
    .text("SeqNo").uint(ping.seqNo);
  writeSourceFields(ping);
  writer.text("Target").bytesOrNil(ping.target);
  return writer.finish();
}

function decodeIndirectPing(part: Uint8Array): IndirectPing {
  const struct = Struct.decode(part, INDIRECT_PING, 1);
  return {
    kind: "indirectPing",
    seqNo: struct.uint("SeqNo", UINT32_MAX),
    target: struct.bytes("Target"),
    port: struct.uint("Port", UINT16_MAX),
    node: struct.text("Node"),
    nack: struct.bool("Nack"),
    sourceAddr: struct.bytes("SourceAddr"),
    sourcePort: struct.uint("SourcePort", UINT16_MAX),
    sourceNode: struct.text("SourceNode"),
  };
}

/** Where the sender of a ping wants its answer; each field only if it says. */
type Source = Pick<Ping, "sourceAddr" | "sourcePort" | "sourceNode">;

function countSourceFields(source: Source): number {
  return Number(source.sourceAddr.length > 0) +
    Number(source.sourceNode !== "") +
    Number(source.sourcePort !== 0);
}

function writeSourceFields(source: Source): void {
  if (source.sourceAddr.length > 0) {
    writer.text("SourceAddr").bytes(source.sourceAddr);
  }
  if (source.sourceNode !== "") {
    writer.text("SourceNode").text(source.sourceNode);
  }
  if (source.sourcePort !== 0) {
    writer.text("SourcePort").uint(source.sourcePort);
  }
}

/** Decodes an ack, type byte included; streams carry it too. */
export function decodeAck(part: Uint8Array): Ack {
  const struct = Struct.decode(part, ACK, 1);
  return {
    kind: "ack",
    seqNo: struct.uint("SeqNo", UINT32_MAX),
    payload: struct.bytes("Payload"),
  };
}

function decodeNack(part: Uint8Array): Nack {
  const struct = Struct.decode(part, NACK, 1);
  return { kind: "nack", seqNo: struct.uint("SeqNo", UINT32_MAX) };
}

function encodeAccusation(type: number, message: Suspect | Dead): Uint8Array {
  return writer.begin().byte(type).map(3)
    .text("From").text(message.from)
    .text("Incarnation").uint(message.incarnation)
    .text("Node").text(message.node)
    .finish();
}

function decodeAccusation(part: Uint8Array): Omit<Suspect, "kind"> {
  const struct = Struct.decode(part, ACCUSATION, 1);
  return {
    incarnation: struct.uint("Incarnation", UINT32_MAX),
    node: struct.text("Node"),
    from: struct.text("From"),
  };
}

function decodeSuspect(part: Uint8Array): Suspect {
  return { kind: "suspect", ...decodeAccusation(part) };
}

function decodeDead(part: Uint8Array): Dead {
  return { kind: "dead", ...decodeAccusation(part) };
}

function encodeAlive({ incarnation, node }: Alive): Uint8Array {
  return writer.begin().byte(MessageType.alive).map(6)
    .text("Addr").bytesOrNil(node.addr)
    .text("Incarnation").uint(incarnation)
    .text("Meta").bytesOrNil(node.meta)
    .text("Node").text(node.name)
    .text("Port").uint(node.port)
    .text("Vsn").bytesOrNil(node.vsn)
    .finish();
}

function decodeAlive(part: Uint8Array): Alive {
  const struct = Struct.decode(part, ALIVE, 1);
  return {
    kind: "alive",
    incarnation: struct.uint("Incarnation", UINT32_MAX),
    node: descriptorOf(struct, "Node"),
  };
}

/** What an alive message and a row of a push/pull both say of a node. */
export function descriptorOf(
  struct: Struct,
  nameField: string,
): NodeDescriptor {
  return {
    name: struct.text(nameField),
    addr: struct.bytes("Addr"),
    port: struct.uint("Port", UINT16_MAX),
    meta: struct.bytes("Meta"),
    vsn: struct.bytes("Vsn"),
  };
}
