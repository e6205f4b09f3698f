/**
 * A cluster of both kinds of agents goes on after an attack on its clocks.
 *
 * HashiCorp's agents believe every Lamport time and every incarnation, and go on
 * from there; ours do not believe what cannot be right. Goal: they must not come
 * apart. Method: real agents are sent the packets of an attack, by UDP as anybody
 * could; then each asks a question that all must answer, events cross, and tags
 * change.
 */

import assert from "node:assert/strict";
import { encodeMessage } from "../../lib/wire/message_codec.ts";
import type { SerfMessage } from "../../lib/wire/serf_messages.ts";
import { type Agent, type Cluster, testCluster } from "./harness.ts";
import { query } from "../serf/queries.ts";
import { packetOf, sealParts } from "../hostile/traffic.ts";

const END = 2n ** 64n - 1n;
const SCRIPT = ["-event-handler=query:load=printf load-of-$SERF_SELF_NAME"];

testCluster(
  "a mixed cluster goes on after messages from the end of time",
  async (cluster, step) => {
    const agents: Agent[] = [];
    for (const name of ["o1", "h1", "o2", "h2"]) {
      agents.push(
        await cluster.start({
          kind: name.startsWith("o") ? "ours" : "hashicorp",
          name,
          profile: "local",
          join: agents.slice(0, 1).map(({ gossip }) => gossip.text),
          extraArgs: SCRIPT,
        }),
      );
    }
    const goesOn = () => checkAll(cluster, agents);
    await step("before", goesOn);
    await step("times far ahead", async () => {
      await send(agents, [packetOf(messagesAt(2n ** 63n + 1_000_000n))]);
      await goesOn();
    });
    await step("times near the end, and at it", async () => {
      const packets: Uint8Array[] = [];
      for (let left = 600n; left > 0n; left -= 20n) {
        const messages = Array.from(
          { length: 20 },
          (_, i) => query(END - left + BigInt(i), i, { name: "far" }),
        );
        packets.push(packetOf(messages));
      }
      await send(agents, [...packets, packetOf(messagesAt(END))]);
      await goesOn();
    });
    await step("incarnations far ahead", async () => {
      const accusations = agents.map(({ name }, i) =>
        encodeMessage({
          kind: "suspect",
          incarnation: 2 ** 31 + 5_000 * (i + 1),
          node: name,
          from: "x",
        })
      );
      await send(agents, [sealParts(accusations)]);
      await goesOn();
    });
  },
  { needs: ["serf"] },
);

function messagesAt(ltime: bigint): SerfMessage[] {
  const payload = new Uint8Array(0);
  return [
    query(ltime, 1, { name: "far" }),
    { kind: "userEvent", ltime, name: "far", payload, coalesce: false },
    { kind: "join", ltime, node: "somebody" },
  ];
}

/** Sends packets to all agents, from an address that none of them knows. */
async function send(
  agents: readonly Agent[],
  packets: readonly Uint8Array[],
): Promise<void> {
  const socket = Deno.listenDatagram({
    transport: "udp",
    hostname: "127.0.0.1",
    port: 0,
  });
  for (const bytes of packets) {
    for (const { gossip: { host: hostname, port } } of agents) {
      await socket.send(bytes, { transport: "udp", hostname, port });
    }
  }
  socket.close();
}

let rounds = 0;

/** All see all alive, all answer each one's question, and tags and events cross. */
async function checkAll(
  cluster: Cluster,
  agents: readonly Agent[],
): Promise<void> {
  const names = agents.map(({ name }) => name).sort();
  const round = `r${++rounds}`;
  for (const agent of agents) {
    await agent.succeed("ours", "tags", ["-set", `round=${round}`]);
  }
  for (const agent of agents) {
    await cluster.eventually(`${agent.name} sees all`, async () => {
      const members = await agent.members();
      const seen = names.filter((name) => {
        const member = members.get(name);
        return member?.Status === "alive" && member.Tags.round === round;
      });
      return seen.join() === names.join() || [...members.values()];
    });
    await cluster.eventually(`all answer ${agent.name}`, async () => {
      const text = await agent.succeed("ours", "query", [
        "-timeout=3s",
        "-format=json",
        "load",
      ]);
      const { Responses } = JSON.parse(text) as {
        Responses: Record<string, string>;
      };
      return Object.keys(Responses).sort().join() === names.join() || Responses;
    });
  }
  const logs = await Promise.all(
    agents.map((agent) => cluster.watch(agent, "user")),
  );
  for (const agent of agents) {
    const name = `${round}-${agent.name}`;
    await cluster.eventually(`all hear of ${name}`, async () => {
      // Sent again until all have it: one may be lost while clocks meet.
      await agent.succeed("ours", "event", ["-coalesce=false", name]);
      const hear = logs.filter((log) =>
        log.records.some((record) => record.Name === name)
      );
      return hear.length === agents.length || hear.length;
    });
  }
  for (const log of logs) await log[Symbol.asyncDispose]();
  assert.equal(logs.length, agents.length);
}
