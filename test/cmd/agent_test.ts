/**
 * `serf agent` against what the original printed in the same situation. The
 * recordings name loopback addresses that this machine may lack or have in use;
 * they are exchanged for free ones, in the arguments and in what is expected.
 */

import assert from "node:assert/strict";
import { command } from "../../cmd/agent.ts";
import { startUpFacts, startUpTable } from "../../cmd/agent_console.ts";
import { readSettings } from "../../lib/agent/config.ts";
import { RpcClient } from "../../lib/net/rpc_client.ts";
import { PortSource } from "../e2e/ports.ts";
import { until } from "../net/deadline.ts";
import { FakeTerminal } from "./fake_terminal.ts";

interface Recording {
  readonly name: string;
  readonly args: readonly string[];
  readonly exitCode: number;
  readonly stdout: string;
}

const { cases: RECORDINGS } = JSON.parse(
  Deno.readTextFileSync(
    new URL("../vectors/agent_output.json", import.meta.url),
  ),
) as { cases: readonly Recording[] };

/** The recorder stopped these, since they would have run for ever. */
const RAN_ON = -9;
const LOG_BEGINS = "==> Log data will now stream in as it occurs:\n\n";

/** Contents of the files that recordings name; those that are not read are absent. */
const FILES: Readonly<Record<string, string>> = {
  "tags.json": '{\n  "n": "1",\n  "role": "web"\n}',
  "tarr.json": '["a"]',
  "tbad.json": "no json",
};
const folder = Deno.makeTempDirSync();
for (const [name, contents] of Object.entries(FILES)) {
  Deno.writeTextFileSync(`${folder}/${name}`, contents);
}
globalThis.addEventListener(
  "unload",
  () => Deno.removeSync(folder, { recursive: true }),
);

/** Replaces each recorded loopback address by one that is free here. */
function relocate(recording: Recording): {
  args: string[];
  stdout: string;
  addresses: string[];
} {
  const addresses = new Map<string, string>();
  const take = (recorded: string, port: string): string => {
    const known = addresses.get(recorded);
    if (known !== undefined) return known;
    if (port === "1") return "127.0.0.1:1";
    const free = freeAddress();
    addresses.set(recorded, free);
    return free;
  };
  const args = recording.args.map((arg) =>
    arg.replace(/127\.0\.0\.\d+:(\d+)/g, take).replace("/tmp/x", folder)
  );
  const stdout = recording.stdout
    .replaceAll("/tmp/x", folder)
    .replace(/127\.0\.0\.\d+:(\d+)/g, take)
    .replace(/"(127\.0\.0\.\d+)" port (\d+)/g, (_, host, port) => {
      const [ip, free] = take(`${host}:${port}`, port).split(":");
      return `"${ip}" port ${free}`;
    })
    .replace(/Failed to join 127\.0\.0\.\d+:/g, "Failed to join 127.0.0.1:");
  return { args, stdout, addresses: [...addresses.values()] };
}

/** Of our own, since other tests take ports of the system's choice meanwhile. */
const ports = new PortSource();
// Takes hold of its block of ports before the first test begins.
ports.take("127.0.0.1");
Deno.test.afterAll(() => ports[Symbol.dispose]());

function freeAddress(): string {
  return ports.take("127.0.0.1").text;
}

function listenAt(address: string): Deno.TcpListener {
  const [hostname = "", port] = address.split(":");
  return Deno.listen({ hostname, port: Number(port) });
}

Deno.test("agent refuses what Serf refuses, in its words and with its code", async (t) => {
  for (const recording of RECORDINGS) {
    if (recording.exitCode === RAN_ON) continue;
    await t.step(recording.name, async () => {
      const { args, stdout, addresses } = relocate(recording);
      // In these recordings the second address, or the only one, was taken.
      const busy = recording.name.includes("busy")
        ? listenAt(
          addresses.at(recording.name.includes("rpc") ? 1 : 0) as string,
        )
        : undefined;
      const terminal = new FakeTerminal();
      try {
        const code = await command.run(args, terminal);
        assert.equal(terminal.stdout, stdout);
        assert.equal(terminal.stderr, "");
        assert.equal(code, recording.exitCode);
      } finally {
        busy?.close();
      }
    });
  }
});

Deno.test("agent shows what it was started with, and then the log", async (t) => {
  for (const recording of RECORDINGS) {
    if (recording.exitCode !== RAN_ON) continue;
    await t.step(recording.name, async () => {
      const { args, stdout, addresses } = relocate(recording);
      const terminal = new FakeTerminal();
      const ended = command.run(args, terminal);
      const logLines = stdout.split("\n").length - 1;
      await until(
        "all recorded lines",
        () => terminal.stdout.split("\n").length > logLines,
      );
      const client = await RpcClient.connect({ address: addresses[1]! });
      await client.leave();
      assert.equal(await ended, 0);
      client.close();
      const [head, log = ""] = terminal.stdout.split(LOG_BEGINS);
      const [expectedHead, expectedLog = ""] = stdout.split(LOG_BEGINS);
      assert.equal(head, expectedHead);
      const lines = withoutTimes(log).split("\n");
      assert.deepEqual(
        lines.slice(0, logLines - head!.split("\n").length - 1),
        withoutTimes(expectedLog).replace(/127\.0\.0\.\d+$/gm, "127.0.0.1")
          .trimEnd().split("\n"),
      );
      assert.deepEqual(lines.slice(-3), [
        "    [INFO] agent: requesting serf shutdown",
        "    [INFO] agent: shutdown complete",
        "",
      ]);
    });
  }
});

Deno.test("agent warns at its start of a control port that everybody can reach", async () => {
  const port = freeAddress().split(":")[1];
  const terminal = new FakeTerminal();
  const ended = command.run(
    [`-bind=${freeAddress()}`, `-rpc-addr=0.0.0.0:${port}`],
    terminal,
  );
  await until("the log", () => terminal.stdout.includes("agent starting"));
  const client = await RpcClient.connect({ address: `127.0.0.1:${port}` });
  await client.leave();
  client.close();
  assert.equal(await ended, 0);
  const [, log = ""] = terminal.stdout.split(LOG_BEGINS);
  assert.equal(
    withoutTimes(log).split("\n")[0],
    `    [WARN] agent: Everybody who reaches 0.0.0.0:${port} can command this ` +
      "agent: it listens on all addresses of this machine and 'rpc_auth' is " +
      "not set",
  );
});

Deno.test("agent takes its keys from a keyring file, and ends without one", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/keys.json`;
  const args = [
    `-bind=${freeAddress()}`,
    `-rpc-addr=${freeAddress()}`,
    `-keyring-file=${path}`,
  ];
  try {
    const refused = new FakeTerminal();
    assert.equal(await command.run(args, refused), 1);
    assert.equal(
      refused.stdout,
      "==> Starting Serf agent...\n" +
        `==> Failed to setup the Serf agent: stat ${path}: no such file or directory\n`,
    );
    await Deno.writeTextFile(path, `["${btoa("0123456789abcdef")}"]`);
    for (const mode of [0o600, 0o644]) {
      if (Deno.build.os !== "windows") await Deno.chmod(path, mode);
      const terminal = new FakeTerminal();
      const ended = command.run(args, terminal);
      await until("the log", () => terminal.stdout.includes("agent starting"));
      const client = await RpcClient.connect({ address: args[1]!.slice(10) });
      await client.leave();
      client.close();
      assert.equal(await ended, 0);
      assert.match(terminal.stdout, /^ {22}Encrypted: true$/m);
      const [, log = ""] = terminal.stdout.split(LOG_BEGINS);
      const isExposed = Deno.build.os !== "windows" && mode === 0o644;
      const expected = [
        ...(isExposed
          ? [
            "    [WARN] agent: Every user of this machine can read the " +
            `encryption keys in ${path}: its mode is 0644`,
          ]
          : []),
        `    [INFO] agent: Restored keyring with 1 keys from ${path}`,
        "    [INFO] agent: Serf agent starting",
      ];
      assert.deepEqual(
        withoutTimes(log).split("\n").slice(0, expected.length),
        expected,
      );
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/** The objects that an agent wrote, one a line. */
function readJsonLines(stdout: string): Record<string, unknown>[] {
  assert.ok(stdout.endsWith("\n"));
  return stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
}

Deno.test("agent -log-json writes nothing but objects, start-up included", async () => {
  const bind = freeAddress();
  const args = [
    "-log-json",
    "-node=j",
    "-role=web",
    `-bind=${bind}`,
    `-rpc-addr=${freeAddress()}`,
  ];
  const terminal = new FakeTerminal();
  const ended = command.run(args, terminal);
  await until("the log", () => terminal.stdout.includes("agent starting"));
  const client = await RpcClient.connect({ address: args[4]!.slice(10) });
  await client.leave();
  client.close();
  assert.equal(await ended, 0);
  const entries = readJsonLines(terminal.stdout);
  assert.deepEqual(entries.slice(0, 5).map((entry) => entry["@message"]), [
    "Deprecation warning: 'Role' has been replaced with 'Tags'",
    "Starting Serf agent...",
    "Starting Serf agent RPC...",
    "Serf agent running!",
    "Serf agent starting",
  ]);
  const { "@timestamp": _, ...introduction } = entries[3]!;
  assert.deepEqual(introduction, {
    "@level": "info",
    "@message": "Serf agent running!",
    "node_name": "j",
    "bind_addr": bind,
    "rpc_addr": args[4]!.slice(10),
    "encrypted": false,
    "snapshot": false,
    "profile": "lan",
    "message_compression_enabled": true,
  });
  assert.equal(entries[4]?.["@module"], "agent");
});

Deno.test("agent writes JSON if a file says so, also when the start fails", async () => {
  const file = await Deno.makeTempFile({ suffix: ".json" });
  try {
    const config = { log_json: true, role: "web", profile: "fast" };
    await Deno.writeTextFile(file, JSON.stringify(config));
    const terminal = new FakeTerminal();
    assert.equal(await command.run([`-config-file=${file}`], terminal), 1);
    assert.deepEqual(
      readJsonLines(terminal.stdout).map((entry) => [
        entry["@level"],
        (entry["@message"] as string).split("\n")[0],
      ]),
      [
        ["info", "Deprecation warning: 'Role' has been replaced with 'Tags'"],
        ["error", "Unknown profile: fast"],
      ],
    );
  } finally {
    await Deno.remove(file);
  }
});

function withoutTimes(log: string): string {
  return log.replace(/^ {4}\d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d /gm, "    ");
}

Deno.test("agent complains about flags on standard error and shows its help", async () => {
  const terminal = new FakeTerminal();
  assert.equal(await command.run(["-nope"], terminal), 1);
  assert.equal(
    terminal.stderr,
    "flag provided but not defined: -nope\nDid you mean -node?\n",
  );
  assert.match(
    terminal.stdout,
    /^==> Usage: serf agent \[options\]\n\n {2}Starts/,
  );
  assert.equal(terminal.stdout, `==> ${command.help(terminal)}\n`);
});

Deno.test("startUpTable() aligns all rows but one, as Serf does", async () => {
  const settings = await readSettings([{
    nodeName: "adv",
    bind: "[::1]:0",
    advertise: "127.0.0.50:12345",
    encryptKey: "AAECAwQFBgcICQoLDA0ODw==",
    profile: "wan",
    rpcAddr: "localhost:0",
    disableCompression: true,
    snapshotPath: "/var/lib/serf/snapshot",
  }], { hostname: () => "" });
  const rows = startUpTable(startUpFacts(
    settings,
    { host: "::1", port: 29946 },
    { host: "127.0.0.1", port: 7374 },
  ));
  assert.deepEqual(rows, [
    "                  Node name: 'adv'",
    "                  Bind addr: '[::1]:29946'",
    "Advertise addr: '127.0.0.50:12345'",
    "                   RPC addr: '127.0.0.1:7374'",
    "                  Encrypted: true",
    "                   Snapshot: true",
    "                    Profile: wan",
    "Message Compression Enabled: false",
  ]);
});
