import assert from "node:assert/strict";
import {
  convergenceMs,
  detectionMs,
  exchangedMs,
  reconnectMs,
  repairMs,
  spreadMs,
  suspicionMaxMs,
} from "../../lib/sim/bounds.ts";
import { serfConfig } from "../../lib/serf/config.ts";

const LAN = serfConfig({
  swim: {
    name: "a",
    advertiseAddr: Uint8Array.of(10, 0, 0, 1),
    advertisePort: 7_946,
  },
});

Deno.test("suspicionMaxMs() is six times the shortest suspicion", () => {
  assert.equal(suspicionMaxMs(LAN, 5), 24_000);
  assert.equal(suspicionMaxMs(LAN, 100), 48_000);
  assert.equal(suspicionMaxMs(LAN, 1_000), 72_000);
});

Deno.test("spreadMs() counts the rounds in which a broadcast is sent", () => {
  // Doubling to 1,001 members takes 10 rounds, and the last of them sends 16 times.
  assert.equal(spreadMs(LAN, 1_000), (10 + 16) * 200);
});

Deno.test("every bound grows with the cluster", () => {
  for (
    const bound of [
      suspicionMaxMs,
      spreadMs,
      detectionMs,
      repairMs,
      convergenceMs,
      exchangedMs,
    ]
  ) {
    let lastMs = 0;
    for (const nodes of [2, 5, 10, 33, 100, 1_000]) {
      const boundMs = bound(LAN, nodes);
      assert.ok(boundMs >= lastMs, `${bound.name} of ${nodes} nodes`);
      lastMs = boundMs;
    }
  }
});

Deno.test("convergenceMs() leaves time for a detection and for a repair", () => {
  assert.equal(convergenceMs(LAN, 8), detectionMs(LAN, 8) + repairMs(LAN, 8));
});

Deno.test("reconnectMs() waits until no try at all is one chance in a million", () => {
  const streamMs = 10_000;
  assert.equal(reconnectMs(LAN, [0.1, 1]), 30_000 + streamMs);
  // 0.5^20 is just below a millionth, and so is 0.25^10.
  assert.equal(reconnectMs(LAN, [0.5]), 20 * 30_000 + streamMs);
  assert.equal(reconnectMs(LAN, [0.5, 0.5]), 10 * 30_000 + streamMs);
  assert.throws(() => reconnectMs(LAN, []), /somebody tries/);
});

Deno.test("exchangedMs() leaves time to become half, and for the other half to ask", () => {
  // 1.5^8 > 20, and 20 * 0.3^14 is just below a millionth.
  assert.equal(exchangedMs(LAN, 20), (8 + 14) * 30_000);
});
