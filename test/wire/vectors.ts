/**
 * The recorded vectors as the tests of lib/wire read them.
 *
 * A reader names the number of vectors that it expects of a group, so that none
 * is passed over when the file changes.
 */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import {
  bytesOfHex,
  concatBytes,
  hexOf,
  utf8Bytes,
} from "../../lib/kit/bytes.ts";
import type { CodecConfig } from "../../lib/wire/codec_config.ts";
import { Keyring } from "../../lib/wire/keyring.ts";
import type {
  Message,
  NodeState,
  StreamMessage,
} from "../../lib/wire/messages.ts";

/** A vector of memberlist.json; which fields it has depends on its group. */
export interface Vector {
  readonly name: string;
  readonly group: string;
  readonly hex: string;
  readonly [field: string]: unknown;
}

function readJson(name: string): Record<string, unknown> {
  const url = new URL(`../vectors/${name}`, import.meta.url);
  return JSON.parse(Deno.readTextFileSync(url));
}

const memberlist = readJson("memberlist.json") as { vectors: Vector[] };

/** The vectors of a group that pass `filter`; there must be exactly `count`. */
export function vectorsOf(
  group: string,
  count: number,
  filter: (vector: Vector) => boolean = () => true,
): Vector[] {
  const found = memberlist.vectors.filter((vector) =>
    vector.group === group && filter(vector)
  );
  assert.equal(found.length, count, `vectors of group ${group}`);
  return found;
}

/** How many vectors each group has. */
export function groupSizes(): Record<string, number> {
  const sizes: Record<string, number> = {};
  for (const { group } of memberlist.vectors) {
    sizes[group] = (sizes[group] ?? 0) + 1;
  }
  return sizes;
}

/** An entry of serf.json. */
export interface SerfEntry {
  readonly name: string;
  readonly hex: string;
  /** The same value as the newer codec generation writes it. */
  readonly hex_v2?: string;
  readonly decoded: Record<string, unknown>;
}

/** The entries of serf.json whose names match; there must be exactly `count`. */
export function serfEntries(names: RegExp, count: number): SerfEntry[] {
  const all = readJson("serf.json")["entries"] as SerfEntry[];
  const found = all.filter(({ name }) => names.test(name));
  assert.equal(found.length, count, `entries of serf.json that match ${names}`);
  return found;
}

/** The bytes in a field of a vector, empty when it has no such field. */
export function bytesIn(vector: Vector, field: string): Uint8Array {
  return bytesOfHex((vector[field] ?? "") as string);
}

/** Bytes by a recipe: `hex`, `lcg_seed`, `repeat_hex` or `sequence`. */
export function bytesOfRecipe(recipe: unknown): Uint8Array {
  const { hex, lcg_seed, repeat_hex, length } = recipe as {
    hex?: string;
    lcg_seed?: number;
    repeat_hex?: string;
    length?: number;
  };
  if (hex !== undefined) return bytesOfHex(hex);
  const bytes = new Uint8Array(length as number);
  if (repeat_hex !== undefined) {
    const pattern = bytesOfHex(repeat_hex);
    return bytes.map((_, i) => pattern[i % pattern.length] as number);
  }
  if (lcg_seed === undefined) return bytes.map((_, i) => i);
  let x = BigInt(lcg_seed);
  return bytes.map(() => {
    x = (x * 1_103_515_245n + 12_345n) % 0x8000_0000n;
    return Number(x >> 16n & 0xffn);
  });
}

/** Compares bytes with a field, which may be given in full or by its hash. */
export function assertBytes(
  vector: Vector,
  field: string,
  bytes: Uint8Array,
): void {
  if (vector[field] !== undefined) {
    assert.equal(hexOf(bytes), vector[field], vector.name);
    return;
  }
  assert.equal(bytes.length, vector[`${field}_length`], vector.name);
  assert.equal(
    hexOf(bytes.subarray(0, 64)),
    vector[`${field}_first64`],
    vector.name,
  );
  const hash = createHash("sha256").update(bytes).digest("hex");
  assert.equal(hash, vector[`${field}_sha256`], vector.name);
}

/** A codec configuration: everything off but what is given. */
export function codecConfig(
  given: Partial<Omit<CodecConfig, "keyring">> & { keys?: Uint8Array[] } = {},
): CodecConfig {
  const { keys, ...rest } = given;
  return {
    label: "",
    keyring: keys === undefined ? undefined : new Keyring(keys),
    compression: false,
    protocolVersion: 2,
    verifyIncoming: true,
    verifyOutgoing: true,
    nextNonce: () => Uint8Array.from({ length: 12 }, (_, i) => i),
    ...rest,
  };
}

/** The configuration of whoever wrote or received a vector. */
export function configOf(vector: Vector): CodecConfig {
  return codecConfig({
    label: (vector["label"] ?? "") as string,
    ...(vector["key_hex"] === undefined
      ? {}
      : { keys: [bytesIn(vector, "key_hex")] }),
  });
}

/**
 * A value in the one form in which texts and byte strings compare: both in
 * hexadecimal, nil like empty. The files write byte strings as `bytes_hex` or
 * `$bytes`, and large integers as `$u64`.
 */
export function comparable(value: unknown): unknown {
  if (value === null || value === undefined) return "";
  if (typeof value === "string") return hexOf(utf8Bytes(value));
  if (value instanceof Uint8Array) return hexOf(value);
  if (typeof value === "bigint") return comparableInteger(value);
  if (Array.isArray(value)) return value.map(comparable);
  if (value instanceof Map) return comparable(Object.fromEntries(value));
  if (typeof value !== "object") return value;
  const fields = value as Record<string, unknown>;
  if ("bytes_hex" in fields) return fields["bytes_hex"];
  if ("$bytes" in fields) return fields["$bytes"];
  if ("$u64" in fields) {
    return comparableInteger(BigInt(fields["$u64"] as string));
  }
  return Object.fromEntries(
    Object.entries(fields).map(([key, field]) => [key, comparable(field)]),
  );
}

function comparableInteger(value: bigint): number | string {
  return value <= BigInt(Number.MAX_SAFE_INTEGER)
    ? Number(value)
    : String(value);
}

/** A message with Go's field names, as the vectors have it in `decoded`. */
export function goFields(
  message: Message | StreamMessage,
): Record<string, unknown> {
  switch (message.kind) {
    case "ping":
      return {
        Node: message.node,
        SeqNo: message.seqNo,
        SourceAddr: message.sourceAddr,
        SourceNode: message.sourceNode,
        SourcePort: message.sourcePort,
      };
    case "indirectPing":
      return {
        Nack: message.nack,
        Node: message.node,
        Port: message.port,
        SeqNo: message.seqNo,
        SourceAddr: message.sourceAddr,
        SourceNode: message.sourceNode,
        SourcePort: message.sourcePort,
        Target: message.target,
      };
    case "ack":
      return { Payload: message.payload, SeqNo: message.seqNo };
    case "nack":
      return { SeqNo: message.seqNo };
    case "suspect":
    case "dead":
      return {
        From: message.from,
        Incarnation: message.incarnation,
        Node: message.node,
      };
    case "alive":
      return {
        Addr: message.node.addr,
        Incarnation: message.incarnation,
        Meta: message.node.meta,
        Node: message.node.name,
        Port: message.node.port,
        Vsn: message.node.vsn,
      };
    case "user":
      return { Body: message.body };
    case "error":
      return { Error: message.text };
    case "pushPull":
      return {
        header: {
          Join: message.join,
          Nodes: message.states.length,
          UserStateLen: message.userState.length,
        },
        nodes: message.states.map(goNodeState),
        user_state: message.userState,
      };
  }
}

const STATES = ["alive", "suspect", "dead", "left"];

function goNodeState(
  { node, incarnation, state }: NodeState,
): Record<string, unknown> {
  return {
    Addr: node.addr,
    Incarnation: incarnation,
    Meta: node.meta,
    Name: node.name,
    Port: node.port,
    State: STATES.indexOf(state as string),
    Vsn: node.vsn,
  };
}

/** The bytes with others behind them, which a decoder must ignore. */
export function withTrailing(bytes: Uint8Array): Uint8Array {
  return concatBytes([bytes, Uint8Array.of(0xc1, 0xff, 0x00)]);
}
