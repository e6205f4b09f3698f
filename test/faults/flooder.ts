/**
 * A process that sends UDP packets as fast as it is told, and can: a test that did
 * it itself could look at nothing meanwhile.
 *
 *     deno run -A test/faults/flooder.ts HOST PORT KIND PER_SECOND SECONDS
 *
 * KIND is one of `PACKETS`. Prints how many packets it has handed to the system,
 * and how many that were a second.
 */

import { compress } from "../../lib/wire/compress.ts";
import { encodeMessage } from "../../lib/wire/message_codec.ts";
import type { Message } from "../../lib/wire/messages.ts";
import { PacketCodec } from "../../lib/wire/packet.ts";
import { nodeOf } from "../serf/parts.ts";
import { codecConfig } from "../wire/vectors.ts";

/** Different packets of a kind, which take turns. */
const VARIANTS = 64;
/** Sends on their way at one time. */
const AT_ONCE = 64;
/** Longest time in which nothing is sent because the rate is kept, ms. */
const TICK_MS = 5;

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

const [hostname = "", port, kind = "", perSecond, seconds] = Deno.args;
const make = PACKETS[kind];
if (make === undefined) throw new SyntaxError(`No such kind: '${kind}'`);
const packets = Array.from({ length: VARIANTS }, (_, i) => make(i));
const socket = Deno.listenDatagram({
  transport: "udp",
  hostname: "127.0.0.1",
  port: 0,
});
const to = { transport: "udp", hostname, port: Number(port) } as const;

const startMs = performance.now();
let sent = 0;
for (let atMs = 0; atMs < Number(seconds) * 1_000;) {
  const due = Number(perSecond) * atMs / 1_000;
  while (sent < due) {
    const some = Math.min(AT_ONCE, Math.ceil(due - sent));
    await Promise.all(Array.from({ length: some }, () =>
      // A buffer that is full is what a flood is for.
      socket.send(packets[sent++ % VARIANTS] as Uint8Array, to).catch(
        () => {},
      )));
    if (performance.now() - startMs > Number(seconds) * 1_000) break;
  }
  atMs = performance.now() - startMs;
  if (sent >= Number(perSecond) * atMs / 1_000) {
    await new Promise((resolve) => setTimeout(resolve, TICK_MS));
    atMs = performance.now() - startMs;
  }
}
socket.close();
const rate = Math.round(sent / ((performance.now() - startMs) / 1_000));
console.log(JSON.stringify({ sent, rate }));
