/**
 * Attacks on the control port by clients that do not know the token: a log that
 * grows, guesses, and silence. Method: our server on a real socket with a fake
 * agent behind it, and connections that share no code with our client.
 *
 * Each attack is bounded by a number of connections or requests, not by a time, and
 * what it may achieve is computed from the limits and the time that it took. Where
 * only the number of clients counts, the limits are made smaller, since the
 * connections of all tests share the descriptors of one process.
 */

import assert from "node:assert/strict";
import type { BudgetRate } from "../../lib/kit/budget.ts";
import { concatBytes, utf8Text } from "../../lib/kit/bytes.ts";
import { Metrics } from "../../lib/kit/metrics.ts";
import { RPC_METRICS, type RpcMetrics } from "../../lib/net/metrics.ts";
import { RpcClient } from "../../lib/net/rpc_client.ts";
import {
  dialRpc,
  formatRpcEndpoint,
  type RpcConn,
  type RpcEndpoint,
} from "../../lib/net/rpc_endpoint.ts";
import { closeQuietly } from "../../lib/net/rpc_connection.ts";
import { RpcServer } from "../../lib/net/rpc_server.ts";
import {
  encodeAuth,
  encodeHandshake,
  encodeStream,
} from "../../lib/rpc/client_bodies.ts";
import { RPC_LIMITS, type RpcLimits } from "../../lib/rpc/limits.ts";
import { RpcWriter } from "../../lib/rpc/writer.ts";
import { until } from "../net/deadline.ts";
import { FakeTarget } from "../rpc/fake_target.ts";

const TOKEN = "correct horse";
const TCP: RpcEndpoint = { host: "127.0.0.1", port: 0 };
/** A port with a sixteenth of the places, and more clients than it has. */
const FEW_PLACES = {
  clientsMax: RPC_LIMITS.clientsMax / 16,
  strangersMax: RPC_LIMITS.strangersMax / 16,
  strangersPerSourceMax: RPC_LIMITS.strangersPerSourceMax / 16,
};
const TOO_MANY = FEW_PLACES.clientsMax + 20;

interface Attacked {
  readonly target: FakeTarget;
  readonly server: RpcServer;
  readonly address: string;
  readonly counts: RpcMetrics;
  /** Connects; the connection is closed at the end. */
  connect(): Promise<RpcConn>;
}

async function attacked(
  options: {
    readonly at?: RpcEndpoint;
    readonly authKey?: string;
    readonly limits?: Partial<RpcLimits>;
  },
  attack: (server: Attacked) => Promise<void>,
): Promise<void> {
  const { at = TCP, authKey = TOKEN, limits = {} } = options;
  const target = new FakeTarget();
  const metrics = new Metrics();
  const server = RpcServer.start({
    target,
    at,
    authKey,
    metrics,
    limits: { ...RPC_LIMITS, ...limits },
  });
  const address = formatRpcEndpoint(server.endpoint);
  const conns: RpcConn[] = [];
  try {
    await attack({
      target,
      server,
      address,
      counts: metrics.of(RPC_METRICS),
      connect: async () => {
        const conn = await dialRpc(address);
        conns.push(conn);
        return conn;
      },
    });
  } finally {
    for (const conn of conns) closeQuietly(conn);
    await server.shutdown();
  }
}

function request(command: string, seq: number, body?: Uint8Array): Uint8Array {
  const writer = new RpcWriter().map(2).text("Command").text(command)
    .text("Seq").uint(seq);
  return body === undefined ? writer.finish() : writer.append(body).finish();
}

const HANDSHAKE = request("handshake", 1, encodeHandshake());
const guess = (token: string) => request("auth", 2, encodeAuth(token));

/** Writes as much as the other side takes; its end is no failure of an attack. */
async function send(conn: RpcConn, ...parts: Uint8Array[]): Promise<void> {
  let rest = concatBytes(parts);
  try {
    while (rest.length > 0) rest = rest.subarray(await conn.write(rest));
  } catch {
    // The agent has had enough.
  }
}

/** Everything up to the end, as text; a reset is an end too. */
async function readToEnd(conn: RpcConn): Promise<string> {
  const got: Uint8Array[] = [];
  const buffer = new Uint8Array(65_536);
  try {
    for (let count; (count = await conn.read(buffer)) !== null;) {
      got.push(buffer.slice(0, count));
    }
  } catch {
    // Closed with bytes of ours unread.
  }
  return utf8Text(concatBytes(got));
}

function countIn(text: string, what: string): number {
  return text.split(what).length - 1;
}

/** Most that a budget lets pass in the time since `startMs`. */
function mostOf({ perSecond, burst }: BudgetRate, startMs: number): number {
  return burst + perSecond * (performance.now() - startMs) / 1_000;
}

/** A client that knows the token is let in and served. */
async function assertServed(address: string, authKey = TOKEN): Promise<void> {
  const client = await RpcClient.connect({ address, authKey });
  assert.deepEqual(await client.members(), []);
  client.close();
}

Deno.test("commands before auth do not fill the log", () =>
  attacked({}, async ({ target, counts, connect }) => {
    const conn = await connect();
    const requests = Array.from(
      { length: 20_000 },
      (_, i) => request("stats", i),
    );
    const said = readToEnd(conn);
    await send(conn, HANDSHAKE, ...requests);
    assert.equal(
      countIn(await said, "Authentication required"),
      RPC_LIMITS.strangerRequestsMax - 1,
    );
    assert.equal(counts.commands.value, RPC_LIMITS.strangerRequestsMax + 1);
    assert.match(
      target.logged.at(-1) ?? "",
      /^\[WARN\] agent\.ipc: Too many requests before the client was let in, closed: 127/,
    );
    assert.equal(target.logged.length, 1 + RPC_LIMITS.strangerRequestsMax);
  }));

for (const authKey of [TOKEN, ""]) {
  const token = authKey === "" ? "without a token" : "with a token";
  Deno.test(`garbage on many connections does not fill the log of an agent ${token}`, () =>
    attacked({ authKey }, async ({ target, address, server, counts }) => {
      const startMs = performance.now();
      const kinds = [
        [Uint8Array.of(0xc1)],
        [request("members", 1)],
        [HANDSHAKE, Uint8Array.of(0xc1)],
        [HANDSHAKE, request("no-such-command", 2)],
      ];
      const ATTACKS = 1_500;
      for (let i = 0; i < ATTACKS; i++) {
        const conn = await dialRpc(address);
        await send(conn, ...kinds[i % kinds.length] as Uint8Array[]);
        conn.close();
      }
      // Some may be gone before they are accepted.
      const seen = () => counts.accepts.value + counts.aborts.value;
      await until(
        "all is over",
        () => seen() === ATTACKS && server.connectionCount === 0,
      );
      const { acceptedLines, complaintLines } = RPC_LIMITS;
      const accepted = target.logged.filter((line) =>
        line.includes("Accepted client")
      );
      // One summary of each kind for ten seconds.
      const summaries = 2 + (performance.now() - startMs) / 5_000;
      assert.ok(accepted.length <= mostOf(acceptedLines, startMs));
      assert.ok(
        target.logged.length - accepted.length <=
          mostOf(complaintLines, startMs) + summaries,
        `${target.logged.length} lines`,
      );
      assert.ok(counts.unloggedLines.value > 0);
      await server.shutdown();
      const left = target.logged.findLast((line) => line.includes("left out"));
      assert.match(
        left ?? "",
        /^\[WARN\] agent\.ipc: \d+ more messages about clients were left out in the last 10 s$/,
      );
    }));
}

Deno.test("lines about a client that has shown the token are all logged", () =>
  attacked(
    { limits: { complaintLines: { perSecond: 0, burst: 0 } } },
    async ({ target, connect }) => {
      const conn = await connect();
      await send(conn, HANDSHAKE, guess(TOKEN), request("bogus", 3));
      await readToEnd(conn);
      assert.ok(target.logged.includes(
        "[ERR] agent.ipc: Failed to evaluate request: command 'bogus' not recognized",
      ));
    },
  ));

Deno.test("three wrong tokens end a connection, which is logged and counted", () =>
  attacked({}, async ({ target, connect, counts, address }) => {
    const conn = await connect();
    const guesses = Array.from({ length: 50_000 }, (_, i) => guess(`${i}`));
    const said = readToEnd(conn);
    await send(conn, HANDSHAKE, ...guesses);
    assert.equal(countIn(await said, "Invalid authentication token"), 3);
    assert.equal(counts.wrongTokens.value, 3);
    const wrong = target.logged.filter((line) => line.includes("Wrong token"))
      .map((line) => line.replace(/127\.0\.0\.1:\d+/, "PEER"));
    assert.deepEqual(wrong, [
      "[WARN] agent.ipc: Wrong token of PEER",
      "[WARN] agent.ipc: Wrong token of PEER",
      "[WARN] agent.ipc: Wrong token of PEER, closed after 3",
    ]);
    await assertServed(address);
  }));

Deno.test("guesses over many connections stay few, and the token still lets its owner in", () =>
  attacked({}, async ({ connect, counts, address }) => {
    const startMs = performance.now();
    let isOver = false;
    // Attackers that do not wait for an answer that is late, all the time.
    const attack = async () => {
      while (!isOver) {
        const conn = await connect();
        await send(conn, HANDSHAKE, guess("a"), guess("b"), guess("c"));
        const limit = setTimeout(() => closeQuietly(conn), 100);
        await readToEnd(conn);
        clearTimeout(limit);
      }
    };
    const attackers = Array.from(
      { length: 20 },
      () => attack().catch(() => {}),
    );
    await until("tokens are delayed", () => counts.heldTokens.value > 50);
    for (let i = 0; i < 3; i++) await assertServed(address);
    isOver = true;
    assert.ok(
      counts.wrongTokens.value <=
        mostOf(RPC_LIMITS.guessesPerSource, startMs),
      `${counts.wrongTokens.value} guesses`,
    );
    await Promise.all(attackers);
  }));

Deno.test("a token beyond the line is refused without a look", () =>
  attacked(
    {
      limits: {
        guessesPerSource: { perSecond: 0, burst: 1 },
        waitingTokensPerSourceMax: 1,
      },
    },
    async ({ connect, counts, address }) => {
      const first = await connect();
      await send(first, HANDSHAKE, guess("a"), guess("b"));
      await until("the second one waits", () => counts.heldTokens.value === 1);
      await assert.rejects(RpcClient.connect({ address, authKey: TOKEN }), {
        message: "Too many wrong tokens from this address",
      });
      assert.equal(counts.wrongTokens.value, 1);
    },
  ));

Deno.test("an honest crowd is never delayed", () =>
  attacked({}, async ({ address, counts }) => {
    await Promise.all(
      Array.from({ length: 300 }, () => assertServed(address)),
    );
    assert.equal(counts.heldTokens.value, 0);
    assert.equal(counts.evictions.value, 0);
  }));

for (
  const [name, greeting] of [["silent", []], ["shaken", [HANDSHAKE]]] as const
) {
  Deno.test(`more ${name} clients than there are places keep nobody out`, () =>
    attacked(
      { limits: FEW_PLACES },
      async ({ connect, server, address, counts }) => {
        const first = await RpcClient.connect({ address, authKey: TOKEN });
        for (let i = 0; i < TOO_MANY; i++) {
          await send(await connect(), ...greeting);
          if (i % 10 === 0) await assertServed(address);
        }
        await assertServed(address);
        const { strangersPerSourceMax } = FEW_PLACES;
        await until(
          "one source has its share",
          () => server.connectionCount <= strangersPerSourceMax + 1,
        );
        assert.ok(counts.evictions.value >= TOO_MANY - strangersPerSourceMax);
        assert.equal(counts.refusals.value, 0);
        assert.deepEqual(await first.members(), [], "it has kept its place");
        first.close();
      },
    ));
}

Deno.test("silent clients keep nobody out of an agent without a token", () =>
  attacked(
    { authKey: "", limits: FEW_PLACES },
    async ({ connect, address }) => {
      const first = await RpcClient.connect({ address });
      for (let i = 0; i < TOO_MANY; i++) await connect();
      await assertServed(address, "");
      assert.deepEqual(await first.members(), []);
      first.close();
    },
  ));

Deno.test({
  name: "silent clients keep nobody out of a socket in the file system",
  ignore: Deno.build.os === "windows",
  fn: async () => {
    const folder = await Deno.makeTempDir();
    try {
      const at = { path: `${folder}/rpc` };
      await attacked(
        { at, authKey: "", limits: FEW_PLACES },
        async ({ connect, address }) => {
          for (let i = 0; i < TOO_MANY; i++) await connect();
          await assertServed(address, "");
        },
      );
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

Deno.test("a client that does not introduce itself is closed, also after half of it", () =>
  attacked(
    { limits: { introductionMs: 3_000 } },
    async ({ connect, server, target, counts, address }) => {
      const known = await RpcClient.connect({ address, authKey: TOKEN });
      await known.stream("*", () => {});
      const starts = [
        [],
        [HANDSHAKE],
        [HANDSHAKE.subarray(0, 5)],
        // A token that never ends.
        [HANDSHAKE, guess("x".repeat(1_000)).subarray(0, 500)],
        // Asks, but does not say who it is.
        [HANDSHAKE, request("stream", 2, encodeStream("*"))],
      ];
      await Promise.all(starts.map(async (start) => {
        const conn = await connect();
        await send(conn, ...start);
        await readToEnd(conn);
      }));
      assert.equal(counts.lateIntroductions.value, starts.length);
      assert.equal(
        target.logged.filter((line) =>
          line.includes("Client did not introduce itself in time, closed: 127.")
        ).length,
        starts.length,
      );
      assert.equal(server.connectionCount, 1);
      assert.deepEqual(await known.members(), [], "it may be silent for ever");
      known.close();
    },
  ));

Deno.test("what is sent after the end of a session is not read for ever", () =>
  attacked({}, async ({ connect, counts, server }) => {
    const conn = await connect();
    await send(conn, HANDSHAKE, request("bogus", 2));
    const CHUNK = new Uint8Array(65_536);
    let sent = 0;
    try {
      // Buffers of the system take some megabytes more.
      while (sent < 100_000_000) sent += await conn.write(CHUNK);
    } catch {
      // Reset.
    }
    await until("it is over", () => server.connectionCount === 0);
    assert.ok(sent < 50_000_000, `${sent} bytes`);
    assert.equal(counts.lateIntroductions.value, 0);
  }));

Deno.test("a client that ends its side or resets before it is let in leaves nothing behind", () =>
  attacked({}, async ({ server, address, counts }) => {
    for (let i = 0; i < 200; i++) {
      const conn = await dialRpc(address);
      await send(conn, HANDSHAKE, guess("wrong"));
      if (i % 2 === 0) await conn.closeWrite().catch(() => {});
      // Closing with answers unread resets the connection.
      conn.close();
    }
    await until("all are forgotten", () => server.connectionCount === 0);
    assert.equal(counts.accepts.value, 200);
    await assertServed(address);
  }));
