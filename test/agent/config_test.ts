import assert from "node:assert/strict";
import {
  ConfigError,
  mergeLayers,
  mergeSettings,
  parseTags,
  readSettings,
  resolveSettings,
  type SettingsLayer,
} from "../../lib/agent/config.ts";

const WORLD = { hostname: () => "this-machine" };

const read = (...layers: SettingsLayer[]) => readSettings(layers, WORLD);

Deno.test("readSettings() fills in the defaults of Serf's agent", async () => {
  assert.deepEqual(await read({}), {
    nodeName: "this-machine",
    tags: new Map(),
    tagsFile: "",
    bind: { host: "0.0.0.0", port: 7946 },
    keyringFile: "",
    logLevel: "INFO",
    logJson: false,
    profile: "lan",
    protocol: 5,
    rpcAddr: "127.0.0.1:7373",
    rpcAuth: "",
    startJoin: [],
    retryJoin: [],
    retryIntervalMs: 30_000,
    retryMaxAttempts: 0,
    replayOnJoin: false,
    eventHandlers: [],
    snapshotPath: "",
    rejoinAfterLeave: false,
    leaveOnTerminate: false,
    skipLeaveOnInterrupt: false,
    compression: true,
    broadcastTimeoutMs: 5_000,
    reconnectIntervalMs: 30_000,
    reconnectTimeoutMs: 86_400_000,
    tombstoneTimeoutMs: 86_400_000,
    statsdAddr: "",
    statsiteAddr: "",
    queryBytesMax: 1_024,
    queryResponseBytesMax: 1_024,
    userEventBytesMax: 512,
    nameResolution: true,
    coordinates: true,
    validateNodeNames: false,
  });
});

Deno.test("readSettings() turns texts into values", async () => {
  const settings = await read({
    nodeName: "n1",
    bind: "[::1]",
    advertise: "127.0.0.50:12345",
    encryptKey: "AAEC",
    keyringFile: "keys.json",
    logLevel: "debug",
    profile: "wan",
    protocol: 4,
  });
  assert.deepEqual(settings.bind, { host: "::1", port: 7946 });
  assert.deepEqual(settings.advertise, { host: "127.0.0.50", port: 12345 });
  assert.deepEqual(settings.encryptKey, Uint8Array.of(0, 1, 2));
  // That these two exclude each other is found when the agent is set up.
  assert.equal(settings.keyringFile, "keys.json");
  assert.equal(settings.logLevel, "DEBUG");
  assert.equal(settings.profile, "wan");
  assert.equal(settings.protocol, 4);
});

Deno.test("mergeLayers() lets later layers win, but not with nothing", () => {
  const merged = mergeLayers([
    {
      nodeName: "a",
      protocol: 4,
      tags: parseTags(["x=1", "y=1"]),
      startJoin: ["a"],
      eventHandlers: ["a.sh", { script: "b.sh", timeout: "1s" }],
    },
    {
      nodeName: "",
      protocol: 0,
      rpcAuth: "secret",
      tags: parseTags(["y=2=3", "z="]),
      startJoin: ["b", "a"],
      eventHandlers: ["user=a.sh"],
    },
    { protocol: -1 },
  ]);
  assert.equal(merged.nodeName, "a");
  assert.equal(merged.protocol, 4);
  assert.equal(merged.rpcAuth, "secret");
  assert.deepEqual(
    [...merged.tags],
    [["x", "1"], ["y", "2=3"], ["z", ""]],
  );
  assert.deepEqual(merged.startJoin, ["a", "b", "a"]);
  assert.deepEqual(merged.eventHandlers, [
    "a.sh",
    { script: "b.sh", timeout: "1s" },
    "user=a.sh",
  ]);
});

Deno.test("readSettings() ignores a mistake that a later layer replaces", async () => {
  const settings = await read({ profile: "moon" }, { profile: "local" });
  assert.equal(settings.profile, "local");
});

Deno.test("parseTags() wants a key", () => {
  for (const text of ["foo", "=y", ""]) {
    assert.throws(() => parseTags(["a=b", text]), {
      name: "ConfigError",
      message: `Error: Invalid tag: '${text}'`,
    });
  }
});

Deno.test("readSettings() reports the first mistake in Serf's order", async () => {
  const mistakes: [SettingsLayer, string][] = [
    [
      { eventHandlers: ["x", "foo=bar.sh"] },
      "Invalid event script: Event 'foo' invoking 'bar.sh'",
    ],
    [
      { logLevel: "foo" },
      "Invalid log level: FOO. Valid log levels are: [TRACE DEBUG INFO WARN ERR]",
    ],
    [{ bind: "1.2.3" }, "Invalid bind address: lookup 1.2.3: no such host"],
    [
      { advertise: "127.0.0.1:x" },
      "Invalid advertise address: address tcp/x: unknown port",
    ],
    [
      { encryptKey: "@@@" },
      "Invalid encryption key: illegal base64 data at input byte 0",
    ],
    [{ profile: "foo" }, "Unknown profile: foo"],
  ];
  let all: SettingsLayer = {};
  for (const [layer, message] of mistakes.toReversed()) {
    all = { ...all, ...layer };
    await assert.rejects(read(all), (error) => {
      assert.ok(error instanceof ConfigError);
      assert.equal(error.message, message);
      return true;
    });
  }
});

/** What is said while the layer is merged and resolved. */
async function saidOf(layer: SettingsLayer): Promise<string[]> {
  const said: string[] = [];
  await readSettings([layer], {
    ...WORLD,
    say: (message) => said.push(message),
  });
  return said;
}

Deno.test("readSettings() tells of IPv6 addresses without brackets", async () => {
  for (const setting of ["advertise", "bind"] as const) {
    for (const address of ["::1", "::", "::1:7946", "fd00::1"]) {
      await assert.rejects(read({ [setting]: address }), {
        message:
          `Invalid ${setting} address: address ${address}: too many colons in address`,
      });
    }
  }
  const { advertise } = await read({ advertise: "[::1]:7946" });
  assert.deepEqual(advertise, { host: "::1", port: 7946 });
});

Deno.test("readSettings() wants to know a host to advertise", async () => {
  await assert.rejects(read({ advertise: "[]:7946" }), {
    message:
      "Invalid advertise address: address []:7946: missing host in address",
  });
  await assert.rejects(read({ advertise: ":7946" }), {
    message:
      "Invalid advertise address: address :7946: missing host in address",
  });
});

Deno.test("readSettings() warns in Serf's words and order", async () => {
  assert.deepEqual(
    await saidOf({
      rejoinAfterLeave: true,
      broadcastTimeoutMs: 999,
      retryIntervalMs: -5,
      role: "web",
    }),
    [
      "Deprecation warning: 'Role' has been replaced with 'Tags'",
      "Warning: 'RetryInterval' is too low. Setting to 1s",
      "Warning: 'BroadcastTimeout' is too low. Setting to 1s",
      "Warning: 'RejoinAfterLeave' enabled without snapshot file",
    ],
  );
  assert.deepEqual(
    await saidOf({
      rejoinAfterLeave: true,
      snapshotPath: "s",
      retryIntervalMs: 1_000,
      broadcastTimeoutMs: 1_000,
    }),
    [],
  );
});

Deno.test("readSettings() lengthens waits that are too short", async () => {
  const { retryIntervalMs, broadcastTimeoutMs } = await read({
    retryIntervalMs: 10,
    broadcastTimeoutMs: -1,
  });
  assert.deepEqual([retryIntervalMs, broadcastTimeoutMs], [1_000, 1_000]);
});

Deno.test("readSettings() sets the role above a tag of that name", async () => {
  const { tags } = await read(
    { role: "web", tags: new Map([["role", "db"], ["dc", "east"]]) },
    { tags: new Map([["role", "lb"]]) },
  );
  assert.deepEqual(tags, new Map([["role", "web"], ["dc", "east"]]));
});

Deno.test("readSettings() compresses unless a flag forbids it, whatever files say", async () => {
  const file: SettingsLayer = { enableCompression: false };
  assert.equal((await read(file)).compression, true);
  assert.equal((await read({ disableCompression: true })).compression, false);
  assert.equal(
    (await read({ enableCompression: true }, { disableCompression: true }))
      .compression,
    false,
  );
});

Deno.test("resolveSettings() finds all mistakes when it is told to go on", async () => {
  const found: (string | undefined)[] = [];
  const merged = mergeSettings(
    [{
      logLevel: "x",
      bind: "x:y",
      advertise: "1.2.3",
      encryptKey: "@",
      profile: "x",
      interfaceName: "nope0",
    }],
    WORLD,
    ({ setting }) => found.push(setting),
  );
  const settings = await resolveSettings(
    merged,
    WORLD,
    ({ setting }) => found.push(setting),
  );
  assert.equal(settings, undefined);
  assert.deepEqual(found, [
    "interfaceName",
    "logLevel",
    "bind",
    "advertise",
    "encryptKey",
    "profile",
  ]);
});
