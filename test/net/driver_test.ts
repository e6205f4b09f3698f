/**
 * Drivers on loopback: that the real network is connected to the engine the way
 * the engine expects. What the engine makes of it is tested with the engine.
 */

import assert from "node:assert/strict";
import { utf8Bytes, utf8Text } from "../../lib/kit/bytes.ts";
import { BindError } from "../../lib/net/bind.ts";
import { KeyError, NodeDriver } from "../../lib/net/driver.ts";
import type { QueryParams } from "../../lib/serf/engine.ts";
import { PortSource } from "../e2e/ports.ts";
import { until } from "./deadline.ts";
import { Node } from "./driver_node.ts";

async function joinTellAndLeave(a: Node, b: Node): Promise<void> {
  assert.equal(await b.join(a.address), 1);
  await a.sees("a alive", "b alive");
  await b.sees("a alive", "b alive");
  a.driver.userEvent("deploy", utf8Bytes("v1"), { coalesce: false });
  await until("the event", () => b.events.includes("user deploy v1"));
  await b.driver.leave();
  await a.sees("a alive", "b left");
  assert.equal(b.driver.state, "left");
  assert.deepEqual(
    a.events,
    ["member-join a", "member-join b", "user deploy v1", "member-leave b"],
  );
}

Deno.test("NodeDriver joins, passes an event and leaves over IPv4", async () => {
  using a = new Node("a");
  using b = new Node("b");
  await joinTellAndLeave(a, b);
});

Deno.test("NodeDriver joins, passes an event and leaves over IPv6", async () => {
  using a = new Node("a", { host: "::1" });
  using b = new Node("b", { host: "::1" });
  assert.match(a.address, /^\[::1\]:\d+$/);
  await joinTellAndLeave(a, b);
});

Deno.test("NodeDriver joins, passes an event and leaves with encryption", async () => {
  const key = new Uint8Array(32).fill(9);
  using a = new Node("a", { key });
  using b = new Node("b", { key });
  await joinTellAndLeave(a, b);
});

Deno.test("NodeDriver.join() fails when the keys differ", async () => {
  using a = new Node("a", { key: new Uint8Array(16).fill(1) });
  using b = new Node("b", { key: new Uint8Array(16).fill(2) });
  await assert.rejects(b.join(a.address), {
    name: "JoinError",
    message: /^1 error occurred:\n\t\* Failed to join 127\.0\.0\.1: .*\n\n$/,
  });
  assert.deepEqual(a.view, ["a alive"]);
});

Deno.test("NodeDriver.join() lists what went wrong, in the order of the addresses", async () => {
  using a = new Node("a");
  using ports = new PortSource();
  // Nobody listens there.
  const [one, two] = [
    ports.take("127.0.0.1").text,
    ports.take("127.0.0.1").text,
  ];
  await assert.rejects(a.join(one, "nosuch.invalid", two, "/x"), {
    message: "4 errors occurred:\n" +
      `\t* Failed to join 127.0.0.1: dial tcp ${one}: connect: connection refused\n` +
      "\t* Failed to resolve nosuch.invalid: lookup nosuch.invalid: no such host\n" +
      `\t* Failed to join 127.0.0.1: dial tcp ${two}: connect: connection refused\n` +
      "\t* Failed to resolve /x: empty node name provided\n\n",
  });
  assert.ok(
    a.log.some((line) =>
      line.startsWith("[WARN] memberlist: Failed to resolve nosuch.invalid")
    ),
  );
});

Deno.test("NodeDriver.join() succeeds when one address of several does", async () => {
  using a = new Node("a");
  using b = new Node("b");
  using ports = new PortSource();
  const { text: nobody } = ports.take("127.0.0.1");
  assert.equal(await b.join(nobody, `a/${a.address}`, a.address), 2);
  assert.equal(await b.join(), 0);
});

Deno.test("NodeDriver.join() refuses after a leave", async () => {
  using a = new Node("a");
  using b = new Node("b");
  await b.driver.leave();
  await assert.rejects(b.join(a.address), {
    message: "Serf can't Join after Leave or Shutdown",
  });
});

Deno.test("NodeDriver detects a member that disappears", async () => {
  using a = new Node("a");
  using b = new Node("b");
  using c = new Node("c");
  await b.join(a.address);
  await c.join(a.address);
  await a.sees("a alive", "b alive", "c alive");
  c.driver.shutdown();
  await a.sees("a alive", "b alive", "c failed");
  await b.sees("a alive", "b alive", "c failed");
  await a.driver.forceLeave("c", { prune: false });
  await b.sees("a alive", "b alive", "c left");
});

Deno.test("NodeDriver.setTags() reaches the others", async () => {
  using a = new Node("a");
  using b = new Node("b");
  await b.join(a.address);
  await b.driver.setTags(new Map([["role", "db"]]));
  await until(
    "the tag",
    () => a.driver.members()[1]?.tags.get("role") === "db",
  );
  await assert.rejects(
    b.driver.setTags(new Map([["x", "x".repeat(600)]])),
    RangeError,
  );
});

Deno.test("NodeDriver lets a listener make requests", async () => {
  using a = new Node("a", {
    onEvent: (event) => {
      if (event.type !== "user" || event.name !== "ping") return;
      a.driver.userEvent("pong", utf8Bytes(""), { coalesce: false });
      assert.equal(a.events.at(-1), "user ping ", "no event inside an event");
    },
  });
  a.driver.userEvent("ping", utf8Bytes(""), { coalesce: false });
  assert.deepEqual(a.events, ["member-join a", "user ping ", "user pong "]);
  await a.driver.leave();
});

Deno.test("NodeDriver survives garbage over UDP and keeps its probes going", async () => {
  using a = new Node("a");
  using b = new Node("b");
  await b.join(a.address);
  await a.sees("a alive", "b alive");
  const socket = Deno.listenDatagram({
    transport: "udp",
    hostname: "127.0.0.1",
    port: 0,
  });
  const to = {
    ...a.driver.bound,
    hostname: "127.0.0.1",
    transport: "udp",
  } as const;
  try {
    for (let round = 0; round < 200; round++) {
      await Promise.all(
        Array.from({ length: 100 }, (_, i) => {
          const bytes = new Uint8Array((round * 7 + i) % 300);
          crypto.getRandomValues(bytes);
          bytes[0] = i;
          return socket.send(bytes, to);
        }),
      );
    }
  } finally {
    socket.close();
  }
  a.driver.userEvent("still", utf8Bytes("here"), { coalesce: false });
  await until("the event", () => b.events.includes("user still here"));
  assert.deepEqual(a.view, ["a alive", "b alive"]);
  assert.deepEqual(b.view, ["a alive", "b alive"]);
  assert.ok(a.log.some((line) => line.startsWith("[ERR] memberlist: ")));
  assert.ok(a.log.length < 1_000, `${a.log.length} log lines`);
});

Deno.test("NodeDriver survives garbage and silence over TCP", async () => {
  using a = new Node("a");
  const { port } = a.driver.bound;
  const open = await Promise.all(
    Array.from(
      { length: 50 },
      () => Deno.connect({ hostname: "127.0.0.1", port }),
    ),
  );
  try {
    for (const [i, conn] of open.entries()) {
      if (i % 5 === 0) continue;
      const bytes = crypto.getRandomValues(new Uint8Array(i * 100));
      await conn.write(bytes).catch(() => {});
    }
    using b = new Node("b");
    assert.equal(await b.join(a.address), 1);
    await until("no stream left", () => a.driver.streamCount === 0);
  } finally {
    for (const conn of open) conn.close();
  }
});

Deno.test("NodeDriver.start() says why it cannot bind", () => {
  using a = new Node("a");
  const { port } = a.driver.bound;
  assert.throws(() => new Node("b", { port }), {
    name: "BindError",
    message:
      "Could not set up network transport: failed to obtain an address: " +
      `Failed to start TCP listener on "127.0.0.1" port ${port}: ` +
      `listen tcp 127.0.0.1:${port}: bind: address already in use`,
  });
});

Deno.test("NodeDriver.start() gives TCP back when UDP cannot be bound", () => {
  // Another program may hold the same port of TCP; then another one will do.
  const reasonFor = (): string => {
    const socket = Deno.listenDatagram({
      transport: "udp",
      hostname: "127.0.0.1",
      port: 0,
    });
    const { port } = socket.addr as Deno.NetAddr;
    try {
      new Node("a", { port });
      return "";
    } catch (error) {
      assert.ok(error instanceof BindError);
      if (error.message.includes("TCP")) return reasonFor();
      Deno.listen({ hostname: "127.0.0.1", port }).close();
      return error.message;
    } finally {
      socket.close();
    }
  };
  assert.match(reasonFor(), /Failed to start UDP listener on "127.0.0.1"/);
});

Deno.test("NodeDriver.start() leaves nothing open when a setting is refused", () => {
  const start = () =>
    NodeDriver.start({
      bind: { host: "127.0.0.1", port: 0 },
      config: { protocolVersion: 6, swim: { name: "a" } },
      onEvent: () => {},
      onLog: () => {},
    });
  assert.throws(start, {
    name: "RangeError",
    message: "Protocol version '6' too high. Must be in range: [2, 5]",
  });
});

Deno.test("NodeDriver announces the address it is told to", () => {
  using a = new Node("a", { advertise: { host: "10.0.0.1", port: 5 } });
  assert.deepEqual(a.driver.advertised, { host: "10.0.0.1", port: 5 });
  assert.equal(a.driver.localMember().ip, "10.0.0.1");
  assert.equal(a.driver.localMember().port, 5);
  using b = new Node("b", { advertise: { host: "9.9.9.9", port: 0 } });
  assert.equal(b.driver.localMember().port, b.driver.bound.port);
  const warning =
    "[WARN] memberlist: Binding to public address without encryption!";
  assert.ok(b.log.includes(warning));
  assert.ok(!a.log.includes(warning));
});

Deno.test("NodeDriver.shutdown() ends what is under way and may be repeated", async () => {
  const a = new Node("a");
  using b = new Node("b");
  await b.join(a.address);
  await b.sees("a alive", "b alive");
  const leaving = a.driver.leave();
  a.driver.shutdown();
  a.driver.shutdown();
  await assert.rejects(leaving, { message: "Serf was shut down" });
  assert.equal(a.driver.state, "shutdown");
  await assert.rejects(a.driver.leave());
});

/** Time for answers that a busy machine may need; a question ends when all are there. */
const PATIENT_MS = 20_000;

/** Asks, and collects what comes back until the end. */
async function repliesTo(
  driver: NodeDriver,
  params: QueryParams,
): Promise<string[]> {
  const replies: string[] = [];
  const done = Promise.withResolvers<void>();
  driver.query(params, {
    onReply: (reply) => {
      const text = reply.kind === "ack" ? "" : utf8Text(reply.payload);
      replies.push(`${reply.kind} ${reply.from} ${text}`.trimEnd());
    },
    onDone: done.resolve,
  });
  await done.promise;
  return replies.sort();
}

Deno.test("NodeDriver asks, answers, and hears its own answer", async () => {
  const answering = (name: string) => {
    const node: Node = new Node(name, {
      onEvent: (event) => {
        if (event.type !== "query") return;
        node.driver.respond(event, utf8Bytes(`${event.name} of ${name}`));
      },
    });
    return node;
  };
  using a = answering("a");
  using b = answering("b");
  await b.join(a.address);
  await a.sees("a alive", "b alive");
  const params = {
    ...{ name: "load", requestAck: true, relayFactor: 1 },
    timeoutMs: PATIENT_MS,
  };
  assert.deepEqual(await repliesTo(a.driver, params), [
    "ack a",
    "ack b",
    "response a load of a",
    "response b load of b",
  ]);
});

Deno.test("NodeDriver loads the compiler for filters when it is first needed", async () => {
  using a = new Node("a");
  const filterTags = new Map([["role", "^$"]]);
  const params = { name: "x", requestAck: true, filterTags };
  const ack = Promise.withResolvers<string>();
  const giveUp = a.driver.query({ ...params, timeoutMs: PATIENT_MS }, {
    onReply: ({ kind, from }) => ack.resolve(`${kind} ${from}`),
    onDone: () => ack.resolve("nothing"),
  });
  assert.equal(await ack.promise, "ack a");
  giveUp();
  assert.ok(a.events.includes("query x"));
});

Deno.test("NodeDriver.query() can be given up, and then says no more", async () => {
  using a = new Node("a");
  const seen: string[] = [];
  const giveUp = a.driver.query({ name: "x" }, {
    onReply: ({ from }) => seen.push(from),
    onDone: () => seen.push("done"),
  });
  giveUp();
  giveUp();
  await repliesTo(a.driver, { name: "y", timeoutMs: 1 });
  assert.deepEqual(seen, []);
});

Deno.test("NodeDriver shuts down when the cluster gives its name to another", async () => {
  using a = new Node("a");
  using b = new Node("b");
  await b.join(a.address);
  await b.sees("a alive", "b alive");
  let hasLost = false;
  using impostor = new Node("b", { onNameLost: () => hasLost = true });
  await impostor.join(a.address);
  await until("the vote", () => hasLost);
  assert.equal(impostor.driver.state, "shutdown");
  assert.equal(b.driver.state, "alive");
});

Deno.test("NodeDriver.changeKeys() changes the keys of all, and each keeps them", async () => {
  const [old, fresh] = [new Uint8Array(16), new Uint8Array(16).fill(9)];
  const kept: string[] = [];
  const keep = (name: string) => (keys: readonly Uint8Array[]) => {
    kept.push(`${name} ${keys.map(([first]) => first)}`);
    return Promise.resolve();
  };
  using a = new Node("a", { key: old, saveKeyring: keep("a") });
  using b = new Node("b", { key: old, saveKeyring: keep("b") });
  await b.join(a.address);
  await a.sees("a alive", "b alive");
  await a.driver.changeKeys({ kind: "install", key: fresh });
  await b.driver.changeKeys({ kind: "use", key: fresh });
  const report = await a.driver.changeKeys({ kind: "remove", key: old });
  assert.equal(report.responses, 2);
  const { keyCounts } = await b.driver.changeKeys({ kind: "list" });
  assert.deepEqual(keyCounts, new Map([[fresh.toBase64(), 2]]));
  for (const name of ["a", "b"]) {
    assert.deepEqual(
      kept.filter((line) => line.startsWith(name)),
      [`${name} 0,9`, `${name} 9,0`, `${name} 9`],
    );
  }
  await assert.rejects(a.driver.changeKeys({ kind: "use", key: old }), {
    name: "KeyError",
    message: "2/2 nodes reported failure",
  });
});

Deno.test("NodeDriver saves one keyring after the other, and answers with what fails", async () => {
  const saves: { keys: number; end: (error?: Error) => void }[] = [];
  using a = new Node("a", {
    key: new Uint8Array(16),
    saveKeyring: (keys) =>
      new Promise((resolve, reject) => {
        const end = (error?: Error) => error ? reject(error) : resolve();
        saves.push({ keys: keys.length, end });
      }),
  });
  using b = new Node("b", { key: new Uint8Array(16) });
  await b.join(a.address);
  await a.sees("a alive", "b alive");
  const install = (node: Node, byte: number) =>
    node.driver.changeKeys({
      kind: "install",
      key: new Uint8Array(16).fill(byte),
    });
  // Each node makes its own changes one by one, but the other does not know.
  const one = install(a, 1);
  const two = install(b, 2);
  await until(
    "both changes",
    () =>
      a.log.filter((line) => line.includes("Received install-key query"))
        .length === 2,
  );
  assert.deepEqual(saves.map(({ keys }) => keys), [2]);
  saves[0]?.end();
  assert.equal((await one).responses, 2);
  await until("the second save", () => saves.length === 2);
  assert.equal(saves[1]?.keys, 3);
  saves[1]?.end(new Error("disk full"));
  await assert.rejects(two, (error) => {
    assert.ok(error instanceof KeyError);
    assert.equal(error.message, "1/2 nodes reported failure");
    assert.deepEqual(
      error.report.messages,
      new Map([["a", "Failed to write keyring file: disk full"]]),
    );
    return true;
  });
  const last = install(a, 3);
  await until("the third save", () => saves.length === 3);
  a.driver.shutdown();
  await assert.rejects(last, { message: "Serf was shut down" });
  // Nobody is told any more.
  saves[2]?.end();
  await assert.rejects(install(a, 4), { name: "StateError" });
});
