/**
 * Queries as they come in, ours included: recognised, judged, acked, delivered.
 *
 *     new? --> for us? --> ack --> internal: handled here
 *      |         |                 else: to the application
 *      no        no
 *
 * A query is recognised by Lamport time and number. The ring remembers those of
 * the last `queryBuffer` times, so that a query goes round the cluster once. It
 * is passed on whether it is for us or not.
 *
 * One Lamport time holds at most `QUERIES_PER_LTIME_MAX` queries and the whole
 * ring `QUERIES_MAX`; upstream has no limit. See `ltime_ring.ts`.
 *
 * The compiler for filters with expressions may be missing at first. Queries that
 * need it then wait, at most `WAITING_MAX` of them; more match nobody. Nor do those
 * whose expressions are more work than may be spent on them (`expressions.ts`).
 * They are passed on all the same: others have budgets of their own, and a query
 * must not end at the first member that is short of it.
 *
 * Source: serf `serf.go` (handleQuery).
 */

import { millisecondsOf } from "../kit/duration.ts";
import type { CompileExpression } from "../kit/expression.ts";
import { QueryFlag, type QueryMessage } from "../wire/serf_messages.ts";
import type { Answers } from "./answer.ts";
import type { SerfCore } from "./core.ts";
import type { QueryEvent } from "./event.ts";
import { Expressions, type QuerySource } from "./expressions.ts";
import type { InternalQueries } from "./internal_query.ts";
import { SERF_LIMITS } from "./limits.ts";
import { LTimeRing } from "./ltime_ring.ts";
import { judgeFilters } from "./query_filter.ts";

/** Most different queries with one Lamport time. */
const QUERIES_PER_LTIME_MAX = 1_024;
/** Most queries remembered. */
const QUERIES_MAX = 16_384;
/** Most queries that wait for a compiler. */
const WAITING_MAX = 64;

export interface ArrivalParts {
  readonly core: SerfCore;
  readonly answers: Answers;
  readonly internal: InternalQueries;
  /** Our tags at this moment. */
  ownTags(): ReadonlyMap<string, string>;
}

/** A query whose filters are yet to be judged. */
interface WaitingQuery {
  readonly event: QueryEvent;
  readonly filters: readonly Uint8Array[];
  readonly wantsAck: boolean;
  readonly source: QuerySource;
}

export class ArrivedQueries {
  readonly #parts: ArrivalParts;
  /** Numbers of the queries of each time. */
  readonly #ring: LTimeRing<number>;
  /** Of the clock, as far as we have followed it. */
  #wraps = 0;
  readonly #expressions: Expressions;
  #waiting: WaitingQuery[] = [];
  /** Earlier queries are none of our business. */
  #minTime = 0n;

  /** @param compile absent when it comes later, by `provideCompiler` */
  constructor(parts: ArrivalParts, compile: CompileExpression | undefined) {
    this.#parts = parts;
    const { limits = SERF_LIMITS } = parts.core.config;
    this.#expressions = new Expressions(limits, compile);
    this.#ring = new LTimeRing({
      slots: parts.core.config.queryBuffer,
      itemsPerTimeMax: QUERIES_PER_LTIME_MAX,
      weightMax: QUERIES_MAX,
      weigh: () => 1,
      keyOf: (id) => id,
    });
  }

  /** From now on ignores queries before `ltime`, without a word. */
  ignoreBefore(ltime: bigint): void {
    if (ltime > this.#minTime) this.#minTime = ltime;
  }

  /** Queries of others that come from now on came with another packet. */
  beginPacket(): void {
    this.#expressions.beginPacket();
  }

  /** @returns whether the query is new and may be passed on */
  arrived(query: QueryMessage, source: QuerySource, nowMs: number): boolean {
    if (!this.#isNew(query, nowMs)) return false;
    this.#parts.core.metrics.queries.add(query.name);
    this.#judge({
      event: eventOf(query, nowMs),
      filters: query.filters,
      wantsAck: (query.flags & QueryFlag.ack) !== 0,
      source,
    }, nowMs);
    return (query.flags & QueryFlag.noBroadcast) === 0;
  }

  /** Goes on with the queries that waited for a compiler. */
  provideCompiler(compile: CompileExpression, nowMs: number): void {
    this.#expressions.provideCompiler(compile);
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const query of waiting) {
      this.#expressions.beginPacket();
      this.#judge(query, nowMs);
    }
  }

  #isNew(query: QueryMessage, nowMs: number): boolean {
    const { core } = this.#parts;
    const { ltime, id, name } = query;
    core.queryClock.witness(ltime);
    this.#followClock();
    if (ltime < this.#minTime) return false;
    const clockTime = core.queryClock.time;
    if (this.#ring.isOld(ltime, clockTime)) {
      core.metrics.queriesDropped.add();
      core.refuse(
        "WARN",
        `received old query ${name} from time ${ltime} (current: ${clockTime})`,
        nowMs,
      );
      return false;
    }
    if (this.#ring.has(ltime, id)) return false;
    if (this.#ring.add(ltime, id)) return true;
    core.metrics.queriesDropped.add();
    core.refuse(
      "WARN",
      `too many queries at time ${ltime}, dropping ${name}`,
      nowMs,
    );
    return false;
  }

  /** After a wrap of the clock, what was seen before says nothing any more. */
  #followClock(): void {
    const { wraps } = this.#parts.core.queryClock;
    if (wraps === this.#wraps) return;
    this.#wraps = wraps;
    this.#ring.restart();
    this.#minTime = 0n;
  }

  #judge(query: WaitingQuery, nowMs: number): void {
    const { core } = this.#parts;
    const subject = { name: core.name, tags: this.#parts.ownTags() };
    const test = this.#expressions.forQuery(query.source, nowMs);
    const verdict = judgeFilters(query.filters, subject, test);
    switch (verdict.kind) {
      case "match":
        return this.#deliver(query, nowMs);
      case "noMatch":
        if (verdict.complaint !== undefined) {
          core.refuse("WARN", verdict.complaint, nowMs);
        }
        return;
      case "overBudget":
        core.metrics.filtersRefused.add();
        core.refuse(
          "WARN",
          `the filters of recent queries are too much work, not answering ${query.event.name}`,
          nowMs,
        );
        return;
      case "needsCompiler":
        return this.#wait(query, nowMs);
    }
  }

  #wait(query: WaitingQuery, nowMs: number): void {
    const { core } = this.#parts;
    if (this.#waiting.length >= WAITING_MAX) {
      core.refuse("WARN", "too many queries with expressions", nowMs);
      return;
    }
    if (this.#waiting.length === 0) core.emit({ kind: "compilerWanted" });
    // So far they are views into a packet, which it outlives.
    const filters = query.filters.map((filter) => filter.slice());
    this.#waiting.push({ ...query, filters });
  }

  #deliver({ event, wantsAck }: WaitingQuery, nowMs: number): void {
    const { core, answers, internal } = this.#parts;
    // First, so that the asker knows that we have it before we begin.
    if (wantsAck) answers.ack(event, nowMs);
    if (!internal.handle(event, nowMs)) core.deliver(event, nowMs);
    else core.onRawEvent?.(event);
  }
}

/** A query as the application sees it, with bytes of its own. */
function eventOf(query: QueryMessage, nowMs: number): QueryEvent {
  return {
    type: "query",
    ltime: query.ltime,
    id: query.id,
    name: query.name,
    payload: query.payload.slice(),
    sourceNode: query.sourceNode,
    sourceAddr: query.addr.slice(),
    sourcePort: query.port,
    relayFactor: query.relayFactor,
    deadlineMs: nowMs + millisecondsOf(query.timeoutNs),
  };
}
