/** A node embedded in a program of its own, in a cluster with HashiCorp's agent. */

import assert from "node:assert/strict";
import { utf8Bytes } from "../../lib/kit/bytes.ts";
import { NodeDriver } from "../../lib/net/driver.ts";
import { requireHashicorp, testCluster } from "./harness.ts";

const GOSSIP_DEADLINE_MS = 10_000;

testCluster(
  "an embedded node tells HashiCorp's agent of its new tags",
  async (cluster) => {
    await requireHashicorp();
    const agent = await cluster.start({ kind: "hashicorp", name: "agent" });
    const events = await cluster.watch(agent, "member-update");
    const { host, port } = cluster.takeAddress();
    const node = NodeDriver.start({
      bind: { host, port },
      config: {
        swim: { name: "embedded" },
        tags: new Map([["role", "first"]]),
      },
      onEvent: () => {},
      onLog: () => {},
    });
    try {
      const tagsSeen = async () =>
        (await agent.members()).get("embedded")?.Tags;
      assert.equal(await node.join([agent.gossip.text], { replay: false }), 1);
      await cluster.eventually("the agent knows the first tags", async () => {
        const tags = await tagsSeen();
        return tags?.role === "first" || tags;
      }, GOSSIP_DEADLINE_MS);
      await node.setTags(new Map([["role", "second"], ["ünï", "☃"]]));
      await cluster.eventually("the agent knows the new tags", async () => {
        const tags = await tagsSeen();
        return tags?.role === "second" && tags["ünï"] === "☃" || tags;
      }, GOSSIP_DEADLINE_MS);
      await cluster.eventually(
        "the agent reports the update",
        () =>
          events.records.some((record) =>
            record.Members?.[0]?.Name === "embedded"
          ),
        GOSSIP_DEADLINE_MS,
      );
      const eventLog = await cluster.watch(agent, "user:hello");
      node.userEvent("hello", utf8Bytes("from inside"), { coalesce: false });
      await cluster.eventually(
        "the agent has its event",
        () => eventLog.records.length === 1,
      );
      await node.leave();
      await cluster.eventually("the agent sees it leave", async () => {
        const member = (await agent.members()).get("embedded");
        return member?.Status === "left" || member;
      }, GOSSIP_DEADLINE_MS);
    } finally {
      node.shutdown();
    }
  },
);
