/**
 * Events from before a join: who joins with `-replay` gets them, from peers of
 * either kind, and who joins without gets none.
 */

import assert from "node:assert/strict";
import { type Agent, KINDS, testCluster } from "./harness.ts";

const OLD_EVENTS = ["old-ours", "old-hashicorp"];

interface Joiner {
  readonly agent: Agent;
  /** Whether it asked for old events. */
  readonly replay: boolean;
}

/** User events that an agent delivered, in order. */
function received(agent: Agent): string[] {
  const lines = agent.output.matchAll(/Received event: user-event: (\S+)\n/g);
  return [...lines].map(([, name]) => name as string);
}

testCluster(
  "a late joiner gets old events if it wants them",
  async (cluster, step) => {
    const peers: Agent[] = [];
    for (const kind of KINDS) {
      peers.push(
        await cluster.start({
          kind,
          name: `peer-${kind}`,
          join: peers.map(({ gossip }) => gossip.text),
        }),
      );
    }
    for (const [i, kind] of KINDS.entries()) {
      await peers[i]?.succeed(kind, "event", [
        "-coalesce=false",
        `old-${kind}`,
      ]);
    }
    for (const peer of peers) {
      await cluster.eventually(
        `${peer.name} has both events`,
        () => received(peer).length === 2,
      );
    }
    /** Checks what joiners heard of before an event sent after their joins. */
    const check = async (name: string, joiners: readonly Joiner[]) => {
      await peers[0]?.succeed("hashicorp", "event", ["-coalesce=false", name]);
      for (const { agent, replay } of joiners) {
        await cluster.eventually(
          `${agent.name} hears of ${name}`,
          () => received(agent).includes(name),
        );
        const old = received(agent).filter((each) => each.startsWith("old"));
        const expected = replay ? OLD_EVENTS.toSorted() : [];
        assert.deepEqual(old.sort(), expected, agent.name);
      }
    };
    const combinations = peers.flatMap((peer) =>
      KINDS.flatMap((kind) =>
        [true, false].map((replay) => ({ peer, kind, replay }))
      )
    );

    await step("joining at start", async () => {
      const joiners: Joiner[] = [];
      for (const { peer, kind, replay } of combinations) {
        const agent = await cluster.start({
          kind,
          name: `start-${kind}-${peer.name}-${replay}`,
          join: [peer.gossip.text],
          extraArgs: replay ? ["-replay"] : [],
        });
        const announced = `\n==> Joining cluster...(replay: ${replay})\n`;
        assert.ok(agent.output.includes(announced));
        await cluster.prints(agent, `] replay: ${replay}\n`);
        joiners.push({ agent, replay });
      }
      await check("fresh-1", joiners);
    });

    await step(
      "joining by command, which -replay does not change",
      async () => {
        const joiners: Joiner[] = [];
        for (const { peer, kind, replay } of combinations) {
          const agent = await cluster.start({
            kind,
            name: `command-${kind}-${peer.name}-${replay}`,
            extraArgs: replay ? [] : ["-replay"],
          });
          const flags = replay ? ["-replay"] : [];
          // The command line of the peer's kind, so that each is used with each.
          await agent.succeed(peer.kind, "join", [...flags, peer.gossip.text]);
          joiners.push({ agent, replay });
        }
        await check("fresh-2", joiners);
      },
    );
  },
  { needs: ["serf"] },
);
