/**
 * Answering queries: acks and responses, on the straight way and on detours.
 *
 * Both go to the asker as one datagram. With a relay factor, as many other
 * members get a copy each, wrapped with the asker's address, and pass it on; the
 * asker counts each sender once. To ourselves nothing travels: our own answers
 * are handed over directly, so that a node can always hear itself.
 *
 * How many leave in a second has a limit, by the address of the asker and over all
 * (`swim/limits.ts`). Beyond it an ack or a copy is dropped, and an answer is an
 * error.
 *
 * A query is answered once. An answer that is too long may be tried again with
 * less; so may one whose relayed copy is too long, though the direct one has left.
 *
 * Source: serf `event.go` (Respond), `query.go` (relayResponse), `serf.go`
 * (handleQuery).
 */

import { isSameIp } from "../kit/address.ts";
import { EMPTY_BYTES } from "../kit/bytes.ts";
import type { SwimEngine } from "../swim/engine.ts";
import {
  encodeSerfMessage,
  type QueryResponse,
  ResponseFlag,
} from "../wire/serf_messages.ts";
import { type SerfCore, StateError } from "./core.ts";
import type { QueryEvent } from "./event.ts";
import { INTERNAL_PREFIX } from "./internal_query.ts";
import { datagramAddress } from "./relay.ts";
import type { Roster } from "./roster.ts";

/** Begins every error of an answer, also where no key is concerned. */
const RESPOND_ERROR = "failed to respond to key query: ";

export interface AnswerParts {
  readonly core: SerfCore;
  readonly swim: Pick<SwimEngine, "sendUserMessage" | "mayReply">;
  readonly roster: Roster;
  /** Takes what we answer to ourselves. */
  hearOwn(message: QueryResponse, nowMs: number): void;
}

export class Answers {
  readonly #parts: AnswerParts;
  /** Queries that were answered; it forgets those that nobody holds any more. */
  readonly #answered = new WeakSet<QueryEvent>();

  constructor(parts: AnswerParts) {
    this.#parts = parts;
  }

  /** Tells the asker that the query is here. What goes wrong is logged. */
  ack(query: QueryEvent, nowMs: number): void {
    const { core } = this.#parts;
    const message = this.#message(query, ResponseFlag.ack, EMPTY_BYTES);
    const problem = this.#send(query, message, nowMs);
    if (problem !== undefined) {
      core.refuse("ERR", `failed to send ack: ${problem}`, nowMs);
      return;
    }
    const error = this.#relay(query, message, nowMs);
    if (error !== undefined) {
      core.refuse("ERR", `failed to relay ack: ${error}`, nowMs);
    }
  }

  /**
   * Answers a query.
   *
   * @throws {RangeError} when the answer is too long
   * @throws {StateError} when it was answered already, when it is too late, when
   * the asker gave no address that can be used, or when too much goes there
   */
  respond(query: QueryEvent, payload: Uint8Array, nowMs: number): void {
    const limit = this.#parts.core.config.queryResponseBytesMax;
    const message = this.#message(query, 0, payload);
    if (!this.fits(query, payload)) {
      throw new RangeError(
        `${RESPOND_ERROR}response exceeds limit of ${limit} bytes`,
      );
    }
    if (this.#answered.has(query)) {
      throw new StateError(`${RESPOND_ERROR}response already sent`);
    }
    if (nowMs > query.deadlineMs) {
      throw new StateError(`${RESPOND_ERROR}response is past the deadline`);
    }
    const problem = this.#send(query, message, nowMs);
    if (problem !== undefined) {
      throw new StateError(`${RESPOND_ERROR}${problem}`);
    }
    const error = this.#relay(query, message, nowMs);
    if (error !== undefined) throw new RangeError(`${RESPOND_ERROR}${error}`);
    this.#answered.add(query);
  }

  /** Whether an answer is short enough, apart from copies that are relayed. */
  fits(query: QueryEvent, payload: Uint8Array): boolean {
    const message = this.#message(query, 0, payload);
    const limit = this.#parts.core.config.queryResponseBytesMax;
    return encodeSerfMessage(message).length <= limit;
  }

  #message(
    query: QueryEvent,
    flags: number,
    payload: Uint8Array,
  ): QueryResponse {
    const { ltime, id } = query;
    const from = this.#parts.core.name;
    return { kind: "queryResponse", ltime, id, from, flags, payload };
  }

  /** @returns why it was not sent, if it was not */
  #send(
    query: QueryEvent,
    message: QueryResponse,
    nowMs: number,
  ): string | undefined {
    const { core, swim } = this.#parts;
    const { sourceAddr: addr, sourcePort: port, sourceNode: name } = query;
    const { advertiseAddr, advertisePort } = core.config.swim;
    if (port === advertisePort && isSameIp(addr, advertiseAddr)) {
      this.#parts.hearOwn(message, nowMs);
      return undefined;
    }
    const address = datagramAddress({ addr, port });
    if (address === undefined) return "no such address";
    const isAck = (message.flags & ResponseFlag.ack) !== 0;
    const kind = !isAck && query.name.startsWith(INTERNAL_PREFIX)
      ? "internalReplies"
      : "queryReplies";
    if (!swim.mayReply(kind, { name, address }, nowMs)) {
      return `too many go to ${address}`;
    }
    swim.sendUserMessage(address, encodeSerfMessage(message));
    return undefined;
  }

  /** @returns what went wrong, if something did */
  #relay(
    query: QueryEvent,
    message: QueryResponse,
    nowMs: number,
  ): string | undefined {
    const { core, swim, roster } = this.#parts;
    const { relayFactor, sourceAddr, sourcePort, sourceNode } = query;
    if (relayFactor === 0 || roster.size < relayFactor + 1) return undefined;
    const frame = encodeSerfMessage({
      kind: "relay",
      destAddr: sourceAddr,
      destPort: sourcePort,
      destZone: "",
      destName: sourceNode,
      body: encodeSerfMessage(message),
    });
    const limit = core.config.queryResponseBytesMax;
    if (frame.length > limit) {
      return `relayed response exceeds limit of ${limit} bytes`;
    }
    const address = datagramAddress({ addr: sourceAddr, port: sourcePort });
    if (address === undefined) return "no such address";
    const asker = { name: sourceNode, address };
    // The straight copy has left, so what is dropped here is seldom missed.
    let copies = 0;
    while (
      copies < relayFactor && swim.mayReply("queryCopies", asker, nowMs)
    ) copies++;
    if (copies === 0) return undefined;
    for (const relay of roster.pickRelays(copies)) {
      swim.sendUserMessage(relay, frame);
    }
    return undefined;
  }
}
