/**
 * What the client offers programs beyond single requests, against our server and a
 * fake agent. Single requests are in `rpc_server_test.ts`.
 */

import assert from "node:assert/strict";
import { utf8Bytes } from "../../lib/kit/bytes.ts";
import { RpcCaller } from "../../lib/net/rpc_caller.ts";
import { RpcClient } from "../../lib/net/rpc_client.ts";
import type { RpcEvent } from "../../lib/net/rpc_event.ts";
import { RpcServer } from "../../lib/net/rpc_server.ts";
import { FakeTarget, member, queryEvent } from "../rpc/fake_target.ts";
import { until } from "./deadline.ts";

/** An agent that is served, and a client of it. */
class Desk implements AsyncDisposable {
  readonly target = new FakeTarget();
  readonly server = RpcServer.start({
    target: this.target,
    at: { host: "127.0.0.1", port: 0 },
    authKey: "",
  });
  readonly #clients: RpcClient[] = [];

  async connect(): Promise<RpcClient> {
    const address = `127.0.0.1:${this.server.port}`;
    const client = await RpcClient.connect({ address });
    this.#clients.push(client);
    return client;
  }

  userEvent(name: string, payload = ""): void {
    this.target.emit({
      type: "user",
      ltime: 2n ** 64n - 1n,
      name,
      payload: utf8Bytes(payload),
      coalesce: true,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) client.close();
    await this.server.shutdown();
  }
}

function shortText(event: RpcEvent): string {
  switch (event.type) {
    case "user":
      return `user ${event.name} ${event.text}`;
    case "query":
      return `query ${event.name} ${event.text}`;
    case "lost":
      return `lost ${event.count}`;
    default:
      return `${event.type} ${event.members.map(({ name }) => name).join(" ")}`;
  }
}

Deno.test("RpcClient.events() has events of every type, with all they say", async () => {
  await using desk = new Desk();
  const client = await desk.connect();
  const events = await client.events();
  // Nobody reads yet.
  const tags = { role: "web" };
  desk.target.emit({
    type: "member-failed",
    members: [member("n2", { status: "failed", tags }), member("n3")],
  });
  desk.userEvent("deploy", "v42");
  desk.target.emit(queryEvent({ ltime: 9n, payload: utf8Bytes("now") }));
  const [failed, user, query] = await Promise.all(
    [1, 2, 3].map(async () => (await events.next()).value as RpcEvent),
  );
  assert.ok(failed?.type === "member-failed");
  assert.deepEqual(
    failed.members.map(({ name, status }) => `${name} ${status}`),
    ["n2 failed", "n3 alive"],
  );
  assert.deepEqual(failed.members[0]?.tags, new Map([["role", "web"]]));
  assert.ok(user?.type === "user");
  const { name, ltime, coalesce, text } = user;
  assert.deepEqual({ name, ltime, coalesce, text }, {
    name: "deploy",
    ltime: 18_446_744_073_709_551_615n,
    coalesce: true,
    text: "v42",
  });
  assert.ok(query?.type === "query");
  assert.equal(shortText(query), "query load now");
  assert.equal(query.ltime, 9n);
  assert.equal(query.id, 1n);
});

Deno.test("queries in a stream can be answered, once", async () => {
  await using desk = new Desk();
  const client = await desk.connect();
  const events = await client.events("query:load");
  desk.target.emit(queryEvent());
  for await (const event of events) {
    assert.ok(event.type === "query");
    await event.respond("0.5");
    desk.target.respondError = "response already sent";
    await assert.rejects(event.respond("0.6"), {
      message: "response already sent",
    });
    break;
  }
  assert.deepEqual(desk.target.calls, ["respond load 0.5", "respond load 0.6"]);
});

Deno.test("RpcClient.events() filters, and leaving the loop stops the stream", async () => {
  await using desk = new Desk();
  const client = await desk.connect();
  const [deploys, all] = [
    await client.events("user:deploy,member-join"),
    await client.events("*"),
  ];
  for (const name of ["deploy", "other"]) desk.userEvent(name);
  desk.target.emit({ type: "member-join", members: [member("n2")] });
  const seen: string[] = [];
  for await (const event of deploys) {
    seen.push(shortText(event));
    if (event.type === "member-join") break;
  }
  assert.deepEqual(seen, ["user deploy ", "member-join n2"]);
  // The stop has been answered before this is.
  await client.members();
  desk.userEvent("deploy", "again");
  assert.equal((await deploys.next()).done, true);
  const rest: string[] = [];
  for await (const event of all) {
    rest.push(shortText(event));
    if (rest.length === 4) break;
  }
  assert.deepEqual(rest, [
    "user deploy ",
    "user other ",
    "member-join n2",
    "user deploy again",
  ]);
});

Deno.test("RpcClient.events() tells what was dropped for a slow consumer", async () => {
  await using desk = new Desk();
  const client = await desk.connect();
  const events = await client.events("user", { bufferMax: 2 });
  let arrived = 0;
  await client.stream("user", () => arrived++);
  for (let i = 1; i <= 5; i++) desk.userEvent(`e${i}`);
  // Streams are served in the order in which they were opened.
  await until("the events", () => arrived === 5);
  client.close();
  assert.deepEqual((await Array.fromAsync(events)).map(shortText), [
    "lost 3",
    "user e4 ",
    "user e5 ",
  ]);
});

Deno.test("a signal ends a stream, the connection goes on", async () => {
  await using desk = new Desk();
  const client = await desk.connect();
  const stop = new AbortController();
  const { signal } = stop;
  const events = await client.events("user", { signal });
  const reading = Array.fromAsync(events);
  stop.abort();
  assert.deepEqual(await reading, []);
  const late = await client.events("user", { signal });
  desk.userEvent("x");
  assert.deepEqual(await client.members(), []);
  assert.deepEqual(await Array.fromAsync(late), []);
});

Deno.test("streams that have ended make room for others", async () => {
  await using desk = new Desk();
  const client = await desk.connect();
  // A connection may have 256.
  const stopped = AbortSignal.abort();
  for (let i = 0; i < 130; i++) {
    await (await client.events("user")).return();
    await client.events("user", { signal: stopped });
  }
  for (let i = 0; i < 256; i++) await client.events("user");
  await assert.rejects(client.events("user"), {
    message: "Too many streams on this connection",
  });
});

Deno.test("RpcClient.events() is refused for a bad filter, or once the connection has ended", async () => {
  await using desk = new Desk();
  const client = await desk.connect();
  await assert.rejects(client.events("member-joined"), {
    message: "Invalid event filter",
  });
  await assert.rejects(client.events("*", { bufferMax: 0 }), {
    name: "RangeError",
  });
  assert.deepEqual(await client.members(), [], "the connection goes on");
  client.close();
  await assert.rejects(client.events(), { message: "client closed" });
});

Deno.test("streams end with the connection", async () => {
  await using desk = new Desk();
  const client = await desk.connect();
  const events = await client.events();
  const reading = Array.fromAsync(events);
  client.close();
  assert.deepEqual(await reading, []);
});

Deno.test("RpcClient.queryAll() waits for everything that comes back", async () => {
  await using desk = new Desk();
  desk.target.onQuery = (_, listener) => {
    listener.onReply({ kind: "ack", from: "n1" });
    for (const from of ["n2", "n1"]) {
      const payload = utf8Bytes(`load of ${from}`);
      listener.onReply({ kind: "response", from, payload });
    }
    setTimeout(() => listener.onDone());
  };
  const client = await desk.connect();
  const { acks, responses } = await client.queryAll({
    name: "load",
    payload: "now",
    requestAck: true,
  });
  assert.deepEqual(acks, ["n1"]);
  assert.deepEqual(
    responses.map(({ from, text }) => `${from}: ${text}`),
    ["n2: load of n2", "n1: load of n1"],
  );
  assert.deepEqual(desk.target.calls, [
    "query load now filters= ack=true relay=0 timeout=0",
  ]);
  desk.target.onQuery = () => {
    throw new Error("Too many queries are running");
  };
  await assert.rejects(client.queryAll({ name: "load" }), {
    message: "Too many queries are running",
  });
});

Deno.test("RpcClient takes texts for payloads, and sensible defaults", async () => {
  await using desk = new Desk();
  const client = await desk.connect();
  await client.event({ name: "deploy", payload: "v42" });
  await client.event({ name: "empty" });
  await client.join(["a"]);
  await client.forceLeave("n3");
  assert.deepEqual(desk.target.calls, [
    "userEvent deploy v42 coalesce=false",
    "userEvent empty  coalesce=false",
    "join a replay=false",
    "forceLeave n3 prune=false",
  ]);
});

Deno.test("`using` closes an RpcClient", async () => {
  await using desk = new Desk();
  let closed: Promise<void>;
  {
    using client = await desk.connect();
    closed = client.closed;
  }
  await closed;
  await until("the server sees it", () => desk.server.connectionCount === 0);
});

Deno.test("RpcCaller.request() sends whole requests, however slowly they are read", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  const [ours, theirs] = await Promise.all([
    Deno.connect({ hostname: "127.0.0.1", port }),
    listener.accept(),
  ]);
  const caller = new RpcCaller(ours);
  // More than the system takes at once, of bytes that no header has.
  const fills = [0xf1, 0xf2, 0xf3];
  const bodies = fills.map((fill) =>
    new Uint8Array(8 * 1_024 * 1_024).fill(fill)
  );
  const requests = bodies.map((body) =>
    caller.request("event", "none", body).catch(() => {})
  );
  let total = 0;
  const order: number[] = [];
  const buffer = new Uint8Array(65_536);
  while (total < 3 * 8 * 1_024 * 1_024) {
    const count = await theirs.read(buffer);
    assert.ok(count !== null);
    for (const byte of buffer.subarray(0, count)) {
      if (byte < 0xf1) continue;
      total++;
      if (order.at(-1) !== byte) order.push(byte);
    }
  }
  theirs.close();
  await Promise.all(requests);
  assert.deepEqual(order, fills);
});

Deno.test("RpcClient.events() keeps nothing of a stream that has ended", async () => {
  const url = (path: string) => new URL(path, import.meta.url).href;
  const program = `
    import { RpcServer } from "${url("../../lib/net/rpc_server.ts")}";
    import { RpcClient } from "${url("../../lib/net/rpc_client.ts")}";
    import { FakeTarget } from "${url("../rpc/fake_target.ts")}";
    const target = new FakeTarget();
    const at = { host: "127.0.0.1", port: 0 };
    const server = RpcServer.start({ target, at, authKey: "" });
    const address = "127.0.0.1:" + server.port;
    const client = await RpcClient.connect({ address });
    const use = async () => {
      for (let i = 0; i < 3_000; i++) await (await client.events()).return();
      await client.members();
      gc();
      return Deno.memoryUsage().heapUsed;
    };
    await use();
    console.log(await use() - await use());
    Deno.exit();
  `;
  const path = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    await Deno.writeTextFile(path, program);
    const config = new URL("../../deno.json", import.meta.url).pathname;
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "-A", "--quiet", "--v8-flags=--expose-gc"],
        ...[`--config=${config}`, path],
      ],
      stderr: "inherit",
    }).output();
    const text = new TextDecoder().decode(stdout);
    assert.match(text, /^-?\d+\n$/);
    const grownBytes = -Number(text);
    assert.ok(grownBytes < 1_000_000, `${grownBytes} bytes`);
  } finally {
    await Deno.remove(path);
  }
});
