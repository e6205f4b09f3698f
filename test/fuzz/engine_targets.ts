/**
 * A whole engine as a fuzz target: recorded traffic with a few changes, as packets
 * and on streams.
 *
 * An engine must not throw at all: what it cannot read is refused and counted, and
 * whether an input is accepted is told by that count. Afterwards it goes on for a
 * few seconds, so that what was taken in must not do harm later either.
 *
 * - *plain*: anybody may say anything.
 * - *insider*: the same under the cluster's key.
 * - *stranger*: the same without the key. No member, clock or queue may change, and
 *   nothing may leave but log lines, and on a stream the answer that it is refused.
 */

import assert from "node:assert/strict";
import { bytesOfHex, concatBytes } from "../../lib/kit/bytes.ts";
import { compileExpression } from "../../lib/kit/re2.ts";
import { Random } from "../../lib/kit/random.ts";
import { serfConfig } from "../../lib/serf/config.ts";
import { SerfEngine } from "../../lib/serf/engine.ts";
import type { Output } from "../../lib/serf/event.ts";
import { SERF_METRICS } from "../../lib/serf/metrics.ts";
import { SWIM_METRICS } from "../../lib/swim/metrics.ts";
import { Keyring } from "../../lib/wire/keyring.ts";
import { encodeMessage } from "../../lib/wire/message_codec.ts";
import { PacketCodec } from "../../lib/wire/packet.ts";
import { sealStream } from "../../lib/wire/stream_frame.ts";
import { WireError } from "../../lib/wire/wire_error.ts";
import { nodeOf } from "../serf/parts.ts";
import {
  bytesIn,
  codecConfig,
  serfEntries,
  vectorsOf,
} from "../wire/vectors.ts";
import type { FuzzTarget } from "./target.ts";

const KEY = new Uint8Array(32).fill(7);
const SEALED = codecConfig({ keys: [KEY], compression: true });
const FROM = "10.0.0.9:7946";
/** An engine lives on for so long after an input, ms. */
const AFTERLIFE_MS = 3_000;
/** Outputs of that time; an input must not make an engine talk for ever. */
const OUTPUTS_MAX = 2_000;
const SEED_BYTES_MAX = 2_048;

function engineOf(key?: Uint8Array): SerfEngine {
  const config = serfConfig({
    swim: {
      name: "self",
      advertiseAddr: Uint8Array.of(10, 0, 0, 1),
      advertisePort: 7946,
      ...(key === undefined ? {} : { keyring: new Keyring([key]) }),
    },
  });
  let nonces = 0;
  const engine = new SerfEngine(config, {
    random: new Random(1),
    nextNonce: () => {
      const nonce = new Uint8Array(12);
      new DataView(nonce.buffer).setUint32(0, nonces++);
      return nonce;
    },
    compileExpression,
  });
  engine.start(0);
  const codec = new PacketCodec(key === undefined ? codecConfig() : SEALED);
  // Members whose names the recorded traffic knows.
  for (const [i, name] of ["a", "n2", "plain-alpha"].entries()) {
    const node = nodeOf(name, i + 2);
    const alive = encodeMessage({ kind: "alive", incarnation: 1, node });
    engine.handlePacket(FROM, codec.seal(alive, { crc: false }), 0);
  }
  assert.equal(engine.members().length, 4);
  engine.drain();
  return engine;
}

/** Everything that could have been harmed. */
function stateOf(engine: SerfEngine): unknown {
  return [engine.members(), [...engine.stats()], engine.state];
}

function refusedBy(engine: SerfEngine): number {
  return engine.metrics.of(SERF_METRICS).refused.value +
    engine.metrics.of(SWIM_METRICS).refused.value;
}

/** Lets an engine live on; whatever it sends is lost. */
function liveOn(engine: SerfEngine, first: readonly Output[]): void {
  let outputs = first.length;
  while (true) {
    const nowMs = engine.nextDeadlineMs();
    if (nowMs === undefined || nowMs > AFTERLIFE_MS) break;
    engine.handleTimeout(nowMs);
    outputs += engine.drain().length;
    assert.ok(outputs <= OUTPUTS_MAX, "it says only so much");
  }
  assert.notEqual(engine.state, "shutdown");
}

function refused(): WireError {
  return new WireError("badValue", "refused by the engine");
}

/** Feeds an engine and lets it live on. */
function feed(
  engine: SerfEngine,
  input: (engine: SerfEngine) => void,
): Output[] {
  const before = refusedBy(engine);
  input(engine);
  const outputs = engine.drain();
  const isRefused = refusedBy(engine) > before;
  liveOn(engine, outputs);
  if (isRefused) throw refused();
  return outputs;
}

/**
 * Feeds an engine, which must not care.
 *
 * @returns how much it has counted as refused
 */
function feedStranger(
  input: (engine: SerfEngine) => void,
  mayLeave: readonly Output["kind"][],
): number {
  const engine = engineOf(KEY);
  const before = stateOf(engine);
  const refusedBefore = refusedBy(engine);
  input(engine);
  for (const { kind } of engine.drain()) {
    assert.ok(mayLeave.includes(kind), `nothing of kind ${kind} leaves`);
  }
  assert.deepEqual(stateOf(engine), before);
  return refusedBy(engine) - refusedBefore;
}

function packet(bytes: Uint8Array): (engine: SerfEngine) => void {
  return (engine) => engine.handlePacket(FROM, bytes, 1);
}

/** A stream in two pieces, then its end. */
function stream(bytes: Uint8Array): (engine: SerfEngine) => void {
  return (engine) => {
    const id = engine.handleStreamOpened(FROM, 1);
    const middle = bytes.length >> 1;
    engine.handleStreamData(id, bytes.slice(0, middle), 1);
    engine.handleStreamData(id, bytes.slice(middle), 1);
    engine.handleStreamClosed(id, 1);
  };
}

function recorded(group: string, count: number): Uint8Array[] {
  return vectorsOf(group, count)
    .map((vector) => bytesIn(vector, "hex"))
    .filter(({ length }) => length <= SEED_BYTES_MAX);
}

function packetSeeds(): Uint8Array[] {
  const serf = serfEntries(
    /^(capture_)?(leave|join|userevent|query|response|relay)_/,
    97,
  ).map(({ hex }) => concatBytes([Uint8Array.of(8), bytesOfHex(hex)]));
  return [
    ...recorded("message", 61),
    ...recorded("badpacket", 54),
    ...recorded("compound", 7),
    ...recorded("capture", 50),
    ...serf.filter(({ length }) => length <= SEED_BYTES_MAX),
  ];
}

function streamSeeds(): Uint8Array[] {
  return [
    ...recorded("stream", 25),
    ...recorded("badstream", 31),
    ...recorded("capture", 50),
  ];
}

export const ENGINE_TARGETS: readonly FuzzTarget[] = [
  {
    name: "SerfEngine, packets, plain",
    seeds: packetSeeds,
    run: (bytes) => void feed(engineOf(), packet(bytes)),
  },
  {
    name: "SerfEngine, packets, insider",
    seeds: packetSeeds,
    run(bytes) {
      const sealed = new PacketCodec(SEALED).seal(bytes, { crc: true });
      feed(engineOf(KEY), packet(sealed));
    },
  },
  {
    name: "SerfEngine, packets, stranger",
    seeds: packetSeeds,
    run: (bytes) =>
      assert.equal(feedStranger(packet(bytes), ["log"]), 1, "it is counted"),
  },
  {
    name: "SerfEngine, streams, plain",
    seeds: streamSeeds,
    run: (bytes) => void feed(engineOf(), stream(bytes)),
  },
  {
    name: "SerfEngine, streams, insider",
    seeds: streamSeeds,
    run(bytes) {
      feed(engineOf(KEY), stream(sealStream(bytes, SEALED, "dialing")));
    },
  },
  {
    name: "SerfEngine, streams, stranger",
    seeds: streamSeeds,
    run(bytes) {
      // One that ends before it has begun is passed over in silence.
      const count = feedStranger(stream(bytes), ["log", "write", "close"]);
      if (count > 0) throw refused();
    },
  },
];
