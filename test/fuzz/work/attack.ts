/**
 * Composes attacks on an engine: what arrives at its doors within one second.
 *
 * A packet may hold up to a thousand messages, in compounds within compounds, and
 * be compressed. How many packets come, and whether from one address or from
 * forged ones, is drawn too.
 */

import { concatBytes } from "../../../lib/kit/bytes.ts";
import type { Random } from "../../../lib/kit/random.ts";
import { encodeCompound } from "../../../lib/wire/compound.ts";
import { compressIfShorter } from "../../../lib/wire/compress.ts";
import type { NodeStateName } from "../../../lib/wire/messages.ts";
import {
  encodePushPull,
  encodeSerfMessage,
} from "../../../lib/wire/serf_messages.ts";
import {
  encodeStreamMessage,
  sealStream,
} from "../../../lib/wire/stream_frame.ts";
import { codecConfig } from "../../wire/vectors.ts";
import {
  descriptors,
  drawSeries,
  ltimes,
  pick,
  type Series,
} from "./messages.ts";
import { ATTACKER, HONEST, PORT, VICTIM } from "./scene.ts";

/** Longest content of a packet, bytes: what is longer when decompressed is refused. */
const CONTENT_BYTES_MAX = 65_000;
/** Most messages of a packet, of which the receiver takes some more. */
const PARTS_MAX = 1_000;
/** Parts of one compound; more need another one around. */
const COMPOUND_PARTS_MAX = 127;
/** Messages of the largest attacks. */
const FLOOD_MESSAGES = 20_000;
const FLOOD_PACKETS_MAX = 96;
const FORGED_SOURCES = 64;

/** One datagram, or one stream with all that is said on it. */
export interface AttackInput {
  readonly door: "packet" | "stream";
  /** `ip:port` it seems to come from. */
  readonly from: string;
  readonly bytes: Uint8Array;
}

export interface Attack {
  /** What it consists of, for whoever reads a finding. */
  readonly words: string;
  readonly inputs: readonly AttackInput[];
  /** Different addresses that it seems to come from. */
  readonly sources: number;
}

function sourcesOf(random: Random): number {
  return random.below(4) === 0 ? FORGED_SOURCES : 1;
}

function sourceAt(i: number, sources: number): string {
  const ip = sources === 1 ? ATTACKER : `10.9.8.${1 + i % sources}`;
  return `${ip}:${PORT}`;
}

/** Packs up to a thousand messages into one; a compound holds fewer. */
export function nested(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0] as Uint8Array;
  const compounds: Uint8Array[] = [];
  for (let at = 0; at < parts.length; at += COMPOUND_PARTS_MAX) {
    compounds.push(encodeCompound(parts.slice(at, at + COMPOUND_PARTS_MAX)));
  }
  return compounds.length === 1
    ? compounds[0] as Uint8Array
    : encodeCompound(compounds);
}

/** Messages of series that take turns, in as many packets as they need. */
function packets(
  series: readonly Series[],
  options: {
    readonly messages: number;
    readonly packetsMax: number;
    readonly isCompressed: boolean;
  },
): Uint8Array[] {
  const { messages, packetsMax, isCompressed } = options;
  const made: Uint8Array[] = [];
  let parts: Uint8Array[] = [];
  let length = 0;
  const seal = () => {
    const content = nested(parts);
    made.push(isCompressed ? compressIfShorter(content) ?? content : content);
    parts = [];
    length = 0;
  };
  for (let i = 0; i < messages && made.length < packetsMax; i++) {
    const part = (series[i % series.length] as Series).make(i, messages);
    if (
      parts.length === PARTS_MAX ||
      length + part.length + 4 > CONTENT_BYTES_MAX && parts.length > 0
    ) seal();
    parts.push(part);
    length += part.length + 4;
  }
  if (parts.length > 0 && made.length < packetsMax) seal();
  return made;
}

/** How much of it comes. */
const SIZES = [
  { words: "one message", messages: 1, packetsMax: 1 },
  { words: "one packet", messages: PARTS_MAX, packetsMax: 1 },
  { words: "16 packets", messages: 16 * PARTS_MAX, packetsMax: 16 },
  {
    words: "a flood",
    messages: FLOOD_MESSAGES,
    packetsMax: FLOOD_PACKETS_MAX,
  },
] as const;

export function drawPackets(random: Random): Attack {
  const { words, messages, packetsMax } = pick(random, SIZES);
  const count = pick(random, [1, 1, 2]);
  const series = Array.from({ length: count }, () => drawSeries(random));
  const isCompressed = random.below(4) > 0;
  const sources = sourcesOf(random);
  const made = packets(series, { messages, packetsMax, isCompressed });
  return {
    words: `${words}${isCompressed ? ", compressed" : ""}, from ${sources}: ` +
      series.map((each) => each.words).join("; "),
    inputs: made.map((bytes, i) => ({
      door: "packet",
      from: sourceAt(i, sources),
      bytes,
    })),
    sources,
  };
}

// --- Streams ----------------------------------------------------------------

const STATES: readonly NodeStateName[] = ["alive", "suspect", "dead", "left"];

/** A push/pull of many members and events, some of which cannot be. */
function drawPushPull(random: Random): readonly [string, Uint8Array] {
  const count = pick(random, [0, 1, 100, 2_000]);
  const events = pick(random, [0, 1, 512]);
  const [who, node] = descriptors(random);
  const [when, ltime] = ltimes(random);
  const incarnation = pick(random, [0, 1, 0xffff_ffff]);
  const state = pick(random, STATES);
  const payload = new Uint8Array(pick(random, [0, 400]));
  const userState = encodePushPull({
    ltime: ltime(0, 1),
    statusLTimes: new Map([[VICTIM, ltime(0, 2)], [HONEST, ltime(1, 2)]]),
    leftMembers: pick(random, [[], [VICTIM, HONEST]]),
    eventLTime: ltime(0, 1),
    events: Array.from({ length: events }, (_, i) => ({
      ltime: ltime(i, events),
      events: [{ name: `e${i}`, payload }],
    })),
    queryLTime: ltime(0, 1),
  });
  const bytes = encodeStreamMessage({
    kind: "pushPull",
    join: random.below(2) === 0,
    states: Array.from({ length: count }, (_, i) => ({
      node: node(i, count),
      incarnation,
      state,
    })),
    userState,
  });
  const words =
    `push/pull of ${count} times ${who}, ${state} at incarnation ${incarnation}, ` +
    `${events} events of ${payload.length} bytes, ${when}`;
  return [words, bytes];
}

function drawStreamMessage(random: Random): readonly [string, Uint8Array] {
  switch (random.below(4)) {
    case 0: {
      // A user message holds one Serf message; a packet's has a type byte more.
      const series = drawSeries(random);
      const message = series.make(0, 1);
      if (message[0] !== 8) return [series.words, message];
      const body = message.subarray(1);
      return [series.words, encodeStreamMessage({ kind: "user", body })];
    }
    case 1: {
      const body = encodeSerfMessage({
        kind: "userEvent",
        ltime: 3n,
        name: "large",
        payload: new Uint8Array(pick(random, [10, 1_000_000])),
        coalesce: false,
      });
      return ["a large event", encodeStreamMessage({ kind: "user", body })];
    }
    default:
      return drawPushPull(random);
  }
}

export function drawStreams(random: Random): Attack {
  const [what, body] = drawStreamMessage(random);
  const isCompressed = random.below(2) === 0;
  const whole = sealStream(
    body,
    codecConfig({ compression: isCompressed }),
    "dialing",
  );
  // A stream may also end too early, or go on when all was said.
  const [how, bytes] = pick<readonly [string, Uint8Array]>(random, [
    ["whole", whole],
    ["whole", whole],
    ["cut short", whole.subarray(0, whole.length >> 1)],
    ["with more behind", concatBytes([whole, whole.subarray(0, 100_000)])],
  ]);
  const count = pick(random, [1, 20]);
  const sources = sourcesOf(random);
  return {
    words: `${count} streams ${how}${isCompressed ? ", compressed" : ""}, ` +
      `from ${sources}: ${what}`,
    inputs: Array.from({ length: count }, (_, i) => ({
      door: "stream",
      from: sourceAt(i, sources),
      bytes,
    })),
    sources,
  };
}
