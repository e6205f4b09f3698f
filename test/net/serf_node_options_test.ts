/** What embedded nodes can be told at their start. */

import assert from "node:assert/strict";
import { BindError } from "../../lib/net/bind.ts";
import { SerfNode } from "../../lib/net/serf_node.ts";
import type { SerfNodeOptions } from "../../lib/net/serf_node_options.ts";
import { PROFILES } from "../../lib/swim/config.ts";
import { isFree, Nodes, sees } from "./serf_nodes.ts";

Deno.test("each option that makes no sense has its own error, and nothing stays open", async () => {
  const free = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const bind = `127.0.0.1:${free.addr.port}`;
  free.close();
  const key = "QUJDREVGR0hJSktMTU5PUA==";
  const bad: readonly [SerfNodeOptions, string, RegExp][] = [
    [
      { name: "" },
      "RangeError",
      /^Cannot use a name of 0 characters, 1 to 512/,
    ],
    [{ name: "x".repeat(513) }, "RangeError", /^Cannot use a name of 513 /],
    [
      { bind: "127.0.0.1:x" },
      "SyntaxError",
      /^Cannot bind to "127\.0\.0\.1:x": address tcp\/x: unknown port$/,
    ],
    [
      { bind: "127.0.0.1:70000" },
      "RangeError",
      /^Cannot bind to "127\.0\.0\.1:70000": address 70000: invalid port$/,
    ],
    [
      { bind: "nosuch.invalid" },
      "BindError",
      /^Cannot bind to "nosuch\.invalid": lookup nosuch\.invalid: /,
    ],
    [{ bind: "192.0.2.1" }, "BindError", /cannot assign requested address$/],
    [
      { bind, advertise: "a:b:c" },
      "SyntaxError",
      /^Cannot advertise "a:b:c": address a:b:c: too many colons in address$/,
    ],
    [
      { bind, tags: { text: "x".repeat(600) } },
      "RangeError",
      /^Encoded length of tags exceeds limit of 512 bytes$/,
    ],
    [
      { bind, profile: "moon" as "lan" },
      "RangeError",
      /^Unknown profile "moon", there are lan, wan, local$/,
    ],
    [
      { bind, profile: { ...PROFILES.lan, gossipIntervalMs: NaN } },
      "RangeError",
      /^The profile field gossipIntervalMs cannot be NaN$/,
    ],
    [
      { bind, encryptKey: "not base64" },
      "SyntaxError",
      /^Cannot use encryptKey: illegal base64 data at input byte 3$/,
    ],
    [
      { bind, encryptKey: new Uint8Array(5) },
      "RangeError",
      /^Cannot use encryptKey: key size must be 16, 24 or 32 bytes$/,
    ],
    [{ bind, encryptKey: "" }, "RangeError", /^Cannot use encryptKey: empty/],
    [
      { bind, encryptKey: [] },
      "RangeError",
      /^Cannot use encryptKey: there is no key$/,
    ],
    [
      { bind, encryptKey: [key, "AAAA"] },
      "RangeError",
      /^Cannot use encryptKey: key size must be/,
    ],
    [
      { bind, settings: { protocolVersion: 6 } },
      "RangeError",
      /^Protocol version '6' too high/,
    ],
    [
      { bind, settings: { reapIntervalMs: -1 } },
      "RangeError",
      /^The setting reapIntervalMs cannot be -1$/,
    ],
    [
      { bind, settings: { label: "x".repeat(256) } },
      "RangeError",
      /as a label: too long$/,
    ],
    [
      { bind, onLog: () => {}, logLevel: "LOUD" as "ERR" },
      "RangeError",
      /^Unknown log level "LOUD", there are TRACE, DEBUG, INFO, WARN, ERR$/,
    ],
  ];
  for (const [options, name, message] of bad) {
    await assert.rejects(SerfNode.start({ name: "a", ...options }), {
      name,
      message,
    });
    assert.ok(isFree(bind), Deno.inspect(options));
  }
  await using nodes = new Nodes();
  const owner = await nodes.start("a", { bind });
  await assert.rejects(nodes.start("b", { bind: owner.address }), BindError);
});

Deno.test("SerfNode takes settings of both layers, and a profile of one's own", async () => {
  await using nodes = new Nodes();
  const profile = { ...PROFILES.local, gossipIntervalMs: 50 };
  const settings = {
    label: "blue",
    queryBytesMax: 80,
  };
  const a = await nodes.start("a", { profile, settings });
  const b = await nodes.start("b", { profile, settings });
  const green = await nodes.start("c", { settings: { label: "green" } });
  assert.equal(await b.join(a.address), 1);
  await assert.rejects(green.join(a.address), { name: "JoinError" });
  assert.throws(() => a.query("x", { payload: "y".repeat(80) }), {
    message: "query exceeds limit of 80 bytes",
  });
});

Deno.test("SerfNode logs what is asked for, and survives a sink that throws", async () => {
  await using nodes = new Nodes();
  const log: string[] = [];
  const a = await nodes.start("a", {
    onLog: (level, text) => log.push(`[${level}] ${text}`),
  });
  const warnings: string[] = [];
  const b = await nodes.start("b", {
    onLog: (level) => warnings.push(level),
    logLevel: "WARN",
  });
  await b.join(a.address);
  await sees(a, "a alive", "b alive");
  assert.ok(
    log.some((line) => line.startsWith("[INFO] serf: EventMemberJoin: b")),
  );
  assert.ok(
    !log.some((line) => /^\[(DEBUG|TRACE)\]/.test(line)),
    log.join("\n"),
  );
  assert.deepEqual(warnings.filter((level) => !/WARN|ERR/.test(level)), []);

  const reported: string[] = [];
  const onError = (event: ErrorEvent) => {
    event.preventDefault();
    reported.push(event.message);
  };
  globalThis.addEventListener("error", onError);
  let isFull = true;
  try {
    const c = await nodes.start("c", {
      onLog: () => {
        if (isFull) throw new Error("disk full");
      },
    });
    await c.join(a.address);
    await sees(c, "a alive", "b alive", "c alive");
  } finally {
    isFull = false;
    globalThis.removeEventListener("error", onError);
  }
  assert.ok(reported.length > 0);
  assert.match(reported[0] ?? "", /disk full/);
});
