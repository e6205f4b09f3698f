/**
 * What events and answers have in common for programs, whether they come from a
 * node of their own or from an agent: payloads that are bytes, and mostly text.
 */

import { utf8Bytes, utf8Text } from "../kit/bytes.ts";
import type { QueryReply, UserEvent } from "../serf/event.ts";

/** Bytes, or a text that is sent as UTF-8. */
export type Payload = string | Uint8Array;

/** The bytes of a payload. */
export function payloadBytes(payload: Payload): Uint8Array {
  return typeof payload === "string" ? utf8Bytes(payload) : payload;
}

/** Texts by name: an object, or a map for names that an object cannot have. */
export type TextMap =
  | Readonly<Record<string, string>>
  | ReadonlyMap<string, string>;

/** The entries of a text map, in their order. */
export function textMap(texts: TextMap): ReadonlyMap<string, string> {
  return texts instanceof Map ? texts : new Map(Object.entries(texts));
}

/** A user event, our own or another member's. */
export class ReceivedUserEvent implements UserEvent {
  /** Tells it from other events. */
  readonly type = "user";
  /** Lamport time of the event clock; unsigned 64 bits. */
  readonly ltime: bigint;
  /** As the sender called it. */
  readonly name: string;
  /** Shared by all who receive the event: do not write to it. */
  readonly payload: Uint8Array;
  /** Whether receivers may keep only the newest of one name. */
  readonly coalesce: boolean;

  constructor(event: Omit<UserEvent, "type">) {
    this.ltime = event.ltime;
    this.name = event.name;
    this.payload = event.payload;
    this.coalesce = event.coalesce;
  }

  /** The payload as UTF-8; what is not UTF-8 becomes U+FFFD. */
  get text(): string {
    return utf8Text(this.payload);
  }
}

/** A member has received a query of ours, and its filters match. */
export interface ReceivedAck {
  readonly kind: "ack";
  /** Name of the member. */
  readonly from: string;
}

/** A member's answer to a query of ours. */
export class ReceivedResponse {
  /** Tells it from an ack. */
  readonly kind = "response";
  /** Name of the member. */
  readonly from: string;
  /** What it says. */
  readonly payload: Uint8Array;

  constructor(
    response: { readonly from: string; readonly payload: Uint8Array },
  ) {
    this.from = response.from;
    this.payload = response.payload;
  }

  /** The payload as UTF-8; what is not UTF-8 becomes U+FFFD. */
  get text(): string {
    return utf8Text(this.payload);
  }
}

/** What comes back to a query; at most one of each kind from each member. */
export type ReceivedReply = ReceivedAck | ReceivedResponse;

/** A reply of the engine or of an agent, for a program. */
export function receivedReply(reply: QueryReply): ReceivedReply {
  return reply.kind === "ack" ? reply : new ReceivedResponse(reply);
}

/** Everything that came back to a query. */
export interface QueryResult {
  /** Names of the members that acked, in the order in which they did. */
  readonly acks: readonly string[];
  /** Answers in the order in which they came, one from each member at most. */
  readonly responses: readonly ReceivedResponse[];
}

/** Sorts replies into a result. */
export function queryResult(replies: readonly ReceivedReply[]): QueryResult {
  const acks: string[] = [];
  const responses: ReceivedResponse[] = [];
  for (const reply of replies) {
    if (reply.kind === "ack") acks.push(reply.from);
    else responses.push(reply);
  }
  return { acks, responses };
}

/**
 * So many events were dropped at this place, because they came faster than they
 * were consumed. Who follows a state by its changes should look at the state anew.
 */
export interface LostEvents {
  readonly type: "lost";
  /** At least 1. */
  readonly count: number;
}

/** Events that wait in a subscription unless it says otherwise. */
export const EVENTS_WAITING_MAX = 1_024;

/** How an event stream begins and ends. */
export interface EventStreamOptions {
  /**
   * Most events that wait for the consumer, at least 1; default 1,024. When there
   * are more, the oldest are dropped and the consumer is told how many.
   */
  readonly bufferMax?: number;
  /** Ends the iteration, without an error, when it is aborted. */
  readonly signal?: AbortSignal;
}
