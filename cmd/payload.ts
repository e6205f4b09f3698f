/**
 * The payload that `serf event` and `serf query` take as an argument.
 *
 * The original sends the bytes of the argument as they are. The runtime hands
 * arguments over as text, with U+FFFD in place of each byte that is no UTF-8, and
 * nobody can tell those from the character itself. Rather than send something
 * else than was given, we refuse; clients of the control port can send any bytes.
 */

import { utf8Bytes } from "../lib/kit/bytes.ts";

/** What is said of a payload that may not be what was typed. */
export const NOT_TEXT = "The payload must be text in UTF-8, without U+FFFD";

/** Whether the argument is what was given; so is one that was not given. */
export function isWholePayload(argument: string | undefined): boolean {
  return argument === undefined || !argument.includes("\ufffd");
}

/** The bytes of the argument; without one there is no payload. */
export function payloadOf(
  argument: string | undefined,
): Uint8Array | undefined {
  return argument === undefined ? undefined : utf8Bytes(argument);
}
