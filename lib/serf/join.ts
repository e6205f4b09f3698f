/**
 * Joins asked for by the application, one after the other.
 *
 * While a join that ignores old events runs, the state of the cluster that it
 * brings raises the time below which events are dropped. Which join a state came
 * with cannot be seen, so, as upstream, one join runs at a time and the others
 * wait for their turn.
 *
 * Source: serf `serf.go` (Join).
 */

import { unbroken } from "../kit/visible.ts";
import type { SwimEngine } from "../swim/engine.ts";
import type { JoinTarget } from "../swim/engine.ts";
import type { OperationId, SwimEvent } from "../swim/output.ts";
import { type SerfCore, StateError } from "./core.ts";
import type { OwnIntents } from "./own_intent.ts";

/** Most joins waiting for their turn. */
const WAITING_MAX = 256;

export const JOIN_AFTER_LEAVE_TEXT = "Serf can't Join after Leave or Shutdown";

interface Join {
  readonly operation: OperationId;
  readonly targets: readonly JoinTarget[];
  readonly ignoreOld: boolean;
}

interface RunningJoin extends Join {
  /** Number of the join in the SWIM layer. */
  readonly swimOperation: OperationId;
}

type JoinFinished = Extract<SwimEvent, { type: "joinFinished" }>;

export class Joins {
  readonly #core: SerfCore;
  readonly #swim: SwimEngine;
  readonly #intents: OwnIntents;
  readonly #waiting: Join[] = [];
  #running: RunningJoin | undefined;

  constructor(core: SerfCore, swim: SwimEngine, intents: OwnIntents) {
    this.#core = core;
    this.#swim = swim;
    this.#intents = intents;
  }

  /** Whether a join runs that wants nothing to do with the past. */
  get isIgnoringOld(): boolean {
    return this.#running?.ignoreOld ?? false;
  }

  /** @throws {StateError} when we are not alive, or too many joins wait */
  start(
    targets: readonly JoinTarget[],
    ignoreOld: boolean,
    nowMs: number,
  ): OperationId {
    const core = this.#core;
    if (core.state !== "alive") throw new StateError(JOIN_AFTER_LEAVE_TEXT);
    if (this.#waiting.length >= WAITING_MAX) {
      throw new StateError(
        `Cannot join: ${WAITING_MAX} joins are waiting already`,
      );
    }
    const operation = core.nextOperation();
    this.#waiting.push({ operation, targets, ignoreOld });
    this.#runNext(nowMs);
    return operation;
  }

  /**
   * A join of the SWIM layer is over. If it is the running one, tells the cluster
   * that we are here, and starts the next.
   */
  finished(event: JoinFinished, nowMs: number): void {
    const { contacted, errors } = event;
    const running = this.#running;
    if (running?.swimOperation !== event.operation) return;
    // A join that ends while we leave must not call the leave untrue.
    if (contacted > 0 && this.#core.state === "alive") {
      this.#intents.announceJoin(nowMs);
    }
    this.#running = undefined;
    const hasFailed = contacted === 0 && errors.length > 0;
    this.#core.finish(running.operation, {
      contacted,
      errors,
      ...(hasFailed && { error: joinErrorText(errors) }),
    });
    this.#runNext(nowMs);
  }

  /** Ends all joins without success, since we shut down. */
  abandon(error: string): void {
    const joins = this.#running
      ? [this.#running, ...this.#waiting]
      : this.#waiting;
    for (const { operation } of joins) {
      this.#core.finish(operation, { contacted: 0, errors: [], error });
    }
    this.#running = undefined;
    this.#waiting.length = 0;
  }

  #runNext(nowMs: number): void {
    while (this.#running === undefined) {
      const join = this.#waiting.shift();
      if (join === undefined) return;
      if (this.#core.state === "alive") {
        const swimOperation = this.#swim.join(join.targets, nowMs);
        this.#running = { ...join, swimOperation };
      } else {
        this.#core.finish(join.operation, {
          contacted: 0,
          errors: [],
          error: JOIN_AFTER_LEAVE_TEXT,
        });
      }
    }
  }
}

/**
 * Several errors as one text, ending in two newlines. The wording is that of
 * Go's multierror package, which users of `serf join` see. What a peer has to say
 * stays within its item.
 */
export function joinErrorText(errors: readonly string[]): string {
  const count = `${errors.length} error${
    errors.length === 1 ? "" : "s"
  } occurred:`;
  return [count, ...errors.map((error) => `\t* ${unbroken(error)}`), "", ""]
    .join("\n");
}
