/**
 * Messages of other members: read, judged, and passed on if they are new.
 *
 * What is passed on is a copy of the bytes as received, never a new encoding, so
 * that fields unknown to us survive. A message that does not decode costs a log
 * line and goes no further.
 *
 * Source: serf `delegate.go` (NotifyMsg).
 */

import { formatIp } from "../kit/address.ts";
import { unreachable } from "../kit/assert.ts";
import type { Sample } from "../kit/metrics.ts";
import type { SwimEngine } from "../swim/engine.ts";
import { Memo } from "../wire/memo.ts";
import {
  decodeSerfMessage,
  type JoinIntent,
  type LeaveIntent,
  type QueryMessage,
  type Relay,
  type SerfMessage,
  SerfMessageType,
  type UserEventMessage,
} from "../wire/serf_messages.ts";
import { WireError } from "../wire/wire_error.ts";
import type { SerfCore } from "./core.ts";
import { type LamportClock, LAST_LTIME } from "./lamport.ts";
import type { OwnIntents } from "./own_intent.ts";
import type { Queries } from "./query.ts";
import { type Queues, userMessage } from "./queues.ts";
import { isRelayable, relayAddress } from "./relay.ts";
import type { Roster } from "./roster.ts";
import type { UserEvents } from "./user_event.ts";

/** The mechanisms that messages concern. */
export interface InboxParts {
  readonly core: SerfCore;
  /** Where relayed messages go out. */
  readonly swim: Pick<
    SwimEngine,
    "sendUserMessage" | "mayReply" | "exchangeWith"
  >;
  readonly roster: Roster;
  readonly queues: Queues;
  readonly userEvents: UserEvents;
  readonly queries: Queries;
  readonly intents: OwnIntents;
}

/** Messages that may come alone; the others only come inside something else. */
const KNOWN_TYPES: ReadonlySet<number> = new Set([
  SerfMessageType.leave,
  SerfMessageType.join,
  SerfMessageType.userEvent,
  SerfMessageType.query,
  SerfMessageType.queryResponse,
  SerfMessageType.relay,
]);

/**
 * What recent gossip decoded to: each message arrives many times over, in the
 * same bytes, and all copies but the first change nothing. All engines of a
 * process share it.
 */
const gossip = new Memo(decodeSerfMessage, { slots: 1_024, bytesMax: 640 });

/** What is passed on of recent gossip, shared in the same way. */
const passedOnMessages = new WeakMap<SerfMessage, Uint8Array>();

/** A copy of the message as it was received, ready to be gossiped. */
function passedOn(message: SerfMessage, body: Uint8Array): Uint8Array {
  let bytes = passedOnMessages.get(message);
  if (bytes === undefined) {
    bytes = userMessage(body);
    passedOnMessages.set(message, bytes);
  }
  return bytes;
}

/**
 * Whether a new message may go on. One with the last time makes clocks wrap, and
 * would then be new again at each arrival.
 */
function mayPassOn({ ltime }: { readonly ltime: bigint }): boolean {
  return ltime !== LAST_LTIME;
}

/** Whether a message is one that members pass on to each other. */
function isGossip(body: Uint8Array): boolean {
  return (body[0] as number) <= SerfMessageType.query;
}

export class Inbox {
  readonly #parts: InboxParts;
  /** Counted for every message, and so asked for only once. */
  readonly #msgsReceived: Sample;

  constructor(parts: InboxParts) {
    this.#parts = parts;
    this.#msgsReceived = parts.core.metrics.msgsReceived;
  }

  /**
   * @param body type byte and message; may be a view into a packet
   * @param from address that it came from
   */
  handle(body: Uint8Array, nowMs: number, from = ""): void {
    if (body.length === 0) return;
    this.#msgsReceived.record(body.length);
    const message = this.#decode(body, nowMs);
    if (message === undefined || this.#isFarAhead(message, from, nowMs)) return;
    switch (message.kind) {
      case "leave":
        return this.#onLeave(message, body, nowMs);
      case "join":
        return this.#onJoin(message, body, nowMs);
      case "userEvent":
        return this.#onUserEvent(message, body, nowMs);
      case "query":
        return this.#onQuery(message, body, nowMs, from);
      case "queryResponse":
        this.#trace("messageQueryResponseType", message.from);
        return this.#parts.queries.responseArrived(message, nowMs);
      case "relay":
        return this.#onRelay(message, nowMs);
      default:
        return unreachable(message);
    }
  }

  /**
   * Whether a message has a time that cannot be right; it is refused then.
   *
   * Should a member have passed it on, then it believes that time, as members of
   * other kinds do. It is asked for its clocks, which are believed.
   */
  #isFarAhead(message: SerfMessage, from: string, nowMs: number): boolean {
    const { core, swim } = this.#parts;
    const clock = clockOf(message, core);
    if (clock === undefined || !("ltime" in message)) return false;
    const what = message.kind;
    if (!core.refusesTime(clock, message.ltime, what, nowMs)) return false;
    swim.exchangeWith(from, nowMs);
    return true;
  }

  #onLeave(intent: LeaveIntent, body: Uint8Array, nowMs: number): void {
    const { roster, queues, intents } = this.#parts;
    this.#trace("messageLeaveType", intent.node);
    const verdict = roster.leaveIntent(intent, nowMs);
    if (verdict === "new" && mayPassOn(intent)) {
      queues.putLeave("others", passedOn(intent, body));
    }
    if (verdict === "refute") intents.announceJoin(nowMs);
  }

  #onJoin(intent: JoinIntent, body: Uint8Array, nowMs: number): void {
    const { roster, queues } = this.#parts;
    this.#trace("messageJoinType", intent.node);
    const isNew = roster.joinIntent(intent.node, intent.ltime, nowMs);
    if (isNew && mayPassOn(intent)) {
      queues.put("Intent", passedOn(intent, body));
    }
  }

  #onUserEvent(event: UserEventMessage, body: Uint8Array, nowMs: number): void {
    const { userEvents, queues } = this.#parts;
    this.#trace("messageUserEventType", event.name);
    const isNew = userEvents.arrived(event, nowMs);
    if (isNew && mayPassOn(event)) {
      queues.put("Event", passedOn(event, body));
    }
  }

  #onQuery(
    query: QueryMessage,
    body: Uint8Array,
    nowMs: number,
    from: string,
  ): void {
    const { queries, queues } = this.#parts;
    this.#trace("messageQueryType", query.name);
    const isPassedOn = queries.arrived(query, nowMs, from);
    if (isPassedOn && mayPassOn(query)) {
      queues.put("Query", passedOn(query, body));
    }
  }

  /** Sends a message on to somebody whom its sender may not reach. */
  #onRelay(relay: Relay, nowMs: number): void {
    const { core, swim } = this.#parts;
    const address = relayAddress(relay);
    if (address === undefined) {
      const ip = formatIp(relay.destAddr);
      core.refuse(
        "ERR",
        `Error forwarding message to ${ip}:${relay.destPort}: no such address`,
        nowMs,
      );
      return;
    }
    if (!isRelayable(relay)) {
      core.refuse(
        "WARN",
        `Not forwarding message to ${address}: no query response`,
        nowMs,
      );
      return;
    }
    const to = { name: relay.destName, address };
    if (!swim.mayReply("forwards", to, nowMs)) {
      core.refuse(
        "WARN",
        `Not forwarding message to ${address}: too many go there`,
        nowMs,
      );
      return;
    }
    this.#trace("Relaying response to addr", address);
    swim.sendUserMessage(address, relay.body);
  }

  /** @returns `undefined` when the message is broken, which is logged */
  #decode(body: Uint8Array, nowMs: number): SerfMessage | undefined {
    try {
      return isGossip(body) ? gossip.get(body) : decodeSerfMessage(body);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      const isKnownType = KNOWN_TYPES.has(body[0] as number);
      const level = isKnownType ? "ERR" : "WARN";
      this.#parts.core.refuse(level, error.detail, nowMs);
      return undefined;
    }
  }

  #trace(what: string, detail: string): void {
    const { core } = this.#parts;
    if (core.logs("DEBUG")) core.log("DEBUG", `${what}: ${detail}`);
  }
}

/** The clock that the time of a message was taken from, if it moves one. */
function clockOf(
  { kind }: SerfMessage,
  core: SerfCore,
): LamportClock | undefined {
  switch (kind) {
    case "leave":
    case "join":
      return core.clock;
    case "userEvent":
      return core.eventClock;
    case "query":
      return core.queryClock;
    case "queryResponse":
    case "relay":
      return undefined;
    default:
      return unreachable(kind);
  }
}
