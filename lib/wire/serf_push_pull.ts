/**
 * What Serf adds to a push/pull: clocks, status times, who left, recent events.
 *
 * It is the user state of SWIM's push/pull. The events are the sender's whole
 * ring, 512 slots by default, most of them nil; their order says nothing.
 *
 * Source: serf `messages.go`, `messagePushPull`, and `delegate.go`.
 */

import { EMPTY_BYTES } from "../kit/bytes.ts";
import { type Layout, Struct } from "./msgpack.ts";
import type { ScanLimits } from "./msgpack_scanner.ts";
import { MsgpackWriter } from "./msgpack_writer.ts";
import { SerfMessageType } from "./serf_message_types.ts";
import { STREAM_BYTES_MAX } from "./stream_body.ts";
import { decodeAs, WireError } from "./wire_error.ts";

/** One event as a push/pull has it; whether to coalesce it is not told. */
export interface PushPullEvent {
  readonly name: string;
  /** Empty for none. */
  readonly payload: Uint8Array;
}

/** All events of one time of the event clock. */
export interface EventGroup {
  readonly ltime: bigint;
  readonly events: readonly PushPullEvent[];
}

export interface SerfPushPull {
  /** The sender's member clock. */
  readonly ltime: bigint;
  /** Status time of every member it knows, also of those left or failed. */
  readonly statusLTimes: ReadonlyMap<string, bigint>;
  /** Names of members that left. */
  readonly leftMembers: readonly string[];
  /** The sender's event clock. */
  readonly eventLTime: bigint;
  /** Its ring of events; `undefined` for each empty slot. */
  readonly events: readonly (EventGroup | undefined)[];
  /** The sender's query clock. */
  readonly queryLTime: bigint;
}

/** Room for some hundred thousand members, and no more. */
const LIMITS: ScanLimits = { bytesMax: STREAM_BYTES_MAX, valuesMax: 1_048_576 };

const PUSH_PULL: Layout = [
  "LTime",
  "StatusLTimes",
  "LeftMembers",
  "EventLTime",
  "Events",
  "QueryLTime",
];
const EVENT_GROUP: Layout = ["LTime", "Events"];
const EVENT: Layout = ["Name", "Payload"];

const writer = new MsgpackWriter();

/** The state with its type byte. */
export function encodePushPull(state: SerfPushPull): Uint8Array {
  writer.begin().byte(SerfMessageType.pushPull).map(6)
    .text("EventLTime").uint64(state.eventLTime)
    .text("Events").array(state.events.length);
  for (const group of state.events) {
    if (group === undefined) writer.nil();
    else writeEventGroup(group);
  }
  writer
    .text("LTime").uint64(state.ltime)
    .text("LeftMembers").array(state.leftMembers.length);
  for (const name of state.leftMembers) writer.text(name);
  writer
    .text("QueryLTime").uint64(state.queryLTime)
    .text("StatusLTimes").map(state.statusLTimes.size);
  for (const [name, ltime] of state.statusLTimes) {
    writer.text(name).uint64(ltime);
  }
  return writer.finish();
}

function writeEventGroup(group: EventGroup): void {
  writer.map(2).text("Events").array(group.events.length);
  for (const { name, payload } of group.events) {
    writer.map(2).text("Name").text(name).text("Payload").bytesOrNil(payload);
  }
  writer.text("LTime").uint64(group.ltime);
}

/**
 * Decodes the user state of a push/pull, type byte included.
 *
 * Payloads are views into `bytes`; whoever keeps one copies it.
 *
 * @throws {WireError} worded as Serf's log has it
 */
export function decodePushPull(bytes: Uint8Array): SerfPushPull {
  if (bytes.length === 0) {
    throw new WireError("empty", "Remote state is zero bytes");
  }
  if (bytes[0] !== SerfMessageType.pushPull) {
    throw new WireError(
      "badType",
      `Remote state has bad type prefix: ${bytes[0]}`,
    );
  }
  return decodeAs("Failed to decode remote state", decodeState, bytes);
}

function decodeState(bytes: Uint8Array): SerfPushPull {
  const struct = Struct.decode(bytes, PUSH_PULL, 1, LIMITS);
  return {
    ltime: struct.uint64("LTime"),
    statusLTimes: struct.uint64Map("StatusLTimes"),
    leftMembers: struct.texts("LeftMembers"),
    eventLTime: struct.uint64("EventLTime"),
    events: struct.structs("Events", EVENT_GROUP).map(eventGroupOf),
    queryLTime: struct.uint64("QueryLTime"),
  };
}

function eventGroupOf(group: Struct | undefined): EventGroup | undefined {
  if (group === undefined) return undefined;
  return {
    ltime: group.uint64("LTime"),
    events: group.structs("Events", EVENT).map((event) => ({
      name: event?.text("Name") ?? "",
      payload: event?.bytes("Payload") ?? EMPTY_BYTES,
    })),
  };
}
