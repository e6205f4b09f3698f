/**
 * Runs the handler scripts of an agent's events.
 *
 *                  ┌─▶ shared lane ─▶ handler 1, handler 2, ... of one event,
 *                  │                  then of the next
 *     event ──────▶┼─▶ own lane of handler 3 ─▶ 1 event at a time
 *                  └─▶ own lane of handler 4 ─▶ up to 8 events at a time
 *
 * Handlers without options share a lane. It keeps the order of the original: one
 * after another as configured, and the next event when the last one is done; so
 * one that hangs holds up the others of this lane. A handler with any option has
 * a lane of its own, and neither waits for others nor is waited for. Between
 * lanes there is no order.
 *
 * Handling an event never waits and never fails here: gossip and the control
 * port go on whatever scripts do. How many events may wait, and which are lost
 * then, is said in `handler_lane.ts`.
 *
 * Source: serf, `cmd/serf/command/agent/event_handler.go` (HandleEvent) and
 * `invoke.go`.
 */

import { utf8Text } from "../kit/bytes.ts";
import type { LogLevel } from "../kit/log.ts";
import {
  counter,
  type Instruments,
  Metrics,
  MetricSet,
} from "../kit/metrics.ts";
import { monotonicMs } from "../net/clock.ts";
import { type EventFilter, isEventWanted } from "../rpc/event_filter.ts";
import type { QueryEvent, SerfEvent } from "../serf/event.ts";
import {
  handlerEnvironment,
  handlerInput,
  type SelfFacts,
} from "./handler_input.ts";
import { HandlerLane, type LaneOptions } from "./handler_lane.ts";
import { describeHandlers, type EventHandler } from "./handler_spec.ts";
import { failureText, runScript } from "./invoke.ts";
import { Leftovers } from "./script_output.ts";

const DEFINITIONS = {
  failed: counter(
    "agent.handlers.failed",
    "",
    "Runs of scripts that could not be started, did not end with 0 or took too long. The log says which",
  ),
  lost: counter(
    "agent.handlers.lost",
    "",
    "Events that scripts never saw, because too many were waiting for them. Any: a script is too slow for what happens, or hangs",
  ),
} as const;

export const HANDLER_METRICS: MetricSet<typeof DEFINITIONS> = new MetricSet(
  DEFINITIONS,
);

export interface EventHandlersOptions {
  readonly handlers: readonly EventHandler[];
  log(level: LogLevel, text: string): void;
  /** What is known of ourselves at this moment. */
  self(): SelfFacts;
  /** Answers a query. @throws {Error} with the reason when that cannot be */
  respond(query: QueryEvent, payload: Uint8Array): void;
  /** Hears how long each run of a script took, ms. */
  onInvoked?(script: string, durationMs: number): void;
  /** Where failures and losses are counted. */
  readonly metrics?: Metrics;
  /** Runs scripts; with the system's shell unless given. */
  readonly run?: typeof runScript;
}

/** A handler that runs beside the others. */
interface OwnHandler {
  readonly handler: EventHandler;
  readonly lane: HandlerLane<SerfEvent>;
}

export class EventHandlers {
  readonly #options: EventHandlersOptions;
  readonly #counts: Instruments<typeof DEFINITIONS>;
  readonly #stopping = new AbortController();
  readonly #leftovers = new Leftovers();
  /** Scripts of whose background jobs the log has told. */
  readonly #toldOfJobs = new Set<string>();
  readonly #sharedLane: HandlerLane<SerfEvent>;
  #handlers: readonly EventHandler[] = [];
  #shared: readonly EventHandler[] = [];
  #own: readonly OwnHandler[] = [];

  constructor(options: EventHandlersOptions) {
    this.#options = options;
    this.#counts = (options.metrics ?? new Metrics()).of(HANDLER_METRICS);
    this.#sharedLane = this.#makeLane({
      concurrency: 1,
      onFull: "wait",
      label: "the event handlers",
      run: (event) => this.#invokeAll(this.#shared, event),
    });
    this.replace(options.handlers);
  }

  /** Runs the handlers that want the event, now or later. */
  handle(event: SerfEvent): void {
    if (isWantedByAny(this.#shared, event)) this.#sharedLane.push(event);
    for (const { handler, lane } of this.#own) {
      if (isEventWanted(handler.filters, event)) lane.push(event);
    }
  }

  /**
   * Takes these handlers from the next event on; scripts that run, run on.
   *
   * Events that wait in the shared lane go to its new handlers, as they do in the
   * original. A lane of its own, and what waits in it, stays if its handler does.
   */
  replace(handlers: readonly EventHandler[]): void {
    this.#handlers = handlers;
    this.#toldOfJobs.clear();
    this.#shared = handlers.filter(({ own }) => own === undefined);
    const former = new Set(this.#own);
    this.#own = handlers
      .filter(({ own }) => own !== undefined)
      .map((handler) => {
        const text = JSON.stringify(handler);
        for (const same of former) {
          if (JSON.stringify(same.handler) !== text) continue;
          former.delete(same);
          return same;
        }
        return this.#makeOwn(handler);
      });
    for (const { lane } of former) lane.close();
  }

  /** The handlers, for operators. */
  stats(): ReadonlyMap<string, string> {
    return describeHandlers(this.#handlers);
  }

  /**
   * Ends the handling of events. Scripts that run are left alone: nobody waits
   * for them, and nobody reads what they print.
   */
  stop(): void {
    this.#sharedLane.close();
    for (const { lane } of this.#own) lane.close();
    this.#stopping.abort();
    this.#leftovers.close();
  }

  // --- Inside ---------------------------------------------------------------

  #makeOwn(handler: EventHandler): OwnHandler {
    const { concurrency = 1, onFull = "wait" } = handler.own ?? {};
    const lane = this.#makeLane({
      concurrency,
      onFull,
      label: `script '${handler.script}'`,
      run: (event) => this.#invokeAll([handler], event),
    });
    return { handler, lane };
  }

  #makeLane(
    options: Pick<
      LaneOptions<SerfEvent>,
      "concurrency" | "onFull" | "label" | "run"
    >,
  ): HandlerLane<SerfEvent> {
    return new HandlerLane({
      ...options,
      warn: (text) => this.#warn(text),
      onLost: () => this.#counts.lost.add(),
      now: monotonicMs,
    });
  }

  /** Runs what wants the event, one after another. */
  async #invokeAll(
    handlers: readonly EventHandler[],
    event: SerfEvent,
  ): Promise<void> {
    for (const handler of handlers) {
      // A script runs as often as its filters ask for it.
      for (const filter of handler.filters) {
        if (this.#stopping.signal.aborted) return;
        if (isWanted(filter, event)) await this.#invoke(handler, event);
      }
    }
  }

  async #invoke(
    { script, own }: EventHandler,
    event: SerfEvent,
  ): Promise<void> {
    const { log, self, onInvoked, run = runScript } = this.#options;
    const timeoutMs = own?.timeoutMs;
    const startMs = monotonicMs();
    const { end, output, isHeld } = await run({
      script,
      env: handlerEnvironment(event, self()),
      input: handlerInput(event),
      ...(timeoutMs !== undefined && { timeoutMs }),
      signal: this.#stopping.signal,
      onSlow: () =>
        this.#warn(`Script '${script}' slow, execution exceeding 1s`),
      leftovers: this.#leftovers,
      onLateKill: (killError) =>
        this.#warn(
          `Script '${script}': what it left running ` +
            (killError === undefined
              ? "was killed when its timeout was over"
              : `could not be killed: ${killError}`),
        ),
    });
    if (end.kind === "abandoned") return;
    if (isHeld) this.#tellOfJob(script);
    onInvoked?.(script, monotonicMs() - startMs);
    if (end.kind !== "notStarted") {
      const text = utf8Text(output);
      log("DEBUG", `agent: Event '${event.type}' script output: ${text}`);
    }
    const failure = failureText(end);
    if (failure !== undefined) {
      this.#counts.failed.add();
      log("ERR", `agent: Error invoking script '${script}': ${failure}`);
    } else if (event.type === "query" && output.length > 0) {
      this.#respond(event, output);
    }
  }

  #respond(query: QueryEvent, output: Uint8Array): void {
    try {
      this.#options.respond(query, output);
    } catch (error) {
      const reason = (error as Error).message;
      this.#warn(
        `Failed to respond to query 'query: ${query.name}': ${reason}`,
      );
    }
  }

  /** Says once for each script that its output is still held. */
  #tellOfJob(script: string): void {
    if (this.#toldOfJobs.has(script)) return;
    this.#toldOfJobs.add(script);
    this.#warn(
      `Script '${script}' has ended, but a process that it started holds its ` +
        "output; what that prints from now on is ignored",
    );
  }

  #warn(text: string): void {
    this.#options.log("WARN", `agent: ${text}`);
  }
}

function isWanted(filter: EventFilter, event: SerfEvent): boolean {
  return isEventWanted([filter], event);
}

function isWantedByAny(
  handlers: readonly EventHandler[],
  event: SerfEvent,
): boolean {
  return handlers.some(({ filters }) => isEventWanted(filters, event));
}
