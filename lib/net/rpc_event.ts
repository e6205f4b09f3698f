/**
 * Events as a client of an agent receives them. They look like those of a node of
 * one's own (`node_event.ts`), so that a program can treat both alike.
 */

import { utf8Text } from "../kit/bytes.ts";
import type { EventRecord } from "../rpc/client_bodies.ts";
import type { RpcMember } from "../rpc/protocol.ts";
import type { MemberEventType } from "../serf/event.ts";
import {
  type LostEvents,
  type Payload,
  payloadBytes,
  ReceivedUserEvent,
} from "./received.ts";

/** Something happened to members; several at once are one event. */
export interface RpcMemberEvent {
  readonly type: MemberEventType;
  /** Those that it happened to, at least one. */
  readonly members: readonly RpcMember[];
}

/** Answers the query of that number. */
type Respond = (id: bigint, payload: Uint8Array) => Promise<void>;

/** A question of a member, shown by the agent, which may be answered once. */
export class RpcReceivedQuery {
  /** Tells it from other events. */
  readonly type = "query";
  /** What the agent knows it by, on this connection. */
  readonly id: bigint;
  /** Lamport time of the query clock; unsigned 64 bits. */
  readonly ltime: bigint;
  /** As the asker called it. */
  readonly name: string;
  /** What it is about. */
  readonly payload: Uint8Array;
  readonly #respond: Respond;

  constructor(
    query: Pick<RpcReceivedQuery, "id" | "ltime" | "name" | "payload">,
    respond: Respond,
  ) {
    this.id = query.id;
    this.ltime = query.ltime;
    this.name = query.name;
    this.payload = query.payload;
    this.#respond = respond;
  }

  /** The payload as UTF-8; what is not UTF-8 becomes U+FFFD. */
  get text(): string {
    return utf8Text(this.payload);
  }

  /**
   * Answers. Resolves when the agent has sent the answer.
   *
   * @throws {Error} with the agent's text: when it is too long, too late, or not
   * the first answer
   */
  async respond(payload: Payload): Promise<void> {
    await this.#respond(this.id, payloadBytes(payload));
  }
}

/** What happens in the cluster, and notices of what was not delivered. */
export type RpcEvent =
  | RpcMemberEvent
  | ReceivedUserEvent
  | RpcReceivedQuery
  | LostEvents;

/** A record of an agent as programs see it. */
export function rpcEvent(record: EventRecord, respond: Respond): RpcEvent {
  switch (record.type) {
    case "user":
      return new ReceivedUserEvent(record);
    case "query":
      return new RpcReceivedQuery(record, respond);
    default:
      return record;
  }
}
