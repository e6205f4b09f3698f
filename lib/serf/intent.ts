/**
 * Intents about members that we have not met yet.
 *
 * Gossip may bring "b leaves" before "b is alive". The newest intent per unknown
 * name waits here, and decides the status in which the member starts. It is not
 * used up by that: a member that comes back within the timeout starts from its
 * status times, but one erased and met again starts from here again.
 *
 * Names come from peers, so their number is bounded. When the table is full, an
 * intent about a new name is refused, which also means that we do not pass it on.
 * Refusing rather than forgetting an older one, because a forgotten intent would
 * be new again at its next arrival, and two members could keep each other's
 * gossip alive for ever. Nothing is lost for good: the next push/pull carries the
 * statuses.
 *
 * Source: serf `serf.go` (recentIntents, upsertIntent, reapIntents).
 */

import { NAME_LENGTH_MAX } from "../swim/name_limit.ts";

export type IntentType = "join" | "leave";

export interface RecentIntent {
  readonly type: IntentType;
  readonly ltime: bigint;
  /** When it arrived. */
  readonly atMs: number;
}

/** Most names remembered. */
const RECENT_INTENTS_MAX = 4_096;

export class RecentIntents {
  readonly #byName = new Map<string, RecentIntent>();

  /** @param capacity most names remembered, at least 1 */
  constructor(readonly capacity = RECENT_INTENTS_MAX) {}

  get size(): number {
    return this.#byName.size;
  }

  get(name: string): RecentIntent | undefined {
    return this.#byName.get(name);
  }

  /**
   * Remembers an intent if it is newer than the one known of that name, be it of
   * the same type or the other.
   *
   * @returns whether it was remembered, and so is worth passing on
   */
  upsert(
    name: string,
    type: IntentType,
    ltime: bigint,
    nowMs: number,
  ): boolean {
    const known = this.#byName.get(name);
    if (known === undefined) {
      const isRefused = this.#byName.size >= this.capacity ||
        name.length > NAME_LENGTH_MAX;
      if (isRefused) return false;
    } else if (ltime <= known.ltime) {
      return false;
    }
    this.#byName.set(name, { type, ltime, atMs: nowMs });
    return true;
  }

  /** Forgets all of them. */
  clear(): void {
    this.#byName.clear();
  }

  /** Forgets what arrived more than `timeoutMs` ago. */
  expire(timeoutMs: number, nowMs: number): void {
    for (const [name, intent] of this.#byName) {
      if (nowMs - intent.atMs > timeoutMs) this.#byName.delete(name);
    }
  }
}
