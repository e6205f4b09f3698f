/**
 * A process that sends UDP packets as fast as it is told, and can: a test that did
 * it itself could look at nothing meanwhile.
 *
 *     deno run -A test/faults/flooder.ts HOST PORT KIND PER_SECOND SECONDS [SINK]
 *
 * KIND is one of `PACKETS`, or of `COSTLY_PACKETS`, which are made anew each time
 * and name SINK, a port on this machine, as the place for answers. Prints how many
 * packets and bytes it has handed to the system, how many packets that were a
 * second, and how many bytes came back to it.
 */

import { compress } from "../../lib/wire/compress.ts";
import { encodeMessage } from "../../lib/wire/message_codec.ts";
import type { Message } from "../../lib/wire/messages.ts";
import { PacketCodec } from "../../lib/wire/packet.ts";
import { nodeOf } from "../serf/parts.ts";
import { COSTLY_PACKETS } from "../hostile/costly_packets.ts";
import { codecConfig } from "../wire/vectors.ts";

/** Different packets of a kind, which take turns. */
const VARIANTS = 64;
/** Sends on their way at one time. */
const AT_ONCE = 64;
/** Longest time in which nothing is sent because the rate is kept, ms. */
const TICK_MS = 5;
/** How long answers are counted after the last packet, ms. */
const LAST_ANSWERS_MS = 500;

function noise(length: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(length));
}

/** Claims that would do harm, if they were believed: about ghosts and members. */
function claim(i: number): Uint8Array {
  const node = {
    ...nodeOf(`ghost${i}`, 1),
    // Where nobody is, on this machine.
    addr: Uint8Array.of(127, 0, 0, 1),
    port: 9,
  };
  const about = { incarnation: 1_000, node: "victim", from: "prober" };
  const claims: Message[] = [
    { kind: "alive", incarnation: 1, node },
    { kind: "alive", incarnation: 1_000, node: { ...node, name: "prober" } },
    { kind: "suspect", ...about, node: "prober" },
    { kind: "dead", ...about, node: "prober" },
    { kind: "dead", ...about },
  ];
  return encodeMessage(claims[i % claims.length] as Message);
}

/** Sealed as it should be, with a key that the cluster does not have. */
function forged(i: number): Uint8Array {
  const codec = new PacketCodec(
    codecConfig({ keys: [noise(32)], nextNonce: () => noise(12) }),
  );
  return codec.seal(claim(i), { crc: true });
}

const PACKETS: Readonly<Record<string, (i: number) => Uint8Array>> = {
  noise: (i) => noise(1 + (i * 37) % 1_400),
  /** 64 KiB in a few hundred bytes. */
  bombs: () => compress(new Uint8Array(65_536).fill(0x63)),
  claims: claim,
  forged,
};

const [hostname = "", port, kind = "", perSecond, seconds, sink] = Deno.args;
const make = PACKETS[kind];
const makeCostly = COSTLY_PACKETS[kind];
if (make === undefined && makeCostly === undefined) {
  throw new SyntaxError(`No such kind: '${kind}'`);
}
const packets = make === undefined
  ? []
  : Array.from({ length: VARIANTS }, (_, i) => make(i));

function packetAt(i: number): Uint8Array {
  return makeCostly?.(i, Number(sink)) ?? packets[i % VARIANTS] as Uint8Array;
}

const socket = Deno.listenDatagram({
  transport: "udp",
  hostname: "127.0.0.1",
  port: 0,
});
const to = { transport: "udp", hostname, port: Number(port) } as const;

let returned = 0;
(async () => {
  for await (const [bytes] of socket) returned += bytes.length;
})();

const startMs = performance.now();
let sent = 0;
let bytes = 0;
for (let atMs = 0; atMs < Number(seconds) * 1_000;) {
  const due = Number(perSecond) * atMs / 1_000;
  while (sent < due) {
    const some = Math.min(AT_ONCE, Math.ceil(due - sent));
    await Promise.all(Array.from({ length: some }, () => {
      const packet = packetAt(sent++);
      bytes += packet.length;
      // A buffer that is full is what a flood is for.
      return socket.send(packet, to).catch(() => {});
    }));
    if (performance.now() - startMs > Number(seconds) * 1_000) break;
  }
  atMs = performance.now() - startMs;
  if (sent >= Number(perSecond) * atMs / 1_000) {
    await new Promise((resolve) => setTimeout(resolve, TICK_MS));
    atMs = performance.now() - startMs;
  }
}
const rate = Math.round(sent / ((performance.now() - startMs) / 1_000));
// What is on its way back counts, too.
await new Promise((resolve) => setTimeout(resolve, LAST_ANSWERS_MS));
socket.close();
console.log(JSON.stringify({ sent, rate, bytes, returned }));
