/**
 * The work that the wire benchmarks measure, each piece with a checksum of what
 * it did. `wire_bench.ts` measures it; `wire_cases_test.ts` runs it once, so that
 * it does not rot.
 */

import { utf8Bytes } from "../../lib/kit/bytes.ts";
import { Random } from "../../lib/kit/random.ts";
import {
  type CodecConfig,
  encryptionVersion,
} from "../../lib/wire/codec_config.ts";
import { encodeCompound } from "../../lib/wire/compound.ts";
import { crc32 } from "../../lib/wire/crc32.ts";
import { Keyring } from "../../lib/wire/keyring.ts";
import { lzwDecode, lzwEncode } from "../../lib/wire/lzw.ts";
import { decodeMessage, encodeMessage } from "../../lib/wire/message_codec.ts";
import type {
  Message,
  NodeDescriptor,
  PushPull,
} from "../../lib/wire/messages.ts";
import { PacketCodec } from "../../lib/wire/packet.ts";
import {
  decodePushPull,
  decodeSerfMessage,
  decodeTags,
  encodePushPull,
  encodeSerfMessage,
  encodeTags,
  type SerfMessage,
} from "../../lib/wire/serf_messages.ts";
import { BodyScanner, decodeStreamBody } from "../../lib/wire/stream_body.ts";
import {
  encodeStreamMessage,
  sealStream,
  StreamReader,
} from "../../lib/wire/stream_frame.ts";

/** One piece of work. */
export interface WireCase {
  readonly group: string;
  readonly name: string;
  /** Does the work once; the result depends on all of it. */
  run(): number;
}

const MEMBERS = 1_000;
const ADDR = Uint8Array.of(10, 0, 3, 7);
const VSN = Uint8Array.of(1, 5, 2, 2, 5, 5);
const NONCE = new Uint8Array(12);

const TAGS = new Map([["role", "web"], ["dc", "east-1"], ["build", "1.4.2"]]);
const META = encodeTags(TAGS, 5);

const NODE: NodeDescriptor = {
  name: "web-017.east-1",
  addr: ADDR,
  port: 7_946,
  meta: META,
  vsn: VSN,
};

const MESSAGES: readonly Message[] = [
  {
    kind: "ping",
    seqNo: 4_711,
    node: NODE.name,
    sourceAddr: ADDR,
    sourcePort: 7_946,
    sourceNode: "web-018.east-1",
  },
  { kind: "ack", seqNo: 4_711, payload: new Uint8Array(130).fill(3) },
  { kind: "suspect", incarnation: 9, node: NODE.name, from: "web-018.east-1" },
  { kind: "alive", incarnation: 9, node: NODE },
];

const SERF_MESSAGES: readonly SerfMessage[] = [
  { kind: "join", ltime: 812n, node: NODE.name },
  {
    kind: "userEvent",
    ltime: 77n,
    name: "deploy",
    payload: utf8Bytes("v1.4.3"),
    coalesce: true,
  },
];

/** A push/pull as agents send it: every member, and Serf's state. */
function pushPullOf(members: number): PushPull {
  const random = new Random(members);
  const names = Array.from({ length: members }, (_, i) => `node-${i}.east-1`);
  const userState = encodePushPull({
    ltime: 900n,
    statusLTimes: new Map(
      names.map((name) => [name, BigInt(random.below(900))]),
    ),
    leftMembers: [],
    eventLTime: 80n,
    events: new Array(512).fill(undefined),
    queryLTime: 3n,
  });
  const states = names.map((name) => ({
    node: { ...NODE, name, addr: random.fill(new Uint8Array(4)) },
    incarnation: random.below(20),
    state: "alive" as const,
  }));
  return { kind: "pushPull", join: false, states, userState };
}

function config(
  keyBytes: number,
  given: Partial<CodecConfig> = {},
): CodecConfig {
  return {
    label: "",
    keyring: keyBytes === 0
      ? undefined
      : new Keyring([new Uint8Array(keyBytes).fill(7)]),
    compression: false,
    protocolVersion: 2,
    verifyIncoming: true,
    verifyOutgoing: true,
    nextNonce: () => NONCE,
    ...given,
  };
}

function* messageCases(): Generator<WireCase> {
  for (const message of MESSAGES) {
    const bytes = encodeMessage(message);
    const name = message.kind;
    yield { group: "encode", name, run: () => encodeMessage(message).length };
    yield {
      group: "decode",
      name,
      run: () => decodeMessage(bytes).kind.length,
    };
  }
  for (const message of SERF_MESSAGES) {
    const bytes = encodeSerfMessage(message);
    const name = message.kind;
    yield {
      group: "encode",
      name,
      run: () => encodeSerfMessage(message).length,
    };
    yield {
      group: "decode",
      name,
      run: () => decodeSerfMessage(bytes).kind.length,
    };
  }
  yield {
    group: "decode",
    name: "tags",
    run: () => decodeTags(META).tags.size,
  };
}

/** About what a gossip packet holds. */
function gossip(): Uint8Array {
  const random = new Random(1);
  return encodeCompound(Array.from({ length: 12 }, (_, i) =>
    encodeMessage({
      kind: "alive",
      incarnation: random.below(100),
      node: {
        ...NODE,
        name: `node-${i}.east-1`,
        addr: random.fill(new Uint8Array(4)),
      },
    })));
}

function* packetCases(): Generator<WireCase> {
  const ping = encodeMessage(MESSAGES[0] as Message);
  const compound = gossip();
  for (
    const [size, message] of [["ping", ping], ["gossip", compound]] as const
  ) {
    for (const keyBytes of [0, 16, 24, 32]) {
      const codec = new PacketCodec(config(keyBytes));
      const packet = codec.seal(message, { crc: true });
      const name = keyBytes === 0 ? size : `${size}, AES-${8 * keyBytes}`;
      yield {
        group: "seal",
        name,
        run: () => codec.seal(message, { crc: true }).length,
      };
      yield { group: "open", name, run: () => codec.open(packet).parts.length };
    }
    const codec = new PacketCodec(config(0, { compression: true }));
    const packet = codec.seal(message, { crc: true });
    const name = `${size}, compressed`;
    yield {
      group: "seal",
      name,
      run: () => codec.seal(message, { crc: true }).length,
    };
    yield { group: "open", name, run: () => codec.open(packet).parts.length };
  }
  const codec = new PacketCodec(config(0));
  yield {
    group: "open",
    name: "gossip, and decode its 12 alives",
    run: () => {
      let sum = 0;
      for (const part of codec.open(compound).parts) {
        sum += decodeMessage(part).kind.length;
      }
      return sum;
    },
  };
  yield {
    group: "layers",
    name: "crc32 of a gossip",
    run: () => crc32(compound),
  };
}

function* pushPullCases(): Generator<WireCase> {
  const pushPull = pushPullOf(MEMBERS);
  const body = encodeStreamMessage(pushPull);
  const compressed = lzwEncode(body) as Uint8Array;
  const whole = config(16, { compression: true });
  const sealed = sealStream(body, whole, "dialing");
  const userState = pushPull.userState;
  yield {
    group: "push/pull",
    name: "encode",
    run: () => encodeStreamMessage(pushPull).length,
  };
  yield {
    group: "push/pull",
    name: "scan",
    run: () => new BodyScanner().scan(body, body.length) as number,
  };
  yield {
    group: "push/pull",
    name: "decode",
    run: () => (decodeStreamBody(body) as PushPull).states.length,
  };
  yield {
    group: "push/pull",
    name: "decode Serf's state",
    run: () => decodePushPull(userState).statusLTimes.size,
  };
  yield {
    group: "push/pull",
    name: "LZW encode",
    run: () => (lzwEncode(body) as Uint8Array).length,
  };
  yield {
    group: "push/pull",
    name: "LZW decode",
    run: () => lzwDecode(compressed, 1 << 24).length,
  };
  yield {
    group: "push/pull",
    name: `all layers on, AES-128, version ${encryptionVersion(whole)}`,
    run: () => sealStream(body, whole, "dialing").length,
  };
  yield {
    group: "push/pull",
    name: "read, all layers off",
    run: () => {
      const message = new StreamReader(whole, "accepting").push(sealed);
      return (message as PushPull).states.length;
    },
  };
}

export const WIRE_CASES: readonly WireCase[] = [
  ...messageCases(),
  ...packetCases(),
  ...pushPullCases(),
];
