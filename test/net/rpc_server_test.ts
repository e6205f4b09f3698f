/** The RPC port over real sockets: our server and our client, and a fake agent. */

import assert from "node:assert/strict";
import { concatBytes, utf8Bytes } from "../../lib/kit/bytes.ts";
import { Metrics } from "../../lib/kit/metrics.ts";
import { KeyError, type QueryListener } from "../../lib/net/driver.ts";
import { RPC_METRICS } from "../../lib/net/metrics.ts";
import { RpcClient } from "../../lib/net/rpc_client.ts";
import { RpcServer } from "../../lib/net/rpc_server.ts";
import {
  encodeHandshake,
  encodeMonitor,
  encodeStream,
} from "../../lib/rpc/client_bodies.ts";
import { ClientSession } from "../../lib/rpc/client_session.ts";
import type { RpcMember } from "../../lib/rpc/protocol.ts";
import type { UserEvent } from "../../lib/serf/event.ts";
import { NO_KEY_REPORT } from "../../lib/serf/key_manager.ts";
import { FakeTarget, member, queryEvent } from "../rpc/fake_target.ts";
import { until } from "./deadline.ts";

interface Served {
  readonly target: FakeTarget;
  readonly server: RpcServer;
  readonly address: string;
}

/** Runs `test` against a server on a free port of the loopback. */
async function serving(
  test: (served: Served) => Promise<void>,
  authKey = "",
): Promise<void> {
  const target = new FakeTarget();
  const server = RpcServer.start({
    target,
    at: { host: "127.0.0.1", port: 0 },
    authKey,
  });
  try {
    await test({ target, server, address: `127.0.0.1:${server.port}` });
  } finally {
    await server.shutdown();
  }
  assert.equal(server.connectionCount, 0);
  assert.equal(target.monitorCount, 0);
}

function names(members: readonly RpcMember[]): string {
  return members.map(({ name }) => name).join(" ");
}

function event(name: string, payloadBytes = 0): UserEvent {
  return {
    type: "user",
    ltime: 1n,
    name,
    payload: new Uint8Array(payloadBytes),
    coalesce: false,
  };
}

/** A connection whose requests leave in one write, and which only the test reads. */
async function rawConnection(
  address: string,
  ...requests: (readonly [command: string, body?: Uint8Array])[]
): Promise<Deno.TcpConn> {
  const port = Number(address.split(":")[1]);
  const conn = await Deno.connect({ hostname: "127.0.0.1", port });
  const session = new ClientSession();
  const sent = [["handshake", encodeHandshake()] as const, ...requests]
    .map(([command, body]) =>
      session.startRequest(command, "none", body).bytes
    );
  let rest = concatBytes(sent);
  while (rest.length > 0) rest = rest.subarray(await conn.write(rest));
  return conn;
}

Deno.test("RpcServer serves every request of a client", () =>
  serving(async ({ target, address }) => {
    target.memberList = [member("n1"), member("n2", { tags: { role: "web" } })];
    target.statistics = new Map([["agent", new Map([["name", "n1"]])]]);
    const client = await RpcClient.connect({ address });
    assert.equal(names(await client.members()), "n1 n2");
    assert.equal(names(await client.members({ name: "n2" })), "n2");
    const tags = new Map([["role", "w(eb)?|x"]]);
    assert.equal(names(await client.members({ tags })), "n2");
    assert.deepEqual(await client.stats(), target.statistics);
    const place = { vec: [0.5, -1e-9], error: 1, adjustment: 0, height: 1e-5 };
    target.coordinates.set("n2", place);
    assert.deepEqual(await client.coordinate("n2"), place);
    assert.equal(await client.coordinate("n3"), undefined);
    assert.equal(await client.join(["a", "b:1"], true), 2);
    await client.forceLeave("n3", true);
    await client.event({
      name: "deploy",
      payload: Uint8Array.of(0x76),
      coalesce: true,
    });
    await client.event({ name: "empty", coalesce: false });
    assert.deepEqual(target.calls, [
      "join a b:1 replay=true",
      "forceLeave n3 prune=true",
      "userEvent deploy v coalesce=true",
      "userEvent empty  coalesce=false",
    ]);
    client.close();
  }));

Deno.test("RpcServer counts clients and their requests from the handshake on", async () => {
  const metrics = new Metrics();
  const { accepts, commands } = metrics.of(RPC_METRICS);
  const server = RpcServer.start({
    target: new FakeTarget(),
    at: { host: "127.0.0.1", port: 0 },
    authKey: "secret",
    metrics,
  });
  const address = `127.0.0.1:${server.port}`;
  const client = await RpcClient.connect({ address, authKey: "secret" });
  await client.members();
  // The handshake, the token, and the request.
  assert.deepEqual([accepts.value, commands.value], [1, 3]);
  client.close();
  const refused = await rawConnection(address, ["stats"]);
  await until("the refusal is counted", () => commands.value === 5);
  refused.close();
  const rude = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
  const session = new ClientSession();
  await rude.write(session.startRequest("stats", "none").bytes);
  assert.ok(await rude.read(new Uint8Array(512)) !== null);
  rude.close();
  await server.shutdown();
  // Without a handshake nothing is a request.
  assert.deepEqual([accepts.value, commands.value], [3, 5]);
});

Deno.test("RpcServer passes on what the agent refuses, word for word", () =>
  serving(async ({ target, address }) => {
    const client = await RpcClient.connect({ address });
    target.onJoin = () =>
      Promise.reject(new Error("1 error occurred:\n\t* no\n\n"));
    await assert.rejects(client.join(["x"], false), {
      message: "1 error occurred:\n\t* no\n\n",
    });
    target.eventError = "user event exceeds configured limit";
    await assert.rejects(client.event({ name: "e", coalesce: true }), {
      message: "user event exceeds configured limit",
    });
    assert.equal(names(await client.members()), "", "the connection goes on");
    client.close();
  }));

Deno.test("RpcServer passes on key requests, with the report also of a failure", () =>
  serving(async ({ target, address }) => {
    const client = await RpcClient.connect({ address });
    const report = {
      ...NO_KEY_REPORT,
      messages: new Map([["n2", "a note"]]),
      keyCounts: new Map([["AAAA", 70_000], ["QUFB", 1]]),
      nodes: 70_000,
      responses: 70_000,
      errors: 0,
    };
    target.onChangeKeys = () => Promise.resolve(report);
    const { nodes, responses, errors, messages, keyCounts } = report;
    const common = { nodes, responses, errors, messages };
    assert.deepEqual(await client.listKeys(), { ...common, keys: keyCounts });
    // Only a list tells of keys.
    const sent = { ...common, keys: undefined };
    assert.deepEqual(await client.installKey("AAAA"), sent);
    assert.deepEqual(await client.useKey("@@"), sent);
    assert.deepEqual(await client.removeKey(""), sent);
    assert.deepEqual(target.calls, [
      "changeKeys list",
      "changeKeys install AAAA",
      "changeKeys use @@",
      "changeKeys remove ",
    ]);
    target.onChangeKeys = () =>
      Promise.reject(new KeyError("1/2 nodes reported failure", report));
    await assert.rejects(client.listKeys(), {
      name: "KeyRequestError",
      message: "1/2 nodes reported failure",
      report: { ...common, keys: keyCounts },
    });
    const nothing = { messages: new Map(), nodes: 0, responses: 0, errors: 0 };
    target.onChangeKeys = () => Promise.reject(new Error("no more"));
    await assert.rejects(client.listKeys(), {
      message: "no more",
      report: { ...nothing, keys: new Map() },
    });
    await assert.rejects(client.useKey("AAAA"), {
      message: "no more",
      report: { ...nothing, keys: undefined },
    });
    assert.equal(names(await client.members()), "", "the connection goes on");
    client.close();
  }));

Deno.test("RpcServer closes the connection for a malformed expression, and logs why", () =>
  serving(async ({ target, address }) => {
    const client = await RpcClient.connect({ address });
    await assert.rejects(client.members({ name: "n[" }), {
      message: "client closed",
    });
    await client.closed;
    assert.ok(target.logged.includes(
      "[ERR] agent.ipc: Failed to evaluate request: Failed to compile regex: " +
        "error parsing regexp: missing closing ]: `[$`",
    ));
    await assert.rejects(client.members(), { message: "client closed" });
  }));

Deno.test("RpcServer asks for the token", () =>
  serving(async ({ target, address }) => {
    await assert.rejects(RpcClient.connect({ address, authKey: "wrong" }), {
      message: "Invalid authentication token",
    });
    const stranger = await RpcClient.connect({ address });
    await assert.rejects(stranger.members(), {
      message: "Authentication required",
    });
    await assert.rejects(stranger.join(["x"], false), {
      message: "Authentication required",
    });
    stranger.close();
    const client = await RpcClient.connect({ address, authKey: "s3cret" });
    assert.equal(names(await client.members()), "");
    client.close();
    assert.deepEqual(target.calls, []);
  }, "s3cret"));

Deno.test("RpcServer streams events and logs to whoever subscribed, until stopped", () =>
  serving(async ({ target, address }) => {
    target.backlog = ["old line"];
    const [one, two] = await Promise.all([
      RpcClient.connect({ address }),
      RpcClient.connect({ address }),
    ]);
    const heard: string[] = [];
    const note = (who: string) => (record: unknown) =>
      heard.push(
        `${who} ${String((record as Map<string, unknown>).get("Name"))}`,
      );
    const stream = await one.stream("user", note("one"));
    await two.stream("user:b", note("two"));
    const monitor = await two.monitor("warn", (line) => heard.push(line));
    await until("the backlog arrives", () => heard.includes("old line"));
    target.emit(event("a"));
    target.emit(event("b"));
    target.say("new line");
    await until("all records arrive", () => heard.length === 5);
    assert.deepEqual(heard.sort(), [
      "new line",
      "old line",
      "one a",
      "one b",
      "two b",
    ]);
    await one.stop(stream);
    await two.stop(monitor);
    assert.equal(target.monitorCount, 0);
    target.emit(event("c"));
    await one.members();
    assert.equal(heard.length, 5);
    one.close();
    two.close();
  }));

Deno.test("RpcServer serves others while one client never reads its stream", () =>
  serving(async ({ target, address }) => {
    // Goal: a stuck reader costs bounded memory and nobody's time. Far more is
    // emitted than the queue and the socket buffers can hold; meanwhile each of
    // the other client's requests must be answered.
    const stuck = await rawConnection(
      address,
      ["stream", encodeStream("*")],
      ["monitor", encodeMonitor("debug")],
    );
    await until("the monitor is open", () => target.monitorCount === 1);
    const client = await RpcClient.connect({ address });
    let others = 0;
    await client.stream("user:other", () => others++);
    for (let i = 0; i < 2_000; i++) {
      target.emit(event("big", 8_000));
      target.say("x".repeat(8_000));
      if (i % 100 === 0) {
        target.emit(event("other"));
        assert.equal(names(await client.members()), "");
      }
    }
    await until("the other stream is complete", () => others === 20);
    const drops = target.logged.filter((line) => line.includes("Dropping"));
    assert.deepEqual(
      drops.map((line) => line.replace(/127.*/, "PEER")).sort(),
      [
        "[WARN] agent.ipc: Dropping event to ipc.client: PEER",
        "[WARN] agent.ipc: Dropping logs to ipc.client: PEER",
      ],
    );
    stuck.close();
    client.close();
  }));

Deno.test("RpcServer reads no further requests of a client that takes no answers", () =>
  serving(async ({ target, address }) => {
    const tags = { padding: "x".repeat(500) };
    target.memberList = Array.from(
      { length: 5_000 },
      (_, i) => member(`n${i}`, { tags }),
    );
    let asked = 0;
    const members = target.memberList;
    target.members = () => {
      asked++;
      return members;
    };
    const requests = Array.from({ length: 200 }, () => ["members"] as const);
    const greedy = await rawConnection(address, ...requests);
    const client = await RpcClient.connect({ address });
    // Each answer has 3 MB; only what the sockets swallow can have been made.
    for (let i = 0; i < 5; i++) await client.stats();
    assert.ok(asked < 20, `${asked} answers were made`);
    greedy.close();
    client.close();
  }));

Deno.test("RpcServer answers a leave before the shutdown that follows it", () =>
  serving(async ({ target, server, address }) => {
    // An agent shuts down as soon as it has left, before the answer is out.
    let shutdown: Promise<void> | undefined;
    target.onLeave = async () => {
      await Promise.resolve();
      shutdown = server.shutdown();
    };
    const client = await RpcClient.connect({ address });
    const idle = await RpcClient.connect({ address });
    await client.leave();
    await shutdown;
    await Promise.all([client.closed, idle.closed]);
    assert.ok(
      target.logged.includes("[INFO] agent.ipc: Graceful leave triggered"),
    );
  }));

Deno.test("RpcServer.shutdown() ends clients that wait for an answer", () =>
  serving(async ({ target, server, address }) => {
    const never = Promise.withResolvers<number>();
    target.onJoin = () => never.promise;
    const client = await RpcClient.connect({ address });
    const join = client.join(["x"], false);
    await until("the join has begun", () => target.calls.length === 1);
    await Promise.all([
      server.shutdown(),
      assert.rejects(join, { message: "client closed" }),
    ]);
    never.resolve(1);
    await client.closed;
  }));

Deno.test("RpcServer gives a client that half-closes its answers first", () =>
  serving(async ({ server, address }) => {
    const conn = await rawConnection(address, ["stats"], ["stats"]);
    await conn.closeWrite();
    let bytes = 0;
    const buffer = new Uint8Array(1_000);
    for (let count; (count = await conn.read(buffer)) !== null;) bytes += count;
    assert.equal(bytes, 3 * 13 + 2);
    conn.close();
    await until("the server lets go", () => server.connectionCount === 0);
  }));

Deno.test("RpcServer closes after an unknown command, and the answer arrives whole", () =>
  serving(async ({ address }) => {
    // What follows the command lies unread when the server closes; a plain close
    // would reset the connection and could take the answer with it.
    for (let i = 0; i < 20; i++) {
      const conn = await rawConnection(address, [
        "bogus",
        new Uint8Array(50_000),
      ]);
      const got: Uint8Array[] = [];
      const buffer = new Uint8Array(1_000);
      for (let count; (count = await conn.read(buffer)) !== null;) {
        got.push(buffer.slice(0, count));
      }
      const text = got.map((each) => new TextDecoder().decode(each)).join("");
      assert.match(text, /Unsupported command/);
      conn.close();
    }
  }));

Deno.test("RpcServer logs its clients", () =>
  serving(async ({ target, address }) => {
    const client = await RpcClient.connect({ address });
    assert.match(
      target.logged[0] ?? "",
      /^\[INFO\] agent\.ipc: Accepted client: 127\.0\.0\.1:\d+$/,
    );
    client.close();
  }));

Deno.test("RpcClient.connect() says why it cannot, in Go's words", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const closedPort = listener.addr.port;
  listener.close();
  const cases: [address: string, message: string][] = [
    [
      `127.0.0.1:${closedPort}`,
      `dial tcp 127.0.0.1:${closedPort}: connect: connection refused`,
    ],
    ["127.0.0.1", "dial tcp: address 127.0.0.1: missing port in address"],
    ["127.0.0.1:999999", "dial tcp: address 999999: invalid port"],
    ["127.0.0.1:abc", "dial tcp: address tcp/abc: unknown port"],
    ["::1:1", "dial tcp: address ::1:1: too many colons in address"],
    ["", "dial tcp: missing address"],
    ["127.1:1", "dial tcp: lookup 127.1: no such host"],
  ];
  for (const [address, message] of cases) {
    await assert.rejects(RpcClient.connect({ address }), { message });
  }
});

Deno.test("RpcClient fails what is pending when the agent talks nonsense", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const served = (async () => {
    const conn = await listener.accept();
    await conn.read(new Uint8Array(1_000));
    await conn.write(Uint8Array.of(0xc1));
    while (await conn.read(new Uint8Array(1_000)) !== null);
    conn.close();
  })();
  const address = `127.0.0.1:${listener.addr.port}`;
  await assert.rejects(RpcClient.connect({ address }), {
    message: "client closed",
  });
  await served;
  listener.close();
});

Deno.test("RpcServer passes a query on, and what comes back to it", () =>
  serving(async ({ target, address }) => {
    let listener: QueryListener | undefined;
    target.onQuery = (_, given) => {
      listener = given;
      // Even what comes back at once is told after the answer.
      given.onReply({ kind: "ack", from: "n1" });
    };
    const client = await RpcClient.connect({ address });
    const seen: string[] = [];
    const done = client.query({
      name: "load",
      payload: utf8Bytes("now"),
      filterNodes: ["n1"],
      filterTags: new Map([["role", "w.*"]]),
      requestAck: true,
      relayFactor: 3,
      timeoutMs: 1_500,
    }, {
      onStart: () => seen.push("start"),
      onReply: (reply) => seen.push(`${reply.kind} ${reply.from}`),
    });
    await until("the ack", () => seen.length === 2);
    assert.deepEqual(target.calls, [
      "query load now filters=n1,role=w.* ack=true relay=3 timeout=1500",
    ]);
    const payload = utf8Bytes("0.5");
    listener?.onReply({ kind: "response", from: "n1", payload });
    listener?.onDone();
    await done;
    assert.deepEqual(seen, ["start", "ack n1", "response n1"]);
    client.close();
    assert.equal(target.givenUp, 0);
  }));

Deno.test("RpcServer answers with the reason when a query is refused", () =>
  serving(async ({ target, address }) => {
    target.onQuery = () => {
      throw new Error("query exceeds limit of 1024 bytes");
    };
    const client = await RpcClient.connect({ address });
    const listener = {
      onStart: () => assert.fail("it has not begun"),
      onReply: () => assert.fail("nothing comes back"),
    };
    await assert.rejects(client.query({ name: "x" }, listener), {
      message: "query exceeds limit of 1024 bytes",
    });
    assert.deepEqual(await client.members(), []);
    client.close();
  }));

Deno.test("RpcServer gives up the queries of a client that goes away", () =>
  serving(async ({ target, address }) => {
    let isAsked = false;
    target.onQuery = () => isAsked = true;
    const client = await RpcClient.connect({ address });
    const done = client.query({ name: "x" }, { onReply: () => {} });
    await until("the query", () => isAsked);
    assert.deepEqual(await client.members(), []);
    client.close();
    await done;
    await until("the end", () => target.givenUp === 1);
  }));

Deno.test("RpcServer lets clients answer the queries that they were shown", () =>
  serving(async ({ target, address }) => {
    const client = await RpcClient.connect({ address });
    const ids: bigint[] = [];
    await client.stream("query:load", (record) => {
      assert.ok(record instanceof Map);
      ids.push(BigInt(record.get("ID") as number));
    });
    target.emit(queryEvent({ name: "other" }));
    target.emit(queryEvent());
    target.emit(queryEvent({ deadlineMs: -1 }));
    await until("the records", () => ids.length === 2);
    assert.deepEqual(ids, [1n, 2n]);
    await client.respond(1n, utf8Bytes("0.5"));
    assert.deepEqual(target.calls, ["respond load 0.5"]);
    target.respondError =
      "failed to respond to key query: response already sent";
    await assert.rejects(client.respond(1n, utf8Bytes("x")), {
      message: target.respondError,
    });
    for (const id of [2n, 3n]) {
      await assert.rejects(client.respond(id, utf8Bytes("x")), {
        message: "No pending queries matching ID",
      });
    }
    client.close();
  }));

Deno.test("RpcServer.shutdown() leaves no client that came at this moment", async () => {
  for (let i = 0; i < 60; i++) {
    const target = new FakeTarget();
    const at = { host: "127.0.0.1", port: 0 };
    const server = RpcServer.start({ target, at, authKey: "" });
    const clients = await Promise.all(
      Array.from(
        { length: 1 + i % 6 },
        () => Deno.connect({ hostname: "127.0.0.1", port: server.port }),
      ),
    );
    await server.shutdown();
    let open = clients.length;
    for (const client of clients) {
      // Closed or reset, but not left open.
      client.read(new Uint8Array(1)).catch(() => null).finally(() => open--);
    }
    await until("the end of all clients", () => open === 0);
    for (const client of clients) client.close();
    assert.equal(server.connectionCount, 0);
  }
});
