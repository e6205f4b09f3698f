/**
 * One agent of each kind, with nobody in between: what one gossips the other
 * must understand, and where keys differ both must refuse in the same words.
 */

import assert from "node:assert/strict";
import {
  type Agent,
  type Cluster,
  KINDS,
  randomKey,
  testCluster,
} from "./harness.ts";

for (
  const { title, encrypt, theirFlags } of [
    {
      title: "compressed and encrypted",
      encrypt: randomKey(32),
      theirFlags: [],
    },
    {
      title: "in the clear",
      encrypt: undefined,
      theirFlags: ["-disable-compression"],
    },
  ]
) {
  testCluster(
    `two agents gossip with each other, ${title}`,
    async (cluster) => {
      // On the LAN profile a leave takes 2.6 s of the 3 s that a signal allows.
      const common = { encrypt, profile: "local" } as const;
      const ours = await cluster.start({
        ...common,
        kind: "ours",
        name: "ours",
      });
      const theirs = await cluster.start({
        ...common,
        kind: "hashicorp",
        name: "theirs",
        join: [ours.gossip.text],
        extraArgs: theirFlags,
      });
      await bothList(cluster, [ours, theirs], ["alive", "alive"]);
      await exchangeEvents(cluster, ours, theirs);
      // A leave is gossiped too, and the intent before it.
      ours.signal("SIGINT");
      assert.equal((await cluster.exitOf(ours)).code, 0);
      await bothList(cluster, [theirs], ["alive", "left"]);
    },
    { needs: ["serf"] },
  );
}

async function bothList(
  cluster: Cluster,
  agents: Agent[],
  statuses: string[],
): Promise<void> {
  for (const agent of agents) {
    await cluster.eventually(`${agent.name} lists ${statuses}`, async () => {
      const listed = [...(await agent.members()).values()].map((member) =>
        member.Status
      ).sort();
      return listed.join() === statuses.join() || listed;
    });
  }
}

/** Sends events both ways, large ones among them, and wants each exactly once. */
async function exchangeEvents(
  cluster: Cluster,
  ...agents: [Agent, Agent]
): Promise<void> {
  const logs = await Promise.all(
    agents.map((agent) => cluster.watch(agent, "user")),
  );
  const names: string[] = [];
  for (const [i, payload] of ["", "v1", "y".repeat(460)].entries()) {
    for (const agent of agents) {
      const name = `from-${agent.kind}-${i}`;
      await agent.succeed("hashicorp", "event", [
        "-coalesce=false",
        name,
        payload,
      ]);
      names.push(name);
    }
  }
  for (const log of logs) {
    await cluster.eventually(
      `${log.agent.name} receives ${names}`,
      () =>
        log.records.map((r) => r.Name).sort().join() === names.sort().join() ||
        log.records,
    );
  }
}

testCluster("a newcomer gets old events if it wants them", async (cluster) => {
  await Promise.all(KINDS.map(async (kind) => {
    const other = kind === "ours" ? "hashicorp" : "ours";
    const elder = await cluster.start({ kind: other, name: `elder-${other}` });
    const names = ["first", "second", "third"];
    for (const name of names) {
      await elder.succeed(other, "event", ["-coalesce=false", name, "old"]);
    }
    for (const wants of [false, true]) {
      const newcomer = await cluster.start({ kind, name: `${kind}-${wants}` });
      const log = await cluster.watch(newcomer, "user");
      await newcomer.succeed(kind, "join", [
        `-replay=${wants}`,
        elder.gossip.text,
      ]);
      await elder.succeed(other, "event", ["-coalesce=false", `new-${wants}`]);
      const wanted = wants
        ? [...names, "new-false", "new-true"]
        : ["new-false"];
      await cluster.eventually(`${newcomer.name} has ${wanted}`, () => {
        const received = log.records.map((record) => record.Name);
        return received.sort().join() === wanted.sort().join() || received;
      });
    }
  }));
}, { needs: ["serf"] });

testCluster("an agent that was frozen refutes its failure", async (cluster) => {
  await Promise.all(KINDS.map(async (kind) => {
    const other = kind === "ours" ? "hashicorp" : "ours";
    const witness = await cluster.start({
      kind: other,
      name: "witness",
      profile: "local",
    });
    const frozen = await cluster.start({
      kind,
      name: "frozen",
      profile: "local",
      join: [witness.gossip.text],
    });
    const isSeenAs = (status: string) =>
      cluster.eventually(
        `${other} witness sees ${kind} frozen as ${status}`,
        async () => {
          const seen = (await witness.members()).get("frozen")?.Status;
          return seen === status || seen;
        },
      );
    await isSeenAs("alive");
    frozen.signal("SIGSTOP");
    await isSeenAs("failed");
    frozen.signal("SIGCONT");
    await isSeenAs("alive");
  }));
}, { needs: ["serf"] });

testCluster(
  "agents whose keys differ refuse each other in the same words",
  async (cluster) => {
    const keys = { plain: undefined, one: randomKey(32), other: randomKey(16) };
    const agents = new Map<string, Agent>();
    await Promise.all(
      Object.entries(keys).flatMap(([keyName, encrypt]) =>
        KINDS.map(async (kind) => {
          const name = `${kind}-${keyName}`;
          agents.set(name, await cluster.start({ kind, name, encrypt }));
        })
      ),
    );
    for (
      const [from, to] of [["plain", "one"], ["one", "plain"], ["one", "other"]]
    ) {
      const texts = await Promise.all(
        KINDS.flatMap((joining) =>
          KINDS.map(async (asked) => {
            const target = agents.get(`${asked}-${to}`) as Agent;
            const { code, stdout } =
              await (agents.get(`${joining}-${from}`) as Agent)
                .command(joining, "join", [target.gossip.text]);
            // Serf 0.9.4 begins some reasons with a capital, later versions none.
            const text = stdout.toLowerCase().replaceAll(
              target.gossip.text,
              "TARGET",
            )
              .replaceAll(/127\.0\.0\.1:\d+/g, "SOURCE");
            return {
              title: `${joining} (${from}) joins ${asked} (${to})`,
              code,
              text,
            };
          })
        ),
      );
      const original = texts.at(-1);
      assert.ok(original);
      assert.equal(original.code, 1, original.text);
      assert.match(
        original.text,
        /^error joining the cluster: 1 error occurred:\n\t\* /,
      );
      for (const { title, code, text } of texts) {
        assert.deepEqual([code, text], [original.code, original.text], title);
      }
    }
    for (const agent of agents.values()) {
      assert.deepEqual([...(await agent.members()).keys()], [agent.name]);
    }
  },
  { needs: ["serf"] },
);
