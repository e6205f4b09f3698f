/**
 * Queries and coordinates in a mixed cluster: 3 agents of each kind, encrypted,
 * asked by either command line through either kind of agent.
 *
 * Queries travel by gossip alone, and gossip may miss a node, more often among
 * HashiCorp's agents, which send each message a limited number of times at fixed
 * ticks: in this cluster one query in some fifty misses somebody. So a question
 * whose answers fall short is asked again, for a while.
 */

import assert from "node:assert/strict";
import { RpcClient } from "../../lib/net/rpc_client.ts";
import { utf8Bytes } from "../../lib/kit/bytes.ts";
import { type Agent, KINDS, randomKey, testCluster } from "./harness.ts";

/** All answer by a script but two of ours, where a client of the control port does. */
const SCRIPT = ["-event-handler=query:load=printf load-of-$SERF_SELF_NAME"];

const BY_CLIENT = ["o1", "o2"];

testCluster(
  "a mixed cluster answers queries and measures itself",
  async (cluster, step) => {
    const encrypt = randomKey(32);
    const agents: Agent[] = [];
    const clients: RpcClient[] = [];
    for (const name of ["o1", "h1", "o2", "h2", "o3", "h3"]) {
      const isOurs = name.startsWith("o");
      agents.push(
        await cluster.start({
          kind: isOurs ? "ours" : "hashicorp",
          name,
          encrypt,
          profile: "local",
          tags: { side: isOurs ? "ours" : "theirs" },
          join: agents.slice(0, 1).map(({ gossip }) => gossip.text),
          extraArgs: BY_CLIENT.includes(name) ? [] : SCRIPT,
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
            listed.filter(({ Status }) => Status === "alive").length < 6
          ) return listed;
        }
        return true;
      });
      for (
        const agent of agents.filter(({ name }) => BY_CLIENT.includes(name))
      ) {
        clients.push(await answerLoad(agent));
      }

      /** Asks through each agent with each command line, until all is as it should. */
      const askAll = async (flags: readonly string[], expected: string[]) => {
        for (const { agent, cli } of askers) {
          await cluster.eventually(`${expected} answer ${flags}`, async () => {
            const text = await agent.succeed(cli, "query", [
              "-format=json",
              ...flags,
              "load",
            ]);
            const { Acks, Responses } = JSON.parse(text);
            const answers = Object.entries(Responses).sort();
            assert.deepEqual(
              answers.map(([name, load]) => load === `load-of-${name}`),
              answers.map(() => true),
            );
            const heard = [[...Acks].sort(), answers.map(([name]) => name)];
            return heard.every((names) => names.join() === expected.join()) ||
              heard;
          });
        }
      };
      const all = ["h1", "h2", "h3", "o1", "o2", "o3"];

      await step("every member answers, whoever asks", () => askAll([], all));
      await step("filters choose the same on both sides", async () => {
        await askAll(["-node=o3", "-node=h2"], ["h2", "o3"]);
        await askAll(["-tag", "side=^th.*s$"], ["h1", "h2", "h3"]);
      });
      await step(
        "relayed answers are counted once",
        () => askAll(["-relay-factor=2"], all),
      );

      await step("all are reachable", async () => {
        for (const { agent, cli } of askers) {
          await cluster.eventually("all are reachable", async () => {
            const { stdout } = await agent.command(cli, "reachability");
            return /Successfully contacted all live nodes\n$/.test(stdout) ||
              stdout;
          });
        }
      });

      await step(
        "round trips are estimated between any two, alike",
        async () => {
          for (
            const pair of [["o1", "h1"], ["h1", "o2"], ["o1", "o3"], [
              "h1",
              "h3",
            ]]
          ) {
            for (const { agent, cli } of askers) {
              await cluster.eventually(`rtt ${pair}`, async () => {
                const { code, stdout } = await agent.command(cli, "rtt", pair);
                const ms = /rtt: ([\d.]+) ms\n$/.exec(stdout)?.[1];
                return code === 0 && Number(ms) > 0 && Number(ms) < 1_000 ||
                  stdout;
              });
            }
          }
        },
      );
    } finally {
      for (const client of clients) client.close();
    }
  },
  { needs: ["serf"] },
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
