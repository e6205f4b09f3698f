/**
 * What the mechanisms of the Serf engine share: settings, clocks, metrics, the
 * deadline table, and the ways to say something.
 *
 * It holds state and carries out; it decides nothing. The rules live beside it,
 * one mechanism per file.
 */

import { Deadlines } from "../kit/deadlines.ts";
import { LINE_WINDOW_MS, LineLimit } from "../kit/line_limit.ts";
import { type LogLevel, logLevelRank } from "../kit/log.ts";
import { Metrics } from "../kit/metrics.ts";
import type { Random } from "../kit/random.ts";
import type { OperationId } from "../swim/output.ts";
import { EventPipeline } from "./coalesce.ts";
import type { SerfConfig } from "./config.ts";
import type { OperationResult, Output, SerfEvent } from "./event.ts";
import { LamportClock } from "./lamport.ts";
import { SERF_LIMITS } from "./limits.ts";
import { SERF_METRICS, type SerfMetrics } from "./metrics.ts";
import type { Timer } from "./timer.ts";

/**
 * What we are doing as a whole.
 *
 *     alive --leave--> leaving --propagated--> left
 *       |                 |                     |
 *       +-------------shutdown------------------+--> shutdown
 */
export type SerfState = "alive" | "leaving" | "left" | "shutdown";

/** A request that does not fit the state of the engine; nothing has changed. */
export class StateError extends Error {
  override name = "StateError";
}

export class SerfCore {
  readonly config: SerfConfig;
  readonly random: Random;
  readonly deadlines = new Deadlines<Timer>();
  readonly events: EventPipeline;
  /** Orders joins and leaves. */
  readonly clock: LamportClock;
  readonly eventClock: LamportClock;
  readonly queryClock: LamportClock;
  readonly metrics: SerfMetrics;

  /** Sees each event as it happens, before anything is held back or taken out. */
  onRawEvent: ((event: SerfEvent) => void) | undefined;

  readonly #logRank: number;
  #state: SerfState = "alive";
  #outputs: Output[] = [];
  #lastOperation = 0;
  readonly #refusals = new LineLimit();

  constructor(config: SerfConfig, random: Random, metrics = new Metrics()) {
    this.config = config;
    this.random = random;
    this.metrics = metrics.of(SERF_METRICS);
    this.#logRank = logLevelRank(config.swim.logLevel);
    this.events = new EventPipeline(config, this.deadlines, (event) => {
      this.#outputs.push({ kind: "event", event });
    });
    const { farLTime } = config.limits ?? SERF_LIMITS;
    this.clock = new LamportClock(farLTime);
    this.eventClock = new LamportClock(farLTime);
    this.queryClock = new LamportClock(farLTime);
    // Time 0 is left to those who have not seen anything yet.
    for (const clock of [this.clock, this.eventClock, this.queryClock]) {
      clock.increment();
    }
  }

  /** Our own name. */
  get name(): string {
    return this.config.swim.name;
  }

  get state(): SerfState {
    return this.#state;
  }

  /** The only way to change the state. */
  become(state: SerfState): void {
    this.#state = state;
  }

  nextOperation(): OperationId {
    return ++this.#lastOperation;
  }

  // --- Saying something -----------------------------------------------------

  emit(output: Output): void {
    this.#outputs.push(output);
  }

  /** Ends an operation. */
  finish(
    operation: OperationId,
    result: Omit<OperationResult, "kind" | "operation"> = {},
  ): void {
    this.#outputs.push({ kind: "done", operation, ...result });
  }

  /** Sends an event on its way to the application. */
  deliver(event: SerfEvent, nowMs: number): void {
    this.onRawEvent?.(event);
    this.events.deliver(event, nowMs);
  }

  drain(): Output[] {
    const outputs = this.#outputs;
    if (outputs.length > 0) this.#outputs = [];
    return outputs;
  }

  /** Whether lines of a level are wanted; ask before building costly text. */
  logs(level: LogLevel): boolean {
    return logLevelRank(level) >= this.#logRank;
  }

  log(level: LogLevel, text: string): void {
    if (!this.logs(level)) return;
    this.#outputs.push({ kind: "log", level, text: `serf: ${text}` });
  }

  /**
   * Counts refused input and logs it, but not more than a few lines a second: a
   * flood of garbage must not become a flood of log lines.
   */
  refuse(level: LogLevel, text: string, nowMs: number): void {
    this.metrics.refused.add();
    this.logLimited(level, text, nowMs);
  }

  /**
   * Refuses a time of others that is too far ahead of a clock to be right.
   *
   * @param what it belongs to
   * @returns whether it was refused
   */
  refusesTime(
    clock: LamportClock,
    ltime: bigint,
    what: string,
    nowMs: number,
  ): boolean {
    if (!clock.isFarAhead(ltime)) return false;
    this.metrics.timesRefused.add();
    this.refuse(
      "WARN",
      `ignoring ${what} from time ${ltime}, which is too far ahead (current: ${clock.time})`,
      nowMs,
    );
    return true;
  }

  /** Logs what peers can make us say at any rate, within the limit of `refuse`. */
  logLimited(level: LogLevel, text: string, nowMs: number): void {
    if (this.#refusals.isIdle) {
      this.deadlines.add(nowMs + LINE_WINDOW_MS, { kind: "refusals" });
    }
    if (this.#refusals.admit()) this.log(level, text);
  }

  /** Ends a second of refusals. */
  summarizeRefusals(): void {
    const summary = this.#refusals.endWindow();
    if (summary !== undefined) this.log("WARN", summary);
  }
}
