/**
 * Answering queries: acks and responses, on the straight way and on detours.
 *
 * Both go to the asker as one datagram. With a relay factor, as many other
 * members get a copy each, wrapped with the asker's address, and pass it on; the
 * asker counts each sender once. To ourselves nothing travels: our own answers
 * are handed over directly, so that a node can always hear itself.
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
import { datagramAddress } from "./relay.ts";
import type { Roster } from "./roster.ts";

/** Begins every error of an answer, also where no key is concerned. */
const RESPOND_ERROR = "failed to respond to key query: ";

export interface AnswerParts {
  readonly core: SerfCore;
  readonly swim: Pick<SwimEngine, "sendUserMessage">;
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
    if (!this.#send(query, message, nowMs)) {
      core.refuse("ERR", "failed to send ack: no such address", nowMs);
      return;
    }
    const error = this.#relay(query, message);
    if (error !== undefined) {
      core.refuse("ERR", `failed to relay ack: ${error}`, nowMs);
    }
  }

  /**
   * Answers a query.
   *
   * @throws {RangeError} when the answer is too long
   * @throws {StateError} when it was answered already, when it is too late, or
   * when the asker gave no address that can be used
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
    if (!this.#send(query, message, nowMs)) {
      throw new StateError(`${RESPOND_ERROR}no such address`);
    }
    const error = this.#relay(query, message);
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

  /** @returns false when nothing can be sent to where the asker says it is */
  #send(query: QueryEvent, message: QueryResponse, nowMs: number): boolean {
    const { core, swim } = this.#parts;
    const { sourceAddr: addr, sourcePort: port } = query;
    const { advertiseAddr, advertisePort } = core.config.swim;
    if (port === advertisePort && isSameIp(addr, advertiseAddr)) {
      this.#parts.hearOwn(message, nowMs);
      return true;
    }
    const address = datagramAddress({ addr, port });
    if (address === undefined) return false;
    swim.sendUserMessage(address, encodeSerfMessage(message));
    return true;
  }

  /** @returns what went wrong, if something did */
  #relay(query: QueryEvent, message: QueryResponse): string | undefined {
    const { core, swim, roster } = this.#parts;
    const { relayFactor } = query;
    if (relayFactor === 0 || roster.size < relayFactor + 1) return undefined;
    const frame = encodeSerfMessage({
      kind: "relay",
      destAddr: query.sourceAddr,
      destPort: query.sourcePort,
      destZone: "",
      destName: query.sourceNode,
      body: encodeSerfMessage(message),
    });
    const limit = core.config.queryResponseBytesMax;
    if (frame.length > limit) {
      return `relayed response exceeds limit of ${limit} bytes`;
    }
    for (const address of roster.pickRelays(relayFactor)) {
      swim.sendUserMessage(address, frame);
    }
    return undefined;
  }
}
