/**
 * Makes messages of which a packet may hold many: of one kind, equal but for some
 * fields that change from one to the next.
 *
 * What the fields hold is drawn from values at which mechanisms change their mind:
 * our own name, names of members and of nobody; addresses of others; incarnations
 * and Lamport times at both ends of their range; filters that are short to write
 * and long to compile.
 */

import type { Random } from "../../../lib/kit/random.ts";
import { encodeMessage } from "../../../lib/wire/message_codec.ts";
import type { Message, NodeDescriptor } from "../../../lib/wire/messages.ts";
import {
  encodeFilter,
  encodeSerfMessage,
  type SerfMessage,
} from "../../../lib/wire/serf_messages.ts";
import {
  ATTACKER,
  bytesOfIp,
  HONEST,
  ipOf,
  MEMBERS,
  PORT,
  THIRD_PARTY,
  VICTIM,
} from "./scene.ts";

const UINT32_MAX = 0xffff_ffff;
const LTIME_MAX = 2n ** 64n - 1n;
const SECOND_NS = 1_000_000_000n;

/** A series of messages: the one at place `i` of `count`. */
export interface Series {
  /** For a finding: what these messages are. */
  readonly words: string;
  make(i: number, count: number): Uint8Array;
}

export function pick<T>(random: Random, items: readonly T[]): T {
  return items[random.below(items.length)] as T;
}

/** A value that differs from one message to the next, or not. */
type Varying<T> = readonly [
  words: string,
  at: (i: number, count: number) => T,
];

function names(random: Random): Varying<string> {
  return pick<Varying<string>>(random, [
    [VICTIM, () => VICTIM],
    [VICTIM, () => VICTIM],
    [HONEST, () => HONEST],
    ["members in turn", (i) => MEMBERS[i % MEMBERS.length] as string],
    ["strangers", (i) => `ghost${i}`],
    ["nobody", () => ""],
  ]);
}

function incarnations(random: Random): Varying<number> {
  return pick<Varying<number>>(random, [
    ["incarnation 0", () => 0],
    ["rising incarnations", (i) => i + 1],
    ["incarnation 2^31", () => 2 ** 31],
    ["the last incarnation", () => UINT32_MAX],
    ["the last incarnations", (i, count) => UINT32_MAX - (count - 1 - i)],
  ]);
}

/** Lamport times; those that rise to the end come last with the very last one. */
export function ltimes(random: Random): Varying<bigint> {
  const perTime = BigInt(pick(random, [1, 64, 1_000]));
  return pick<Varying<bigint>>(random, [
    ["rising times", (i) => BigInt(i + 1)],
    ["time 2^40", (i) => 2n ** 40n + BigInt(i) / perTime],
    ["time 2^63", () => 2n ** 63n],
    ["the last time", () => LTIME_MAX],
    [
      "times up to the last",
      (i, count) => LTIME_MAX - BigInt(count - 1 - i) / perTime,
    ],
    [
      "times up to the last",
      (i, count) => LTIME_MAX - BigInt(count - 1 - i) / perTime,
    ],
  ]);
}

/** To whom answers go. */
function source(random: Random): readonly [string, Uint8Array] {
  const [words, ip] = pick(random, [
    ["to a third party", THIRD_PARTY],
    ["to a third party", THIRD_PARTY],
    ["to the attacker", ATTACKER],
    ["to a member", ipOf(HONEST)],
    ["to itself", ipOf(VICTIM)],
    ["to everybody", "255.255.255.255"],
    ["by IPv6", "fe80::7"],
  ]);
  return [words as string, bytesOfIp(ip as string)];
}

// --- SWIM -------------------------------------------------------------------

function pings(random: Random): Series {
  const [to, sourceAddr] = source(random);
  const node = pick(random, [VICTIM, "", HONEST]);
  return {
    words: `pings of '${node}' answered ${to}`,
    make: (i) =>
      encodeMessage({
        kind: "ping",
        seqNo: i,
        node,
        sourceAddr,
        sourcePort: PORT,
        sourceNode: "x",
      }),
  };
}

function indirectPings(random: Random): Series {
  const [to, sourceAddr] = source(random);
  const [what, target] = source(random);
  const nack = random.below(2) === 0;
  return {
    words: `indirect pings ${what}, answered ${to}${nack ? ", nacks" : ""}`,
    make: (i) =>
      encodeMessage({
        kind: "indirectPing",
        seqNo: i,
        target,
        port: PORT,
        node: HONEST,
        nack,
        sourceAddr,
        sourcePort: PORT,
        sourceNode: "x",
      }),
  };
}

function answers(random: Random): Series {
  const isAck = random.below(2) === 0;
  const payload = new Uint8Array(pick(random, [0, 100]));
  const make = (seqNo: number): Message =>
    isAck ? { kind: "ack", seqNo, payload } : { kind: "nack", seqNo };
  return {
    words: isAck ? "acks" : "nacks",
    make: (i) => encodeMessage(make(i)),
  };
}

function accusations(random: Random): Series {
  const kind = pick(random, ["suspect", "dead"] as const);
  const [whom, node] = names(random);
  const [when, incarnation] = incarnations(random);
  const [by, from] = names(random);
  return {
    words: `${kind} claims about ${whom} by ${by}, ${when}`,
    make: (i, count) =>
      encodeMessage({
        kind,
        incarnation: incarnation(i, count),
        node: node(i, count),
        from: from(i, count),
      }),
  };
}

/** What a node is said to be. */
export function descriptors(random: Random): Varying<NodeDescriptor> {
  const [who, name] = names(random);
  const isHome = random.below(2) === 0;
  const meta = new Uint8Array(pick(random, [0, 10, 512, 600]));
  const vsn = Uint8Array.of(1, 5, 2, 2, 5, 5);
  return [
    `${who} ${isHome ? "at home" : "elsewhere"}, meta of ${meta.length} bytes`,
    (i, count) => {
      const node = name(i, count);
      const isKnown = isHome && MEMBERS.includes(node);
      const addr = bytesOfIp(isKnown ? ipOf(node) : `10.8.0.${i % 250}`);
      return { name: node, addr, port: PORT, meta, vsn };
    },
  ];
}

function alives(random: Random): Series {
  const [who, node] = descriptors(random);
  const [when, incarnation] = incarnations(random);
  return {
    words: `alive claims about ${who}, ${when}`,
    make: (i, count) =>
      encodeMessage({
        kind: "alive",
        incarnation: incarnation(i, count),
        node: node(i, count),
      }),
  };
}

// --- Serf -------------------------------------------------------------------

function userMessage(message: SerfMessage): Uint8Array {
  return encodeMessage({ kind: "user", body: encodeSerfMessage(message) });
}

function intents(random: Random): Series {
  const kind = pick(random, ["leave", "join"] as const);
  const prune = random.below(2) === 0;
  const [who, node] = names(random);
  const [when, ltime] = ltimes(random);
  return {
    words: `${kind} intents about ${who}, ${when}${prune ? ", prune" : ""}`,
    make(i, count) {
      const about = { ltime: ltime(i, count), node: node(i, count) };
      return userMessage(
        kind === "leave"
          ? { kind: "leave", ...about, prune }
          : { kind: "join", ...about },
      );
    },
  };
}

function events(random: Random): Series {
  const [when, ltime] = ltimes(random);
  const payload = new Uint8Array(pick(random, [0, 10, 400, 9_000]));
  const coalesce = random.below(2) === 0;
  return {
    words: `events of ${payload.length} bytes, ${when}`,
    make: (i, count) =>
      userMessage({
        kind: "userEvent",
        ltime: ltime(i, count),
        name: `e${i}`,
        payload,
        coalesce,
      }),
  };
}

/** Expressions, the costly ones more often than not. */
export const EXPRESSIONS: readonly string[] = [
  "a{0,990}",
  "(a{0,30}){0,30}",
  "(?:a?){900}",
  "[a-f]{1,900}",
  "\\pL{300}",
  "(a|b|c){0,300}",
  ".*",
  "^web$",
  "web",
  "(",
];

function queries(random: Random): Series {
  const [when, ltime] = ltimes(random);
  const [to, addr] = source(random);
  const expression = pick(random, EXPRESSIONS);
  const filterCount = pick(random, [0, 0, 1, 4, 64]);
  const isVaried = random.below(2) === 0;
  const name = pick(random, [
    ...["q", "q", "q", "_serf_ping", "_serf_conflict", "_serf_list-keys"],
    "_serf_none",
  ]);
  const relayFactor = pick(random, [0, 3, 4, 255]);
  const flags = pick(random, [0, 1, 1, 2, 3]);
  const timeoutNs = pick(random, [
    ...[15n * SECOND_NS, 0n, 2n ** 63n - 1n, -(2n ** 63n)],
  ]);
  const payload = new Uint8Array(pick(random, [0, 0, 300]));
  return {
    words:
      `queries '${name}' answered ${to}, ${when}, flags ${flags}, relays ${relayFactor}, ` +
      `${filterCount} filters ${expression}${isVaried ? " varied" : ""}`,
    make: (i, count) =>
      userMessage({
        kind: "query",
        ltime: ltime(i, count),
        id: i,
        addr,
        port: PORT,
        sourceNode: "x",
        filters: Array.from({ length: filterCount }, (_, k) =>
          encodeFilter({
            kind: "tag",
            tag: "role",
            expr: isVaried ? `${expression}|x${i}x${k}` : expression,
          })),
        flags,
        relayFactor,
        timeoutNs,
        name,
        payload,
      }),
  };
}

function responses(random: Random): Series {
  const payload = new Uint8Array(pick(random, [0, 300]));
  const flags = random.below(2);
  return {
    words: "responses to no query",
    make: (i) =>
      userMessage({
        kind: "queryResponse",
        ltime: BigInt(i),
        id: i,
        from: HONEST,
        flags,
        payload,
      }),
  };
}

function relays(random: Random): Series {
  const [to, destAddr] = source(random);
  const payload = new Uint8Array(pick(random, [0, 300]));
  return {
    words: `relays ${to}`,
    make: (i) =>
      userMessage({
        kind: "relay",
        destAddr,
        destPort: PORT,
        destZone: "",
        destName: "",
        body: encodeSerfMessage({
          kind: "queryResponse",
          ltime: BigInt(i),
          id: i,
          from: HONEST,
          flags: 0,
          payload,
        }),
      }),
  };
}

/** Half of the draws are queries and accusations: they make a receiver do most. */
const KINDS: readonly ((random: Random) => Series)[] = [
  ...[queries, queries, queries, queries, accusations, accusations],
  ...[pings, indirectPings, answers, alives, intents, events, responses],
  relays,
];

export function drawSeries(random: Random): Series {
  return pick(random, KINDS)(random);
}
