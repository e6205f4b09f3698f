/** The captured connections of `test/vectors/rpc.json`, for tests. */

import { bytesOfHex, concatBytes } from "../../lib/kit/bytes.ts";

/** One message: a header, and a body when there was one. */
export interface CapturedMessage {
  readonly dir: "c>s" | "s>c";
  readonly header_hex: string;
  readonly header: Readonly<Record<string, unknown>> | readonly unknown[];
  readonly body_hex?: string;
  readonly body?: unknown;
}

/** One connection from beginning to end. */
export interface Capture {
  readonly id: string;
  readonly what: string;
  readonly messages: readonly CapturedMessage[];
  readonly server_closed_connection: boolean;
}

const file = JSON.parse(
  Deno.readTextFileSync(new URL("../vectors/rpc.json", import.meta.url)),
) as { readonly sessions: readonly Capture[] };

export const CAPTURES: readonly Capture[] = file.sessions;

export function captureOf(id: string): Capture {
  const found = CAPTURES.find((capture) => capture.id === id);
  if (found === undefined) throw new Error(`There is no capture ${id}`);
  return found;
}

/** Header and body together. */
export function bytesOf(message: CapturedMessage): Uint8Array {
  return concatBytes([
    bytesOfHex(message.header_hex),
    bytesOfHex(message.body_hex ?? ""),
  ]);
}

/** `undefined` for an array or a map that lacks the field. */
export function headerField(message: CapturedMessage, name: string): unknown {
  return Array.isArray(message.header)
    ? undefined
    : (message.header as Readonly<Record<string, unknown>>)[name];
}
