/** The unit of processor time: one ordinary message, handled by an engine. */

import { encodeMessage } from "../../../lib/wire/message_codec.ts";
import { encodeSerfMessage } from "../../../lib/wire/serf_messages.ts";
import { Cluster } from "../../serf/cluster.ts";

const MESSAGES = 4_000;
const FROM = "10.0.0.9:7946";

/** How long this machine takes for one now, ms. */
export function messageMs(): number {
  const cluster = new Cluster();
  const node = cluster.start("alone");
  const packets = Array.from({ length: MESSAGES }, (_, i) =>
    encodeMessage({
      kind: "user",
      body: encodeSerfMessage({
        kind: "userEvent",
        ltime: BigInt(i + 1),
        name: `e${i}`,
        payload: new Uint8Array(50),
        coalesce: false,
      }),
    }));
  const startMs = performance.now();
  for (const packet of packets) {
    node.engine.handlePacket(FROM, packet, cluster.nowMs);
    node.engine.drain();
  }
  return (performance.now() - startMs) / MESSAGES;
}
