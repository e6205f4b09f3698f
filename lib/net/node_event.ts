/** Events as a program with a node of its own receives them. */

import { utf8Text } from "../kit/bytes.ts";
import type {
  MemberEvent,
  MemberEventType,
  QueryEvent,
  SerfEvent,
} from "../serf/event.ts";
import { monotonicMs } from "./clock.ts";
import {
  type EventStreamOptions,
  type LostEvents,
  type Payload,
  payloadBytes,
  ReceivedUserEvent,
} from "./received.ts";

/** Answers a query; throws as `SerfEngine.respond` does. */
type Respond = (query: QueryEvent, payload: Uint8Array) => void;

/** A question of a member, ourselves included. It may be answered once. */
export class ReceivedQuery {
  /** Tells it from other events. */
  readonly type = "query";
  readonly #query: QueryEvent;
  readonly #respond: Respond;

  constructor(query: QueryEvent, respond: Respond) {
    this.#query = query;
    this.#respond = respond;
  }

  /** As the asker called it. */
  get name(): string {
    return this.#query.name;
  }

  /** Shared by all who receive the query: do not write to it. */
  get payload(): Uint8Array {
    return this.#query.payload;
  }

  /** The payload as UTF-8; what is not UTF-8 becomes U+FFFD. */
  get text(): string {
    return utf8Text(this.payload);
  }

  /** Name of the member that asks; empty from very old members. */
  get from(): string {
    return this.#query.sourceNode;
  }

  /** Lamport time of the query clock; unsigned 64 bits. */
  get ltime(): bigint {
    return this.#query.ltime;
  }

  /** How long an answer is still of use, ms; negative when it is too late. */
  get remainingMs(): number {
    return this.#query.deadlineMs - monotonicMs();
  }

  /**
   * Answers. A query is answered once, whoever of us does it.
   *
   * @param payload what we say; some 950 bytes, the rest of a packet, unless the
   * settings say otherwise
   * @throws {RangeError} when it is too long; a shorter answer may follow
   * @throws {StateError} when the query was answered, or its time is over, and
   * after a shutdown
   */
  respond(payload: Payload): void {
    this.#respond(this.#query, payloadBytes(payload));
  }
}

/** What can be subscribed to. */
export type NodeEventType = MemberEventType | "user" | "query";

/** What happens in the cluster, and notices of what was not delivered. */
export type NodeEvent =
  | MemberEvent
  | ReceivedUserEvent
  | ReceivedQuery
  | LostEvents;

/** The events of some types; every stream may say that it has lost some. */
export type NodeEventOf<T extends NodeEventType> =
  | LostEvents
  | (T extends "user" ? ReceivedUserEvent
    : T extends "query" ? ReceivedQuery
    : MemberEvent & { readonly type: T });

/** Which events of a node are wanted, and how. */
export interface NodeEventsOptions<T extends NodeEventType>
  extends EventStreamOptions {
  /** Only events of these types; absent for all. */
  readonly types?: readonly T[];
}

/** An event of the engine as programs see it, the same object for all of them. */
export function receivedEvent(
  event: SerfEvent,
  respond: Respond,
): Exclude<NodeEvent, LostEvents> {
  switch (event.type) {
    case "user":
      return new ReceivedUserEvent(event);
    case "query":
      return new ReceivedQuery(event, respond);
    default:
      return event;
  }
}
