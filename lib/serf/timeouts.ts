/**
 * What is due: the deadlines of this layer, each routed to its mechanism.
 *
 * The SWIM engine keeps a table of its own; whoever calls this has seen to that.
 */

import { unreachable } from "../kit/assert.ts";
import type { SwimEngine } from "../swim/engine.ts";
import type { SerfCore } from "./core.ts";
import type { Departures } from "./leave.ts";
import type { Queries } from "./query.ts";
import type { Queues } from "./queues.ts";
import type { Rejoin } from "./rejoin.ts";
import type { Roster } from "./roster.ts";
import type { Snapshot } from "./snapshot.ts";
import type { Timer } from "./timer.ts";

/** How often the depth of the queues is looked at. */
const QUEUE_CHECK_INTERVAL_MS = 30_000;

/** Whom deadlines concern. */
export interface TimeoutParts {
  readonly core: SerfCore;
  readonly swim: Pick<SwimEngine, "join" | "sampleQueue">;
  readonly roster: Roster;
  readonly queues: Queues;
  readonly departures: Departures;
  readonly queries: Queries;
  readonly snapshot: Snapshot | undefined;
  readonly rejoin: Rejoin;
}

export class Timeouts {
  readonly #parts: TimeoutParts;

  constructor(parts: TimeoutParts) {
    this.#parts = parts;
  }

  /** Begins what is done again and again. */
  start(nowMs: number): void {
    const { config, deadlines } = this.#parts.core;
    const { reapIntervalMs, reconnectIntervalMs } = config;
    if (reapIntervalMs > 0) {
      deadlines.add(nowMs + reapIntervalMs, { kind: "reap" });
    }
    if (reconnectIntervalMs > 0) {
      deadlines.add(nowMs + reconnectIntervalMs, { kind: "reconnect" });
    }
    deadlines.add(nowMs + QUEUE_CHECK_INTERVAL_MS, { kind: "queueCheck" });
  }

  /** Does everything that is due. */
  handleDue(nowMs: number): void {
    const { deadlines } = this.#parts.core;
    for (
      let timer = deadlines.takeDue(nowMs);
      timer !== undefined;
      timer = deadlines.takeDue(nowMs)
    ) {
      this.#handle(timer, nowMs);
    }
  }

  #handle(timer: Timer, nowMs: number): void {
    const { core, swim, roster, queues, departures, queries } = this.#parts;
    const { config, deadlines, events } = core;
    switch (timer.kind) {
      case "reap":
        roster.reap(nowMs);
        deadlines.add(nowMs + config.reapIntervalMs, timer);
        return;
      case "reconnect": {
        const target = roster.pickReconnect();
        // Only the exchange of state matters; nobody waits for its outcome.
        if (target !== undefined) swim.join([target], nowMs);
        deadlines.add(nowMs + config.reconnectIntervalMs, timer);
        return;
      }
      case "rejoin":
        return this.#parts.rejoin.due(nowMs);
      case "queueCheck":
        queues.check();
        swim.sampleQueue();
        deadlines.add(nowMs + QUEUE_CHECK_INTERVAL_MS, timer);
        return;
      case "prune":
        return roster.pruneDue(timer.name, nowMs);
      case "flushMembers":
        return events.flushMembers();
      case "flushUserEvents":
        return events.flushUserEvents();
      case "leaveIntent":
        return departures.intentTimedOut(timer.operation, nowMs);
      case "leavePropagated":
        return departures.propagated();
      case "queryEnd":
        return queries.timedOut(timer.ltime, nowMs);
      case "snapshotClock":
        return this.#parts.snapshot?.clockDue();
      case "refusals":
        return core.summarizeRefusals();
      default:
        return unreachable(timer);
    }
  }
}
