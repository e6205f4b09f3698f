/**
 * What Serf puts into the payloads of its own queries, responses and acks: keys
 * to install or list, the record of a member in a name conflict, the network
 * coordinate of a pinged node.
 *
 * Source: serf `messages.go`, `internal_query.go` and `ping_delegate.go`.
 */

import { type Layout, Struct } from "./msgpack.ts";
import { MsgpackWriter } from "./msgpack_writer.ts";
import { SerfMessageType } from "./serf_message_types.ts";
import { decodeAs, WireError } from "./wire_error.ts";

const NIL = 0xc0;
const UINT8_MAX = 0xff;
const UINT16_MAX = 0xffff;

const KEY_REQUEST: Layout = ["Key"];
const KEY_RESPONSE: Layout = ["Result", "Message", "Keys", "PrimaryKey"];
const MEMBER: Layout = [
  "Name",
  "Addr",
  "Port",
  "Tags",
  "Status",
  "ProtocolMin",
  "ProtocolMax",
  "ProtocolCur",
  "DelegateMin",
  "DelegateMax",
  "DelegateCur",
];
const COORDINATE: Layout = ["Vec", "Error", "Adjustment", "Height"];

/** First byte of a ping payload. */
const PING_VERSION = 1;

/** Of a payload of another type, so many bytes are told. */
const SHOWN_BYTES_MAX = 1_024;

const writer = new MsgpackWriter();

/** Payload of a query that installs, uses, removes or lists keys. */
export function encodeKeyRequest(key: Uint8Array): Uint8Array {
  return writer.begin().byte(SerfMessageType.keyRequest).map(1)
    .text("Key").bytes(key)
    .finish();
}

/**
 * The raw key in the payload of a key query; empty when keys are to be listed.
 * Like Serf, does not look at the type byte.
 *
 * @throws {WireError} worded as Serf's log has it
 */
export function decodeKeyRequest(payload: Uint8Array): Uint8Array {
  return decodeAs("Failed to decode key request", readKey, payload);
}

function readKey(payload: Uint8Array): Uint8Array {
  return Struct.decode(payload, KEY_REQUEST, 1).bytes("Key");
}

/** Answer to a key query. */
export interface KeyResponse {
  readonly result: boolean;
  /** Why it failed, or a note; may be empty. */
  readonly message: string;
  /** All keys in base64, for a list only. */
  readonly keys: readonly string[];
  /** The primary key in base64, for a list only. */
  readonly primaryKey: string;
}

/** The answer with its type byte. */
export function encodeKeyResponse(response: KeyResponse): Uint8Array {
  writer.begin().byte(SerfMessageType.keyResponse).map(4).text("Keys");
  if (response.keys.length === 0) {
    writer.nil();
  } else {
    writer.array(response.keys.length);
    for (const key of response.keys) writer.text(key);
  }
  return writer
    .text("Message").text(response.message)
    .text("PrimaryKey").text(response.primaryKey)
    .text("Result").bool(response.result)
    .finish();
}

/**
 * Decodes the answer to a key query, type byte included.
 *
 * @throws {WireError} with code `badType` when it is no key response, also when
 * it is empty; with other codes when it does not decode
 */
export function decodeKeyResponse(payload: Uint8Array): KeyResponse {
  requireType(payload, SerfMessageType.keyResponse, "key query response");
  return decodeAs(
    "Failed to decode key query response",
    readKeyResponse,
    payload,
  );
}

function readKeyResponse(payload: Uint8Array): KeyResponse {
  const struct = Struct.decode(payload, KEY_RESPONSE, 1);
  return {
    result: struct.bool("Result"),
    message: struct.text("Message"),
    keys: struct.texts("Keys"),
    primaryKey: struct.text("PrimaryKey"),
  };
}

/** A member as one node describes it to another in a name conflict. */
export interface MemberRecord {
  readonly name: string;
  /** Address bytes, 4 or 16. */
  readonly addr: Uint8Array;
  readonly port: number;
  readonly tags: ReadonlyMap<string, string>;
  /** 0 none, 1 alive, 2 leaving, 3 left, 4 failed. */
  readonly status: number;
  readonly protocolMin: number;
  readonly protocolMax: number;
  readonly protocolCur: number;
  readonly delegateMin: number;
  readonly delegateMax: number;
  readonly delegateCur: number;
}

/** Answer to a conflict query; `undefined` when the name is not known. */
export function encodeConflictResponse(
  member: MemberRecord | undefined,
): Uint8Array {
  writer.begin().byte(SerfMessageType.conflictResponse);
  if (member === undefined) return writer.nil().finish();
  writer.map(11)
    .text("Addr").bytesOrNil(member.addr)
    .text("DelegateCur").uint(member.delegateCur)
    .text("DelegateMax").uint(member.delegateMax)
    .text("DelegateMin").uint(member.delegateMin)
    .text("Name").text(member.name)
    .text("Port").uint(member.port)
    .text("ProtocolCur").uint(member.protocolCur)
    .text("ProtocolMax").uint(member.protocolMax)
    .text("ProtocolMin").uint(member.protocolMin)
    .text("Status").uint(member.status)
    .text("Tags").map(member.tags.size);
  for (const [name, value] of member.tags) writer.text(name).text(value);
  return writer.finish();
}

/**
 * Decodes the answer to a conflict query, type byte included.
 *
 * @returns `undefined` when whoever answers does not know the name
 * @throws {WireError} with code `badType` when it is no conflict response, also
 * when it is empty; with other codes when it does not decode
 */
export function decodeConflictResponse(
  payload: Uint8Array,
): MemberRecord | undefined {
  requireType(
    payload,
    SerfMessageType.conflictResponse,
    "conflict query response",
  );
  if (payload[1] === NIL) return undefined;
  return decodeAs(
    "Failed to decode conflict query response",
    readMember,
    payload,
  );
}

function readMember(payload: Uint8Array): MemberRecord {
  const struct = Struct.decode(payload, MEMBER, 1);
  return {
    name: struct.text("Name"),
    addr: struct.bytes("Addr"),
    port: struct.uint("Port", UINT16_MAX),
    tags: struct.textMap("Tags"),
    status: Number(struct.int64("Status")),
    protocolMin: struct.uint("ProtocolMin", UINT8_MAX),
    protocolMax: struct.uint("ProtocolMax", UINT8_MAX),
    protocolCur: struct.uint("ProtocolCur", UINT8_MAX),
    delegateMin: struct.uint("DelegateMin", UINT8_MAX),
    delegateMax: struct.uint("DelegateMax", UINT8_MAX),
    delegateCur: struct.uint("DelegateCur", UINT8_MAX),
  };
}

/** A network coordinate as nodes tell it; all but `error` in seconds. */
export interface CoordinateRecord {
  /** Where the node is, s in each dimension. */
  readonly vec: readonly number[];
  /** How sure the node is of that: a ratio, smaller is surer. */
  readonly error: number;
  /** What measurements add to the distance, s; may be negative. */
  readonly adjustment: number;
  /** Way from the node to the network, s. */
  readonly height: number;
}

/** Payload of an ack: the coordinate of whoever was pinged. */
export function encodePingPayload(coordinate: CoordinateRecord): Uint8Array {
  writer.begin().byte(PING_VERSION).map(4)
    .text("Adjustment").float64(coordinate.adjustment)
    .text("Error").float64(coordinate.error)
    .text("Height").float64(coordinate.height)
    .text("Vec").array(coordinate.vec.length);
  for (const component of coordinate.vec) writer.float64(component);
  return writer.finish();
}

/**
 * Decodes the payload of an ack, which must not be empty. The numbers may be
 * anything, NaN and infinities included.
 *
 * @throws {WireError} worded as Serf's log has it
 */
export function decodePingPayload(payload: Uint8Array): CoordinateRecord {
  if (payload[0] !== PING_VERSION) {
    throw new WireError(
      "badType",
      `Unsupported ping version: ${payload[0] ?? 0}`,
    );
  }
  return decodeAs(
    "Failed to decode coordinate from ping",
    readCoordinate,
    payload,
  );
}

function readCoordinate(payload: Uint8Array): CoordinateRecord {
  const struct = Struct.decode(payload, COORDINATE, 1);
  return {
    vec: struct.floats("Vec"),
    error: struct.float64("Error"),
    adjustment: struct.float64("Adjustment"),
    height: struct.float64("Height"),
  };
}

function requireType(payload: Uint8Array, type: number, what: string): void {
  if (payload[0] === type) return;
  const shown = payload.subarray(0, SHOWN_BYTES_MAX).join(" ");
  const rest = payload.length > SHOWN_BYTES_MAX ? " ..." : "";
  throw new WireError("badType", `Invalid ${what} type: [${shown}${rest}]`);
}
