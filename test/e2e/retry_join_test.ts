/** Joining with retries, and seeds that come later. */

import assert from "node:assert/strict";
import { type Agent, type Kind, KINDS, testCluster } from "./harness.ts";

/** Plays the situation with both kinds; returns what came of it, if it is the same. */
async function withBoth<T>(play: (kind: Kind) => Promise<T>): Promise<T> {
  const [ours, theirs] = await Promise.all(KINDS.map(play)) as [T, T];
  assert.deepEqual(ours, theirs);
  return theirs;
}

/** The log, without times, and without lines whose place is a matter of chance. */
function logOf(agent: Agent, seed: string): string {
  return agent.output.slice(agent.output.indexOf("as it occurs:\n\n"))
    .replaceAll(/^ {4}\d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d /gm, "    ")
    .replaceAll(
      /^ {4}\[(INFO|DEBUG)\] (agent: Received|agent\.ipc|serf:|memberlist:).*\n/gm,
      "",
    )
    .replaceAll(seed, "SEED").replaceAll(agent.gossip.text, "SELF");
}

testCluster("-retry-max ends the agent with 1", async (cluster) => {
  const seed = cluster.takeAddress().text;
  const end = await withBoth(async (kind) => {
    const agent = cluster.launch({
      kind,
      name: "n1",
      extraArgs: [`-retry-join=${seed}`, "-retry-interval=1s", "-retry-max=1"],
    });
    const { code } = await cluster.exitOf(agent);
    return { code, log: logOf(agent, seed) };
  });
  assert.equal(end.code, 1);
  const failure = "1 error occurred:\n\t* Failed to join 127.0.0.1: " +
    "dial tcp SEED: connect: connection refused\n\n";
  const attempt = "    [INFO] agent: Joining cluster...(replay: false)\n" +
    "    [INFO] agent: joining: [SEED] replay: false\n" +
    `    [WARN] agent: error joining: ${failure}`;
  assert.equal(
    end.log,
    "as it occurs:\n\n    [INFO] agent: Serf agent starting\n" +
      `${attempt}    [WARN] agent: Join failed: ${failure}, retrying in 1s\n` +
      `${attempt}    [ERR] agent: maximum retry join attempts made, exiting\n` +
      "    [INFO] agent: requesting serf shutdown\n" +
      "    [WARN] serf: Shutdown without a Leave\n" +
      "    [INFO] agent: shutdown complete\n",
  );
}, { needs: ["serf"] });

testCluster("-retry-join finds a seed that starts later", async (cluster) => {
  const lines = await withBoth(async (kind) => {
    const gossip = cluster.takeAddress();
    const rpc = cluster.takeAddress();
    const file = cluster.writeFile(
      `retry-${kind}.json`,
      JSON.stringify({ retry_join: [gossip.text], retry_interval: "1s" }),
    );
    const agent = await cluster.start({
      kind,
      name: "n1",
      extraArgs: [`-config-file=${file}`],
    });
    await cluster.eventually(
      `${kind} has tried in vain`,
      () => agent.output.includes("retrying in 1s"),
    );
    await cluster.start({ kind: "hashicorp", name: "seed" }, { gossip, rpc });
    await cluster.eventually(
      `${kind} has joined`,
      async () => (await agent.members()).get("seed")?.Status === "alive",
    );
    await cluster.eventually(
      `${kind} says so`,
      () => agent.output.includes("Join completed"),
    );
    const log = logOf(agent, gossip.text);
    return log.slice(log.lastIndexOf("    [INFO] agent: Joining"));
  });
  assert.equal(
    lines,
    "    [INFO] agent: Joining cluster...(replay: false)\n" +
      "    [INFO] agent: joining: [SEED] replay: false\n" +
      "    [INFO] agent: joined: 1 nodes\n" +
      "    [INFO] agent: Join completed. Synced with 1 initial agents\n",
  );
}, { needs: ["serf"] });

testCluster(
  "a node that is its own seed still finds the other seeds",
  async (cluster) => {
    const own = cluster.takeAddress();
    const other = cluster.takeAddress();
    const rpc = () => cluster.takeAddress();
    // It reaches itself and is content, as far as the first join goes.
    const agent = await cluster.start({
      kind: "ours",
      name: "n1",
      extraArgs: [
        `-retry-join=${own.text}`,
        `-retry-join=${other.text}`,
        "-retry-interval=1s",
      ],
    }, { gossip: own, rpc: rpc() });
    await cluster.eventually(
      "the first join is over",
      () => agent.output.includes("Join completed. Synced with 1"),
    );
    // The original never looks again; it is found, rather than finds.
    await cluster.start({ kind: "hashicorp", name: "n2" }, {
      gossip: other,
      rpc: rpc(),
    });
    await cluster.eventually(
      "both are one cluster",
      async () => (await agent.members()).get("n2")?.Status === "alive",
    );
    await cluster.prints(agent, `agent: Reached 1 seeds of [${other.text}]`);
  },
  { needs: ["serf"] },
);
