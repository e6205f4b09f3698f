/**
 * Event handlers as people write them: which events, which script, and how it
 * may run.
 *
 *     [FILTER=]SCRIPT          flags, and strings in configuration files
 *     { "filter": ..., "script": ..., "timeout": ..., ... }      in files alone
 *
 * A text is split at its first `=`, so a command that contains one needs a
 * filter in front: `*=X=1 cmd`. The object is ours, not Serf's; everything
 * beside `filter` and `script` takes the handler out of the common order (see
 * `event_handlers.ts`). No option has a place in the text form, where whatever
 * is written after the `=` is the script.
 *
 * Source: serf, `cmd/serf/command/agent/event_handler.go` (ParseEventScript)
 * and `command.go` (readConfig) for the text form and its complaint.
 */

import { parseDuration } from "../kit/duration.ts";
import { TIMER_MS_MAX } from "../net/clock.ts";
import { type EventFilter, parseEventFilters } from "../rpc/event_filter.ts";

/** What becomes of events when too many wait for a handler. */
export const ON_FULL = ["wait", "drop", "drop-oldest"] as const;
export type OnFull = typeof ON_FULL[number];

/** Most scripts of one handler that run at the same time. */
export const CONCURRENCY_MAX = 64;

/** A handler as an object of a configuration file. */
export interface HandlerObject {
  /** As in the text form; absent or empty for all events. */
  readonly filter?: string;
  /** Not empty; an `=` in it means nothing. */
  readonly script: string;
  /**
   * How long the script may run, `30s`, before it is killed together with
   * everything that it has started; without it, for ever.
   */
  readonly timeout?: string;
  /**
   * How many events the script may work at, at the same time, 1 to 64; 1 unless
   * given. With more than one they begin in order, but may end in any.
   */
  readonly concurrency?: number;
  /**
   * What becomes of an event that finds no room: `wait`, the default, `drop` or
   * `drop-oldest`; see `handler_lane.ts`.
   */
  readonly on_full?: OnFull;
}

export type HandlerEntry = string | HandlerObject;

/** How a handler that runs beside the others may run. */
export interface OwnLane {
  /** Absent for no limit. */
  readonly timeoutMs?: number;
  readonly concurrency: number;
  readonly onFull: OnFull;
}

/** One handler, checked. */
export interface EventHandler {
  /** At least one; the script runs once for each that lets an event pass. */
  readonly filters: readonly EventFilter[];
  readonly script: string;
  /** Given if the handler is out of the common order. */
  readonly own?: OwnLane;
}

/** An entry that is no handler. The message is what the agent prints. */
export class HandlerSpecError extends Error {
  override name = "HandlerSpecError";
}

/**
 * Reads one entry.
 *
 * @throws {HandlerSpecError} naming the event, or the field, that is wrong
 */
export function parseHandler(entry: HandlerEntry): EventHandler {
  if (typeof entry !== "string") return readObject(entry);
  const equals = entry.indexOf("=");
  const script = entry.slice(equals + 1);
  const filter = equals < 0 ? "" : entry.slice(0, equals);
  return { filters: readFilter(filter, script), script };
}

/**
 * Handlers for an operator, `EVENT:NAME` by script; of several with one key the
 * last counts.
 *
 * Source: serf `agent.go` (Stats).
 */
export function describeHandlers(
  handlers: readonly EventHandler[],
): Map<string, string> {
  return new Map(
    handlers.flatMap(({ filters, script }) =>
      filters.map(({ type, name }) => [`${type}:${name}`, script] as const)
    ),
  );
}

function readFilter(text: string, script: string): EventFilter[] {
  const filters = parseEventFilters(text);
  if (filters !== undefined) return filters;
  const unknown = text.split(",").find((element) =>
    element === "" || parseEventFilters(element) === undefined
  );
  throw new HandlerSpecError(
    `Invalid event script: Event '${unknown}' invoking '${script}'`,
  );
}

const FIELDS: readonly string[] = [
  "filter",
  "script",
  "timeout",
  "concurrency",
  "on_full",
];

/** Reads an object that comes from a file, whose type is only claimed. */
function readObject(entry: HandlerObject): EventHandler {
  if (typeof entry !== "object" || entry === null || Array.isArray(entry)) {
    throw new HandlerSpecError(
      `Invalid event handler: must be a text or an object, got ${show(entry)}`,
    );
  }
  for (const field of Object.keys(entry)) {
    if (!FIELDS.includes(field)) refuse(field, "is not known");
  }
  const { filter = "", script, timeout, concurrency, on_full: onFull } = entry;
  if (typeof filter !== "string") {
    refuse("filter", `must be a text, got ${show(filter)}`);
  }
  if (typeof script !== "string" || script === "") {
    refuse("script", `must be a text that is not empty, got ${show(script)}`);
  }
  const filters = readFilter(filter, script);
  const timeoutMs = timeout === undefined ? undefined : readTimeout(timeout);
  if (concurrency !== undefined) checkConcurrency(concurrency);
  if (onFull !== undefined && !ON_FULL.includes(onFull)) {
    refuse(
      "on_full",
      `must be one of ${ON_FULL.join(", ")}, got ${show(onFull)}`,
    );
  }
  const hasOptions = timeoutMs !== undefined || concurrency !== undefined ||
    onFull !== undefined;
  if (!hasOptions) return { filters, script };
  return {
    filters,
    script,
    own: {
      ...(timeoutMs !== undefined && { timeoutMs }),
      concurrency: concurrency ?? 1,
      onFull: onFull ?? "wait",
    },
  };
}

function readTimeout(timeout: unknown): number {
  if (typeof timeout !== "string") {
    refuse("timeout", `must be a duration such as "30s", got ${show(timeout)}`);
  }
  const timeoutMs = parseTimeout(timeout);
  if (!(timeoutMs > 0 && timeoutMs <= TIMER_MS_MAX)) {
    refuse("timeout", `must be over 0s and at most 596h, got ${show(timeout)}`);
  }
  return timeoutMs;
}

function parseTimeout(text: string): number {
  try {
    return parseDuration(text);
  } catch (error) {
    return refuse("timeout", (error as Error).message);
  }
}

function checkConcurrency(concurrency: unknown): void {
  const isInRange = Number.isInteger(concurrency) &&
    (concurrency as number) >= 1 && (concurrency as number) <= CONCURRENCY_MAX;
  if (isInRange) return;
  refuse(
    "concurrency",
    `must be a whole number from 1 to ${CONCURRENCY_MAX}, ` +
      `got ${show(concurrency)}`,
  );
}

function refuse(field: string, problem: string): never {
  throw new HandlerSpecError(`Invalid event handler: '${field}' ${problem}`);
}

function show(value: unknown): string {
  return value === undefined ? "nothing" : JSON.stringify(value);
}
