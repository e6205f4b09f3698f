/**
 * Work for benchmarks of the engine, as functions of their size.
 *
 * Each returns a checksum of what the engine answered, so that nothing can be
 * optimised away and two machines can compare. Small sizes run as tests.
 */

import { utf8Bytes } from "../../lib/kit/bytes.ts";
import { Random } from "../../lib/kit/random.ts";
import { serfConfig } from "../../lib/serf/config.ts";
import { SerfEngine } from "../../lib/serf/engine.ts";
import { Fingerprint } from "../../lib/sim/fingerprint.ts";
import { growthStory } from "../../lib/sim/stories.ts";
import { encodeCompound } from "../../lib/wire/compound.ts";
import { encodeMessage } from "../../lib/wire/message_codec.ts";
import type { NodeDescriptor } from "../../lib/wire/messages.ts";
import { PacketCodec } from "../../lib/wire/packet.ts";

const PORT = 7_946;
/** Members that a gossip packet tells of; about what fits into 1,400 bytes. */
const ALIVES_PER_PACKET = 12;
/** Time between packets, ms. */
const PACKET_EVERY_MS = 0.1;

/** Packets to one engine, and the engine that is to take them. */
export interface PacketWork {
  readonly engine: SerfEngine;
  readonly packets: readonly Uint8Array[];
}

function descriptor(index: number): NodeDescriptor {
  return {
    name: `node-${index}`,
    addr: Uint8Array.of(10, 0, index >> 8, index & 255),
    port: PORT,
    meta: utf8Bytes("role=web"),
    vsn: Uint8Array.of(1, 5, 2, 2, 5, 5),
  };
}

/**
 * An engine in a cluster of 1,000, and packets for it: one half pings, one half
 * gossip, of which every tenth packet brings news and the others repeat it.
 */
export function makePacketWork(count: number): PacketWork {
  const random = new Random(1);
  const engine = new SerfEngine(
    serfConfig({
      swim: {
        name: "node-0",
        advertiseAddr: Uint8Array.of(10, 0, 0, 0),
        advertisePort: PORT,
        compression: false,
        logLevel: "ERR",
      },
    }),
    { random: new Random(2), nextNonce: () => new Uint8Array(12) },
  );
  engine.start(0);
  const codec = new PacketCodec({
    label: "",
    keyring: undefined,
    compression: false,
    protocolVersion: 2,
    verifyIncoming: true,
    verifyOutgoing: true,
    nextNonce: () => new Uint8Array(12),
  });
  const sender = descriptor(1);
  const packets = Array.from({ length: count }, (_, i) => {
    if (i % 2 === 0) {
      const ping = encodeMessage({
        kind: "ping",
        seqNo: i,
        node: "node-0",
        sourceAddr: sender.addr,
        sourcePort: sender.port,
        sourceNode: sender.name,
      });
      return codec.seal(ping, { crc: false });
    }
    const incarnation = 1 + Math.floor(i / 20);
    const alives = Array.from(
      { length: ALIVES_PER_PACKET },
      () =>
        encodeMessage({
          kind: "alive",
          incarnation: i % 20 === 19 ? incarnation : 1,
          node: descriptor(1 + random.below(1_000)),
        }),
    );
    return codec.seal(encodeCompound(alives), { crc: true });
  });
  return { engine, packets };
}

/** Feeds the packets as a driver would. */
export function handlePackets({ engine, packets }: PacketWork): string {
  const fingerprint = new Fingerprint();
  let nowMs = 0;
  for (const packet of packets) {
    nowMs += PACKET_EVERY_MS;
    engine.handlePacket("10.0.0.1:7946", packet, nowMs);
    if ((engine.nextDeadlineMs() ?? Number.POSITIVE_INFINITY) <= nowMs) {
      engine.handleTimeout(nowMs);
    }
    for (const output of engine.drain()) {
      if (output.kind === "packet") fingerprint.addBytes(output.bytes);
    }
  }
  return fingerprint.text();
}

/** A whole cluster from its first start to its healing. */
export function simulateCluster(nodes: number): string {
  return growthStory({ seed: 1, nodes }).hash;
}
