/**
 * Whoever holds the other end of an agent's output has no power over the agent: it
 * goes on when that is not read, and when it is closed.
 */

import assert from "node:assert/strict";
import type { RpcClient } from "../../lib/net/rpc_client.ts";
import { type FreeAddress, PortSource } from "../e2e/ports.ts";
import { until } from "../net/deadline.ts";
import { connectTo, Victim, type VictimOptions } from "./victim.ts";

const isWindows = Deno.build.os === "windows";

/** Long enough that a thousand lines are far more than a pipe holds. */
const LONG_NAME = "n".repeat(400);
/** Requests under way at one time. */
const AT_ONCE = 50;

interface Place {
  readonly gossip: FreeAddress;
  readonly rpc: FreeAddress;
}

function placeIn(ports: PortSource): Place {
  return { gossip: ports.take("127.0.0.1"), rpc: ports.take("127.0.0.1") };
}

function startAgent(
  name: string,
  { gossip, rpc }: Place,
  flags: readonly string[] = [],
  options: VictimOptions = {},
): Victim {
  return new Victim([
    ...["agent", `-node=${name}`, `-bind=${gossip.text}`],
    ...[`-rpc-addr=${rpc.text}`, "-log-level=trace", "-profile=local"],
    ...flags,
  ], options);
}

/** Makes an agent log so many events, each in two lines of some 500 bytes. */
async function flood(client: RpcClient, count: number): Promise<void> {
  let answered = 0;
  const send = async (first: number) => {
    for (let i = first; i < count; i += AT_ONCE) {
      await client.event({ name: `${i}${LONG_NAME}` });
      answered++;
    }
  };
  for (let i = 0; i < AT_ONCE; i++) {
    send(i).catch(() => {
      // The connection was closed; the missing answers tell.
    });
  }
  await until(`answers to ${count} requests`, () => answered === count);
}

async function statusesAt(client: RpcClient): Promise<Record<string, string>> {
  const members = await client.members();
  return Object.fromEntries(members.map(({ name, status }) => [name, status]));
}

Deno.test("an agent whose output is not read answers clients and members", async () => {
  using ports = new PortSource();
  const [at, otherAt] = [placeIn(ports), placeIn(ports)];
  await using agent = startAgent("n1", at, [], { isRead: false });
  using client = await connectTo(at.rpc.text);
  await using other = startAgent("n2", otherAt, [`-join=${at.gossip.text}`]);
  await other.says("EventMemberJoin: n1");
  using otherClient = await connectTo(otherAt.rpc.text);
  // Ten times of what the pipe and the queue behind it hold, together.
  await flood(client, 10_000);
  const alive = { n1: "alive", n2: "alive" };
  await until("both see both", async () => {
    const seen = await Promise.all([client, otherClient].map(statusesAt));
    return seen.every(({ n1, n2 }) => n1 === alive.n1 && n2 === alive.n2);
  });
  assert.ok(!other.stdout.includes("n1 as failed"), "a probe was answered");
  // What follows the gap says that there is one.
  agent.readOutput();
  await until(
    "the number of dropped lines",
    () => /agent: \d+ lines of standard output were dropped/.test(agent.stdout),
  );
  await client.leave();
  assert.equal((await agent.ended()).code, 0);
});

Deno.test("an agent whose output is not read leaves and ends when it is told", {
  ignore: isWindows,
}, async () => {
  using ports = new PortSource();
  const at = placeIn(ports);
  await using agent = startAgent("n1", at, [], { isRead: false });
  using client = await connectTo(at.rpc.text);
  await flood(client, 1_000);
  agent.signal("SIGINT");
  assert.equal((await agent.ended()).code, 0);
});

Deno.test("an agent goes on when the reader of its output goes away", async () => {
  using ports = new PortSource();
  const at = placeIn(ports);
  await using agent = startAgent("n1", at, [], { isRead: false });
  using client = await connectTo(at.rpc.text);
  const lines: string[] = [];
  await client.monitor("WARN", (line) => lines.push(line));
  await agent.closeOutput();
  await flood(client, 1_000);
  await until(
    "a line about it",
    () =>
      lines.some((line) =>
        /agent: Dropping lines of standard output: broken pipe/.test(line)
      ),
  );
  assert.deepEqual(await statusesAt(client), { n1: "alive" });
  await client.leave();
  assert.equal((await agent.ended()).code, 0);
});
