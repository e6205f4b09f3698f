import assert from "node:assert/strict";
import {
  ConfigError,
  DEFAULT_SETTINGS,
  type SettingsLayer,
} from "../../lib/agent/config_layer.ts";
import {
  explainError,
  mergeLayers,
  originsOf,
} from "../../lib/agent/config_merge.ts";

Deno.test("mergeLayers() of nothing is the defaults", () => {
  assert.deepEqual(mergeLayers([]), DEFAULT_SETTINGS);
  assert.deepEqual(mergeLayers([{}, {}]), DEFAULT_SETTINGS);
});

/** The rule of each kind: what the layers say, and what comes of it. */
const RULES: readonly (readonly [string, SettingsLayer[], SettingsLayer])[] = [
  ["texts: the last that is not empty", [
    { nodeName: "a", bind: "x" },
    { nodeName: "b", bind: "" },
  ], { nodeName: "b", bind: "x" }],
  ["integers: the last that is not zero", [
    { retryMaxAttempts: 5, queryBytesMax: 7 },
    { retryMaxAttempts: -1, queryBytesMax: 0 },
  ], { retryMaxAttempts: -1, queryBytesMax: 7 }],
  ["the protocol: the last above zero", [
    { protocol: 4 },
    { protocol: -1 },
    { protocol: 0 },
  ], { protocol: 4 }],
  ["durations: the last that is not zero", [
    { retryIntervalMs: 5, broadcastTimeoutMs: 8 },
    { retryIntervalMs: 0, broadcastTimeoutMs: -9 },
  ], { retryIntervalMs: 5, broadcastTimeoutMs: -9 }],
  ["booleans: on once, on for good", [
    { leaveOnTerminate: true, replayOnJoin: false },
    { leaveOnTerminate: false, replayOnJoin: true },
  ], { leaveOnTerminate: true, replayOnJoin: true }],
  ["tags: key by key", [
    { tags: new Map([["a", "1"], ["b", "1"]]) },
    { tags: new Map([["b", "2"], ["c", ""]]) },
  ], { tags: new Map([["a", "1"], ["b", "2"], ["c", ""]]) }],
  ["lists: appended, with what is there twice", [
    { startJoin: ["a"], retryJoin: ["r"], eventHandlers: ["x"] },
    { startJoin: ["b", "a"], retryJoin: [], eventHandlers: [{ script: "y" }] },
  ], {
    startJoin: ["a", "b", "a"],
    retryJoin: ["r"],
    eventHandlers: ["x", { script: "y" }],
  }],
];

for (const [rule, layers, expected] of RULES) {
  Deno.test(`mergeLayers(): ${rule}`, () => {
    assert.deepEqual(mergeLayers(layers), { ...DEFAULT_SETTINGS, ...expected });
  });
}

const SOURCES: readonly SettingsLayer[] = [
  { origin: "a.json", profile: "moon", startJoin: ["a"] },
  { origin: "b.json", profile: "", startJoin: ["b"], bind: "x" },
  { bind: "y", tags: new Map() },
];

Deno.test("originsOf() names who had the last word, or everybody who added", () => {
  assert.deepEqual(originsOf("profile", SOURCES), ["a.json"]);
  assert.deepEqual(originsOf("startJoin", SOURCES), ["a.json", "b.json"]);
  assert.deepEqual(originsOf("bind", SOURCES), [undefined]);
  assert.deepEqual(originsOf("tags", SOURCES), []);
  assert.deepEqual(originsOf("nodeName", SOURCES), []);
});

Deno.test("explainError() names the file, and leaves flags alone", () => {
  const explain = (setting: "profile" | "bind" | "rpcAuth") =>
    explainError(new ConfigError("No good", { setting }), SOURCES);
  assert.equal(
    explain("profile"),
    'No good\n    a.json: "profile" takes "lan", "wan" or "local"',
  );
  assert.equal(explain("bind"), "No good");
  assert.equal(explain("rpcAuth"), "No good");
  assert.equal(explainError(new ConfigError("No good"), SOURCES), "No good");
});
