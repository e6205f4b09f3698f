/**
 * Reads the few fields by which gossip is recognised, without decoding it.
 *
 * Every intent and user event reaches every member about as often as it is sent,
 * a dozen times or more, and all copies but the first change nothing. Encoders
 * write the fields of these messages in one fixed order, so that the few bytes
 * that matter are found by looking. A message in any other form (another order,
 * unknown keys, another integer width) is not an error: it is left to the full
 * decoder, which knows what is allowed.
 *
 * Source: layout of serf `messages.go` as go-msgpack writes it, keys sorted.
 */

import { utf8Bytes } from "../kit/bytes.ts";
import type { JoinIntent, LeaveIntent } from "../wire/serf_messages.ts";
import { decodeText } from "../wire/text.ts";

/** Map of two: LTime, Node. */
const JOIN_HEAD = Uint8Array.of(1, 0x82, 0xa5, ...utf8Bytes("LTime"));
/** Map of three: LTime, Node, Prune. */
const LEAVE_HEAD = Uint8Array.of(0, 0x83, 0xa5, ...utf8Bytes("LTime"));
/** Map of four: CC, LTime, Name, Payload. The value of CC comes in between. */
const EVENT_HEAD = Uint8Array.of(3, 0x84, 0xa2, ...utf8Bytes("CC"));
const EVENT_LTIME_KEY = Uint8Array.of(0xa5, ...utf8Bytes("LTime"));
const NODE_KEY = Uint8Array.of(0xa4, ...utf8Bytes("Node"));
const PRUNE_KEY = Uint8Array.of(0xa5, ...utf8Bytes("Prune"));

const FALSE = 0xc2;
const TRUE = 0xc3;
/** Head of a text of 32 bytes and more; its length takes two bytes. */
const WIDE_TEXT = 0xda;

/**
 * A join intent or leave intent in the usual form.
 *
 * @returns `undefined` when it is in another form, or broken
 */
export function quickIntent(
  body: Uint8Array,
): JoinIntent | LeaveIntent | undefined {
  const isJoin = startsWith(body, JOIN_HEAD, 0);
  if (!isJoin && !startsWith(body, LEAVE_HEAD, 0)) return undefined;
  const ltimeAt = JOIN_HEAD.length;
  const width = uintBytes(body, ltimeAt);
  const keyAt = ltimeAt + width;
  if (width === 0 || !startsWith(body, NODE_KEY, keyAt)) return undefined;

  const lengthAt = keyAt + NODE_KEY.length;
  const nameAt = lengthAt + textHeadBytes(body, lengthAt);
  const nameEnd = nameAt + textBytes(body, lengthAt);
  if (nameAt === lengthAt || nameEnd > body.length) return undefined;
  const node = decodeText(body, nameAt, nameEnd);
  if (node === undefined) return undefined;
  const ltime = readUint(body, ltimeAt);
  if (isJoin) return { kind: "join", ltime, node };

  if (!startsWith(body, PRUNE_KEY, nameEnd)) return undefined;
  const prune = body[nameEnd + PRUNE_KEY.length];
  if (prune !== TRUE && prune !== FALSE) return undefined;
  return { kind: "leave", ltime, node, prune: prune === TRUE };
}

/**
 * Lamport time of a user event in the usual form.
 *
 * @returns `undefined` when it is in another form, or broken
 */
export function quickEventLTime(body: Uint8Array): bigint | undefined {
  if (!startsWith(body, EVENT_HEAD, 0)) return undefined;
  const keyAt = EVENT_HEAD.length + 1;
  if (!startsWith(body, EVENT_LTIME_KEY, keyAt)) return undefined;
  const ltimeAt = keyAt + EVENT_LTIME_KEY.length;
  const width = uintBytes(body, ltimeAt);
  if (width === 0 || ltimeAt + width > body.length) return undefined;
  return readUint(body, ltimeAt);
}

function startsWith(
  body: Uint8Array,
  expected: Uint8Array,
  offset: number,
): boolean {
  // Reading past the end gives `undefined`, which equals no byte.
  for (let i = 0; i < expected.length; i++) {
    if (body[offset + i] !== expected[i]) return false;
  }
  return true;
}

/** Bytes of the head of the text at `offset`, 0 when there is none. */
function textHeadBytes(body: Uint8Array, offset: number): number {
  const head = body[offset] ?? FALSE;
  if (head >= 0xa0 && head <= 0xbf) return 1;
  return head === WIDE_TEXT ? 3 : 0;
}

/** Bytes of the text itself. */
function textBytes(body: Uint8Array, offset: number): number {
  const head = body[offset] ?? 0;
  if (head !== WIDE_TEXT) return head & 0x1f;
  return ((body[offset + 1] ?? 0) << 8) | (body[offset + 2] ?? 0);
}

/** Bytes of the unsigned integer at `offset`, 0 when there is none. */
function uintBytes(body: Uint8Array, offset: number): number {
  const head = body[offset] ?? FALSE;
  if (head < 0x80) return 1;
  return head >= 0xcc && head <= 0xcf ? 1 + (1 << (head - 0xcc)) : 0;
}

/** Value of an integer whose bytes are all there. */
function readUint(body: Uint8Array, offset: number): bigint {
  const width = uintBytes(body, offset);
  if (width === 1) return BigInt(body[offset] as number);
  let value = 0n;
  // Four bytes at a time, since that is what a plain number takes.
  for (let i = 1; i < width; i += 4) {
    const count = Math.min(4, width - i);
    let part = 0;
    for (let j = 0; j < count; j++) {
      part = part * 256 + (body[offset + i + j] as number);
    }
    value = (value << 32n) | BigInt(part);
  }
  return value;
}
