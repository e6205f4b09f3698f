/**
 * Queries as the engine sees them: one door to the mechanisms behind.
 *
 *     ask ──▶ RunningQueries ◀── replies ───────────────┐
 *      │                                                 │ ours, handed over
 *      ├──▶ the "Query" queue (gossip)                   │
 *      ▼                                                 │
 *     ArrivedQueries ──▶ Answers ──▶ datagrams to others ┘
 *      │      ▲
 *      │      └── queries of others
 *      ├──▶ the application, which answers by `respond`
 *      └──▶ InternalQueries ──▶ NameConflicts, KeyQueries
 *
 * Our own query is handled here first, exactly like one of another member.
 *
 * Source: serf `serf.go` (Query), `query.go`, `internal_query.go`.
 */

import type { CompileExpression } from "../kit/expression.ts";
import type { SwimEngine } from "../swim/engine.ts";
import type { MemberView } from "../swim/member.ts";
import type { OperationId } from "../swim/output.ts";
import type { NodeDescriptor } from "../wire/messages.ts";
import type { QueryMessage, QueryResponse } from "../wire/serf_messages.ts";
import { Answers } from "./answer.ts";
import { NameConflicts } from "./conflict.ts";
import type { SerfCore } from "./core.ts";
import type { QueryEvent } from "./event.ts";
import {
  CONFLICT_QUERY,
  type InternalHandler,
  InternalQueries,
  PING_QUERY,
} from "./internal_query.ts";
import { KeyManager, type KeyRequestParams } from "./key_manager.ts";
import { KeyQueries } from "./key_query.ts";
import { ArrivedQueries } from "./query_arrival.ts";
import { type Queues, userMessage } from "./queues.ts";
import type { Roster } from "./roster.ts";
import {
  type QueryManner,
  type QueryParams,
  type QuerySink,
  RunningQueries,
} from "./running_query.ts";

export interface QueryParts {
  readonly core: SerfCore;
  readonly swim: Pick<SwimEngine, "sendUserMessage" | "mayReply" | "liveCount">;
  readonly roster: Roster;
  readonly queues: Queues;
  /** Absent when it comes later, by `provideCompiler`. */
  readonly compile: CompileExpression | undefined;
  /** Our tags at this moment. */
  ownTags(): ReadonlyMap<string, string>;
  /** Called when the cluster has decided that our name is another's. */
  onNameLost(nowMs: number): void;
}

export class Queries {
  readonly #parts: QueryParts;
  readonly #running: RunningQueries;
  readonly #answers: Answers;
  readonly #arrived: ArrivedQueries;
  readonly #conflicts: NameConflicts;
  readonly #keyQueries: KeyQueries;
  readonly #keyManager: KeyManager;
  /** Lamport times of the application's running queries. */
  readonly #ltimes = new Map<OperationId, bigint>();

  constructor(parts: QueryParts) {
    const { core, swim, roster } = parts;
    this.#parts = parts;
    this.#running = new RunningQueries(core, roster);
    this.#answers = new Answers({
      core,
      swim,
      roster,
      hearOwn: (message, nowMs) => this.#running.replyArrived(message, nowMs),
    });
    this.#conflicts = new NameConflicts({
      core,
      roster,
      answers: this.#answers,
      ask: (params, sink, manner, nowMs) => {
        this.#ask(params, sink, manner, nowMs);
      },
      onLost: parts.onNameLost,
    });
    this.#keyQueries = new KeyQueries(core, this.#answers);
    this.#keyManager = new KeyManager({
      core,
      swim,
      ask: (params, sink, nowMs) => this.#ask(params, sink, {}, nowMs),
      giveUp: (ltime, nowMs) => this.#running.giveUp(ltime, nowMs),
    });
    const internal = new InternalQueries(
      core,
      new Map<string, InternalHandler>([
        // The ack was all that it asked for.
        [PING_QUERY, () => {}],
        [
          CONFLICT_QUERY,
          (query, nowMs) => this.#conflicts.answer(query, nowMs),
        ],
        ...this.#keyQueries.handlers(),
      ]),
    );
    this.#arrived = new ArrivedQueries({
      core,
      answers: this.#answers,
      internal,
      ownTags: parts.ownTags,
    }, parts.compile);
  }

  // --- Requests -------------------------------------------------------------

  /** Asks the cluster; see `SerfEngine.query`. */
  ask(params: QueryParams, nowMs: number): OperationId {
    const { core } = this.#parts;
    const operation = core.nextOperation();
    const sink: QuerySink = {
      reply: (reply) => core.emit({ kind: "queryReply", operation, reply }),
      done: (_, error) => {
        this.#ltimes.delete(operation);
        core.finish(operation, error === undefined ? {} : { error });
      },
    };
    const manner = { hasAnswers: params.name !== PING_QUERY };
    this.#ask(params, sink, manner, nowMs, operation);
    return operation;
  }

  /** Nobody waits for the answers any more. */
  giveUp(operation: OperationId, nowMs: number): void {
    const ltime = this.#ltimes.get(operation);
    if (ltime !== undefined) this.#running.giveUp(ltime, nowMs);
  }

  /** Answers a query; see `SerfEngine.respond`. */
  respond(query: QueryEvent, payload: Uint8Array, nowMs: number): void {
    this.#answers.respond(query, payload, nowMs);
  }

  /** Changes or lists the keys of the cluster; see `SerfEngine.changeKeys`. */
  changeKeys(params: KeyRequestParams, nowMs: number): OperationId {
    return this.#keyManager.start(params, nowMs);
  }

  // --- What happens ---------------------------------------------------------

  /** From now on ignores queries before `ltime`, without a word. */
  ignoreBefore(ltime: bigint): void {
    this.#arrived.ignoreBefore(ltime);
  }

  /** Messages that come from now on came with another packet. */
  beginPacket(): void {
    this.#arrived.beginPacket();
  }

  /**
   * A query of another member.
   *
   * @param from address that it came from
   * @returns whether the query is new and may be passed on
   */
  arrived(query: QueryMessage, nowMs: number, from = ""): boolean {
    return this.#arrived.arrived(query, from, nowMs);
  }

  /** An ack or an answer. */
  responseArrived(response: QueryResponse, nowMs: number): void {
    this.#running.replyArrived(response, nowMs);
  }

  /** The time of the query of ours with this Lamport time is over. */
  timedOut(ltime: bigint, nowMs: number): void {
    this.#running.timedOut(ltime, nowMs);
  }

  /** A name is claimed by two nodes. */
  conflictFound(
    existing: MemberView,
    other: NodeDescriptor,
    nowMs: number,
  ): void {
    this.#conflicts.found(existing, other, nowMs);
  }

  /** See `SerfEngine.keyringSaved`. */
  keyringSaved(saveId: number, error: string | undefined, nowMs: number): void {
    this.#keyQueries.saved(saveId, error, nowMs);
  }

  provideCompiler(compile: CompileExpression, nowMs: number): void {
    this.#arrived.provideCompiler(compile, nowMs);
  }

  /** Ends everything under way without success, since we shut down. */
  abandon(error: string, nowMs: number): void {
    // First, so that the end of one key request does not start another.
    this.#keyManager.abandon(error);
    this.#keyQueries.abandon();
    this.#running.abandon(error, nowMs);
  }

  // --- Inside ---------------------------------------------------------------

  /** @returns its Lamport time, by which it is known here */
  #ask(
    params: QueryParams,
    sink: QuerySink,
    manner: QueryManner,
    nowMs: number,
    operation?: OperationId,
  ): bigint {
    const { swim, queues } = this.#parts;
    const { message, body } = this.#running.start(
      params,
      sink,
      { manner, liveCount: swim.liveCount },
      nowMs,
    );
    if (operation !== undefined) this.#ltimes.set(operation, message.ltime);
    this.#arrived.arrived(message, undefined, nowMs);
    queues.put("Query", userMessage(body));
    return message.ltime;
  }
}
