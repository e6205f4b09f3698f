/** Agents within this process, as an embedder has them, asked over their ports. */

import assert from "node:assert/strict";
import { Agent } from "../../lib/agent/agent.ts";
import { readSettings, type SettingsLayer } from "../../lib/agent/config.ts";
import { AgentLog } from "../../lib/agent/log.ts";
import { utf8Bytes } from "../../lib/kit/bytes.ts";
import { formatRpcEndpoint } from "../../lib/net/rpc_endpoint.ts";
import { RpcClient } from "../../lib/net/rpc_client.ts";
import type { SerfEvent } from "../../lib/serf/event.ts";
import { until } from "../net/deadline.ts";

/** A running agent, its log, and a connection to its control port. */
class TestAgent {
  private constructor(
    readonly agent: Agent,
    readonly rpcAddress: string,
    readonly lines: string[],
  ) {}

  static async start(
    nodeName: string,
    layer: SettingsLayer = {},
  ): Promise<TestAgent> {
    const settings = await readSettings([{
      nodeName,
      bind: "127.0.0.1:0",
      rpcAddr: "127.0.0.1:0",
      profile: "local",
      ...layer,
    }], { hostname: () => "host" });
    const lines: string[] = [];
    const log = new AgentLog({
      level: "DEBUG",
      write: (text) => lines.push(text.slice(24, -1)),
      now: () => new Date(),
    });
    log.open();
    const agent = await Agent.start(settings, log);
    try {
      const at = formatRpcEndpoint(await agent.serveRpc());
      return new TestAgent(agent, at, lines);
    } catch (error) {
      await agent.shutdown();
      throw error;
    }
  }

  get gossipAddress(): string {
    return `127.0.0.1:${this.agent.bound.port}`;
  }

  connect(authKey = ""): Promise<RpcClient> {
    return RpcClient.connect({ address: this.rpcAddress, authKey });
  }

  logged(text: string): Promise<void> {
    return until(text, () => this.lines.includes(text));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.agent.shutdown();
  }
}

Deno.test("Agent.join() logs what Serf logs, and fails with its text", async () => {
  await using a = await TestAgent.start("a");
  await using b = await TestAgent.start("b");
  assert.equal(await b.agent.join([a.gossipAddress], false), 1);
  await b.logged(`[INFO] agent: joining: [${a.gossipAddress}] replay: false`);
  await b.logged("[INFO] agent: joined: 1 nodes");
  const client = await b.connect();
  const text = "1 error occurred:\n\t* Failed to join 127.0.0.1: " +
    "dial tcp 127.0.0.1:1: connect: connection refused\n\n";
  await assert.rejects(client.join(["127.0.0.1:1"], true), { message: text });
  await b.logged("[INFO] agent: joining: [127.0.0.1:1] replay: true");
  // One of its line breaks is the end of the line.
  await b.logged(`[WARN] agent: error joining: ${text.slice(0, -1)}`);
  client.close();
});

Deno.test("Agent passes user events on, coalesced, and refuses long ones", async () => {
  await using a = await TestAgent.start("a");
  const events: SerfEvent[] = [];
  const unsubscribe = a.agent.subscribeEvents((event) => events.push(event));
  a.agent.userEvent("deploy", utf8Bytes("1"), true);
  a.agent.userEvent("deploy", utf8Bytes('"2"\n'), true);
  a.agent.userEvent("now", utf8Bytes(""), false);
  assert.deepEqual(events.map(({ type }) => type), ["user"]);
  await a.logged(
    '[DEBUG] agent: Requesting user event send: deploy. Coalesced: true. Payload: "\\"2\\"\\n"',
  );
  await a.logged("[INFO] agent: Received event: user-event: now");
  await a.logged("[INFO] agent: Received event: user-event: deploy");
  await a.logged("[INFO] agent: Received event: member-join");
  // Of the two that waited for each other, the newer one came.
  const deploys = events.filter((event) =>
    event.type === "user" && event.name === "deploy"
  );
  assert.equal(deploys.length, 1);
  unsubscribe();
  const text =
    "user event exceeds configured limit of 512 bytes before encoding";
  const seen = events.length;
  assert.throws(() => a.agent.userEvent("x", new Uint8Array(600), false), {
    message: text,
  });
  await a.logged(`[WARN] agent: failed to send user event: ${text}`);
  a.agent.userEvent("later", utf8Bytes(""), false);
  assert.equal(events.length, seen);
});

Deno.test("Agent.stats() has Serf's sections, with values of this process", async () => {
  await using a = await TestAgent.start("a", {
    tags: new Map([["role", "db"]]),
    encryptKey: btoa("0123456789abcdef"),
  });
  const client = await a.connect();
  const stats = a.agent.stats();
  assert.deepEqual([...stats.keys()].sort(), [
    "agent",
    "event_handlers",
    "runtime",
    "serf",
    "tags",
  ]);
  assert.deepEqual(stats.get("agent"), new Map([["name", "a"]]));
  assert.deepEqual(stats.get("tags"), new Map([["role", "db"]]));
  assert.equal(stats.get("event_handlers")?.size, 0);
  assert.equal(stats.get("serf")?.get("encrypted"), "true");
  assert.equal(stats.get("serf")?.get("members"), "1");
  const runtime = stats.get("runtime");
  assert.equal(runtime?.get("version"), `deno${Deno.version.deno}`);
  assert.equal(runtime?.get("os"), Deno.build.os);
  assert.match(runtime?.get("arch") ?? "", /^(amd64|arm64)$/);
  assert.equal(runtime?.get("max_procs"), "1");
  assert.equal(runtime?.get("goroutines"), "5", "four loops and one client");
  assert.equal(runtime?.get("cpu_count"), `${navigator.hardwareConcurrency}`);
  const sent = await client.stats();
  assert.equal(sent.get("agent")?.get("name"), "a");
  client.close();
  await until(
    "the client to be gone",
    () => a.agent.stats().get("runtime")?.get("goroutines") === "4",
  );
});

Deno.test("Agent.coordinate() is known of whom the agent has probed", async () => {
  await using a = await TestAgent.start("a");
  await using b = await TestAgent.start("b");
  assert.equal(a.agent.stats().get("serf")?.get("coordinate_resets"), "0");
  assert.deepEqual(a.agent.coordinate("a")?.vec, Array(8).fill(0));
  assert.equal(a.agent.coordinate("b"), undefined);
  await b.agent.join([a.gossipAddress], false);
  const client = await a.connect();
  await until(
    "both to have probed each other",
    async () =>
      await client.coordinate("b") !== undefined &&
      b.agent.coordinate("a") !== undefined,
  );
  assert.equal((await client.coordinate("a"))?.vec.length, 8);
  assert.equal(await client.coordinate("nobody"), undefined);
  client.close();
});

Deno.test("Agent.forceLeave() turns a failed member into one that left", async () => {
  await using a = await TestAgent.start("a");
  const b = await TestAgent.start("b");
  await b.agent.join([a.gossipAddress], false);
  await b.agent.shutdown();
  const statusOfB = () =>
    a.agent.members().find(({ name }) => name === "b")?.status;
  await until("b to fail", () => statusOfB() === "failed");
  await a.agent.forceLeave("b", false);
  await a.logged("[INFO] agent: Force leaving node: b");
  await until("b to have left", () => statusOfB() === "left");
  await a.agent.forceLeave("b", true);
  await a.logged("[INFO] agent: Force leaving node (prune): b");
  await until("b to be forgotten", () => statusOfB() === undefined);
});

Deno.test("Agent.leave() by command answers, shuts down, and says so to monitors", async () => {
  await using a = await TestAgent.start("a");
  const client = await a.connect();
  const monitored: string[] = [];
  await client.monitor("info", (line) => monitored.push(line.slice(20)));
  await client.leave();
  await a.agent.down;
  await client.closed;
  assert.deepEqual(
    // The last lines may come as well, if the connection lives long enough.
    monitored.filter((line) => !line.includes("Received event")).slice(0, 6),
    [
      "[INFO] agent: Serf agent starting",
      "[INFO] serf: EventMemberJoin: a 127.0.0.1",
      a.lines.find((line) => line.includes("Accepted client")),
      "[INFO] agent.ipc: Graceful leave triggered",
      "[INFO] agent: requesting graceful leave from Serf",
      "[INFO] serf: EventMemberLeave: a 127.0.0.1",
    ],
  );
  assert.deepEqual(a.lines.slice(-2), [
    "[INFO] agent: requesting serf shutdown",
    "[INFO] agent: shutdown complete",
  ]);
  await assert.rejects(a.connect(), { message: /connection refused$/ });
});

Deno.test("Agent wants its token, if it has one", async () => {
  await using a = await TestAgent.start("a", { rpcAuth: "secret" });
  await assert.rejects(a.connect("wrong"), {
    message: "Invalid authentication token",
  });
  const client = await a.connect("secret");
  assert.deepEqual(
    (await client.members()).map(({ name, status }) => [name, status]),
    [["a", "alive"]],
  );
  client.close();
});

Deno.test("Agent.shutdown() is final and may be repeated", async () => {
  const a = await TestAgent.start("a");
  await Promise.all([a.agent.shutdown(), a.agent.shutdown(), a.agent.down]);
  assert.equal(
    a.lines.filter((line) => line.endsWith("shutdown complete")).length,
    1,
  );
  assert.ok(a.lines.includes("[WARN] serf: Shutdown without a Leave"));
  await assert.rejects(a.agent.join([], false));
});

Deno.test("Agent.serveRpc() says why it cannot, and the agent can be stopped", async () => {
  await using a = await TestAgent.start("a");
  await assert.rejects(TestAgent.start("b", { rpcAddr: a.rpcAddress }), {
    name: "AgentStartError",
    message: `Error starting RPC listener: listen tcp ${a.rpcAddress}: ` +
      "bind: address already in use",
  });
});

Deno.test("Agent.changeTags() loses neither of two changes made at once, and keeps a file", async () => {
  const folder = await Deno.makeTempDir();
  const tagsFile = `${folder}/tags.json`;
  try {
    await using a = await TestAgent.start("a", { tagsFile });
    const [one, two] = [await a.connect(), await a.connect()];
    const nothing = { set: new Map<string, string>(), delete: [] };
    await Promise.all([
      one.changeTags({ ...nothing, set: new Map([["role", "web"]]) }),
      two.changeTags({ ...nothing, set: new Map([["dc", "east"]]) }),
    ]);
    const written = '{\n  "dc": "east",\n  "role": "web"\n}';
    assert.equal(await Deno.readTextFile(tagsFile), written);
    const { tags } = a.agent.members()[0]!;
    assert.deepEqual([...tags].sort(), [["dc", "east"], ["role", "web"]]);
    const text = "Encoded length of tags exceeds limit of 512 bytes";
    await assert.rejects(
      one.changeTags({ ...nothing, set: new Map([["k", "x".repeat(512)]]) }),
      { message: text },
    );
    await a.logged(`[WARN] agent: failed to change tags: ${text}`);
    assert.equal(await Deno.readTextFile(tagsFile), written);
    await Deno.remove(folder, { recursive: true });
    await assert.rejects(one.changeTags({ ...nothing, delete: ["dc"] }), {
      message:
        `Failed to write tags file: open ${tagsFile}: no such file or directory`,
    });
    await a.logged(
      `[ERR] agent: Failed to write tags file: open ${tagsFile}: no such file or directory`,
    );
    assert.equal(a.agent.members()[0]?.tags.get("dc"), "east");
    for (const client of [one, two]) client.close();
  } finally {
    await Deno.remove(folder, { recursive: true }).catch(() => {});
  }
});

Deno.test("Agent.reloadTags() keeps a tags file, which no settings may fill", async () => {
  const folder = await Deno.makeTempDir();
  const tagsFile = `${folder}/tags.json`;
  try {
    await Deno.writeTextFile(tagsFile, '{"role":"web"}');
    await using a = await TestAgent.start("a", { tagsFile });
    await a.logged(`[INFO] agent: Restored 1 tag(s) from ${tagsFile}`);
    const shown = () => [...a.agent.members()[0]?.tags ?? []];
    await assert.rejects(a.agent.reloadTags(new Map([["dc", "east"]])), {
      message: "Tags config not allowed while using tag files",
    });
    assert.deepEqual(shown(), [["role", "web"]]);
    assert.equal(await Deno.readTextFile(tagsFile), '{"role":"web"}');
    await a.agent.reloadTags(new Map());
    await a.logged(`[INFO] agent: Reload keeps the tags of ${tagsFile}: role`);
    assert.deepEqual(shown(), [["role", "web"]]);
    assert.equal(await Deno.readTextFile(tagsFile), '{"role":"web"}');
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("Agent of protocol 2 changes its role, and forgets no other tag", async () => {
  await using a = await TestAgent.start("a", {
    protocol: 2,
    tags: new Map([["role", "web"], ["dc", "east"]]),
  });
  await using b = await TestAgent.start("b");
  await b.agent.join([a.gossipAddress], false);
  const change = (set: Record<string, string>, deleted: string[] = []) =>
    a.agent.changeTags({ set: new Map(Object.entries(set)), delete: deleted });
  await change({ role: "db" });
  const seen = () => b.agent.members().find(({ name }) => name === "a")?.tags;
  await until("b sees the new role", () => seen()?.get("role") === "db");
  assert.deepEqual(seen(), new Map([["role", "db"]]));
  // What is not announced does not count towards the limit.
  await change({ extra: "x".repeat(600) });
  await change({}, ["role"]);
  await until("b sees no role", () => seen()?.get("role") === "");
});

Deno.test("Agent.query() asks, logs it, and keeps internal names to itself", async () => {
  await using a = await TestAgent.start("a");
  const query = (name: string, payload = "") => ({
    name,
    payload: utf8Bytes(payload),
    filterNodes: [],
    filterTags: new Map<string, string>(),
    requestAck: true,
    relayFactor: 0,
    timeoutMs: 300,
  });
  const ask = async (name: string, payload?: string) => {
    const replies: string[] = [];
    const done = Promise.withResolvers<void>();
    a.agent.query(query(name, payload), {
      onReply: ({ kind, from }) => replies.push(`${kind} ${from}`),
      onDone: done.resolve,
    });
    await done.promise;
    return replies;
  };
  const unsubscribe = a.agent.subscribeEvents((event) => {
    if (event.type === "query") a.agent.respond(event, utf8Bytes("1"));
  });
  assert.deepEqual(await ask("load", '"x"'), ["ack a", "response a"]);
  unsubscribe();
  assert.deepEqual(await ask("_serf_ping"), ["ack a"]);
  await a.logged(
    '[DEBUG] agent: Requesting query send: load. Payload: "\\"x\\""',
  );
  await a.logged("[INFO] agent: Received event: query: load");
  const text = "Queries cannot contain the '_serf_' prefix";
  await assert.rejects(ask("_serf_ping", "x"), { message: text });
  await assert.rejects(ask("_serf_conflict"), { message: text });
  await assert.rejects(ask("q", "x".repeat(1_024)), {
    message: "query exceeds limit of 1024 bytes",
  });
  await a.logged(
    "[WARN] agent: failed to start user query: query exceeds limit of 1024 bytes",
  );
});

Deno.test("Agent shuts down when its name is another's", async () => {
  await using a = await TestAgent.start("a");
  await using b = await TestAgent.start("b");
  await b.agent.join([a.gossipAddress], false);
  await using impostor = await TestAgent.start("b");
  await impostor.agent.join([a.gossipAddress], false);
  assert.equal(await impostor.agent.down, "nameLost");
  const end = impostor.lines.slice(
    impostor.lines.findIndex((line) => line.includes("minority")),
  );
  assert.deepEqual(end.filter((line) => !line.startsWith("[DEBUG]")), [
    "[WARN] serf: minority in name conflict resolution, quiting [0 / 1]",
    "[WARN] serf: Shutdown without a Leave",
    "[WARN] agent: Serf shutdown detected, quitting",
    "[INFO] agent: requesting serf shutdown",
    "[INFO] agent: shutdown complete",
  ]);
});

Deno.test("Agent.changeKeys() changes the keyring file, and says what it does", async () => {
  const folder = await Deno.makeTempDir();
  const keyringFile = `${folder}/keys.json`;
  const [old, fresh] = [16, 32].map((bytes) =>
    new Uint8Array(bytes).fill(bytes).toBase64()
  ) as [string, string];
  await Deno.writeTextFile(keyringFile, JSON.stringify([old]));
  try {
    await using a = await TestAgent.start("a", { keyringFile });
    const client = await a.connect();
    assert.deepEqual((await client.installKey(fresh)).messages, new Map());
    assert.deepEqual(JSON.parse(Deno.readTextFileSync(keyringFile)), [
      old,
      fresh,
    ]);
    await client.useKey(fresh);
    await client.removeKey(old);
    assert.equal(Deno.readTextFileSync(keyringFile), `[\n  "${fresh}"\n]`);
    const { keys, nodes } = await client.listKeys();
    assert.deepEqual(keys, new Map([[fresh, 1]]));
    assert.equal(nodes, 1);
    for (
      const what of [
        "key installation",
        "primary key change",
        "key removal",
        "key listing",
      ]
    ) await a.logged(`[INFO] agent: Initiating ${what}`);
    await a.logged("[INFO] serf: Received install-key query");
    assert.equal(a.agent.stats().get("serf")?.get("encrypted"), "true");

    await assert.rejects(client.installKey("@@@"), {
      name: "KeyRequestError",
      message: "illegal base64 data at input byte 0",
      report: {
        messages: new Map(),
        keys: undefined,
        nodes: 0,
        responses: 0,
        errors: 0,
      },
    });
    // The folder is gone, and the file with it.
    await Deno.remove(folder, { recursive: true });
    await assert.rejects(client.installKey(old), {
      message: "1/1 nodes reported failure",
      report: {
        messages: new Map([[
          "a",
          `Failed to write keyring file: open ${keyringFile}: no such file or directory`,
        ]]),
        keys: undefined,
        nodes: 1,
        responses: 1,
        errors: 1,
      },
    });
    assert.equal((await client.listKeys()).keys?.size, 2);
    client.close();
  } finally {
    await Deno.remove(folder, { recursive: true }).catch(() => {});
  }
});

Deno.test("Agent.changeKeys() of an agent with a single key keeps changes in memory", async () => {
  const key = new Uint8Array(16).toBase64();
  await using a = await TestAgent.start("a", { encryptKey: key });
  const other = new Uint8Array(16).fill(1).toBase64();
  await a.agent.changeKeys({ kind: "install", key: other });
  const { keyCounts } = await a.agent.changeKeys({ kind: "list" });
  assert.deepEqual(keyCounts, new Map([[key, 1], [other, 1]]));
  await assert.rejects(a.agent.changeKeys({ kind: "use", key: "AAAA" }), {
    name: "KeyError",
    message: "1/1 nodes reported failure",
  });
});

Deno.test("Agent with a snapshot rejoins after a crash and not after a leave", async () => {
  const folder = await Deno.makeTempDir();
  const snapshotPath = `${folder}/snapshot`;
  try {
    await using a = await TestAgent.start("a");
    const b = await TestAgent.start("b", { snapshotPath });
    await b.agent.join([a.gossipAddress], false);
    await b.agent.shutdown();
    assert.match(Deno.readTextFileSync(snapshotPath), /^alive: b /);
    const rejoined = "[INFO] serf: Re-joined to previously known node: a: " +
      a.gossipAddress;
    const bind = b.gossipAddress;
    const again = await TestAgent.start("b", { snapshotPath, bind });
    await again.logged(rejoined);
    await again.agent.leave();
    await again.agent.down;
    assert.match(Deno.readTextFileSync(snapshotPath), /^leave$/m);

    const alone = await TestAgent.start("b", { snapshotPath, bind });
    assert.equal(alone.agent.members().length, 1);
    assert.ok(!alone.lines.some((line) => line.includes("re-join")));
    await alone.agent.shutdown();
    const rejoinAfterLeave = true;
    const back = await TestAgent.start("b", {
      ...{ snapshotPath, bind, rejoinAfterLeave },
    });
    await back.logged("[INFO] serf: Ignoring previous leave in snapshot");
    await back.logged(rejoined);
    await back.agent.shutdown();
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("Agent.start() that fails leaves no snapshot open", async () => {
  const folder = await Deno.makeTempDir();
  const snapshotPath = `${folder}/snapshot`;
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const bind = `127.0.0.1:${listener.addr.port}`;
  try {
    await assert.rejects(TestAgent.start("a", { snapshotPath, bind }), {
      message: /^Failed to start the Serf agent: .*address already in use$/,
    });
    // Who has it open, holds its lock.
    using file = Deno.openSync(snapshotPath);
    assert.ok(file.tryLockSync(true));
    await assert.rejects(TestAgent.start("a", { snapshotPath: folder }), {
      name: "AgentStartError",
      message: "Failed to start the Serf agent: Error creating Serf: " +
        `Failed to setup snapshot: failed to open snapshot: open ${folder}: ` +
        "is a directory",
    });
  } finally {
    listener.close();
    await Deno.remove(folder, { recursive: true });
  }
});
