/**
 * Two nodes of one name in a mixed cluster: the members vote, whatever kind they
 * are, and the node that loses ends.
 */

import { type Agent, KINDS, randomKey, testCluster } from "./harness.ts";

/** Agents that are asked for the members, and what each should list. */
async function listAlive(agent: Agent): Promise<string> {
  const alive = [...(await agent.members()).values()]
    .filter(({ Status }) => Status === "alive");
  return alive.map(({ Name, Port }) => `${Name}:${Port}`).sort().join();
}

for (const kind of KINDS) {
  for (const other of KINDS) {
    testCluster(
      `${other} with the name of ${kind} loses the vote and ends`,
      async (cluster) => {
        const encrypt = randomKey(32);
        const agents: Agent[] = [];
        const start = async (of: typeof kind, name: string) =>
          agents.push(
            await cluster.start({
              kind: of,
              name,
              encrypt,
              join: agents.slice(0, 1).map(({ gossip }) => gossip.text),
            }),
          );
        for (const name of ["o1", "o2"]) await start("ours", name);
        for (const name of ["h1", "h2"]) await start("hashicorp", name);
        await start(kind, "twin");
        const expected = agents.map(({ name, gossip }) =>
          `${name}:${gossip.port}`
        ).sort().join();
        const allList = async () => {
          for (const agent of agents) {
            await cluster.eventually(
              `${agent.name} lists ${expected}`,
              async () => {
                const listed = await listAlive(agent);
                return listed === expected || listed;
              },
            );
          }
        };
        await allList();
        const second = await cluster.start({
          kind: other,
          name: "twin",
          encrypt,
        });
        // How the join ends is up to chance: the vote may be over before it is.
        await second.command("hashicorp", "join", [
          agents[0]?.gossip.text as string,
        ]);
        await cluster.exitOf(second);
        await allList();
      },
      { needs: ["serf"] },
    );
  }
}
