/**
 * What a stream carries once its layers are off, and how to tell its end.
 *
 * A stream body has no outer length. A ping, an ack and an error are one struct.
 * A user message is a struct that says how many bytes follow. A push/pull is a
 * struct that says how many rows and how many bytes of user state follow, then
 * the rows, a struct each, then the bytes. So the end is found by scanning.
 *
 * Layers are taken off in `stream_frame.ts`.
 *
 * Source: memberlist `net.go` and `state.go`.
 */

import { unreachable } from "../kit/assert.ts";
import {
  type ErrorResponse,
  MessageType,
  type NodeState,
  type NodeStateName,
  type PushPull,
  type StreamMessage,
  type UserMessage,
} from "./messages.ts";
import {
  decodeAck,
  decodePing,
  descriptorOf,
  encodeMessage,
} from "./message_codec.ts";
import { type Layout, Struct } from "./msgpack.ts";
import { MsgpackScanner, STRUCT_LIMITS } from "./msgpack_scanner.ts";
import { MsgpackWriter } from "./msgpack_writer.ts";
import { WireError } from "./wire_error.ts";

/**
 * Most rows of a push/pull: twice as many as the table of members may have. Reading
 * so many takes a second or so, during which nothing else is done.
 */
export const NODES_MAX = 131_072;
/** Longest user state, user message, sealed frame and compressed body, bytes. */
export const STREAM_BYTES_MAX = 20_971_520;
/** Longest body once everything is off, bytes. */
export const BODY_BYTES_MAX = 41_943_040;

const UINT32_MAX = 0xffff_ffff;

const PUSH_PULL: Layout = ["Nodes", "UserStateLen", "Join"];
const NODE_STATE: Layout = [
  "Name",
  "Addr",
  "Port",
  "Meta",
  "Incarnation",
  "State",
  "Vsn",
];
const USER: Layout = ["UserMsgLen"];
const ERROR: Layout = ["Error"];

/** State names by their numbers on the wire. */
const STATE_NAMES: readonly NodeStateName[] = [
  "alive",
  "suspect",
  "dead",
  "left",
];

const writer = new MsgpackWriter();

/** The message with its type byte, before any layer. */
export function encodeStreamMessage(message: StreamMessage): Uint8Array {
  switch (message.kind) {
    case "ping":
    case "ack":
      return encodeMessage(message);
    case "pushPull":
      return encodePushPull(message);
    case "user":
      return writer.begin().byte(MessageType.user).map(1)
        .text("UserMsgLen").uint(message.body.length)
        .append(message.body)
        .finish();
    case "error":
      return writer.begin().byte(MessageType.error).map(1)
        .text("Error").text(message.text)
        .finish();
    default:
      return unreachable(message);
  }
}

function encodePushPull(message: PushPull): Uint8Array {
  writer.begin().byte(MessageType.pushPull).map(3)
    .text("Join").bool(message.join)
    .text("Nodes").uint(message.states.length)
    .text("UserStateLen").uint(message.userState.length);
  for (const state of message.states) writeNodeState(state);
  return writer.append(message.userState).finish();
}

function writeNodeState({ node, incarnation, state }: NodeState): void {
  writer.map(7)
    .text("Addr").bytesOrNil(node.addr)
    .text("Incarnation").uint(incarnation)
    .text("Meta").bytesOrNil(node.meta)
    .text("Name").text(node.name)
    .text("Port").uint(node.port)
    .text("State").uint(
      state === undefined ? STATE_NAMES.length : STATE_NAMES.indexOf(state),
    )
    .text("Vsn").bytesOrNil(node.vsn);
}

/** The types that have a body here; all others end a stream. */
export function isStreamType(type: number): boolean {
  return type === MessageType.ping || type === MessageType.ack ||
    type === MessageType.pushPull || type === MessageType.user ||
    type === MessageType.error;
}

/** Finds where a body ends, however its bytes arrive. */
export class BodyScanner {
  readonly #scanner = new MsgpackScanner(STRUCT_LIMITS);
  /** Structs still to come; the first one says how many others. */
  #structsLeft = 1;
  #isHeader = true;
  /** Where the next struct begins, or the bytes after the last one. */
  #offset = 1;
  /** Bytes that follow the last struct. */
  #tailBytes = 0;

  /** @param bytes begin with the type byte, one of those of `isStreamType` */
  constructor() {
    this.#scanner.restart(this.#offset);
  }

  /**
   * Goes on as far as the bytes reach, in time proportional to what is new.
   *
   * @param bytes the body so far, from its type byte, the same at each call
   * @param available how many bytes of it have arrived
   * @returns the offset just past the body; `undefined` when more is needed
   * @throws {WireError} when this cannot become a body
   */
  scan(bytes: Uint8Array, available: number): number | undefined {
    while (this.#structsLeft > 0) {
      const end = this.#scanner.scan(bytes, available);
      if (end === undefined) return undefined;
      if (this.#isHeader) this.#readHeader(bytes.subarray(0, end));
      this.#isHeader = false;
      this.#structsLeft--;
      this.#offset = end;
      this.#scanner.restart(end);
    }
    const end = this.#offset + this.#tailBytes;
    return end <= available ? end : undefined;
  }

  /** Go's word for bytes that end here while more were needed. */
  endOfInput(available: number): "EOF" | "unexpected EOF" {
    const isInTail = this.#structsLeft === 0 && available > this.#offset;
    return isInTail ? "unexpected EOF" : "EOF";
  }

  #readHeader(bytes: Uint8Array): void {
    if (bytes[0] === MessageType.pushPull) {
      const header = decodePushPullHeader(bytes);
      this.#structsLeft += header.nodes;
      this.#tailBytes = header.userStateBytes;
    } else if (bytes[0] === MessageType.user) {
      this.#tailBytes = decodeUserHeader(bytes).bodyBytes;
    }
  }
}

/**
 * Decodes a whole body, type byte included. Byte fields are views into it.
 *
 * @param body found complete by a `BodyScanner`
 * @throws {WireError}
 */
export function decodeStreamBody(body: Uint8Array): StreamMessage {
  const type = body[0];
  switch (type) {
    case MessageType.ping:
      return decodePing(body);
    case MessageType.ack:
      return decodeAck(body);
    case MessageType.pushPull:
      return decodePushPull(body);
    case MessageType.user:
      return decodeUser(body);
    case MessageType.error:
      return decodeError(body);
    default:
      throw new WireError("badType", `msg type (${type}) not supported`);
  }
}

interface PushPullHeader {
  readonly join: boolean;
  readonly nodes: number;
  readonly userStateBytes: number;
  /** Offset of the first row. */
  readonly end: number;
}

function decodePushPullHeader(bytes: Uint8Array): PushPullHeader {
  const struct = Struct.decode(bytes, PUSH_PULL, 1);
  const nodes = struct.int64("Nodes");
  if (nodes < 0n || nodes > NODES_MAX) {
    throw new WireError(
      "oversized",
      `number of nodes in header (${nodes}) exceeds limit`,
    );
  }
  const userStateBytes = struct.int64("UserStateLen");
  if (userStateBytes < 0n || userStateBytes > STREAM_BYTES_MAX) {
    throw new WireError(
      "oversized",
      `user state length (${userStateBytes}) exceeds limit`,
    );
  }
  return {
    join: struct.bool("Join"),
    nodes: Number(nodes),
    userStateBytes: Number(userStateBytes),
    end: struct.end,
  };
}

function decodePushPull(body: Uint8Array): PushPull {
  const header = decodePushPullHeader(body);
  const states: NodeState[] = [];
  let offset = header.end;
  for (let i = 0; i < header.nodes; i++) {
    const struct = Struct.decode(body, NODE_STATE, offset);
    states.push({
      node: descriptorOf(struct, "Name"),
      incarnation: struct.uint("Incarnation", UINT32_MAX),
      state: STATE_NAMES[Number(struct.int64("State"))],
    });
    offset = struct.end;
  }
  const userState = body.subarray(offset, offset + header.userStateBytes);
  return { kind: "pushPull", join: header.join, states, userState };
}

function decodeUserHeader(
  bytes: Uint8Array,
): { bodyBytes: number; end: number } {
  const struct = Struct.decode(bytes, USER, 1);
  const bodyBytes = struct.int64("UserMsgLen");
  if (bodyBytes < 0n || bodyBytes > STREAM_BYTES_MAX) {
    throw new WireError(
      "oversized",
      `user message length (${bodyBytes}) exceeds limit`,
    );
  }
  return { bodyBytes: Number(bodyBytes), end: struct.end };
}

function decodeUser(body: Uint8Array): UserMessage {
  const { bodyBytes, end } = decodeUserHeader(body);
  return { kind: "user", body: body.subarray(end, end + bodyBytes) };
}

function decodeError(body: Uint8Array): ErrorResponse {
  return { kind: "error", text: Struct.decode(body, ERROR, 1).text("Error") };
}
