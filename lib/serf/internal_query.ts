/**
 * Queries that Serf asks itself: names with a prefix of their own.
 *
 * They never reach the application; each has a handler in a table, by the rest of
 * its name. An internal query that is acked is acked before it comes here, known
 * or not.
 *
 * Source: serf `internal_query.go`.
 */

import type { SerfCore } from "./core.ts";
import type { QueryEvent } from "./event.ts";

/** What the names of internal queries begin with. */
export const INTERNAL_PREFIX = "_serf_";
/** Asks for nothing but an ack. */
export const PING_QUERY = `${INTERNAL_PREFIX}ping`;
/** Asks who a name belongs to. */
export const CONFLICT_QUERY = `${INTERNAL_PREFIX}conflict`;
/** Change the keys of every member, or ask for them. */
export const INSTALL_KEY_QUERY = `${INTERNAL_PREFIX}install-key`;
export const USE_KEY_QUERY = `${INTERNAL_PREFIX}use-key`;
export const REMOVE_KEY_QUERY = `${INTERNAL_PREFIX}remove-key`;
export const LIST_KEYS_QUERY = `${INTERNAL_PREFIX}list-keys`;

export type InternalHandler = (query: QueryEvent, nowMs: number) => void;

export class InternalQueries {
  readonly #core: SerfCore;
  readonly #handlers: ReadonlyMap<string, InternalHandler>;

  /** @param handlers by the whole name of the query */
  constructor(
    core: SerfCore,
    handlers: ReadonlyMap<string, InternalHandler>,
  ) {
    this.#core = core;
    this.#handlers = handlers;
  }

  /** @returns false when the query is one for the application */
  handle(query: QueryEvent, nowMs: number): boolean {
    const { name } = query;
    if (!name.startsWith(INTERNAL_PREFIX)) return false;
    const handler = this.#handlers.get(name);
    if (handler !== undefined) {
      handler(query, nowMs);
    } else {
      this.#core.refuse(
        "WARN",
        `Unhandled internal query '${name.slice(INTERNAL_PREFIX.length)}'`,
        nowMs,
      );
    }
    return true;
  }
}
