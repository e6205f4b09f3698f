import assert from "node:assert/strict";
import { driverConfig } from "../../lib/agent/agent_driver.ts";
import { readSettings } from "../../lib/agent/config.ts";

Deno.test("driverConfig() hands every setting to the engine", async () => {
  const settings = await readSettings([{
    nodeName: "n1",
    tags: new Map([["a", "1"]]),
    protocol: 4,
    profile: "local",
    userEventBytesMax: 101,
    queryBytesMax: 102,
    queryResponseBytesMax: 103,
    broadcastTimeoutMs: 1_004,
    reconnectIntervalMs: 105,
    reconnectTimeoutMs: 106,
    tombstoneTimeoutMs: 107,
    disableNameResolution: true,
    disableCoordinates: true,
    validateNodeNames: true,
    disableCompression: true,
  }], { hostname: () => "" });
  const { swim, ...serf } = driverConfig(settings, undefined);
  assert.deepEqual(serf, {
    tags: new Map([["a", "1"]]),
    protocolVersion: 4,
    coalescePeriodMs: 3_000,
    quiescentPeriodMs: 1_000,
    userCoalescePeriodMs: 3_000,
    userQuiescentPeriodMs: 1_000,
    userEventBytesMax: 101,
    queryBytesMax: 102,
    queryResponseBytesMax: 103,
    broadcastTimeoutMs: 1_004,
    reconnectIntervalMs: 105,
    reconnectTimeoutMs: 106,
    tombstoneTimeoutMs: 107,
    enableNameConflictResolution: false,
    enableCoordinates: false,
    validateNodeNames: true,
  });
  assert.equal(swim.name, "n1");
  assert.equal(swim.compression, false);
  assert.equal(swim.profile?.probeTimeoutMs, 200);
});
