/**
 * Streams that say nothing, or trickle: nodes join as before, through an agent
 * with encryption or without, also when they share the address of the strangers.
 *
 * A joining agent waits for 10 s, no longer than the strangers' streams used to
 * last; so a join that succeeds has not waited for them.
 */

import assert from "node:assert/strict";
import {
  type Agent,
  type Cluster,
  type Kind,
  KINDS,
  randomKey,
  testCluster,
} from "../e2e/harness.ts";
import { bytesOfHex } from "../../lib/kit/bytes.ts";
import { OpenConnections } from "./connections.ts";

/** Some more than an agent holds, and many more. */
const FEW = 132;
const MANY = 1_000;
/** The beginning of a push/pull of 131,072 members, and of a sealed frame of 1 MiB. */
const PLAIN = bytesOfHex("0683a54e6f646573ce00020000");
const SEALED = bytesOfHex("0a00100000");

async function joinsThrough(
  cluster: Cluster,
  victim: Agent,
  options: { readonly kind: Kind; readonly name: string },
): Promise<void> {
  const joiner = await cluster.start({
    ...options,
    encrypt: victim.options.encrypt,
  });
  const text = await joiner.succeed("ours", "join", [victim.gossip.text]);
  assert.match(text, /Successfully joined cluster by contacting 1 nodes/);
}

for (const encrypt of [undefined, randomKey(32)]) {
  const sort = encrypt === undefined ? "plain" : "encrypted";
  testCluster(`silent streams, ${sort}: nodes join`, async (cluster, step) => {
    const victim = await cluster.start({
      kind: "ours",
      name: "victim",
      encrypt,
      logLevel: "info",
    });
    let joined = 0;
    const allJoin = async () => {
      for (const kind of KINDS) {
        await joinsThrough(cluster, victim, { kind, name: `n${++joined}` });
      }
    };

    await step(`${FEW} that say nothing`, async () => {
      using strangers = new OpenConnections();
      await strangers.open(victim.gossip, FEW);
      await allJoin();
    });

    await step(`${FEW} from another address`, async () => {
      using strangers = new OpenConnections();
      await strangers.open(victim.gossip, FEW, { from: "127.0.0.66" });
      await allJoin();
    });

    await step(`${MANY} that trickle a message`, async () => {
      using strangers = new OpenConnections();
      const first = encrypt === undefined ? PLAIN : SEALED;
      await strangers.open(victim.gossip, MANY, { first });
      strangers.trickle(0xa4);
      await allJoin();
    });

    await step("more and more of them meanwhile", async () => {
      using strangers = new OpenConnections();
      await strangers.open(victim.gossip, FEW);
      await strangers.keepOpening(victim.gossip, allJoin());
    });

    await step("nobody is called failed, and the log stays short", async () => {
      const members = await victim.members();
      assert.deepEqual(
        [...members.values()].map(({ Status }) => Status),
        Array(joined + 1).fill("alive"),
      );
      const lines = victim.output.match(/Too many streams at once/g) ?? [];
      assert.ok(lines.length > 0 && lines.length < MANY / 2, `${lines.length}`);
    });
  }, { needs: ["serf"] });
}
