/**
 * Going in good order, and telling the cluster that somebody else is gone.
 *
 * Our own leave is a sequence; each step waits until the one before is known to
 * have spread, but never longer than the broadcast timeout, so that it always
 * ends:
 *
 *     leave intent --gossiped, timeout, or nobody to tell--> SWIM leave
 *       --gossiped or timeout--> propagate delay --> left
 *
 * The intent goes first because it is what makes the others call us left rather
 * than failed once the SWIM layer reports us gone.
 *
 * Gossip tells how often the intent was sent, not whether it arrived. So the
 * intent also goes to a few members that have to acknowledge it. A leave that
 * nobody has acknowledged by its end ends with an error: we have left, but for all
 * we know nobody was told, and the others may come to call us failed.
 *
 * A forced leave is the same first step on behalf of another member, and no more.
 * It does not ask whether the member exists or is alive; one that is alive
 * refutes.
 *
 * Source: serf `serf.go` (Leave, forceLeave).
 */

import { unreachable } from "../kit/assert.ts";
import type { Deadline } from "../kit/deadlines.ts";
import type { SwimEngine } from "../swim/engine.ts";
import type { OperationId } from "../swim/output.ts";
import { type SerfCore, StateError } from "./core.ts";
import type { OwnIntents } from "./own_intent.ts";
import type { Timer } from "./timer.ts";

/** Upstream's words; 0.9.4 ends a leave with them, later releases only log them. */
const UNHEARD_TEXT = "timeout while waiting for graceful leave";

/** How far our own leave has come. */
type LeavePhase =
  | { readonly kind: "idle" }
  | { readonly kind: "spreadingIntent"; readonly operation: OperationId }
  | {
    readonly kind: "leavingSwim";
    readonly operation: OperationId;
    readonly swimOperation: OperationId;
  }
  | { readonly kind: "propagating"; readonly operation: OperationId };

export class Departures {
  readonly #core: SerfCore;
  readonly #swim: SwimEngine;
  readonly #intents: OwnIntents;
  /** Leave intents, ours or forced, that are being gossiped. */
  readonly #spreading = new Map<OperationId, Deadline<Timer>>();
  #phase: LeavePhase = { kind: "idle" };
  /** Whether our leave has yet to be acknowledged. */
  #isUnheard = false;

  constructor(core: SerfCore, swim: SwimEngine, intents: OwnIntents) {
    this.#core = core;
    this.#swim = swim;
    this.#intents = intents;
  }

  // --- Requests -------------------------------------------------------------

  /**
   * Begins our own leave; once it is over, leaving again succeeds at once.
   *
   * @throws {StateError} when we are leaving already, or shut down
   */
  leave(nowMs: number): OperationId {
    const core = this.#core;
    switch (core.state) {
      case "left": {
        const operation = core.nextOperation();
        core.finish(operation);
        return operation;
      }
      case "leaving":
        throw new StateError("Leave already in progress");
      case "shutdown":
        throw new StateError("Leave called after Shutdown");
      case "alive": {
        core.become("leaving");
        const operation = core.nextOperation();
        this.#phase = { kind: "spreadingIntent", operation };
        const intent = this.#sendIntent(core.name, false, operation, nowMs);
        this.#isUnheard = intent !== undefined;
        if (intent !== undefined) this.#swim.seekReceipt(intent, nowMs);
        return operation;
      }
      default:
        return unreachable(core.state);
    }
  }

  forceLeave(node: string, prune: boolean, nowMs: number): OperationId {
    const operation = this.#core.nextOperation();
    this.#sendIntent(node, prune, operation, nowMs);
    return operation;
  }

  // --- What happens on the way ----------------------------------------------

  /** A leave intent was gossiped as often as it may be. */
  intentSpread(operation: OperationId, nowMs: number): void {
    const row = this.#spreading.get(operation);
    if (row === undefined) return;
    this.#spreading.delete(operation);
    this.#core.deadlines.delete(row);
    this.#intentDone(operation, nowMs);
  }

  intentTimedOut(operation: OperationId, nowMs: number): void {
    if (!this.#spreading.delete(operation)) return;
    if (this.#isOurs(operation)) {
      this.#core.log("WARN", UNHEARD_TEXT);
      this.#intentDone(operation, nowMs);
    } else {
      this.#core.finish(operation, {
        error: "timed out broadcasting node removal",
      });
    }
  }

  /** The SWIM layer has told the cluster that we go, or gave up. */
  swimFinished(
    swimOperation: OperationId,
    error: string | undefined,
    nowMs: number,
  ): void {
    const phase = this.#phase;
    if (phase.kind !== "leavingSwim") return;
    if (phase.swimOperation !== swimOperation) return;
    if (error !== undefined) {
      this.#core.log("WARN", `timeout waiting for leave broadcast: ${error}`);
    }
    this.#phase = { kind: "propagating", operation: phase.operation };
    const { leavePropagateDelayMs } = this.#core.config;
    this.#core.deadlines.add(nowMs + leavePropagateDelayMs, {
      kind: "leavePropagated",
    });
  }

  /** A member has acknowledged our leave. */
  heard(): void {
    this.#isUnheard = false;
  }

  propagated(): void {
    const phase = this.#phase;
    if (phase.kind !== "propagating") return;
    this.#phase = { kind: "idle" };
    this.#swim.giveUpReceipt();
    this.#core.become("left");
    if (this.#isUnheard) {
      this.#core.log("WARN", "No member has acknowledged our leave");
    }
    this.#core.finish(
      phase.operation,
      this.#isUnheard ? { error: UNHEARD_TEXT } : {},
    );
  }

  /** Ends everything under way without success, since we shut down. */
  abandon(error: string): void {
    const operations = new Set(this.#spreading.keys());
    if (this.#phase.kind !== "idle") operations.add(this.#phase.operation);
    for (const operation of operations) this.#core.finish(operation, { error });
    this.#spreading.clear();
    this.#phase = { kind: "idle" };
  }

  // --- Inside ---------------------------------------------------------------

  #isOurs(operation: OperationId): boolean {
    return this.#phase.kind !== "idle" && this.#phase.operation === operation;
  }

  /**
   * Says that a member leaves; waits for that to spread if anybody is there.
   *
   * @returns the message, `undefined` when nobody is there to be told
   */
  #sendIntent(
    node: string,
    prune: boolean,
    operation: OperationId,
    nowMs: number,
  ): Uint8Array | undefined {
    const { config, deadlines } = this.#core;
    const intent = this.#intents.announceLeave(node, prune, operation, nowMs);
    if (intent === undefined) {
      this.#intentDone(operation, nowMs);
      return undefined;
    }
    const row = deadlines.add(nowMs + config.broadcastTimeoutMs, {
      kind: "leaveIntent",
      operation,
    });
    this.#spreading.set(operation, row);
    return intent;
  }

  /** Nothing more to wait for: a forced leave ends, our own goes on. */
  #intentDone(operation: OperationId, nowMs: number): void {
    if (!this.#isOurs(operation)) {
      this.#core.finish(operation);
      return;
    }
    const { broadcastTimeoutMs } = this.#core.config;
    const swimOperation = this.#swim.leave(broadcastTimeoutMs, nowMs);
    this.#phase = { kind: "leavingSwim", operation, swimOperation };
  }
}
