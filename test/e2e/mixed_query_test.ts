/**
 * Queries and coordinates in a mixed cluster: 2 agents of each kind, encrypted,
 * asked by either command line through either kind of agent.
 */

import assert from "node:assert/strict";
import { RpcClient } from "../../lib/net/rpc_client.ts";
import { utf8Bytes } from "../../lib/kit/bytes.ts";
import {
  type Agent,
  KINDS,
  randomKey,
  requireHashicorp,
  testCluster,
} from "./harness.ts";

/** HashiCorp's agents answer by a script; ours by a client of the control port. */
const SCRIPT = ["-event-handler=query:load=printf load-of-$SERF_SELF_NAME"];

testCluster(
  "a mixed cluster answers queries and measures itself",
  async (cluster, step) => {
    await requireHashicorp();
    const encrypt = randomKey(32);
    const agents: Agent[] = [];
    const clients: RpcClient[] = [];
    for (const name of ["o1", "h1", "o2", "h2"]) {
      const isOurs = name.startsWith("o");
      agents.push(
        await cluster.start({
          kind: isOurs ? "ours" : "hashicorp",
          name,
          encrypt,
          tags: { side: isOurs ? "ours" : "theirs" },
          join: agents.slice(0, 1).map(({ gossip }) => gossip.text),
          extraArgs: isOurs ? [] : SCRIPT,
        }),
      );
    }
    const [o1, h1] = agents as [Agent, Agent];
    const askers = [o1, h1].flatMap((agent) =>
      KINDS.map((cli) => ({ agent, cli }))
    );
    try {
      await cluster.eventually("all list all", async () => {
        for (const agent of agents) {
          const listed = [...(await agent.members()).values()];
          if (
            listed.filter(({ Status }) => Status === "alive").length < 4
          ) return listed;
        }
        return true;
      }, 20_000);
      for (const agent of agents.filter(({ kind }) => kind === "ours")) {
        clients.push(await answerLoad(agent));
      }

      await step("every member answers, whoever asks", async () => {
        for (const { agent, cli } of askers) {
          const text = await agent.succeed(cli, "query", [
            "-format=json",
            "load",
          ]);
          const { Acks, Responses } = JSON.parse(text);
          assert.deepEqual([...Acks].sort(), ["h1", "h2", "o1", "o2"]);
          assert.deepEqual(Responses, {
            h1: "load-of-h1",
            h2: "load-of-h2",
            o1: "load-of-o1",
            o2: "load-of-o2",
          });
        }
      });

      await step(
        "filters by node and tag choose the same on both sides",
        async () => {
          for (const { agent, cli } of askers) {
            const ask = async (...flags: string[]) =>
              Object.keys(
                JSON.parse(
                  await agent.succeed(cli, "query", [
                    "-format=json",
                    ...flags,
                    "load",
                  ]),
                ).Responses,
              ).sort();
            assert.deepEqual(await ask("-node=o2", "-node=h2"), ["h2", "o2"]);
            assert.deepEqual(await ask("-tag", "side=^th.*s$"), ["h1", "h2"]);
          }
        },
      );

      await step("relayed answers are counted once", async () => {
        for (const { agent, cli } of askers) {
          const text = await agent.succeed(cli, "query", [
            "-relay-factor=2",
            "load",
          ]);
          assert.match(text, /Total Acks: 4\nTotal Responses: 4\n$/);
        }
      });

      await step("all are reachable", async () => {
        for (const { agent, cli } of askers) {
          const text = await agent.succeed(cli, "reachability");
          assert.match(text, /Successfully contacted all live nodes\n$/);
        }
      });

      await step(
        "round trips are estimated between any two, alike",
        async () => {
          for (
            const pair of [["o1", "h1"], ["h1", "o2"], ["o1", "o2"], [
              "h1",
              "h2",
            ]]
          ) {
            for (const { agent, cli } of askers) {
              await cluster.eventually(`rtt ${pair}`, async () => {
                const { code, stdout } = await agent.command(cli, "rtt", pair);
                const ms = /rtt: ([\d.]+) ms\n$/.exec(stdout)?.[1];
                return code === 0 && Number(ms) > 0 && Number(ms) < 1_000 ||
                  stdout;
              }, 20_000);
            }
          }
        },
      );
    } finally {
      for (const client of clients) client.close();
    }
  },
);

/** Answers queries named `load` for an agent of ours. */
async function answerLoad(agent: Agent): Promise<RpcClient> {
  const client = await RpcClient.connect({ address: agent.rpc.text });
  await client.stream("query:load", (record) => {
    const id = record instanceof Map ? record.get("ID") : undefined;
    assert.ok(typeof id === "number" || typeof id === "bigint");
    const answer = utf8Bytes(`load-of-${agent.name}`);
    // A client that goes away in between has nobody to tell.
    client.respond(BigInt(id), answer).catch(() => {});
  });
  return client;
}
