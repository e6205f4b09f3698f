import assert from "node:assert/strict";
import type { HostPort } from "../../lib/kit/address.ts";
import { connectTcp } from "../../lib/net/connect.ts";
import { dialRpc } from "../../lib/net/rpc_endpoint.ts";

/** Longer than any test takes: nothing here ends because of the time. */
const TIMEOUT_MS = 600_000;

function listen(): Deno.TcpListener {
  return Deno.listen({ hostname: "127.0.0.1", port: 0 });
}

/** A connection that only counts that it was closed. */
class FakeConn {
  isClosed = false;
  constructor(readonly to: HostPort) {}
  close(): void {
    this.isClosed = true;
  }
}

/**
 * Connects with a network in which some hosts answer, some refuse, and all others
 * never say anything.
 */
async function connect(
  hosts: readonly string[],
  network: Readonly<Record<string, "answers" | "refuses">>,
): Promise<{ readonly tried: string[]; readonly answer: string }> {
  const tried: string[] = [];
  const attempt = connectTcp(hosts.map((host) => ({ host, port: 1 })), {
    timeoutMs: TIMEOUT_MS,
    connect: (to, signal) => {
      tried.push(to.host);
      if (network[to.host] === "refuses") {
        return Promise.reject(new Error("Connection refused (os error 111)"));
      }
      return new Promise((done, fail) => {
        signal.addEventListener("abort", () => fail(signal.reason));
        if (network[to.host] === "answers") {
          done(new FakeConn(to) as unknown as Deno.TcpConn);
        }
      });
    },
  });
  const answer = await attempt.then(
    (conn) => (conn as unknown as FakeConn).to.host,
    (error) => error.message,
  );
  return { tried, answer };
}

Deno.test("connectTcp() tries all addresses of a host in their order", async () => {
  const network = {
    "10.0.0.1": "refuses",
    "10.0.0.2": "refuses",
    "10.0.0.3": "answers",
  } as const;
  const hosts = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"];
  assert.deepEqual(await connect(hosts, network), {
    tried: hosts.slice(0, 3),
    answer: "10.0.0.3",
  });
});

Deno.test("connectTcp() tells of the first address when none answers", async () => {
  const network = { "10.0.0.1": "refuses", "fd00::1": "refuses" } as const;
  for (
    const [first, second] of [["10.0.0.1", "fd00::1"], ["fd00::1", "10.0.0.1"]]
  ) {
    const { tried, answer } = await connect(
      [first as string, second as string],
      network,
    );
    assert.deepEqual(tried, [first, second]);
    const address = first === "fd00::1" ? "[fd00::1]:1" : "10.0.0.1:1";
    assert.equal(answer, `dial tcp ${address}: connect: connection refused`);
  }
});

Deno.test("connectTcp() does not wait for a family that is swallowed", async () => {
  const network = { "10.0.0.1": "answers" } as const;
  assert.deepEqual(
    await connect(["fd00::1", "fd00::2", "10.0.0.1"], network),
    { tried: ["fd00::1", "10.0.0.1"], answer: "10.0.0.1" },
  );
});

Deno.test("connectTcp() asks the other family at once when the first one refuses", async () => {
  const network = { "fd00::1": "refuses", "10.0.0.1": "answers" } as const;
  assert.equal(
    (await connect(["fd00::1", "10.0.0.1"], network)).answer,
    "10.0.0.1",
  );
});

Deno.test("connectTcp() shares one deadline among the addresses", async () => {
  const to = ["10.0.0.1", "10.0.0.2"].map((host) => ({ host, port: 7373 }));
  const attempt = connectTcp(to, {
    timeoutMs: 50,
    // Never answers. The time is over at some point, and that is all there is to see.
    connect: (_to, signal) =>
      new Promise((_done, fail) => {
        signal.addEventListener("abort", () => fail(signal.reason));
      }),
  });
  await assert.rejects(attempt, {
    message: "dial tcp 10.0.0.1:7373: i/o timeout",
  });
});

Deno.test("dialRpc() reaches an agent at the second address of its name", async () => {
  using listener = listen();
  const { port } = listener.addr as Deno.NetAddr;
  const accepted = listener.accept();
  // Nobody listens at the first one, on this machine.
  const lookup = () => Promise.resolve(["127.0.0.2", "127.0.0.1"]);
  using _client = await dialRpc(`serf.test:${port}`, lookup);
  using _agent = await accepted;
});

Deno.test("dialRpc() names what was dialed when nobody is there", async () => {
  const listener = listen();
  const { port } = listener.addr as Deno.NetAddr;
  listener.close();
  const lookup = () => Promise.resolve(["127.0.0.2", "127.0.0.1"]);
  await assert.rejects(dialRpc(`serf.test:${port}`, lookup), {
    message: `dial tcp 127.0.0.2:${port}: connect: connection refused`,
  });
  await assert.rejects(dialRpc(`:${port}`), {
    message: `dial tcp :${port}: connect: connection refused`,
  });
});
