import assert from "node:assert/strict";
import {
  convergenceMs,
  detectionMs,
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
