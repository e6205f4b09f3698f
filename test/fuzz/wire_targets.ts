/** The decoders of lib/wire as fuzz targets. */

import assert from "node:assert/strict";
import { bytesOfHex, concatBytes, hexOf } from "../../lib/kit/bytes.ts";
import { open, seal } from "../../lib/wire/aead.ts";
import type { CodecConfig } from "../../lib/wire/codec_config.ts";
import { decodeCompound } from "../../lib/wire/compound.ts";
import { decompress } from "../../lib/wire/compress.ts";
import { peelLabel } from "../../lib/wire/label.ts";
import { lzwDecode } from "../../lib/wire/lzw.ts";
import { decodeMessage, encodeMessage } from "../../lib/wire/message_codec.ts";
import { PACKET_BYTES_MAX, PacketCodec } from "../../lib/wire/packet.ts";
import {
  decodeConflictResponse,
  decodeFilter,
  decodeKeyRequest,
  decodeKeyResponse,
  decodePingPayload,
  decodePushPull,
  decodeSerfMessage,
  decodeTags,
  encodePushPull,
  encodeSerfMessage,
} from "../../lib/wire/serf_messages.ts";
import {
  encodeStreamMessage,
  sealStream,
  StreamReader,
  type StreamRole,
} from "../../lib/wire/stream_frame.ts";
import { WireError } from "../../lib/wire/wire_error.ts";
import {
  bytesIn,
  bytesOfRecipe,
  codecConfig,
  serfEntries,
  vectorsOf,
} from "../wire/vectors.ts";
import type { FuzzTarget } from "./target.ts";

const KEY = new Uint8Array(16).fill(1);
const PLAIN = codecConfig();
const SEALED = codecConfig({ keys: [KEY] });

/** Seeds from recorded bytes, leaving out those too long to be changed usefully. */
function recorded(group: string, count: number): Uint8Array[] {
  return vectorsOf(group, count)
    .filter(({ hex }) => hex !== undefined && hex.length <= 4_096)
    .map((vector) => bytesIn(vector, "hex"));
}

function recordedMessages(): Uint8Array[] {
  const bodies = vectorsOf("msgpack", 38).map((vector) =>
    concatBytes([Uint8Array.of(0), bytesIn(vector, "hex")])
  );
  return [...recorded("message", 61), ...bodies];
}

function recordedPackets(): Uint8Array[] {
  return [
    ...recorded("badpacket", 54),
    ...recorded("compound", 7),
    ...recorded("compress", 14),
    ...recorded("crc", 8),
    ...recorded("capture", 50),
  ];
}

function recordedStreams(): Uint8Array[] {
  return [...recorded("stream", 25), ...recorded("badstream", 31)];
}

function recordedEntries(names: RegExp, count: number): Uint8Array[] {
  return serfEntries(names, count)
    .filter(({ hex }) => hex.length <= 4_096)
    .map(({ hex }) => bytesOfHex(hex));
}

/** Opens a packet and decodes what is in it; refusals of parts are expected. */
function openPacket(codec: PacketCodec, packet: Uint8Array): void {
  const { parts, errors } = codec.open(packet);
  for (const error of errors) assert.ok(error instanceof WireError);
  for (const part of parts) {
    assert.ok(part.length > 0, "parts are never empty");
    try {
      decodeMessage(part);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
    }
  }
}

/** Reads a stream whole and in two pieces, which must come to the same. */
function readStream(
  bytes: Uint8Array,
  config: CodecConfig,
  role: StreamRole,
): void {
  const whole = outcomeOf([bytes], config, role);
  const middle = bytes.length >> 1;
  const halves = outcomeOf(
    [bytes.slice(0, middle), bytes.slice(middle)],
    config,
    role,
  );
  assert.equal(halves.encoded, whole.encoded);
  assert.equal(halves.error?.detail, whole.error?.detail);
  if (whole.error !== undefined) throw whole.error;
}

interface Outcome {
  /** The message, if there was one, encoded again. */
  readonly encoded?: string;
  readonly error?: WireError;
}

function outcomeOf(
  pieces: readonly Uint8Array[],
  config: CodecConfig,
  role: StreamRole,
): Outcome {
  const reader = new StreamReader(config, role);
  try {
    let encoded = "";
    for (const piece of pieces) {
      const message = reader.push(piece);
      if (message !== undefined) encoded = hexOf(encodeStreamMessage(message));
    }
    reader.end();
    return { encoded };
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    return { error };
  }
}

/** A target that only decodes. */
function decoder(
  name: string,
  seeds: () => Uint8Array[],
  decode: (bytes: Uint8Array) => unknown,
): FuzzTarget {
  return { name, seeds, run: (bytes) => void decode(bytes) };
}

export const WIRE_TARGETS: readonly FuzzTarget[] = [
  {
    name: "decodeMessage",
    seeds: recordedMessages,
    run(bytes) {
      const message = decodeMessage(bytes);
      assert.deepEqual(decodeMessage(encodeMessage(message)), message);
    },
  },
  {
    name: "PacketCodec.open, plain",
    seeds: recordedPackets,
    run: (bytes) => openPacket(new PacketCodec(PLAIN), bytes),
  },
  {
    name: "PacketCodec.open, sealed",
    seeds: () =>
      recordedPackets().map((packet) =>
        new PacketCodec(SEALED).seal(packet, { crc: false })
      ),
    run: (bytes) => openPacket(new PacketCodec(SEALED), bytes),
  },
  {
    name: "PacketCodec.open, under the seal",
    seeds: recordedPackets,
    run(bytes) {
      const codec = new PacketCodec(SEALED);
      openPacket(codec, codec.seal(bytes, { crc: true }));
    },
  },
  {
    name: "StreamReader, accepting",
    seeds: recordedStreams,
    run: (bytes) => readStream(bytes, PLAIN, "accepting"),
  },
  {
    name: "StreamReader, accepting with a label",
    seeds: recordedStreams,
    run: (bytes) =>
      readStream(bytes, codecConfig({ label: "dc1" }), "accepting"),
  },
  {
    name: "StreamReader, dialing",
    seeds: recordedStreams,
    run: (bytes) => readStream(bytes, PLAIN, "dialing"),
  },
  {
    name: "StreamReader, under the seal",
    seeds: recordedStreams,
    run(bytes) {
      readStream(sealStream(bytes, SEALED, "dialing"), SEALED, "accepting");
    },
  },
  decoder("decodeCompound", () => recorded("compound", 7), decodeCompound),
  decoder(
    "decompress",
    () => recorded("compress", 14),
    (bytes) => decompress(bytes, PACKET_BYTES_MAX),
  ),
  decoder(
    "lzwDecode",
    () => recorded("lzw", 33),
    (bytes) => lzwDecode(bytes, PACKET_BYTES_MAX),
  ),
  decoder(
    "open",
    () =>
      [0, 1].flatMap((version) =>
        [0, 15, 16, 40].map((length) =>
          seal(bytesOfRecipe({ lcg_seed: 1, length }), {
            version: version as 0 | 1,
            key: KEY,
            nonce: new Uint8Array(12),
            associated: new Uint8Array(0),
          })
        )
      ),
    (bytes) => open(bytes, [KEY], new Uint8Array(0)),
  ),
  decoder(
    "peelLabel",
    () => ["f4036463310808", "f400", "08"].map(bytesOfHex),
    peelLabel,
  ),
  {
    name: "decodeSerfMessage",
    seeds: () =>
      recordedEntries(
        /^(capture_)?(leave|join|userevent|query|response|relay)_/,
        97,
      ),
    run(bytes) {
      const message = decodeSerfMessage(bytes);
      assert.deepEqual(decodeSerfMessage(encodeSerfMessage(message)), message);
    },
  },
  {
    name: "decodePushPull",
    seeds: () => recordedEntries(/^(capture_)?pushpull_/, 8),
    run(bytes) {
      const state = decodePushPull(bytes);
      const again = decodePushPull(encodePushPull(state));
      assert.deepEqual(again.events, state.events);
      assert.equal(again.statusLTimes.size, state.statusLTimes.size);
    },
  },
  decoder(
    "decodeTags",
    () => recordedEntries(/^(tags|capture_meta)_/, 13),
    (meta) => {
      const { error } = decodeTags(meta);
      if (error !== undefined) throw error;
    },
  ),
  decoder("decodeFilter", () => recordedEntries(/^filter_/, 5), decodeFilter),
  decoder(
    "decodeKeyRequest",
    () => recordedEntries(/^key_request_/, 4),
    decodeKeyRequest,
  ),
  decoder(
    "decodeKeyResponse",
    () => recordedEntries(/^key_response_/, 4),
    decodeKeyResponse,
  ),
  decoder(
    "decodeConflictResponse",
    () => recordedEntries(/^conflict_/, 3),
    decodeConflictResponse,
  ),
  decoder(
    "decodePingPayload",
    () => recordedEntries(/^(capture_)?ping_/, 8),
    decodePingPayload,
  ),
];
