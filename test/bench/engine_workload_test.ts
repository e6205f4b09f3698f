import assert from "node:assert/strict";
import {
  handlePackets,
  makePacketWork,
  simulateCluster,
} from "./engine_workload.ts";

Deno.test("handlePackets() gives one checksum for one size", () => {
  const checksum = handlePackets(makePacketWork(200));
  assert.equal(handlePackets(makePacketWork(200)), checksum);
  assert.notEqual(handlePackets(makePacketWork(201)), checksum);
});

Deno.test("handlePackets() makes the engine answer every ping and learn the members", () => {
  const work = makePacketWork(1_000);
  handlePackets(work);
  const { packetsReceived, packetsSent, refused } = work.engine.swim.metrics;
  assert.equal(packetsReceived.value, 1_000);
  assert.ok(packetsSent.value >= 500);
  assert.equal(refused.value, 0);
  assert.ok(work.engine.swim.members().length > 900);
});

Deno.test("simulateCluster() gives one checksum for one size", () => {
  assert.equal(simulateCluster(5), simulateCluster(5));
});
