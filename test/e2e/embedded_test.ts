/** A node embedded in a program of its own, in a cluster with HashiCorp's agent. */

import assert from "node:assert/strict";
import { RpcClient, SerfNode } from "../../lib/mod.ts";
import { randomKey, testCluster } from "./harness.ts";

testCluster(
  "an embedded node tells HashiCorp's agent of its new tags",
  async (cluster) => {
    const agent = await cluster.start({ kind: "hashicorp", name: "agent" });
    const events = await cluster.watch(agent, "member-update");
    const node = await SerfNode.start({
      name: "embedded",
      bind: cluster.takeAddress().text,
      tags: { role: "first" },
    });
    try {
      const tagsSeen = async () =>
        (await agent.members()).get("embedded")?.Tags;
      assert.equal(await node.join(agent.gossip.text), 1);
      await cluster.eventually("the agent knows the first tags", async () => {
        const tags = await tagsSeen();
        return tags?.role === "first" || tags;
      });
      await node.setTags({ role: "second", "ünï": "☃" });
      await cluster.eventually("the agent knows the new tags", async () => {
        const tags = await tagsSeen();
        return tags?.role === "second" && tags["ünï"] === "☃" || tags;
      });
      await cluster.eventually(
        "the agent reports the update",
        () =>
          events.records.some((record) =>
            record.Members?.[0]?.Name === "embedded"
          ),
      );
      const eventLog = await cluster.watch(agent, "user:hello");
      node.userEvent("hello", "from inside");
      await cluster.eventually(
        "the agent has its event",
        () => eventLog.records.length === 1,
      );
      await node.leave();
      await cluster.eventually("the agent sees it leave", async () => {
        const member = (await agent.members()).get("embedded");
        return member?.Status === "left" || member;
      });
    } finally {
      await node.shutdown();
    }
  },
  { needs: ["serf"] },
);

testCluster(
  "an embedded node and HashiCorp's agent ask and answer each other, encrypted",
  async (cluster, step) => {
    const encryptKey = randomKey(32);
    const agent = await cluster.start({
      kind: "hashicorp",
      name: "agent",
      encrypt: encryptKey,
    });
    using client = await RpcClient.connect({ address: agent.rpc.text });
    await using node = await SerfNode.start({
      name: "embedded",
      bind: cluster.takeAddress().text,
      profile: "local",
      encryptKey,
    });
    assert.equal(await node.join(agent.gossip.text), 1);

    await step("the agent's command line is answered by the node", async () => {
      node.respondTo("load", (query) => `${query.text} for ${query.from}`);
      // On a busy machine an answer may come too late; then it is asked again.
      await cluster.eventually("the node answers", async () => {
        const text = await agent.succeed("hashicorp", "query", [
          "-timeout=2s",
          "load",
          "now",
        ]);
        assert.match(text, /Response from 'embedded': now for agent\n/);
        assert.match(text, /Total Acks: 2\nTotal Responses: 1\n$/);
        return true;
      });
    });

    await step("the node is answered through the agent's port", async () => {
      const events = await client.events("query:sum");
      const asked = node.query("sum", {
        payload: "1+2",
        acks: true,
        timeoutMs: 5_000,
      }).collect();
      for await (const event of events) {
        assert.ok(event.type === "query");
        await event.respond(`${event.text}=3`);
        break;
      }
      const { acks, responses } = await asked;
      assert.deepEqual([...acks].sort(), ["agent", "embedded"]);
      assert.deepEqual(
        responses.map(({ from, text }) => `${from}: ${text}`),
        ["agent: 1+2=3"],
      );
    });

    await step("a query through the port reaches both", async () => {
      await cluster.eventually("both hear of it", async () => {
        const { acks, responses } = await client.queryAll({
          name: "load",
          payload: "again",
          requestAck: true,
          timeoutMs: 1_000,
        });
        const texts = responses.map(({ text }) => text);
        assert.deepEqual([...acks].sort(), ["agent", "embedded"]);
        assert.deepEqual(texts, ["again for agent"]);
        return true;
      });
    });

    await step("events cross in both directions", async () => {
      const ours = node.events({ types: ["user"] });
      await client.event({ name: "greet", payload: "from the agent" });
      const [greeting] = await take(ours, 1);
      assert.ok(greeting?.type === "user");
      assert.equal(greeting.text, "from the agent");

      const theirs = await client.events("user:hello,member-leave");
      node.userEvent("hello", "from inside");
      const leave = node.leave();
      const [hello, gone] = await take(theirs, 2);
      assert.ok(hello?.type === "user");
      assert.equal(hello.text, "from inside");
      assert.ok(gone?.type === "member-leave");
      assert.deepEqual(
        gone.members.map(({ name, status }) => `${name} ${status}`),
        ["embedded left"],
      );
      await leave;
    });
  },
  { needs: ["serf"] },
);

/** The first few items. */
async function take<T>(items: AsyncIterable<T>, count: number): Promise<T[]> {
  const taken: T[] = [];
  for await (const item of items) {
    taken.push(item);
    if (taken.length === count) break;
  }
  return taken;
}
