import assert from "node:assert/strict";
import { serfConfig } from "../../lib/serf/config.ts";
import { NAME_LENGTH_MAX } from "../../lib/swim/name_limit.ts";

const swim = {
  name: "self",
  advertiseAddr: Uint8Array.of(10, 0, 0, 1),
  advertisePort: 7946,
};

Deno.test("serfConfig() has the defaults of serf's library", () => {
  const config = serfConfig({ swim });
  assert.equal(config.broadcastTimeoutMs, 5_000);
  assert.equal(config.leavePropagateDelayMs, 1_000);
  assert.equal(config.reapIntervalMs, 15_000);
  assert.equal(config.reconnectTimeoutMs, 86_400_000);
  assert.equal(config.eventBuffer, 512);
  assert.equal(config.queryBuffer, 512);
  assert.equal(config.userEventBytesMax, 512);
  assert.equal(config.coalescePeriodMs, 0);
});

Deno.test("serfConfig() tells the cluster which versions we understand", () => {
  const { delegateVersion } = serfConfig({ swim, protocolVersion: 4 }).swim;
  assert.deepEqual(delegateVersion, { min: 2, max: 5, current: 4 });
});

Deno.test("serfConfig() refuses versions that are not understood", () => {
  assert.throws(() => serfConfig({ swim, protocolVersion: 1 }), {
    name: "RangeError",
    message: "Protocol version '1' too low. Must be in range: [2, 5]",
  });
  assert.throws(() => serfConfig({ swim, protocolVersion: 6 }), {
    name: "RangeError",
    message: "Protocol version '6' too high. Must be in range: [2, 5]",
  });
});

Deno.test("serfConfig() refuses a name that no peer would take in", () => {
  for (const length of [1, NAME_LENGTH_MAX]) {
    serfConfig({ swim: { ...swim, name: "n".repeat(length) } });
  }
  for (const length of [0, NAME_LENGTH_MAX + 1]) {
    assert.throws(
      () => serfConfig({ swim: { ...swim, name: "n".repeat(length) } }),
      {
        name: "RangeError",
        message:
          `Node name is ${length} characters. Valid length is between 1 and 512 characters`,
      },
    );
  }
});

Deno.test("serfConfig() refuses user events above the hard limit", () => {
  assert.throws(() => serfConfig({ swim, userEventBytesMax: 9_217 }), {
    name: "RangeError",
    message: "user event size limit exceeds limit of 9216 bytes",
  });
  assert.equal(
    serfConfig({ swim, userEventBytesMax: 9_216 }).userEventBytesMax,
    9_216,
  );
});

Deno.test("serfConfig() refuses rings without a slot", () => {
  assert.throws(() => serfConfig({ swim, eventBuffer: 0 }), RangeError);
  assert.throws(() => serfConfig({ swim, queryBuffer: 0 }), RangeError);
});
