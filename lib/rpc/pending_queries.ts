/**
 * Queries that a client has been shown and may still answer, by the numbers that
 * it was told.
 *
 * Numbers count from 1 for each connection, and each stream's copy of a query has
 * one of its own. At most `PENDING_QUERIES_MAX` are kept; beyond it the oldest
 * number is forgotten, as if its deadline had passed.
 */

import type { QueryEvent } from "../serf/event.ts";

/** Queries that a client may still answer. */
export const PENDING_QUERIES_MAX = 1_024;

export class PendingQueries {
  readonly #queries = new Map<bigint, QueryEvent>();
  #lastId = 0n;

  /** Number that the next query will have. */
  get nextId(): bigint {
    return this.#lastId + 1n;
  }

  /** Remembers a query under `nextId`. */
  add(query: QueryEvent): void {
    this.#queries.set(++this.#lastId, query);
    if (this.#queries.size <= PENDING_QUERIES_MAX) return;
    for (const oldest of this.#queries.keys()) {
      this.#queries.delete(oldest);
      return;
    }
  }

  get(id: bigint): QueryEvent | undefined {
    return this.#queries.get(id);
  }

  clear(): void {
    this.#queries.clear();
  }
}
