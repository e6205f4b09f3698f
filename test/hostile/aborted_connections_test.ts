/**
 * Connections that are reset before they are accepted, as some health checks do
 * and anybody can: the agent serves everybody else as if they had not been there.
 */

import assert from "node:assert/strict";
import { type Agent, type Cluster, testCluster } from "../e2e/harness.ts";
import { resetConnections } from "./connections.ts";

/**
 * Fewer than the system keeps for a listener (128 in Deno). With a pause of up to
 * a second after each, as for a shortage, they would take more than a minute.
 */
const RESETS_WHILE_FROZEN = 100;
/** In the shortest time in which they can be made. */
const RESETS_WHILE_RUNNING = 2_000;

async function joinsThrough(
  cluster: Cluster,
  victim: Agent,
  name: string,
): Promise<void> {
  const joiner = await cluster.start({
    kind: "ours",
    name,
    join: [victim.gossip.text],
  });
  const names = [...(await joiner.members()).keys()];
  assert.ok(names.includes("victim"), `${name} knows ${names}`);
}

testCluster(
  "resets before accept: joins and commands go on as before",
  async (cluster, step) => {
    const victim = await cluster.start({ kind: "ours", name: "victim" });

    await step("all at once, while it could not accept any", async () => {
      victim.signal("SIGSTOP");
      try {
        await resetConnections(victim.gossip, RESETS_WHILE_FROZEN);
        await resetConnections(victim.rpc, RESETS_WHILE_FROZEN);
      } finally {
        victim.signal("SIGCONT");
      }
      await joinsThrough(cluster, victim, "first");
      assert.match(await victim.succeed("ours", "members"), /victim/);
    });

    await step("one after the other, while others join", async () => {
      const flood = resetConnections(victim.gossip, RESETS_WHILE_RUNNING);
      await joinsThrough(cluster, victim, "second");
      await flood;
    });

    await step("the log tells of them in a few lines", async () => {
      await cluster.prints(
        victim,
        /\[DEBUG\] memberlist: Stream ended before it was accepted: transport endpoint is not connected/,
      );
      await cluster.prints(
        victim,
        /\[DEBUG\] agent\.ipc: Client left before it was accepted/,
      );
      assert.doesNotMatch(
        victim.output,
        /\[ERR\].*(Error accepting|Failed to accept)/,
      );
      const lines = victim.output.match(/before it was accepted/g) ?? [];
      assert.ok(lines.length < RESETS_WHILE_FROZEN / 2, `${lines.length}`);
    });
  },
);
