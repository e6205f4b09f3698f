/**
 * What a handler script is told: variables of its environment, and the bytes of
 * its standard input.
 *
 *     member events     NAME<TAB>ADDRESS<TAB>ROLE<TAB>TAGS<LF>, a line a member
 *     events, queries   the payload, and a newline where it does not end in one
 *
 * Source: serf, `cmd/serf/command/agent/invoke.go`.
 */

import { unreachable } from "../kit/assert.ts";
import { concatBytes, utf8Bytes } from "../kit/bytes.ts";
import type { SerfEvent } from "../serf/event.ts";
import type { Member } from "../serf/member.ts";

const NEWLINE = utf8Bytes("\n");

/** What a script is told of the node that it runs on. */
export type SelfFacts = Pick<Member, "name" | "tags">;

/**
 * The variables that a script gets on top of the agent's own.
 *
 * Tags of others never become variables. Of two own tags that map to one
 * variable the later one counts; the original picks one at random.
 */
export function handlerEnvironment(
  event: SerfEvent,
  self: SelfFacts,
): Record<string, string> {
  const variables: Record<string, string> = {
    SERF_EVENT: event.type,
    SERF_SELF_NAME: self.name,
    SERF_SELF_ROLE: self.tags.get("role") ?? "",
  };
  for (const [tag, value] of self.tags) variables[tagVariable(tag)] = value;
  switch (event.type) {
    case "user":
      variables.SERF_USER_EVENT = event.name;
      variables.SERF_USER_LTIME = `${event.ltime}`;
      break;
    case "query":
      variables.SERF_QUERY_NAME = event.name;
      variables.SERF_QUERY_LTIME = `${event.ltime}`;
      break;
  }
  return variables;
}

/** The bytes that a script can read. */
export function handlerInput(event: SerfEvent): Uint8Array {
  switch (event.type) {
    case "member-join":
    case "member-leave":
    case "member-failed":
    case "member-update":
    case "member-reap":
      return utf8Bytes(event.members.map(memberLine).join(""));
    case "user":
    case "query":
      return withNewline(event.payload);
    default:
      return unreachable(event);
  }
}

function memberLine({ name, ip, tags }: Member): string {
  const pairs = [...tags].map(([tag, value]) => `${tag}=${value}`).join(",");
  const fields = [name, ip, tags.get("role") ?? "", pairs];
  return `${fields.map(escapeField).join("\t")}\n`;
}

/** Keeps fields and lines apart. Nothing else is escaped, not even backslashes. */
function escapeField(text: string): string {
  return text.replaceAll("\t", "\\t").replaceAll("\n", "\\n");
}

function withNewline(payload: Uint8Array): Uint8Array {
  const isTerminated = payload.length === 0 || payload.at(-1) === NEWLINE[0];
  return isTerminated ? payload : concatBytes([payload, NEWLINE]);
}

/**
 * A name for the variable of a tag, with one character for each of the tag.
 *
 * Where upper case makes several of one, as of the German sharp s, Go leaves it
 * as it is; either way it is no character for a variable.
 */
function tagVariable(tag: string): string {
  let name = "SERF_TAG_";
  for (const char of tag) {
    const upper = char.toUpperCase();
    name += /^[A-Z0-9_]$/.test(upper) ? upper : "_";
  }
  return name;
}
