/**
 * Snapshots of whole agents: killed, left and started again, ours and HashiCorp's,
 * each also with the file that the other one wrote.
 */

import assert from "node:assert/strict";
import {
  type Agent,
  type Cluster,
  type Kind,
  KINDS,
  randomKey,
  runCli,
  testCluster,
  testProgram,
} from "./harness.ts";

const RECEIVED = "[INFO] agent: Received event: ";
const ATTEMPT = "Attempting re-join to previously known node";
const REJOINED = "[INFO] serf: Re-joined to previously known node: ";

/** Waits until an agent sees these members, and nobody else, as alive. */
function sees(
  cluster: Cluster,
  agent: Agent,
  alive: readonly string[],
): Promise<void> {
  return cluster.eventually(
    `${agent.name} (${agent.kind}) sees ${alive.join()} alive`,
    async () => {
      const members = [...(await agent.members()).values()];
      const names = members.filter(({ Status }) => Status === "alive")
        .map(({ Name }) => Name).sort();
      return names.join() === alive.join() ? true : names;
    },
  );
}

/** Sends an event that every agent named delivers. */
async function spread(
  cluster: Cluster,
  from: Agent,
  name: string,
  to: readonly Agent[],
): Promise<void> {
  await from.succeed(from.kind, "event", ["-coalesce=false", name]);
  for (const agent of to) {
    await cluster.eventually(
      `${agent.name} (${agent.kind}) delivers ${name}`,
      () => agent.output.includes(`${RECEIVED}user-event: ${name}`),
    );
  }
}

testCluster(
  "agents find back with snapshots, three and three, encrypted",
  async (cluster, step) => {
    const encrypt = randomKey(32);
    const paths: Record<string, string> = {};
    const start = (kind: Kind, name: string, join: readonly Agent[] = []) => {
      const path = paths[name] = cluster.writeFile(`${name}.snapshot`, "");
      const addresses = join.map(({ gossip }) => gossip.text);
      return cluster.start({
        ...{ kind, name, encrypt, join: addresses },
        extraArgs: [`-snapshot=${path}`],
      });
    };
    const textOf = (agent: Agent) =>
      Deno.readTextFileSync(paths[agent.name] ?? "");
    const alone = (agent: Agent, flags: readonly string[] = []) => ({
      join: [],
      extraArgs: [`-snapshot=${paths[agent.name]}`, ...flags],
    });

    const first = await start("hashicorp", "a");
    const second = await start("ours", "b", [first]);
    let ours = await start("ours", "c", [first]);
    let theirs = await start("hashicorp", "d", [first]);
    const staying = [
      ...[first, second],
      await start("hashicorp", "e", [second]),
      await start("ours", "f", [second]),
    ];
    const everybody = ["a", "b", "c", "d", "e", "f"];

    await step("all six record each other", async () => {
      for (const agent of [...staying, ours, theirs]) {
        await sees(cluster, agent, everybody);
      }
      await spread(cluster, second, "old", [...staying, ours, theirs]);
      await cluster.eventually("c has recorded it", async () => {
        const text = textOf(ours);
        const isRecorded = everybody.every((name) =>
          text.includes(`alive: ${name} `)
        ) &&
          text.includes("event-clock: 1\n") &&
          /^query-clock: [1-9]/m.test(text);
        if (isRecorded) return true;
        // Gossip may keep a question from c, and nothing brings it later.
        await second.succeed("ours", "query", ["-timeout=500ms", "old"]);
        return text;
      });
      assert.match(ours.output, /^ +Snapshot: true$/m);
    });

    await step(
      "ours, killed, rejoins by itself and hears no event twice",
      async () => {
        await ours.process.kill();
        const text = textOf(ours);
        await spread(cluster, first, "missed", staying);
        ours = await cluster.restart(ours, alone(ours));
        await sees(cluster, ours, everybody);
        for (const agent of staying) await sees(cluster, agent, everybody);
        await cluster.eventually(
          "c hears what it missed",
          () => ours.output.includes(`${RECEIVED}user-event: missed`),
        );
        // What a join brings is told before the join itself.
        await cluster.prints(ours, REJOINED);
        await spread(cluster, first, "news", [ours]);
        assert.ok(!ours.output.includes("user-event: old"));
        assert.ok(!ours.output.includes("query: old"));
        assert.ok(textOf(ours).startsWith(text), "it went on with the file");
      },
    );

    await step("ours, after a graceful leave, stays alone", async () => {
      ours.signal("SIGINT");
      const { code } = await cluster.exitOf(ours);
      assert.equal(code, 0);
      assert.match(textOf(ours), /\nleave\nclock: \d+\n$/);
      // Who still takes it for alive would talk to it when it is back.
      for (const agent of [...staying, theirs]) {
        await cluster.eventually(
          `${agent.name} (${agent.kind}) sees that c has left`,
          async () => (await agent.members()).get("c")?.Status === "left",
        );
      }
      ours = await cluster.restart(ours, alone(ours));
      assert.equal((await ours.members()).size, 1);
      assert.ok(!ours.output.includes(ATTEMPT));
    });

    await step("ours, after `serf leave`, rejoins when told to", async () => {
      await ours.succeed("ours", "leave");
      assert.equal((await cluster.exitOf(ours)).code, 0);
      assert.match(textOf(ours), /\nleave\nclock: \d+\n$/);
      // A seed that is gone for good changes nothing.
      const seed = ["-retry-join=127.0.0.1:1", "-retry-interval=1s"];
      ours = await cluster.restart(ours, alone(ours, ["-rejoin", ...seed]));
      await sees(cluster, ours, everybody);
      for (const agent of staying) await sees(cluster, agent, everybody);
      await cluster.prints(
        ours,
        "[INFO] serf: Ignoring previous leave in snapshot",
      );
      await cluster.eventually(
        "c is at the seed, too",
        () => ours.output.includes("[WARN] agent: Join failed: "),
      );
    });

    await step(
      "ours finds back with a file that HashiCorp's wrote",
      async () => {
        // It keeps a line in memory until the next one comes.
        await spread(cluster, first, "flush", [theirs, ours]);
        await cluster.eventually(
          "d has recorded a peer and the event",
          async () => {
            await first.succeed("hashicorp", "event", [
              "-coalesce=false",
              "more",
            ]);
            const text = textOf(theirs);
            const times = [...text.matchAll(/^event-clock: (\d+)$/gm)];
            // Old, missed, news, flush: the fourth event of this cluster.
            const isRecorded = Number(times.at(-1)?.[1] ?? 0) >= 4;
            return text.includes("alive: a ") && isRecorded ? true : text;
          },
        );
        const text = textOf(theirs);
        theirs = await cluster.restart(theirs, {
          ...alone(theirs),
          kind: "ours",
        });
        await sees(cluster, theirs, everybody);
        for (const agent of staying) await sees(cluster, agent, everybody);
        await cluster.prints(theirs, REJOINED);
        assert.ok(!theirs.output.includes("user-event: flush"));
        const whole = text.slice(0, text.lastIndexOf("\n") + 1);
        if (whole === text) assert.ok(textOf(theirs).startsWith(text));
      },
    );

    await step(
      "HashiCorp's finds back with a file that ours wrote",
      async () => {
        const seen = await cluster.watch(ours, "user:seen");
        await spread(cluster, second, "seen", [ours]);
        await cluster.eventually("c has recorded it", () => {
          const [{ LTime } = {}] = seen.records;
          return textOf(ours).includes(`\nevent-clock: ${LTime}\n`);
        });
        // Theirs reads only what was written since the last leave, unless told.
        ours = await cluster.restart(ours, {
          ...alone(ours, ["-rejoin"]),
          kind: "hashicorp",
        });
        await sees(cluster, ours, everybody);
        for (const agent of staying) await sees(cluster, agent, everybody);
        await cluster.prints(ours, REJOINED);
        assert.ok(!ours.output.includes("user-event: seen"));
        assert.ok(!ours.output.includes("Unrecognized snapshot line"));
      },
    );
  },
  { needs: ["serf"] },
);

testCluster(
  "after an outage an agent finds who comes back later and knows nobody",
  async (cluster) => {
    const hasSnapshot = (name: string) => [
      `-snapshot=${cluster.writeFile(`${name}.snapshot`, "")}`,
      `-config-file=${
        cluster.writeFile(`${name}.json`, '{"reconnect_interval": "500ms"}')
      }`,
    ];
    const start = (name: string, join: readonly Agent[]) =>
      cluster.start({
        ...{ kind: "ours" as const, name, profile: "local" as const },
        ...{ join: join.map(({ gossip }) => gossip.text) },
        extraArgs: hasSnapshot(name),
      });
    const a = await start("a", []);
    const b = await start("b", [a]);
    const c = await start("c", [a]);
    for (const agent of [a, b, c]) await sees(cluster, agent, ["a", "b", "c"]);
    // One after the other, so that some hold others for failed.
    await b.process.kill();
    await cluster.prints(a, "[INFO] serf: EventMemberFailed: b");
    await c.process.kill();
    const alone = await cluster.restart(a, { join: [] });
    await cluster.prints(
      alone,
      "[WARN] serf: Failed to re-join any previously known node",
    );
    await cluster.prints(alone, "Will keep trying to re-join 2 previously");
    // Their disks are new, and nobody tells them whom to join.
    await cluster.restart(b, { join: [], extraArgs: [] });
    await sees(cluster, alone, ["a", "b"]);
    await cluster.restart(c, { join: [], extraArgs: [] });
    await sees(cluster, alone, ["a", "b", "c"]);
  },
  { needs: ["serf"] },
);

testCluster(
  "an agent goes on with a file that a crash has damaged",
  async (cluster) => {
    const peer = await cluster.start({ kind: "ours", name: "peer" });
    const path = cluster.writeFile(
      "damaged.snapshot",
      `alive: peer ${peer.gossip.text}\nclock: 7\n\0\0\0event-clock: 3\nalive: x`,
    );
    const agent = await cluster.start({
      ...{ kind: "ours", name: "n", extraArgs: [`-snapshot=${path}`] },
    });
    await sees(cluster, agent, ["n", "peer"]);
    await cluster.prints(
      agent,
      "[WARN] serf: Snapshot is damaged: cut 11 bytes",
    );
    const mended = `alive: peer ${peer.gossip.text}\nclock: 7\n` +
      "event-clock: 3\nquery-clock: 0\n";
    await cluster.eventually("the file is mended", () => {
      const text = Deno.readTextFileSync(path);
      return text.startsWith(`${mended}alive: n `) ? true : text;
    });
  },
);

testProgram(
  "a snapshot that cannot be opened ends the agent in the words of Serf",
  async () => {
    for (const path of ["/nonexistent/x", Deno.cwd(), `${Deno.execPath()}/x`]) {
      const args = ["agent", "-bind=127.0.0.1:1", `-snapshot=${path}`];
      const [ours, theirs] = await Promise.all(
        KINDS.map((kind) => runCli(kind, args)),
      );
      assert.deepEqual(ours, theirs);
      assert.equal(ours?.code, 1);
    }
  },
  { needs: ["serf"] },
);
