/** Files that are right; those that are not are in `test/cmd/agent_config_test.ts`. */

import assert from "node:assert/strict";
import { decodeConfig } from "../../lib/agent/config_file.ts";
import type { SettingsLayer } from "../../lib/agent/config_layer.ts";

/** What a file says that is right. */
function layerOf(value: unknown): SettingsLayer {
  const decoded = decodeConfig(JSON.stringify(value));
  assert.equal(decoded.problem, undefined);
  assert.equal(decoded.isUnreadable, false);
  return decoded.layer;
}

Deno.test("decodeConfig() reads every kind of value", () => {
  assert.deepEqual(
    layerOf({
      node_name: "web-1",
      protocol: 4.9,
      retry_max_attempts: -2.9,
      leave_on_terminate: true,
      skip_leave_on_interrupt: false,
      retry_interval: "1m30s",
      broadcast_timeout: "-5s",
      start_join: ["a", null, "b"],
      tags: { role: "web", empty: "", none: null },
      interface: "eth0",
    }),
    {
      nodeName: "web-1",
      protocol: 4,
      retryMaxAttempts: -2,
      leaveOnTerminate: true,
      skipLeaveOnInterrupt: false,
      retryIntervalMs: 90_000,
      broadcastTimeoutMs: -5_000,
      startJoin: ["a", "b"],
      tags: new Map([["role", "web"], ["empty", ""], ["none", ""]]),
      interfaceName: "eth0",
    },
  );
});

Deno.test("decodeConfig() passes handlers on, texts and objects", () => {
  const handlers = [
    "member-join=join.sh",
    { script: "x" },
    {
      filter: "user:deploy",
      script: "deploy.sh",
      timeout: "10s",
      concurrency: 2,
      on_full: "drop",
    },
  ];
  assert.deepEqual(layerOf({ event_handlers: handlers }), {
    eventHandlers: handlers,
  });
});

Deno.test("decodeConfig() knows keys in any case", () => {
  assert.deepEqual(
    layerOf({ Node_Name: "a", BIND: "b", MSGPACKusenewtimeformat: 5 }),
    { nodeName: "a", bind: "b" },
  );
  // The exact one counts, wherever it stands.
  const { layer, problem } = decodeConfig('{"BIND": "x", "bind": "y"}');
  assert.equal(layer.bind, "y");
  assert.match(problem ?? "", /\* '' has invalid keys: BIND\n/);
});

Deno.test("decodeConfig() hears nothing from null, and from an empty duration", () => {
  const layer = layerOf({ node_name: null, tags: null, retry_interval: "" });
  assert.deepEqual(
    Object.values(layer).filter((value) => value !== undefined),
    [],
  );
  assert.deepEqual(decodeConfig("null"), { layer: {}, isUnreadable: false });
});

Deno.test("decodeConfig() keeps what is right in a file that is wrong", () => {
  const { layer, problem, isUnreadable } = decodeConfig(
    '{"node_name": "a", "protocol": "x", "start_join": ["b", 5], "bogus": 1}',
  );
  assert.equal(layer.nodeName, "a");
  assert.equal(layer.protocol, undefined);
  assert.deepEqual(layer.startJoin, ["b"]);
  assert.match(problem ?? "", /^3 error\(s\) decoding:\n/);
  assert.equal(isUnreadable, false);
});

Deno.test("decodeConfig() keeps nothing of a file that is no object", () => {
  for (const text of ["", "[]", '{"node_name": "a"', '"a"']) {
    const { layer, isUnreadable } = decodeConfig(text);
    assert.deepEqual(layer, {}, text);
    assert.equal(isUnreadable, true, text);
  }
});

Deno.test("decodeConfig() is not fooled by names of the language", () => {
  assert.match(
    decodeConfig('{"__proto__": {"bind": "x"}, "constructor": 1}').problem ??
      "",
    /\* '' has invalid keys: __proto__, constructor/,
  );
});
