/**
 * Queries that we have asked: what comes back to them, and when they end.
 *
 *     running --nobody is left who may answer, or given up--> ended
 *        |                                                      |
 *        +------------------- deadline ------------------------+--> forgotten
 *
 * A query is known by its Lamport time, which is ours alone, and told from other
 * nodes' queries of that time by its number. An ended query is kept until its
 * deadline, so that late and relayed copies of answers are dropped in silence
 * instead of being taken for somebody's mistake.
 *
 * ## When a query ends early
 *
 * Upstream waits out the whole timeout. Here a query ends as soon as nobody is
 * left who may still answer. A member owes an answer, unless it is known that
 * none is coming (a ping), and an ack if acks were asked for; each comes at most
 * once, so a member that has sent all it owes is done. Who owes:
 *
 * - with a filter for nodes: exactly the nodes named, whatever we know of them;
 *   nobody else's filters match
 * - without: every member that has neither failed nor left, as known when an
 *   answer arrives, and ourselves
 *
 * Filters for tags free nobody, since the tags of others may be newer than what
 * we know of them. A member that does not answer keeps the query open, even if
 * it has acked: its answer may be on the way. A member that fails meanwhile is
 * waited for until something else arrives, or the time is over. The price of
 * ending early is the answer of a node that we do not know, or hold for failed.
 *
 * ## Limits
 *
 * At most `QUERIES_MAX` are held; ended ones give way first, and if there is none
 * a new query is refused. A query takes as many acks and as many answers as there
 * were members at its start, and `SPARE_REPLIES` more for those who join; senders
 * with names longer than any member's are dropped.
 *
 * Source: serf `query.go` (QueryResponse, DefaultQueryTimeout), `serf.go` (Query,
 * handleQueryResponse).
 */

import type { Deadline } from "../kit/deadlines.ts";
import { EMPTY_BYTES } from "../kit/bytes.ts";
import { nanosecondsOf } from "../kit/duration.ts";
import { retransmitLimit } from "../swim/broadcast_queue.ts";
import { NAME_LENGTH_MAX } from "../swim/name_limit.ts";
import {
  encodeFilter,
  encodeSerfMessage,
  QueryFlag,
  type QueryMessage,
  type QueryResponse,
  ResponseFlag,
} from "../wire/serf_messages.ts";
import { type SerfCore, StateError } from "./core.ts";
import type { QueryReply } from "./event.ts";
import type { Roster } from "./roster.ts";
import type { Timer } from "./timer.ts";

/** A question to the cluster. */
export interface QueryParams {
  readonly name: string;
  /** Absent or empty for none. */
  readonly payload?: Uint8Array;
  /** Only these members answer; absent or empty for all. */
  readonly filterNodes?: readonly string[];
  /**
   * By tag name, an expression that the value must contain a match of (RE2, not
   * anchored; a missing tag counts as empty).
   */
  readonly filterTags?: ReadonlyMap<string, string>;
  /** Whether everybody whom the filters match says at once that it is there. */
  readonly requestAck?: boolean;
  /** Through how many others each ack and answer is sent as well, 0 to 255. */
  readonly relayFactor?: number;
  /** How long to wait, ms: 0 for the default, negative to end at once. */
  readonly timeoutMs?: number;
}

/** What is done with what comes back. `done` is called once, and last. */
export interface QuerySink {
  reply(reply: QueryReply, nowMs: number): void;
  /** @param error why it ended before its time without being complete */
  done(nowMs: number, error?: string): void;
}

/** How a query differs from an ordinary one. */
export interface QueryManner {
  /** Whether members answer at all, beside their acks. */
  readonly hasAnswers?: boolean;
  /** Whether it may end before its time; see above. */
  readonly mayEndEarly?: boolean;
}

/** A query that has begun. */
export interface StartedQuery {
  readonly message: QueryMessage;
  /** The message as it is gossiped. */
  readonly body: Uint8Array;
}

/** Most queries held at one time. */
const QUERIES_MAX = 1_024;
/** Acks and answers taken beyond the number of members at the start. */
const SPARE_REPLIES = 256;
/** First version of the protocol with queries. */
const PROTOCOL_MIN = 4;

interface RunningQuery {
  readonly id: number;
  readonly deadlineMs: number;
  readonly row: Deadline<Timer>;
  readonly sink: QuerySink;
  /** The nodes that may answer, `undefined` for all members. */
  readonly nodes: readonly string[] | undefined;
  readonly owesAck: boolean;
  readonly owesAnswer: boolean;
  readonly mayEndEarly: boolean;
  readonly repliesMax: number;
  readonly ackedBy: Set<string>;
  readonly answeredBy: Set<string>;
  hasEnded: boolean;
}

export class RunningQueries {
  readonly #core: SerfCore;
  readonly #roster: Roster;
  /** By Lamport time, oldest first. */
  readonly #queries = new Map<bigint, RunningQuery>();

  constructor(core: SerfCore, roster: Roster) {
    this.#core = core;
    this.#roster = roster;
  }

  /** Queries held, ended ones included. */
  get size(): number {
    return this.#queries.size;
  }

  /**
   * Begins a query. It has yet to be handled here and gossiped.
   *
   * @param liveCount members that the SWIM layer holds for alive
   * @throws {StateError} when our protocol version has no queries, or too many
   * are running
   * @throws {RangeError} when it is too long, or a number is out of range
   */
  start(
    params: QueryParams,
    sink: QuerySink,
    options: { readonly manner: QueryManner; readonly liveCount: number },
    nowMs: number,
  ): StartedQuery {
    const core = this.#core;
    const { manner } = options;
    const timeoutMs = this.#timeoutMs(params.timeoutMs, options.liveCount);
    const message = this.#message(params, timeoutMs);
    const body = encodeSerfMessage(message);
    const limit = core.config.queryBytesMax;
    if (body.length > limit) {
      throw new RangeError(`query exceeds limit of ${limit} bytes`);
    }
    this.#makeRoom();
    const { ltime, id } = message;
    const deadlineMs = nowMs + timeoutMs;
    const nodes = params.filterNodes ?? [];
    this.#queries.set(ltime, {
      id,
      deadlineMs,
      row: core.deadlines.add(deadlineMs, { kind: "queryEnd", ltime }),
      sink,
      nodes: nodes.length > 0 ? nodes : undefined,
      owesAck: params.requestAck ?? false,
      owesAnswer: manner.hasAnswers ?? true,
      mayEndEarly: manner.mayEndEarly ?? true,
      repliesMax: this.#roster.size + SPARE_REPLIES,
      ackedBy: new Set(),
      answeredBy: new Set(),
      hasEnded: false,
    });
    return { message, body };
  }

  /** An ack or answer, to us or to nobody. */
  replyArrived(message: QueryResponse, nowMs: number): void {
    const core = this.#core;
    const { ltime, id, from } = message;
    const query = this.#queries.get(ltime);
    if (query === undefined) {
      core.refuse(
        "WARN",
        `reply for non-running query (LTime: ${ltime}, ID: ${id}) From: ${from}`,
        nowMs,
      );
      return;
    }
    if (query.id !== id) {
      core.refuse(
        "WARN",
        `query reply ID mismatch (Local: ${query.id}, Response: ${id})`,
        nowMs,
      );
      return;
    }
    if (query.hasEnded || nowMs > query.deadlineMs) return;
    const isTaken = (message.flags & ResponseFlag.ack) !== 0
      ? this.#ackArrived(query, from, nowMs)
      : this.#answerArrived(query, message, nowMs);
    if (isTaken === "dropped") {
      core.metrics.responsesDropped.add();
      core.refuse(
        "WARN",
        "Failed to deliver query response, dropping",
        nowMs,
      );
    }
    if (isTaken === "taken" && this.#isComplete(query)) {
      this.#end(query, nowMs);
    }
  }

  /** The time of a query is over. */
  timedOut(ltime: bigint, nowMs: number): void {
    const query = this.#queries.get(ltime);
    if (query === undefined) return;
    this.#queries.delete(ltime);
    this.#end(query, nowMs);
  }

  /** Ends a query whose answers nobody waits for any more; `done` is called. */
  giveUp(ltime: bigint, nowMs: number): void {
    const query = this.#queries.get(ltime);
    if (query !== undefined) this.#end(query, nowMs);
  }

  /** Ends all, since we shut down. */
  abandon(error: string, nowMs: number): void {
    const queries = [...this.#queries.values()];
    this.#queries.clear();
    for (const query of queries) this.#end(query, nowMs, error);
  }

  // --- Inside ---------------------------------------------------------------

  /**
   * The time that a query takes.
   *
   * Unless it is given: gossip interval * multiplier * ceil(log10(members + 1)),
   * a multiple of the time in which gossip reaches everybody.
   */
  #timeoutMs(given: number | undefined, liveCount: number): number {
    const { swim, queryTimeoutMult } = this.#core.config;
    if (given !== undefined && !Number.isFinite(given)) {
      throw new RangeError(`Cannot wait ${given} ms for a query`);
    }
    if (given !== undefined && given !== 0) return given;
    return swim.profile.gossipIntervalMs *
      retransmitLimit(Math.max(1, liveCount), queryTimeoutMult);
  }

  #message(params: QueryParams, timeoutMs: number): QueryMessage {
    const { config, queryClock, random } = this.#core;
    if (config.protocolVersion < PROTOCOL_MIN) {
      throw new StateError("Feature not supported");
    }
    const { relayFactor = 0, filterNodes = [], filterTags = new Map() } =
      params;
    if (
      !(Number.isInteger(relayFactor) && relayFactor >= 0 &&
        relayFactor <= 255)
    ) {
      throw new RangeError("Relay factor must be between 0 and 255");
    }
    const filters: Uint8Array[] = [];
    if (filterNodes.length > 0) {
      filters.push(encodeFilter({ kind: "node", nodes: filterNodes }));
    }
    for (const [tag, expr] of filterTags) {
      filters.push(encodeFilter({ kind: "tag", tag, expr }));
    }
    // A clock that wrapped comes by times that are still in use.
    while (this.#queries.has(queryClock.time)) queryClock.increment();
    return {
      kind: "query",
      ltime: queryClock.time,
      id: random.uint32() >>> 1,
      addr: config.swim.advertiseAddr,
      port: config.swim.advertisePort,
      sourceNode: config.swim.name,
      filters,
      flags: params.requestAck ? QueryFlag.ack : 0,
      relayFactor,
      timeoutNs: nanosecondsOf(timeoutMs),
      name: params.name,
      payload: params.payload ?? EMPTY_BYTES,
    };
  }

  #makeRoom(): void {
    if (this.#queries.size < QUERIES_MAX) return;
    for (const [ltime, query] of this.#queries) {
      if (!query.hasEnded) continue;
      this.#core.deadlines.delete(query.row);
      this.#queries.delete(ltime);
      return;
    }
    throw new StateError("Too many queries are running");
  }

  #ackArrived(
    query: RunningQuery,
    from: string,
    nowMs: number,
  ): "taken" | "known" | "dropped" {
    const { metrics } = this.#core;
    if (query.ackedBy.has(from)) {
      metrics.queryDuplicateAcks.add();
      return "known";
    }
    metrics.queryAcks.add();
    const isWanted = query.owesAck && from.length <= NAME_LENGTH_MAX;
    if (!isWanted || query.ackedBy.size >= query.repliesMax) return "dropped";
    query.ackedBy.add(from);
    query.sink.reply({ kind: "ack", from }, nowMs);
    return "taken";
  }

  #answerArrived(
    query: RunningQuery,
    message: QueryResponse,
    nowMs: number,
  ): "taken" | "known" | "dropped" {
    const { metrics } = this.#core;
    const { from } = message;
    if (query.answeredBy.has(from)) {
      metrics.queryDuplicateResponses.add();
      return "known";
    }
    metrics.queryResponses.add();
    if (
      from.length > NAME_LENGTH_MAX ||
      query.answeredBy.size >= query.repliesMax
    ) return "dropped";
    query.answeredBy.add(from);
    // A view into a packet, so far.
    const payload = message.payload.slice();
    query.sink.reply({ kind: "response", from, payload }, nowMs);
    return "taken";
  }

  /** Whether nobody is left who may still answer. */
  #isComplete(query: RunningQuery): boolean {
    if (!query.mayEndEarly || query.hasEnded) return false;
    const { owesAck, owesAnswer, ackedBy, answeredBy, nodes } = query;
    const isDone = (name: string) =>
      (!owesAck || ackedBy.has(name)) &&
      (!owesAnswer || answeredBy.has(name));
    if (nodes !== undefined) return nodes.every(isDone);
    if (!isDone(this.#core.name)) return false;
    // Cheap, and false for all arrivals but the last ones.
    const repliers = owesAnswer ? answeredBy : ackedBy;
    if (repliers.size < this.#roster.upCount) return false;
    for (const name of this.#roster.upNames()) {
      if (!isDone(name)) return false;
    }
    return true;
  }

  #end(query: RunningQuery, nowMs: number, error?: string): void {
    if (query.hasEnded) return;
    query.hasEnded = true;
    // Only what tells late copies from strangers is still needed.
    query.ackedBy.clear();
    query.answeredBy.clear();
    query.sink.done(nowMs, error);
  }
}
