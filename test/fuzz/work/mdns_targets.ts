/** The port of multicast DNS: questions, most of which ask for more than once. */

import { concatBytes, utf8Bytes } from "../../../lib/kit/bytes.ts";
import type { Random } from "../../../lib/kit/random.ts";
import {
  answerTo,
  type DiscoveredService,
  endpointsIn,
} from "../../../lib/net/mdns_message.ts";
import { pick } from "./messages.ts";
import { Tally } from "./tally.ts";
import type { PreparedAttack, WorkTarget } from "./work.ts";

const SERVICE: DiscoveredService = {
  cluster: "c",
  instance: "n".repeat(60),
  hostName: "h".repeat(60),
  ip: "10.0.0.1",
  port: 7946,
};
/** Largest packet that the responder reads, bytes. */
const PACKET_BYTES_MAX = 9_000;
const HEADER_BYTES = 12;
const NAMES = [
  `_serf_${SERVICE.cluster}._tcp.local`,
  `${SERVICE.instance}._serf_${SERVICE.cluster}._tcp.local`,
  SERVICE.hostName,
  "_services._dns-sd._udp.local",
  "nobody.local",
];
/** PTR, SRV, A, TXT, ANY. */
const TYPES = [12, 33, 1, 16, 255];

function labelsOf(name: string): Uint8Array {
  const labels = name.split(".").map((label) => utf8Bytes(label));
  return concatBytes([
    ...labels.flatMap((label) => [Uint8Array.of(label.length), label]),
    Uint8Array.of(0),
  ]);
}

/** Many questions; all but the first may refer to its name instead of saying it. */
function question(random: Random): readonly [string, Uint8Array] {
  const name = pick(random, NAMES);
  const type = pick(random, TYPES);
  const count = pick(random, [1, 10, 256, 1_400]);
  const isPointing = random.below(3) > 0;
  const flags = pick(random, [0, 0, 0x8400]);
  const header = new Uint8Array(HEADER_BYTES);
  const view = new DataView(header.buffer);
  view.setUint16(2, flags);
  view.setUint16(4, count);
  const labels = labelsOf(name);
  const kind = Uint8Array.of(0, type, 0, 1);
  const pointer = Uint8Array.of(0xc0, HEADER_BYTES);
  const bytes = concatBytes([
    header,
    ...Array.from(
      { length: count },
      (_, i) => concatBytes([i > 0 && isPointing ? pointer : labels, kind]),
    ),
  ]);
  const words = `${count} questions of type ${type} for ${name}` +
    `${isPointing ? ", compressed" : ""}, flags ${flags}`;
  return [words, bytes.slice(0, PACKET_BYTES_MAX)];
}

function drawQuestions(random: Random): PreparedAttack {
  const [words, bytes] = question(random);
  const packets = pick(random, [1, 20]);
  return {
    words: `${packets} packets: ${words}`,
    measure(unitMs) {
      const tally = new Tally();
      const startMs = performance.now();
      for (let i = 0; i < packets; i++) {
        const answer = answerTo(bytes, SERVICE);
        tally.add("bytes of multicast answers", answer?.length ?? 0);
        endpointsIn(bytes, SERVICE.cluster);
      }
      tally.add("processor time", (performance.now() - startMs) / unitMs);
      tally.compare({
        bytes: packets * bytes.length,
        inputs: packets,
        sources: 1,
        seconds: 1,
      });
      return tally.measured;
    },
  };
}

export const MDNS_TARGET: WorkTarget = {
  name: "multicast DNS",
  draw: drawQuestions,
};
