/**
 * Bodies as the client writes and reads them.
 *
 * Written keys come in byte order and every field is sent, as the original
 * does. In reading, a missing field and a nil have the zero value, and what is
 * unknown is passed over; texts that are not UTF-8 are shown with U+FFFD rather
 * than refused, since a list of members should not fail for one odd tag.
 *
 * Source: serf, `client/rpc_client.go` and `client/const.go`.
 */

import { EMPTY_BYTES } from "../kit/bytes.ts";
import { nanosecondsOf } from "../kit/duration.ts";
import type { MemberEventType, QueryReply, UserEvent } from "../serf/event.ts";
import { MsgpackText, type MsgpackValue } from "../wire/msgpack_value.ts";
import type { CoordinateRecord } from "../wire/serf_payloads.ts";
import { WireError } from "../wire/wire_error.ts";
import {
  type MemberFilter,
  RPC_VERSION,
  type RpcKeyReport,
  type RpcMember,
  type RpcMetricsInterval,
  type RpcMetricsReport,
  type RpcMetricTally,
  type RpcQuery,
  type RpcStats,
  type TagChanges,
} from "./protocol.ts";
import { RpcWriter } from "./writer.ts";

const writer = new RpcWriter();

export function encodeHandshake(): Uint8Array {
  return writer.begin().map(1).text("Version").uint(RPC_VERSION).finish();
}

export function encodeAuth(key: string): Uint8Array {
  return writer.begin().map(1).text("AuthKey").text(key).finish();
}

/** @param event `payload` is absent when the event has none */
export function encodeEvent(
  event: {
    readonly name: string;
    readonly payload?: Uint8Array | undefined;
    readonly coalesce: boolean;
  },
): Uint8Array {
  writer.begin().map(3).text("Coalesce").bool(event.coalesce)
    .text("Name").text(event.name).text("Payload");
  if (event.payload === undefined) writer.nil();
  else writer.bytes(event.payload);
  return writer.finish();
}

export function encodeForceLeave(node: string, prune: boolean): Uint8Array {
  return writer.begin().map(2).text("Node").text(node).text("Prune").bool(prune)
    .finish();
}

export function encodeJoin(
  addresses: readonly string[],
  replay: boolean,
): Uint8Array {
  return writer.begin().map(2).text("Existing").texts(addresses)
    .text("Replay").bool(replay).finish();
}

export function encodeMemberFilter(filter: MemberFilter): Uint8Array {
  return writer.begin().map(3).text("Name").text(filter.name)
    .text("Status").text(filter.status).text("Tags").textMap(filter.tags)
    .finish();
}

export function encodeStream(filter: string): Uint8Array {
  return writer.begin().map(1).text("Type").text(filter).finish();
}

export function encodeMonitor(level: string): Uint8Array {
  return writer.begin().map(1).text("LogLevel").text(level).finish();
}

/**
 * Nil and empty differ for a reader of our bytes, though not in meaning: a
 * payload or a filter that is absent is sent as nil.
 */
export function encodeQuery(query: RpcQueryRequest): Uint8Array {
  const { filterNodes = [], payload } = query;
  writer.begin().map(7).text("FilterNodes");
  if (filterNodes.length === 0) writer.nil();
  else writer.texts(filterNodes);
  writer.text("FilterTags").textMap(query.filterTags)
    .text("Name").text(query.name).text("Payload");
  if (payload === undefined) writer.nil();
  else writer.bytes(payload);
  return writer
    .text("RelayFactor").uint(query.relayFactor ?? 0)
    .text("RequestAck").bool(query.requestAck ?? false)
    .text("Timeout").int64(nanosecondsOf(query.timeoutMs ?? 0))
    .finish();
}

export function encodeRespond(id: bigint, payload: Uint8Array): Uint8Array {
  return writer.begin().map(2).text("ID").uint64(id)
    .text("Payload").bytes(payload).finish();
}

/** With nothing to delete the list is nil, as the original sends it. */
export function encodeTagChanges(changes: TagChanges): Uint8Array {
  writer.begin().map(2).text("DeleteTags");
  if (changes.delete.length === 0) writer.nil();
  else writer.texts(changes.delete);
  return writer.text("Tags").textMap(changes.set).finish();
}

export function encodeStop(seq: bigint): Uint8Array {
  return writer.begin().map(1).text("Stop").uint64(seq).finish();
}

export function encodeGetCoordinate(node: string): Uint8Array {
  return writer.begin().map(1).text("Node").text(node).finish();
}

/** @param key base64; the agent and the members are the judges of it */
export function encodeKey(key: string): Uint8Array {
  return writer.begin().map(1).text("Key").text(key).finish();
}

/** A query, of which only the name is needed. */
export type RpcQueryRequest =
  & Pick<RpcQuery, "name">
  & { readonly [Field in keyof RpcQuery]?: RpcQuery[Field] | undefined };

/** @throws {WireError} when the body is something else; so for all below */
export function readJoinBody(body: MsgpackValue | undefined): number {
  return readNumber(readStruct(body), "Num");
}

export function readMembersBody(body: MsgpackValue | undefined): RpcMember[] {
  return readList(readStruct(body).get("Members"), "Members").map(readMember);
}

export function readStatsBody(body: MsgpackValue | undefined): RpcStats {
  const stats = new Map<string, ReadonlyMap<string, string>>();
  for (const [section, entries] of readStruct(body)) {
    stats.set(section, readTextMap(entries, section) ?? new Map());
  }
  return stats;
}

export function readMetricsBody(
  body: MsgpackValue | undefined,
): RpcMetricsReport {
  const fields = readStruct(body);
  return {
    startedMs: readFloat(fields.get("Started"), "Started"),
    intervals: readList(fields.get("Intervals"), "Intervals")
      .map(readMetricsInterval),
  };
}

function readMetricsInterval(value: MsgpackValue): RpcMetricsInterval {
  const fields = readStruct(value);
  return {
    startMs: readFloat(fields.get("Start"), "Start"),
    metrics: readList(fields.get("Metrics"), "Metrics").map(readMetricTally),
  };
}

function readMetricTally(value: MsgpackValue): RpcMetricTally {
  const fields = readStruct(value);
  const number = (name: string) => readFloat(fields.get(name), name);
  const kind = readText(fields.get("Kind"), "Kind");
  if (kind !== "gauge" && kind !== "counter" && kind !== "sample") {
    throw wrongType("Kind", "kind of metric");
  }
  return {
    kind,
    name: readText(fields.get("Name"), "Name"),
    count: number("Count"),
    sum: number("Sum"),
    min: number("Min"),
    max: number("Max"),
    deviation: number("Deviation"),
    last: number("Last"),
    lastMs: number("LastUpdated"),
  };
}

export function readKeysBody(body: MsgpackValue | undefined): RpcKeyReport {
  const fields = readStruct(body);
  const counts = fields.get("Keys") ?? null;
  return {
    messages: readTextMap(fields.get("Messages"), "Messages") ?? new Map(),
    keys: counts === null ? undefined : readCounts(counts),
    nodes: readNumber(fields, "NumNodes"),
    responses: readNumber(fields, "NumResp"),
    errors: readNumber(fields, "NumErr"),
  };
}

/** `undefined` when the agent has no coordinate of the node. */
export function readCoordinateBody(
  body: MsgpackValue | undefined,
): CoordinateRecord | undefined {
  const fields = readStruct(body);
  if (!readBool(fields, "Ok")) return undefined;
  const coordinate = readStruct(fields.get("Coord"));
  const vec = coordinate.get("Vec") ?? [];
  if (!Array.isArray(vec)) throw wrongType("Vec", "list");
  return {
    vec: vec.map((component: MsgpackValue) => readFloat(component, "Vec")),
    error: readFloat(coordinate.get("Error"), "Error"),
    adjustment: readFloat(coordinate.get("Adjustment"), "Adjustment"),
    height: readFloat(coordinate.get("Height"), "Height"),
  };
}

export type { QueryReply };

/** What comes back to a query; `done` is the last. */
export type QueryRecord = QueryReply | { readonly kind: "done" };

/** @returns `undefined` for records of a kind that we do not know */
export function readQueryRecord(
  body: MsgpackValue | undefined,
): QueryRecord | undefined {
  const fields = readStruct(body);
  const kind = readText(fields.get("Type"), "Type");
  const from = readText(fields.get("From"), "From");
  switch (kind) {
    case "ack":
      return { kind, from };
    case "response":
      return {
        kind,
        from,
        payload: readBytes(fields.get("Payload"), "Payload"),
      };
    case "done":
      return { kind };
    default:
      return undefined;
  }
}

/** A record of an event stream. */
export type EventRecord =
  | {
    readonly type: MemberEventType;
    readonly members: readonly RpcMember[];
  }
  | UserEvent
  | {
    readonly type: "query";
    /** What `respond` names it by. */
    readonly id: bigint;
    readonly ltime: bigint;
    readonly name: string;
    readonly payload: Uint8Array;
  };

/** @returns `undefined` for events of a type that we do not know */
export function readEventRecord(
  body: MsgpackValue | undefined,
): EventRecord | undefined {
  const fields = readStruct(body);
  const type = readText(fields.get("Event"), "Event");
  switch (type) {
    case "member-join":
    case "member-leave":
    case "member-failed":
    case "member-update":
    case "member-reap":
      return { type, members: readMembersBody(body) };
    case "user":
      return {
        type,
        ltime: readUint64(fields, "LTime"),
        name: readText(fields.get("Name"), "Name"),
        payload: readBytes(fields.get("Payload"), "Payload"),
        coalesce: readBool(fields, "Coalesce"),
      };
    case "query":
      return {
        type,
        id: readUint64(fields, "ID"),
        ltime: readUint64(fields, "LTime"),
        name: readText(fields.get("Name"), "Name"),
        payload: readBytes(fields.get("Payload"), "Payload"),
      };
    default:
      return undefined;
  }
}

/** The entry of a log record. */
export function readLogBody(body: MsgpackValue | undefined): string {
  return readText(readStruct(body).get("Log"), "Log");
}

type Fields = ReadonlyMap<string, MsgpackValue>;

function readMember(value: MsgpackValue): RpcMember {
  const fields = readStruct(value);
  return {
    name: readText(fields.get("Name"), "Name"),
    addr: readBytes(fields.get("Addr"), "Addr"),
    port: readNumber(fields, "Port"),
    tags: readTextMap(fields.get("Tags"), "Tags"),
    status: readText(fields.get("Status"), "Status"),
    protocolMin: readNumber(fields, "ProtocolMin"),
    protocolMax: readNumber(fields, "ProtocolMax"),
    protocolCur: readNumber(fields, "ProtocolCur"),
    delegateMin: readNumber(fields, "DelegateMin"),
    delegateMax: readNumber(fields, "DelegateMax"),
    delegateCur: readNumber(fields, "DelegateCur"),
  };
}

function readStruct(value: MsgpackValue | undefined): Fields {
  if (value instanceof Map) return value;
  if (value === null || value === undefined) return new Map();
  throw wrongType("body", "map");
}

function readNumber(fields: Fields, name: string): number {
  const value = fields.get(name) ?? 0;
  if (typeof value === "number" && Number.isInteger(value)) return value;
  throw wrongType(name, "integer");
}

/** A number that may be larger than what a double holds exactly. */
function readUint64(fields: Fields, name: string): bigint {
  const value = fields.get(name) ?? 0;
  if (typeof value === "bigint" && value >= 0n) return value;
  if (typeof value === "number" && Number.isInteger(value) && value >= 0) {
    return BigInt(value);
  }
  throw wrongType(name, "natural number");
}

function readFloat(value: MsgpackValue | undefined, name: string): number {
  if (typeof value === "number" || typeof value === "bigint") {
    return Number(value);
  }
  if (value === undefined || value === null) return 0;
  throw wrongType(name, "number");
}

function readBool(fields: Fields, name: string): boolean {
  const value = fields.get(name) ?? false;
  if (typeof value === "boolean") return value;
  throw wrongType(name, "boolean");
}

function readText(value: MsgpackValue | undefined, name: string): string {
  if (value instanceof MsgpackText) return value.toString();
  if (value === undefined || value === null) return "";
  throw wrongType(name, "text");
}

function readBytes(value: MsgpackValue | undefined, name: string): Uint8Array {
  if (value instanceof Uint8Array) return value;
  if (value instanceof MsgpackText) return value.bytes;
  if (value === undefined || value === null) return EMPTY_BYTES;
  throw wrongType(name, "byte string");
}

function readList(
  value: MsgpackValue | undefined,
  name: string,
): readonly MsgpackValue[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw wrongType(name, "list");
  return value;
}

function readCounts(value: MsgpackValue): Map<string, number> {
  const fields = readStruct(value);
  return new Map([...fields.keys()].map((key) => [
    key,
    readNumber(fields, key),
  ]));
}

function readTextMap(
  value: MsgpackValue | undefined,
  name: string,
): Map<string, string> | undefined {
  if (value === undefined || value === null) return undefined;
  if (!(value instanceof Map)) throw wrongType(name, "map");
  const texts = new Map<string, string>();
  for (const [key, item] of value) texts.set(key, readText(item, key));
  return texts;
}

function wrongType(name: string, type: string): WireError {
  return new WireError("badValue", `${name} is not a ${type}`);
}
