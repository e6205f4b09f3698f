/** The captured connections of `test/vectors/rpc.json`, for tests. */

import {
  bytesOfHex,
  concatBytes,
  hexOf,
  utf8Text,
} from "../../lib/kit/bytes.ts";
import {
  decodeValue,
  type MsgpackValue,
} from "../../lib/wire/msgpack_value.ts";

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

/** Ways in which bytes may arrive. */
export const PORTIONS: Readonly<
  Record<string, (bytes: Uint8Array) => Uint8Array[]>
> = {
  "whole messages": (bytes) => [bytes],
  "single bytes": (bytes) => Array.from(bytes, (byte) => Uint8Array.of(byte)),
  "odd pieces": (bytes) => {
    const pieces: Uint8Array[] = [];
    for (let at = 0; at < bytes.length; at += 7) {
      pieces.push(bytes.subarray(at, at + 7));
    }
    return pieces;
  },
};

/** The number in a header, exact; `undefined` for what is no full header. */
export function seqOf(message: CapturedMessage): bigint | undefined {
  const header = decodeValue(bytesOfHex(message.header_hex));
  if (Array.isArray(header)) {
    return header.length === 2 ? BigInt(header[1] as number) : undefined;
  }
  const seq = (header as ReadonlyMap<string, MsgpackValue>).get("Seq");
  return seq === undefined ? undefined : BigInt(seq as number | bigint);
}

/** A decoded value as the captures show it. */
export function plain(value: MsgpackValue): unknown {
  if (value === null || typeof value !== "object") return value;
  if (value instanceof Uint8Array) return { $bin: hexOf(value) };
  if (value instanceof Map) {
    return Object.fromEntries(
      [...value].map(([key, item]) => [key, plain(item as MsgpackValue)]),
    );
  }
  if (Array.isArray(value)) return value.map(plain);
  return utf8Text((value as { bytes: Uint8Array }).bytes);
}
