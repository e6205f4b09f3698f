/**
 * Responses and stream records as the server writes them.
 *
 * Keys come in byte order and every field is sent, as Go writes its structs. A
 * header must have both of its keys: Go's client decodes all headers into one
 * variable, so a missing one would keep its previous value.
 *
 * Source: serf, `cmd/serf/command/agent/ipc.go` and the `ipc_*_stream.go` files.
 */

import { EMPTY_BYTES } from "../kit/bytes.ts";
import type { QueryEvent, QueryReply, SerfEvent } from "../serf/event.ts";
import type { CoordinateRecord } from "../wire/serf_payloads.ts";
import type {
  RpcKeyReport,
  RpcMember,
  RpcMetricsReport,
  RpcStats,
} from "./protocol.ts";
import { RpcWriter } from "./writer.ts";

const writer = new RpcWriter();

/** A header, followed by `body` if there is one. */
export function encodeResponse(
  seq: bigint,
  answer: { readonly error: string; readonly body?: Uint8Array },
): Uint8Array {
  beginResponse(seq, answer.error);
  if (answer.body !== undefined) writer.append(answer.body);
  return writer.finish();
}

/** Writes a header; its body may follow. */
function beginResponse(seq: bigint, error: string): RpcWriter {
  writer.begin().map(2).text("Error").text(error).text("Seq").uint64(seq);
  return writer;
}

/** Body of `join`: how many addresses were contacted. */
export function encodeJoinBody(contacted: number): Uint8Array {
  return writer.begin().map(1).text("Num").uint(contacted).finish();
}

/** Body of `members` and `members-filtered`. */
export function encodeMembersBody(members: readonly RpcMember[]): Uint8Array {
  writer.begin().map(1);
  writeMembers(members);
  return writer.finish();
}

/** Body of `stats`. */
export function encodeStatsBody(stats: RpcStats): Uint8Array {
  writer.begin().map(stats.size);
  for (const [section, entries] of stats) writer.text(section).textMap(entries);
  return writer.finish();
}

/** Body of `metrics`. Times are in ms since 1970, all numbers floats. */
export function encodeMetricsBody(report: RpcMetricsReport): Uint8Array {
  const { intervals, startedMs } = report;
  writer.begin().map(2).text("Intervals").array(intervals.length);
  for (const { startMs, metrics } of intervals) {
    writer.map(2).text("Metrics").array(metrics.length);
    for (const tally of metrics) {
      writer.map(9)
        .text("Count").float64(tally.count)
        .text("Deviation").float64(tally.deviation)
        .text("Kind").text(tally.kind)
        .text("Last").float64(tally.last)
        .text("LastUpdated").float64(tally.lastMs)
        .text("Max").float64(tally.max)
        .text("Min").float64(tally.min)
        .text("Name").text(tally.name)
        .text("Sum").float64(tally.sum);
    }
    writer.text("Start").float64(startMs);
  }
  return writer.text("Started").float64(startedMs).finish();
}

/** Body of the key commands, also beside an error. */
export function encodeKeysBody(report: RpcKeyReport): Uint8Array {
  const { keys, messages } = report;
  writer.begin().map(5).text("Keys");
  if (keys === undefined) writer.nil();
  else {
    writer.map(keys.size);
    for (const [key, count] of keys) writer.text(key).uint(count);
  }
  return writer.text("Messages").textMap(messages)
    .text("NumErr").uint(report.errors)
    .text("NumNodes").uint(report.nodes)
    .text("NumResp").uint(report.responses)
    .finish();
}

/** Body of `get-coordinate`; `undefined` when there is none to tell. */
export function encodeCoordinateBody(
  coordinate: CoordinateRecord | undefined,
): Uint8Array {
  const { vec, error, adjustment, height } = coordinate ?? NO_COORDINATE;
  writer.begin().map(2).text("Coord").map(4)
    .text("Adjustment").float64(adjustment)
    .text("Error").float64(error)
    .text("Height").float64(height)
    .text("Vec");
  if (vec === undefined) writer.nil();
  else {
    writer.array(vec.length);
    for (const component of vec) writer.float64(component);
  }
  return writer.text("Ok").bool(coordinate !== undefined).finish();
}

/** What stands for a coordinate where there is none. */
const NO_COORDINATE = {
  vec: undefined,
  error: 0,
  adjustment: 0,
  height: 0,
};

/** A record of an event stream, header included. */
export function encodeEventRecord(
  seq: bigint,
  event: Exclude<SerfEvent, QueryEvent>,
): Uint8Array {
  beginResponse(seq, "");
  if (event.type === "user") {
    writer.map(5).text("Coalesce").bool(event.coalesce).text("Event").text(
      "user",
    )
      .text("LTime").uint64(event.ltime).text("Name").text(event.name)
      .text("Payload").bytesOrNil(event.payload);
  } else {
    writer.map(2).text("Event").text(event.type);
    writeMembers(event.members);
  }
  return writer.finish();
}

/**
 * The record of a query in an event stream, header included.
 *
 * @param id what the client answers it by
 */
export function encodeQueryEventRecord(
  seq: bigint,
  id: bigint,
  query: QueryEvent,
): Uint8Array {
  return beginResponse(seq, "").map(5).text("Event").text("query")
    .text("ID").uint64(id).text("LTime").uint64(query.ltime)
    .text("Name").text(query.name)
    .text("Payload").bytesOrNil(query.payload)
    .finish();
}

/** A record of a query of the client's, header included. */
export function encodeQueryRecord(
  seq: bigint,
  record: QueryReply | { readonly kind: "done" },
): Uint8Array {
  const payload = record.kind === "response" ? record.payload : EMPTY_BYTES;
  return beginResponse(seq, "").map(3)
    .text("From").text(record.kind === "done" ? "" : record.from)
    .text("Payload").bytesOrNil(payload)
    .text("Type").text(record.kind)
    .finish();
}

/** A record of a monitor, header included: one entry of the log. */
export function encodeLogRecord(seq: bigint, line: string): Uint8Array {
  return beginResponse(seq, "").map(1).text("Log").text(line).finish();
}

/** The key `Members` and its list, for a map that is being written. */
function writeMembers(members: readonly RpcMember[]): void {
  writer.text("Members").array(members.length);
  for (const member of members) writeMember(member);
}

function writeMember(member: RpcMember): void {
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
    .text("Status").text(member.status)
    .text("Tags");
  writer.textMap(member.tags);
}
