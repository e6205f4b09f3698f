/**
 * An agent at every interface, however that is written, is reached by IPv4 and by
 * IPv6, as HashiCorp's is: its gossip port and its control port.
 */

import assert from "node:assert/strict";
import { hearsBothFamilies } from "../../lib/net/both_families.ts";
import { KINDS, runCli, testCluster } from "./harness.ts";

const EVERYWHERE = ["", "0.0.0.0", "[::]"];

if (hearsBothFamilies()) {
  testCluster(
    "every interface means both families",
    async (cluster, step) => {
      const joiner = await cluster.start({ kind: "hashicorp", name: "joiner" });
      for (const kind of KINDS) {
        for (const host of EVERYWHERE) {
          await step(`${kind} at ${host}:PORT`, async () => {
            const gossip = cluster.takeAddress();
            const rpc = cluster.takeAddress();
            const agent = await cluster.start({
              kind,
              name: `${kind}${EVERYWHERE.indexOf(host)}`,
              extraArgs: [
                `-bind=${host}:${gossip.port}`,
                `-rpc-addr=${host}:${rpc.port}`,
                `-advertise=127.0.0.1:${gossip.port}`,
              ],
            }, { gossip, rpc });
            for (const loopback of ["127.0.0.1", "[::1]"]) {
              const { stdout, stderr } = await runCli("ours", [
                "members",
                `-rpc-addr=${loopback}:${rpc.port}`,
              ]);
              assert.equal(stderr, "");
              assert.match(stdout, new RegExp(`^${agent.name} `, "m"));
              const text = await joiner.succeed("hashicorp", "join", [
                `${loopback}:${gossip.port}`,
              ]);
              assert.match(text, /contacting 1 nodes/);
            }
          });
        }
      }
    },
    { needs: ["serf"] },
  );
}
