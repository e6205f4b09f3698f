/**
 * Intents that start with us: that we joined, or that a member leaves.
 *
 * Each is handled here first, exactly as if it had come from another member, and
 * then gossiped. Source: serf `serf.go` (broadcastJoin, Leave, forceLeave).
 */

import type { OperationId } from "../swim/output.ts";
import { encodeSerfMessage } from "../wire/serf_messages.ts";
import type { SerfCore } from "./core.ts";
import { type Queues, userMessage } from "./queues.ts";
import type { Roster } from "./roster.ts";

export class OwnIntents {
  readonly #core: SerfCore;
  readonly #roster: Roster;
  readonly #queues: Queues;

  constructor(core: SerfCore, roster: Roster, queues: Queues) {
    this.#core = core;
    this.#roster = roster;
    this.#queues = queues;
  }

  /**
   * Says that we are here. Its time is above that of every intent seen, which
   * makes it the refutation of a leave intent about us as well.
   */
  announceJoin(nowMs: number): void {
    const { clock, name: node } = this.#core;
    const ltime = clock.time;
    this.#roster.joinIntent(node, ltime, nowMs);
    const body = encodeSerfMessage({ kind: "join", ltime, node });
    this.#queues.put("Intent", userMessage(body));
  }

  /**
   * Says that a member leaves, be it ourselves or another.
   *
   * @param operation told when the intent was gossiped
   * @returns the message, `undefined` when nobody is there to be told
   */
  announceLeave(
    node: string,
    prune: boolean,
    operation: OperationId,
    nowMs: number,
  ): Uint8Array | undefined {
    const { clock } = this.#core;
    const intent = { kind: "leave", ltime: clock.time, node, prune } as const;
    clock.increment();
    const verdict = this.#roster.leaveIntent(intent, nowMs);
    if (verdict === "refute") this.announceJoin(nowMs);
    if (!this.#roster.hasOthersAlive()) return undefined;
    const message = userMessage(encodeSerfMessage(intent));
    this.#queues.putLeave("own", message, operation);
    return message;
  }
}
