import assert from "node:assert/strict";
import {
  type Coordinate,
  distanceNs,
} from "../../lib/coordinate/coordinate.ts";
import { Vivaldi } from "../../lib/coordinate/vivaldi.ts";
import { Random } from "../../lib/kit/random.ts";
import { serfConfig } from "../../lib/serf/config.ts";
import { Coordinates } from "../../lib/serf/coordinates.ts";
import { SerfCore } from "../../lib/serf/core.ts";
import type { Output } from "../../lib/serf/event.ts";
import { decodeMessage, encodeMessage } from "../../lib/wire/message_codec.ts";
import { PacketCodec } from "../../lib/wire/packet.ts";
import {
  decodePingPayload,
  encodePingPayload,
} from "../../lib/wire/serf_payloads.ts";
import { Cluster, joined, type Node } from "./cluster.ts";
import { nodeOf, Parts, SELF } from "./parts.ts";

const SEED = 1;
const THEIRS: Coordinate = {
  vec: [0.01, 0, 0, 0, 0, 0, 0, 0],
  error: 0.5,
  adjustment: 0.001,
  height: 0.002,
};

function start(
  options: { readonly enableCoordinates?: boolean } = {},
): { core: SerfCore; coordinates: Coordinates; log(): string[] } {
  const config = serfConfig({
    swim: {
      name: SELF,
      advertiseAddr: Uint8Array.of(10, 0, 0, 0),
      advertisePort: 7946,
      logLevel: "TRACE",
    },
    ...options,
  });
  const core = new SerfCore(config, new Random(SEED));
  const log = () =>
    core.drain().flatMap((output) =>
      output.kind === "log" ? [`[${output.level}] ${output.text}`] : []
    );
  return { core, coordinates: new Coordinates(core), log };
}

function answerOf(
  coordinate: Coordinate,
  rttMs = 20,
): { payload: Uint8Array; rttMs: number } {
  return { payload: encodePingPayload(coordinate), rttMs };
}

Deno.test("Coordinates begin with our own, at the origin", () => {
  const { coordinates } = start();
  assert.deepEqual(coordinates.of(SELF), new Vivaldi(new Random(0)).coordinate);
  assert.equal(coordinates.of("b"), undefined);
  assert.equal(coordinates.peerCount, 0);
  assert.equal(coordinates.resets, 0);
});

Deno.test("Coordinates.pingCompleted() moves us, and keeps what the peer told", () => {
  const { core, coordinates, log } = start();
  coordinates.pingCompleted("b", answerOf(THEIRS), 0);
  assert.deepEqual(coordinates.of("b"), THEIRS);
  const expected = new Vivaldi(new Random(SEED));
  expected.update("b", THEIRS, 20_000_000);
  assert.deepEqual(coordinates.of(SELF), expected.coordinate);
  const newer = { ...THEIRS, height: 0.003 };
  coordinates.pingCompleted("b", answerOf(newer), 0);
  assert.deepEqual(coordinates.of("b"), newer);
  assert.equal(coordinates.peerCount, 1);
  assert.equal(core.metrics.coordinateRejected.value, 0);
  assert.equal(core.metrics.coordinateZeroRtt.value, 0);
  assert.deepEqual(log(), []);
});

Deno.test("Coordinates.ackPayload is encoded once for each change of ours", () => {
  const { coordinates } = start();
  const first = coordinates.ackPayload;
  assert.deepEqual(decodePingPayload(first), coordinates.of(SELF));
  assert.equal(first.length, 130);
  assert.equal(coordinates.ackPayload, first);
  coordinates.pingCompleted("b", answerOf(THEIRS), 0);
  const second = coordinates.ackPayload;
  assert.notEqual(second, first);
  assert.deepEqual(decodePingPayload(second), coordinates.of(SELF));
  assert.equal(coordinates.ackPayload, second);
});

Deno.test("Coordinates.pingCompleted() leaves all as it was when an answer is of no use", () => {
  const invalid = { ...THEIRS, height: Infinity };
  const short = { ...THEIRS, vec: [0] };
  const cases: [
    payload: Uint8Array,
    rttMs: number,
    line: RegExp | undefined,
  ][] = [
    [new Uint8Array(0), 20, undefined],
    [
      Uint8Array.of(2, 0x80),
      20,
      /^\[ERR\] serf: Unsupported ping version: 2$/,
    ],
    [
      Uint8Array.of(1, 0x84),
      20,
      /^\[ERR\] serf: Failed to decode coordinate from ping: /,
    ],
    [
      encodePingPayload(invalid),
      20,
      /^\[TRACE\] serf: Rejected coordinate from b: coordinate is invalid$/,
    ],
    [
      encodePingPayload(short),
      20,
      /^\[TRACE\] serf: Rejected coordinate from b: dimensions aren't compatible$/,
    ],
    [
      encodePingPayload(THEIRS),
      10_001,
      /^\[TRACE\] serf: Rejected coordinate from b: round trip time not in valid range, duration 10\.001s is not a positive value less than 10s $/,
    ],
  ];
  const { core, coordinates, log } = start();
  const before = coordinates.of(SELF);
  for (const [payload, rttMs, line] of cases) {
    coordinates.pingCompleted("b", { payload, rttMs }, 0);
    const lines = log();
    assert.equal(lines.length, line === undefined ? 0 : 1, `${line}`);
    if (line !== undefined) assert.match(lines[0] as string, line);
    assert.equal(coordinates.of(SELF), before, "we stay");
    assert.equal(coordinates.of("b"), undefined, "and keep nothing");
  }
  assert.equal(core.metrics.coordinateRejected.value, 3);
  assert.equal(core.metrics.refused.value, 2);
});

Deno.test("Coordinates count round trips that our clock cannot see", () => {
  const { core, coordinates } = start();
  coordinates.pingCompleted("b", answerOf(THEIRS, 0), 0);
  coordinates.pingCompleted("b", answerOf(THEIRS, 0.001), 0);
  assert.equal(core.metrics.coordinateZeroRtt.value, 1);
  assert.equal(core.metrics.coordinateRejected.value, 0);
});

Deno.test("Coordinates.resets counts results that were not finite", () => {
  const { coordinates } = start();
  const absurd = { ...THEIRS, vec: THEIRS.vec.map(() => 1e200) };
  coordinates.pingCompleted("b", answerOf(absurd), 0);
  assert.equal(coordinates.resets, 1);
  assert.deepEqual(coordinates.of(SELF)?.vec, [0, 0, 0, 0, 0, 0, 0, 0]);
});

Deno.test("Coordinates that are switched off say and learn nothing", () => {
  const { coordinates, log } = start({ enableCoordinates: false });
  coordinates.pingCompleted("b", answerOf(THEIRS), 0);
  coordinates.pingCompleted("b", { payload: Uint8Array.of(9), rttMs: 1 }, 0);
  coordinates.forget("b");
  assert.equal(coordinates.ackPayload.length, 0);
  assert.equal(coordinates.of(SELF), undefined);
  assert.equal(coordinates.of("b"), undefined);
  assert.equal(coordinates.resets, undefined);
  assert.deepEqual(log(), []);
});

Deno.test("Coordinates of a failed member stay until it is erased", () => {
  const parts = new Parts({ reconnectTimeoutMs: 100 });
  for (const name of ["b", "c"]) {
    parts.roster.joined(nodeOf(name), 0);
    parts.coordinates.pingCompleted(name, answerOf(THEIRS), 0);
  }
  parts.roster.gone("b", 0);
  parts.roster.reap(100);
  assert.deepEqual(parts.coordinates.of("b"), THEIRS);
  parts.roster.reap(101);
  assert.equal(parts.coordinates.of("b"), undefined);
  assert.deepEqual(parts.coordinates.of("c"), THEIRS);
  assert.equal(parts.coordinates.peerCount, 1);
});

Deno.test("SerfEngine learns the coordinates of all, and estimates their distance", () => {
  const { cluster, nodes } = joined(["a", "b", "c"]);
  cluster.run(120_000);
  for (const { engine, name } of nodes) {
    const places = nodes.map((each) => engine.coordinate(each.name));
    const [a, b, c] = places as [Coordinate, Coordinate, Coordinate];
    // Every packet of this network takes 1 ms, so a round trip takes 2.
    for (const [from, to] of [[a, b], [a, c], [b, c]] as const) {
      const ms = distanceNs(from, to) / 1e6;
      assert.ok(ms > 1.8 && ms < 2.2, `${name}: ${ms} ms`);
    }
    assert.equal(engine.coordinate("nobody"), undefined);
    assert.equal(engine.stats().get("coordinate_resets"), "0");
  }
});

/**
 * Puts in the place of a node one that does nothing but answer pings.
 *
 * @returns how many it has answered
 */
function reduceToAcks(node: Node): () => number {
  const codec = new PacketCodec({
    label: "",
    keyring: undefined,
    compression: false,
    protocolVersion: 5,
    verifyIncoming: false,
    verifyOutgoing: false,
    nextNonce: () => new Uint8Array(12),
  });
  let outputs: Output[] = [];
  let count = 0;
  Object.assign(node.engine, {
    handlePacket(from: string, packet: Uint8Array) {
      for (const part of codec.open(packet).parts) {
        const message = decodeMessage(part);
        if (message.kind !== "ping") continue;
        const { seqNo } = message;
        const payload = encodePingPayload(THEIRS);
        const bytes = encodeMessage({ kind: "ack", seqNo, payload });
        outputs.push({ kind: "packet", to: from, bytes });
        count++;
      }
    },
    handleTimeout() {},
    nextDeadlineMs: () => undefined,
    drain: () => {
      const drained = outputs;
      outputs = [];
      return drained;
    },
  });
  return () => count;
}

Deno.test("SerfEngine keeps no coordinate of a member that it has erased and still probes", () => {
  const { cluster, nodes } = joined(["a", "b"]);
  const [a, b] = nodes as [Node, Node];
  cluster.run(5_000);
  const acks = reduceToAcks(b);
  // The SWIM layer does not hear of it. A real member would refute.
  cluster.call(a, (engine, nowMs) => {
    engine.forceLeave("b", { prune: true }, nowMs);
  });
  cluster.run(5_000);
  assert.deepEqual(a.engine.coordinate("b"), THEIRS);
  const isErased = () => a.engine.member("b") === undefined;
  cluster.runUntil(isErased, 20_000, "b is erased");
  assert.equal(a.engine.coordinate("b"), undefined);
  const before = acks();
  cluster.run(10_000);
  assert.ok(acks() > before, "b is still probed");
  assert.ok(isErased());
  assert.equal(a.engine.coordinate("b"), undefined);
});

Deno.test("SerfEngine without coordinates lives with others that have them", () => {
  const cluster = new Cluster();
  const a = cluster.start("a", { enableCoordinates: false });
  const b = cluster.start("b");
  cluster.finish(b, cluster.join(b, a));
  cluster.run(10_000);
  for (const { engine, log } of [a, b]) {
    assert.equal(engine.members().length, 2);
    assert.deepEqual(log.filter((line) => /coordinate/i.test(line)), []);
  }
  assert.equal(a.engine.coordinate("a"), undefined);
  assert.equal(a.engine.coordinate("b"), undefined);
  assert.ok(!a.engine.stats().has("coordinate_resets"));
  assert.notEqual(b.engine.coordinate("b"), undefined);
  assert.equal(b.engine.coordinate("a"), undefined, "a says nothing");
});
