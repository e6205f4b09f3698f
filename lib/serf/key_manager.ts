/**
 * Changing the keys of the whole cluster, as the one who asks for it.
 *
 *     waiting --its turn--> asking --all alive members answered--> ended
 *        |                    |
 *        |                    +--the query's time is over--> ended
 *        +--------------------+--we shut down--> ended, with an error
 *
 * A change is an internal query to all members; what they answer is taken
 * together in a report. It has succeeded when every member that was alive at the
 * start has said so. What the others did stays done after a failure: a change
 * is made good by asking again, for each of them may be repeated without harm.
 *
 * ## Order
 *
 * One install, use or remove at a time, and none beside a list; lists run beside
 * each other. Who waits does so in one line, so a change that waits holds up the
 * lists behind it. Upstream has a read-write lock, which lets all waiting lists
 * go before the next change; the difference shows in nothing but the order.
 *
 * ## Limits
 *
 * At most `WAITING_MAX` wait; more are refused. Of an answer that is none, the
 * report shows `SHOWN_BYTES_MAX` bytes. How many answers there can be is limited
 * in `running_query.ts`.
 *
 * Source: serf `keymanager.go`.
 */

import type { SwimEngine } from "../swim/engine.ts";
import type { OperationId } from "../swim/output.ts";
import {
  decodeKeyResponse,
  encodeKeyRequest,
  type KeyResponse,
  SerfMessageType,
} from "../wire/serf_messages.ts";
import { EMPTY_BYTES } from "../kit/bytes.ts";
import { WireError } from "../wire/wire_error.ts";
import { type SerfCore, StateError } from "./core.ts";
import type { KeyReport, QueryReply } from "./event.ts";
import {
  INSTALL_KEY_QUERY,
  LIST_KEYS_QUERY,
  REMOVE_KEY_QUERY,
  USE_KEY_QUERY,
} from "./internal_query.ts";
import type { QueryParams, QuerySink } from "./running_query.ts";

/** What is to be done about the keys of the cluster. */
export type KeyRequestParams =
  | {
    readonly kind: "install" | "use" | "remove";
    /** 16, 24 or 32 bytes; it is the members that say so. */
    readonly key: Uint8Array;
    /** Through how many others each answer is sent as well, 0 to 255. */
    readonly relayFactor?: number;
  }
  | { readonly kind: "list"; readonly relayFactor?: number };

/** The report of a request that was never asked. */
export const NO_KEY_REPORT: KeyReport = {
  messages: new Map(),
  keyCounts: new Map(),
  primaryCounts: new Map(),
  nodes: 0,
  responses: 0,
  errors: 0,
};

/** Most requests that wait for their turn. */
const WAITING_MAX = 64;
/** An answer of a good member is no longer than this. */
const SHOWN_BYTES_MAX = 1_024;

const QUERY_NAMES = {
  install: INSTALL_KEY_QUERY,
  use: USE_KEY_QUERY,
  remove: REMOVE_KEY_QUERY,
  list: LIST_KEYS_QUERY,
} as const;

export interface KeyManagerParts {
  readonly core: SerfCore;
  readonly swim: Pick<SwimEngine, "liveCount">;
  /**
   * Asks the cluster; our own answer may come before this returns.
   *
   * @returns what to give it up by
   * @throws {RangeError | StateError} when it cannot be asked
   */
  ask(params: QueryParams, sink: QuerySink, nowMs: number): bigint;
  giveUp(ltime: bigint, nowMs: number): void;
}

interface Waiting {
  readonly operation: OperationId;
  readonly isList: boolean;
  readonly params: QueryParams;
}

export class KeyManager {
  readonly #parts: KeyManagerParts;
  #waiting: Waiting[] = [];
  #lists = 0;
  #isChanging = false;

  constructor(parts: KeyManagerParts) {
    this.#parts = parts;
  }

  /**
   * Begins a request, or has it wait for its turn. That it cannot be asked, or
   * has failed at a member, is told by its end.
   *
   * @throws {StateError} when too many wait
   */
  start(request: KeyRequestParams, nowMs: number): OperationId {
    if (this.#waiting.length >= WAITING_MAX) {
      throw new StateError("Too many key requests are waiting");
    }
    const { kind, relayFactor = 0 } = request;
    const key = kind === "list" ? EMPTY_BYTES : request.key;
    const operation = this.#parts.core.nextOperation();
    this.#waiting.push({
      operation,
      isList: kind === "list",
      params: {
        name: QUERY_NAMES[kind],
        payload: encodeKeyRequest(key),
        relayFactor,
      },
    });
    this.#advance(nowMs);
    return operation;
  }

  /**
   * Ends those who wait, since we shut down. Who is asking already is ended with
   * its query.
   */
  abandon(error: string): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { operation } of waiting) {
      this.#parts.core.finish(operation, { keys: NO_KEY_REPORT, error });
    }
  }

  /** Asks for those whose turn it is. */
  #advance(nowMs: number): void {
    for (
      let next = this.#waiting[0];
      next !== undefined && this.#mayRun(next);
      next = this.#waiting[0]
    ) {
      this.#waiting.shift();
      this.#ask(next, nowMs);
    }
  }

  #mayRun({ isList }: Waiting): boolean {
    return !this.#isChanging && (isList || this.#lists === 0);
  }

  #ask(request: Waiting, nowMs: number): void {
    const { core, swim } = this.#parts;
    // Nobody comes or goes while the query begins.
    const tally = new Tally(swim.liveCount, core);
    let ltime: bigint | undefined;
    const sink: QuerySink = {
      reply: (reply, replyMs) => {
        tally.count(reply);
        if (tally.isComplete && ltime !== undefined) {
          this.#parts.giveUp(ltime, replyMs);
        }
      },
      done: (endMs, error) => this.#end(request, tally, error, endMs),
    };
    this.#enter(request);
    try {
      ltime = this.#parts.ask(request.params, sink, nowMs);
    } catch (error) {
      if (!(error instanceof RangeError || error instanceof StateError)) {
        throw error;
      }
      const notAsked = new Tally(0, core);
      return this.#end(request, notAsked, error.message, nowMs);
    }
    // When we are alone, our own answer was the last one.
    if (tally.isComplete) this.#parts.giveUp(ltime, nowMs);
  }

  #enter({ isList }: Waiting): void {
    if (isList) this.#lists++;
    else this.#isChanging = true;
  }

  #end(
    { operation, isList }: Waiting,
    tally: Tally,
    error: string | undefined,
    nowMs: number,
  ): void {
    if (isList) this.#lists--;
    else this.#isChanging = false;
    const why = error ?? tally.error;
    this.#parts.core.finish(operation, {
      keys: tally.report(),
      ...(why !== undefined && { error: why }),
    });
    this.#advance(nowMs);
  }
}

/** The answers to one request. */
class Tally {
  readonly #nodes: number;
  readonly #core: SerfCore;
  readonly #messages = new Map<string, string>();
  readonly #keyCounts = new Map<string, number>();
  readonly #primaryCounts = new Map<string, number>();
  #responses = 0;
  #errors = 0;

  constructor(nodes: number, core: SerfCore) {
    this.#nodes = nodes;
    this.#core = core;
  }

  /** Whether as many members have answered as are alive. */
  get isComplete(): boolean {
    return this.#responses === this.#nodes;
  }

  /** Why the request has failed, if it has. */
  get error(): string | undefined {
    if (this.#errors > 0) {
      return `${this.#errors}/${this.#nodes} nodes reported failure`;
    }
    if (this.isComplete) return undefined;
    return `${this.#responses}/${this.#nodes} nodes reported success`;
  }

  count(reply: QueryReply): void {
    if (reply.kind !== "response") return;
    const { from, payload } = reply;
    this.#responses++;
    let response: KeyResponse;
    try {
      response = decodeKeyResponse(payload);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.#errors++;
      this.#messages.set(from, complaintAbout(payload));
      return;
    }
    this.#add(from, response);
  }

  #add(from: string, response: KeyResponse): void {
    const { result, message, keys, primaryKey } = response;
    if (!result) {
      this.#errors++;
      this.#messages.set(from, message);
    } else if (message !== "") {
      this.#messages.set(from, message);
      this.#core.log("WARN", message);
    }
    for (const key of keys) increment(this.#keyCounts, key);
    increment(this.#primaryCounts, primaryKey);
  }

  report(): KeyReport {
    return {
      messages: this.#messages,
      keyCounts: this.#keyCounts,
      primaryCounts: this.#primaryCounts,
      nodes: this.#nodes,
      responses: this.#responses,
      errors: this.#errors,
    };
  }
}

function increment(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

/** What is told of an answer that is none; bytes are shown as Go shows them. */
function complaintAbout(payload: Uint8Array): string {
  const shown = payload.subarray(0, SHOWN_BYTES_MAX).join(" ");
  const rest = payload.length > SHOWN_BYTES_MAX ? " ..." : "";
  const what = payload[0] === SerfMessageType.keyResponse
    ? "Failed to decode key query response"
    : "Invalid key query response type";
  return `${what}: [${shown}${rest}]`;
}
