/**
 * Which events a stream wants: `member-join,user:deploy`.
 *
 * The text is a comma list; blanks are not stripped. An empty text means all
 * events. Source: serf, `cmd/serf/command/agent/event_handler.go`.
 */

import type { SerfEvent } from "../serf/event.ts";

/** One element of the list. */
export interface EventFilter {
  /** An event type, or `*`. */
  readonly type: string;
  /** Of user events and queries alone; empty lets every name pass. */
  readonly name: string;
}

const TYPES: readonly string[] = [
  "member-join",
  "member-leave",
  "member-failed",
  "member-update",
  "member-reap",
  "user",
  "query",
  "*",
];

/**
 * The elements of a filter text.
 *
 * @returns `undefined` when an element means nothing
 */
export function parseEventFilters(text: string): EventFilter[] | undefined {
  const filters = (text === "" ? "*" : text).split(",").map(parseElement);
  return filters.every(({ type }) => TYPES.includes(type))
    ? filters
    : undefined;
}

/** Whether any of the filters lets the event pass. */
export function isEventWanted(
  filters: readonly EventFilter[],
  event: SerfEvent,
): boolean {
  return filters.some(({ type, name }) => {
    if (type === "*") return true;
    if (type !== event.type) return false;
    const isNamed = event.type === "user" || event.type === "query";
    return !isNamed || name === "" || name === event.name;
  });
}

function parseElement(element: string): EventFilter {
  const match = /^(user|query):(.*)$/s.exec(element);
  return match === null
    ? { type: element, name: "" }
    : { type: match[1] as string, name: match[2] as string };
}
