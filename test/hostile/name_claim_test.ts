/**
 * A node must not be ended by somebody who claims its name. One packet is enough for
 * such a claim, and without encryption anybody can send it, and answer the vote that
 * follows. What decides is whom most of the members name.
 *
 * First whole engines in virtual time, then an agent as a process: a supervisor
 * must see by its exit code that it did not end of its own will.
 */

import assert from "node:assert/strict";
import { splitHostPort } from "../../lib/kit/address.ts";
import { decodeMessage, encodeMessage } from "../../lib/wire/message_codec.ts";
import type { Message } from "../../lib/wire/messages.ts";
import { PacketCodec } from "../../lib/wire/packet.ts";
import {
  decodeSerfMessage,
  encodeConflictResponse,
  encodeSerfMessage,
  type QueryMessage,
} from "../../lib/wire/serf_messages.ts";
import type { Output } from "../../lib/serf/event.ts";
import { type Agent, testCluster } from "../e2e/harness.ts";
import { Cluster, joined, type Node } from "../serf/cluster.ts";
import { nodeOf } from "../serf/parts.ts";
import { codecConfig } from "../wire/vectors.ts";

/** Where the attacker is. */
const STRANGER = "10.0.9.9:7946";
const codec = new PacketCodec(codecConfig());

/** Says that the name belongs to the attacker. */
function claimOf(name: string): Message {
  const node = { ...nodeOf(name), addr: Uint8Array.of(10, 0, 9, 9) };
  return { kind: "alive", incarnation: 9, node };
}

function feed(cluster: Cluster, node: Node, message: Message): void {
  cluster.call(
    node,
    (engine, nowMs) =>
      engine.handlePacket(STRANGER, encodeMessage(message), nowMs),
  );
}

/** Feeds a node, and returns the question that it puts to the cluster. */
function questionAfter(
  cluster: Cluster,
  node: Node,
  message: Message,
): QueryMessage {
  const outputs: Output[] = [];
  const { engine } = node;
  engine.handlePacket(STRANGER, encodeMessage(message), cluster.nowMs);
  for (let i = 0; i < 20; i++) {
    outputs.push(...engine.drain());
    engine.handleTimeout(cluster.nowMs + 20 * i);
  }
  outputs.push(...engine.drain());
  for (const output of outputs) {
    if (output.kind !== "packet") continue;
    for (const part of codec.open(output.bytes).parts) {
      const inner = decodeMessage(part);
      if (inner.kind !== "user") continue;
      const question = decodeSerfMessage(inner.body);
      if (question.kind === "query") return question;
    }
  }
  assert.fail("It asks nobody");
}

/** An answer that names the attacker. */
function forgedAnswer(question: QueryMessage, from: string): Message {
  const { ltime, id } = question;
  const { addr, port } = { ...nodeOf(from), addr: Uint8Array.of(10, 0, 9, 9) };
  const record = {
    ...{ name: from, addr, port, tags: new Map(), status: 1 },
    ...{ protocolMin: 1, protocolMax: 5, protocolCur: 2 },
    ...{ delegateMin: 2, delegateMax: 5, delegateCur: 5 },
  };
  const payload = encodeConflictResponse(record);
  const body = encodeSerfMessage({
    kind: "queryResponse",
    ...{ ltime, id, from, flags: 0, payload },
  });
  return { kind: "user", body };
}

Deno.test("name claim: one packet does not end a node that is alone", () => {
  const cluster = new Cluster();
  const node = cluster.start("a");
  for (let i = 0; i < 100; i++) {
    feed(cluster, node, claimOf("a"));
    cluster.run(1_000);
  }
  assert.equal(node.hasStopped, false);
  assert.deepEqual(node.statuses(), ["a: alive"]);
  const votes = node.log.filter((line) => line.includes("no verdict"));
  assert.ok(votes.length >= 1 && votes.length <= 4, "and no vote for each");
});

Deno.test("name claim: nor does it end members of a cluster that is cut off", () => {
  const { cluster, nodes } = joined(["a", "b", "c", "d", "e"]);
  const [a] = nodes as [Node];
  a.partition = 1;
  feed(cluster, a, claimOf("a"));
  cluster.run(10_000);
  assert.equal(a.hasStopped, false);
  assert.ok(a.log.some((line) => line.includes("no verdict")));
});

Deno.test("name claim: in a cluster it costs the others one answer each", () => {
  const { cluster, nodes } = joined(["a", "b", "c"]);
  const [a] = nodes as [Node];
  for (let i = 0; i < 60; i++) {
    feed(cluster, a, claimOf("a"));
    cluster.run(500);
  }
  assert.equal(nodes.some(({ hasStopped }) => hasStopped), false);
  assert.deepEqual(a.statuses(), ["a: alive", "b: alive", "c: alive"]);
  const ends = a.log.filter((line) => line.includes("majority"));
  assert.deepEqual(ends, [
    "[INFO] serf: majority in name conflict resolution [2 / 2]",
  ]);
});

Deno.test("name claim: answers of strangers do not count, nor a second one of a member", () => {
  const { cluster, nodes } = joined(["a", "b", "c", "d"]);
  const [a] = nodes as [Node];
  const question = questionAfter(cluster, a, claimOf("a"));
  for (let i = 0; i < 50; i++) {
    feed(cluster, a, forgedAnswer(question, `stranger-${i}`));
  }
  // In the name of one member, again and again, and of the node itself.
  for (let i = 0; i < 50; i++) {
    feed(cluster, a, forgedAnswer(question, "b"));
    feed(cluster, a, forgedAnswer(question, "a"));
  }
  cluster.run(10_000);
  assert.equal(a.hasStopped, false);
  assert.deepEqual(a.log.filter((line) => line.includes("majority")), [
    "[INFO] serf: majority in name conflict resolution [2 / 3]",
  ], "the forged answer of b came first");
});

Deno.test("name claim: a real duplicate still has to go", () => {
  const { cluster, nodes } = joined(["a", "b", "c", "d"]);
  const [a, b] = nodes as [Node, Node];
  const duplicate = cluster.start("b");
  cluster.finish(duplicate, cluster.join(duplicate, a));
  cluster.runUntil(() => duplicate.hasStopped, 10_000, "the duplicate goes");
  cluster.run(10_000);
  assert.equal(b.hasStopped, false);
});

/** Sends one packet to an agent. */
async function sendTo(agent: Agent, message: Message): Promise<void> {
  const { host: hostname, port } = splitHostPort(agent.gossip.text);
  const socket = Deno.listenDatagram({
    transport: "udp",
    hostname: "127.0.0.1",
    port: 0,
  });
  const to: Deno.NetAddr = { transport: "udp", hostname, port };
  await socket.send(encodeMessage(message), to);
  socket.close();
}

testCluster(
  "name claim: an agent that is alone goes on, and leaves in peace later",
  async (cluster) => {
    const agent = await cluster.start({ kind: "ours", name: "alone" });
    await cluster.eventually("the agent votes", async () => {
      await sendTo(agent, claimOf("alone"));
      return agent.output.includes(
        "[WARN] serf: no verdict in name conflict resolution, going on [0 / 0]",
      );
    });
    assert.equal(agent.process.exit, undefined);
    assert.deepEqual([...(await agent.members()).keys()], ["alone"]);
    await agent.closeRpc();
    await agent.succeed("ours", "leave");
    assert.deepEqual(await cluster.exitOf(agent), { code: 0, signal: null });
  },
);

testCluster(
  "name claim: an agent that loses its name exits with 1",
  async (cluster) => {
    const first = await cluster.start({ kind: "ours", name: "first" });
    await cluster.start({
      ...{ kind: "ours", name: "twin" },
      join: [first.gossip.text],
    });
    const second = await cluster.start({ kind: "ours", name: "twin" });
    // How the join ends is up to chance: the vote may be over before it is.
    await second.command("ours", "join", [first.gossip.text]);
    assert.deepEqual(await cluster.exitOf(second), { code: 1, signal: null });
    assert.ok(second.output.includes("minority in name conflict resolution"));
    assert.ok(second.output.includes("Serf shutdown detected, quitting"));
  },
);
