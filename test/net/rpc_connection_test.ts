/**
 * What happens on the RPC port beyond one session: writes that are taken in
 * pieces, sockets that are half closed, and more clients than there is room for.
 */

import assert from "node:assert/strict";
import { concatBytes, hexOf } from "../../lib/kit/bytes.ts";
import { KeyError, type QueryListener } from "../../lib/net/driver.ts";
import { Metrics } from "../../lib/kit/metrics.ts";
import { RPC_METRICS, type RpcMetrics } from "../../lib/net/metrics.ts";
import { RpcClient } from "../../lib/net/rpc_client.ts";
import { Connection } from "../../lib/net/rpc_connection.ts";
import {
  dialRpc,
  formatRpcEndpoint,
  type RpcConn,
  type RpcEndpoint,
} from "../../lib/net/rpc_endpoint.ts";
import { REFUSALS_MAX, RpcServer } from "../../lib/net/rpc_server.ts";
import {
  encodeEvent,
  encodeForceLeave,
  encodeGetCoordinate,
  encodeHandshake,
  encodeJoin,
  encodeKey,
  encodeMemberFilter,
  encodeMonitor,
  encodeQuery,
  encodeRespond,
  encodeStop,
  encodeStream,
} from "../../lib/rpc/client_bodies.ts";
import { RPC_LIMITS, type RpcLimits } from "../../lib/rpc/limits.ts";
import { RESPONSE_LIMITS, ValueCutter } from "../../lib/rpc/protocol.ts";
import { RpcWriter } from "../../lib/rpc/writer.ts";
import { NO_KEY_REPORT } from "../../lib/serf/key_manager.ts";
import {
  decodeValue,
  type MsgpackValue,
} from "../../lib/wire/msgpack_value.ts";
import { FakeTarget, member } from "../rpc/fake_target.ts";
import { until } from "./deadline.ts";

const TCP: RpcEndpoint = { host: "127.0.0.1", port: 0 };

async function serving(
  at: RpcEndpoint,
  test: (
    served: {
      target: FakeTarget;
      server: RpcServer;
      address: string;
      counts: RpcMetrics;
    },
  ) => Promise<void>,
  limits: RpcLimits = RPC_LIMITS,
): Promise<void> {
  const target = new FakeTarget();
  const metrics = new Metrics();
  const counts = metrics.of(RPC_METRICS);
  const server = RpcServer.start({
    target,
    at,
    authKey: "",
    metrics,
    limits,
  });
  const address = formatRpcEndpoint(server.endpoint);
  try {
    await test({ target, server, address, counts });
  } finally {
    await server.shutdown();
  }
}

function request(command: string, seq: number, body?: Uint8Array): Uint8Array {
  const writer = new RpcWriter().map(2).text("Command").text(command)
    .text("Seq").uint(seq);
  return body === undefined ? writer.finish() : writer.append(body).finish();
}

const HANDSHAKE = request("handshake", 1, encodeHandshake());

async function send(conn: RpcConn, ...parts: Uint8Array[]): Promise<void> {
  let rest = concatBytes(parts);
  while (rest.length > 0) rest = rest.subarray(await conn.write(rest));
}

async function readToEnd(conn: RpcConn): Promise<Uint8Array> {
  const got: Uint8Array[] = [];
  const buffer = new Uint8Array(65_536);
  for (let count; (count = await conn.read(buffer)) !== null;) {
    got.push(buffer.slice(0, count));
  }
  return concatBytes(got);
}

function valuesOf(bytes: Uint8Array): MsgpackValue[] {
  const cutter = new ValueCutter(RESPONSE_LIMITS);
  cutter.push(bytes);
  const values: MsgpackValue[] = [];
  for (let value; (value = cutter.next()) !== undefined;) {
    values.push(decodeValue(value));
  }
  assert.equal(cutter.hasBytes, false);
  return values;
}

/** Headers as `SEQ ERROR`, bodies as the names of their keys. */
function shown(values: readonly MsgpackValue[]): string[] {
  return values.map((value) => {
    assert.ok(value instanceof Map);
    return value.has("Seq")
      ? `${value.get("Seq")} ${String(value.get("Error")) || "ok"}`
      : [...value.keys()].join(" ");
  });
}

/** A target that has something to say to everything. */
function talkative(target: FakeTarget): void {
  target.memberList = [member("n1"), member("n2", { tags: { role: "web" } })];
  target.statistics = new Map([["agent", new Map([["name", "n1"]])]]);
}

const EVERYTHING = [
  request("members", 2),
  request(
    "members-filtered",
    3,
    encodeMemberFilter({ name: "n1", status: "", tags: new Map() }),
  ),
  request("stats", 4),
  request("get-coordinate", 5, encodeGetCoordinate("n1")),
  request("event", 6, encodeEvent({ name: "e", coalesce: false })),
  request("join", 7, encodeJoin(["a"], false)),
  request("force-leave", 8, encodeForceLeave("n9", true)),
  request("install-key", 9, encodeKey("AAAA")),
  request("use-key", 10, encodeKey("AAAA")),
  request("remove-key", 11, encodeKey("AAAA")),
  request("list-keys", 12),
  request("stream", 13, encodeStream("user")),
  request("monitor", 14, encodeMonitor("err")),
  request("respond", 15, encodeRespond(1n, new Uint8Array(0))),
  request("stop", 16, encodeStop(13n)),
  request("stop", 17, encodeStop(14n)),
  request("query", 18, encodeQuery({ name: "q" })),
  request("leave", 19),
];

Deno.test("every command is answered alike on a port and on a socket in the file system", async () => {
  const folder = await Deno.makeTempDir();
  const answers: string[] = [];
  try {
    for (const at of [TCP, { path: `${folder}/rpc` }]) {
      await serving(at, async ({ target, address }) => {
        talkative(target);
        const conn = await dialRpc(address);
        await send(conn, HANDSHAKE, ...EVERYTHING);
        await conn.closeWrite();
        answers.push(hexOf(await readToEnd(conn)));
        conn.close();
        const bytes = Uint8Array.fromHex(answers.at(-1) ?? "");
        const headers = shown(valuesOf(bytes))
          .filter((each) => /^\d/.test(each));
        assert.deepEqual(
          headers.map((header) => Number(header.split(" ")[0])),
          // The query is over at once, and its end a record.
          [...Array.from({ length: 18 }, (_, i) => i + 1), 18, 19],
        );
      });
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  assert.equal(answers[0], answers[1]);
});

Deno.test("an error comes with a body for join and the key commands, and for no other", () =>
  serving(TCP, async ({ target, address }) => {
    talkative(target);
    const no = () => Promise.reject(new Error("no"));
    target.onJoin = no;
    target.onLeave = no;
    target.forceLeave = no;
    target.eventError = "no";
    target.onQuery = () => {
      throw new Error("no");
    };
    let isReported = false;
    target.onChangeKeys = () => {
      isReported = !isReported;
      return Promise.reject(
        isReported ? new KeyError("no", NO_KEY_REPORT) : new Error("no"),
      );
    };
    const conn = await dialRpc(address);
    await send(
      conn,
      HANDSHAKE,
      ...EVERYTHING.slice(4, 11),
      ...EVERYTHING.slice(16),
    );
    await conn.closeWrite();
    const keyBody = "Keys Messages NumErr NumNodes NumResp";
    assert.deepEqual(shown(valuesOf(await readToEnd(conn))), [
      "1 ok",
      "6 no",
      "7 no",
      "Num",
      "8 no",
      "9 no",
      keyBody,
      "10 no",
      keyBody,
      "11 no",
      keyBody,
      "12 no",
      keyBody,
      "18 no",
      "19 no",
    ]);
    conn.close();
  }));

Deno.test("a client that ends its side after a leave is told how the leave went", () =>
  serving(TCP, async ({ target, address, server }) => {
    const left = Promise.withResolvers<void>();
    target.onLeave = () => left.promise;
    const conn = await dialRpc(address);
    await send(conn, HANDSHAKE, request("leave", 2));
    await conn.closeWrite();
    await until("the leave begins", () => target.calls.includes("leave"));
    // Time for the end of the client's side to be seen, were anybody looking.
    const other = await RpcClient.connect({ address });
    for (let i = 0; i < 20; i++) await other.stats();
    other.close();
    left.resolve();
    assert.deepEqual(shown(valuesOf(await readToEnd(conn))), ["1 ok", "2 ok"]);
    conn.close();
    await until("the server lets go", () => server.connectionCount === 0);
  }));

/** A socket whose system takes a few bytes at a time. */
class NarrowConn {
  readonly written: Uint8Array[] = [];
  readonly #requests: Uint8Array[];
  readonly #bytesMax: number;
  readonly #ended = Promise.withResolvers<null>();

  constructor(requests: Uint8Array[], bytesMax: number) {
    this.#requests = requests;
    this.#bytesMax = bytesMax;
  }

  read(buffer: Uint8Array): Promise<number | null> {
    const next = this.#requests.shift();
    if (next === undefined) return this.#ended.promise;
    buffer.set(next);
    return Promise.resolve(next.length);
  }

  write(bytes: Uint8Array): Promise<number> {
    const taken = bytes.slice(0, this.#bytesMax);
    this.written.push(taken);
    return Promise.resolve(taken.length);
  }

  closeWrite(): Promise<void> {
    return Promise.resolve();
  }

  close(): void {
    this.#ended.resolve(null);
  }
}

Deno.test("an answer is one write, and records never come between its parts", async () => {
  for (const bytesMax of [Infinity, 5]) {
    const target = new FakeTarget();
    talkative(target);
    const asked = Array.from({ length: 50 }, (_, i) => request("stats", 10 + i))
      .flatMap((each) => [each, request("members", 5)]);
    const conn = new NarrowConn([
      HANDSHAKE,
      request("stream", 2, encodeStream("user")),
      request("monitor", 3, encodeMonitor("info")),
      ...asked,
    ], bytesMax);
    let isOver = false;
    const connection = new Connection(conn as unknown as RpcConn, {
      target,
      authKey: "",
      peer: "narrow",
      onEnd: () => isOver = true,
    });
    // Something happens at each step of the agent's, so that records always wait.
    const stats = target.stats.bind(target);
    target.stats = () => {
      connection.offerEvent({
        type: "user",
        ltime: 1n,
        name: "e",
        payload: new Uint8Array(40),
        coalesce: false,
      });
      target.say("a line of the log");
      return stats();
    };
    connection.start();
    // 103 headers of answers, 50 stats and 50 members, and 100 records.
    const isWhole = () => countValues(concatBytes(conn.written)) === 403;
    await until("all is written", isWhole);
    const values = shown(valuesOf(concatBytes(conn.written)));
    for (const [i, value] of values.entries()) {
      const body = values[i + 1];
      if (value === "5 ok") assert.equal(body, "Members");
      if (value === "2 ok" && i > 3) assert.match(body ?? "", /^Coalesce/);
      if (value === "3 ok" && i > 3) assert.equal(body, "Log");
      if (/^[1-5]\d ok$/.test(value)) assert.equal(body, "agent");
    }
    if (bytesMax === Infinity) {
      for (const write of conn.written) {
        // A write begins with a header and ends with a whole answer or record.
        const parts = shown(valuesOf(write));
        assert.match(parts[0] ?? "", / ok$/);
        if (/^(5|[1-5]\d) ok$/.test(parts.at(-1) ?? "")) {
          assert.fail("a body was left for another write");
        }
      }
    }
    await connection.shutdown();
    assert.ok(isOver);
  }
});

Deno.test("the end of a query waits for nothing but the moment behind a reply", async () => {
  for (const hasReply of [false, true]) {
    const target = new FakeTarget();
    let listener: QueryListener | undefined;
    target.onQuery = (_, given) => listener = given;
    const query = encodeQuery({ name: "load", timeoutMs: 1_000 });
    const conn = new NarrowConn(
      [HANDSHAKE, request("query", 2, query)],
      Infinity,
    );
    const connection = new Connection(conn as unknown as RpcConn, {
      target,
      authKey: "",
      peer: "asker",
      onEnd: () => {},
    });
    connection.start();
    const isTold = (what: string) =>
      new TextDecoder().decode(concatBytes(conn.written)).includes(what);
    await until("the query", () => listener !== undefined);
    if (hasReply) listener?.onReply({ kind: "ack", from: "n1" });
    listener?.onDone();
    // Whatever is to be written now is written without a timer.
    for (let i = 0; i < 100; i++) await Promise.resolve();
    assert.equal(isTold("ack"), hasReply);
    assert.equal(isTold("done"), !hasReply);
    await until("the end", () => isTold("done"));
    await connection.shutdown();
  }
});

/** How many whole values are in the bytes. */
function countValues(bytes: Uint8Array): number {
  const cutter = new ValueCutter(RESPONSE_LIMITS);
  cutter.push(bytes);
  let count = 0;
  while (cutter.next() !== undefined) count++;
  return count;
}

Deno.test("clients beyond the limit are told so, and nobody else notices", async () => {
  const clientsMax = 100;
  await serving(TCP, async ({ target, server, address, counts }) => {
    const first = await RpcClient.connect({ address });
    const clients: RpcClient[] = [];
    while (clients.length < clientsMax - 1) {
      clients.push(await RpcClient.connect({ address }));
    }
    for (let i = 0; i < 3; i++) {
      await assert.rejects(RpcClient.connect({ address }), {
        message: "Too many clients of this agent",
      });
    }
    assert.deepEqual(
      [counts.accepts.value, counts.refusals.value, counts.commands.value],
      [clientsMax, 3, clientsMax],
    );
    assert.deepEqual(await first.members(), []);
    // Those who say nothing are held for a moment, and not many of them.
    const silent: RpcConn[] = [];
    await until("one is closed without a word", async () => {
      const more = Array.from({ length: REFUSALS_MAX }, () => dialRpc(address));
      silent.push(...await Promise.all(more));
      const refusal = await RpcClient.connect({ address }).catch(String);
      return refusal === "Error: client closed";
    });
    await Promise.all(silent.map(readToEnd));
    for (const conn of silent) conn.close();
    assert.equal(server.connectionCount, clientsMax);
    const refused = target.logged.filter((line) =>
      line.startsWith("[WARN] agent.ipc: Too many clients, refused: 127.0.0.1:")
    );
    assert.ok(refused.length > 3 + REFUSALS_MAX);
    clients.pop()?.close();
    await until(
      "there is room",
      () => server.connectionCount < clientsMax,
    );
    const next = await RpcClient.connect({ address });
    assert.deepEqual(await next.members(), []);
    next.close();
    first.close();
    for (const client of clients) client.close();
  }, { ...RPC_LIMITS, clientsMax });
});
