/**
 * Faults of the machine below an agent: a full disk, no free descriptors, a clock
 * that is set. Three agents on loopback; what one of ours suffers, the others,
 * one of them HashiCorp's, must not even notice.
 *
 * After a full disk the agent looks for new room every 30 s only. Everything else
 * happens while the test waits for that.
 */

import assert from "node:assert/strict";
import {
  type Agent,
  type Cluster,
  type Step,
  testCluster,
} from "../e2e/harness.ts";
import { FakeClock, FAKETIME } from "./fake_clock.ts";
import { noteSkipped } from "../programs.ts";
import { SmallDisk } from "./small_disk.ts";

/** Until the snapshot is whole again, once there is room: 30 s, and time to spare. */
const RECOVERY_DEADLINE_MS = 120_000;
/** Descriptors that the agent may open beyond those it has. */
const FREE_DESCRIPTORS = 3;
const CONNECTIONS = 40;

/** Each of these lists all of these as alive. */
async function allSeeAll(
  cluster: Cluster,
  agents: readonly Agent[],
): Promise<void> {
  for (const agent of agents) {
    await cluster.eventually(`${agent.name} sees all alive`, async () => {
      const members = await agent.members();
      const alive = [...members.values()].filter(({ Status }) =>
        Status === "alive"
      );
      return alive.length === agents.length || members;
    });
  }
}

/** No member was called failed, nor suspected, by anybody. */
function nobodyNoticed(cluster: Cluster, agents: readonly Agent[]): void {
  for (const agent of agents) {
    assert.deepEqual(cluster.accusationsOf(agent), [], agent.name);
  }
}

/** Sets the limit of open descriptors of a running process. */
function limitDescriptors(pid: number, count: number): void {
  const { success } = new Deno.Command("prlimit", {
    args: ["--pid", `${pid}`, `--nofile=${count}:`],
  }).outputSync();
  assert.ok(success, `prlimit --pid ${pid} --nofile=${count}:`);
}

/** The limit under which a process can open so many more descriptors. */
function limitWithFree(pid: number, free: number): number {
  const open = new Set(
    [...Deno.readDirSync(`/proc/${pid}/fd`)].map(({ name }) => Number(name)),
  );
  let limit = 0;
  for (let left = free; left > 0 || open.has(limit); limit++) {
    if (!open.has(limit)) left--;
  }
  return limit;
}

const CAN_MOUNT = SmallDisk.isPossible();

testCluster(
  "faults of the machine: a full disk, no free descriptors, a clock that is set",
  async (cluster, step) => {
    using disk = CAN_MOUNT ? SmallDisk.make() : undefined;
    const snapshot = disk === undefined
      ? cluster.writeFile("snapshot", "")
      : `${disk.path}/snapshot`;
    // A page of the disk but for a few lines, since its end can still be filled.
    Deno.writeTextFileSync(snapshot, "clock: 1\n".repeat(420));
    const suffering = await cluster.start({
      kind: "ours",
      name: "suffering",
      extraArgs: [`-snapshot=${snapshot}`],
    });
    const join = [suffering.gossip.text];
    const ours = await cluster.start({ kind: "ours", name: "ours", join });
    const theirs = await cluster.start({
      kind: "hashicorp",
      name: "theirs",
      join,
    });
    const all = [suffering, ours, theirs];
    const watch = await cluster.watch(suffering, "user");
    const send = async (name: string) => {
      await theirs.succeed("hashicorp", "event", ["-coalesce=false", name]);
    };
    const receives = (name: string) =>
      cluster.eventually(
        `suffering receives ${name}`,
        () => watch.userEvents(name).length === 1 || watch.userEvents(),
      );
    await allSeeAll(cluster, all);

    await step(named(CAN_MOUNT, "the disk is full: it goes on"), async () => {
      if (disk === undefined) return;
      disk.fill();
      let sent = 0;
      await cluster.eventually("a line could not be written", async () => {
        await send(`while-full-${sent++}`);
        return /Failed to update snapshot: .*no space left on device/.test(
          suffering.output,
        );
      });
      await receives("while-full-0");
      await allSeeAll(cluster, all);
      disk.free();
    });

    await step("no descriptor is free: it goes on gossiping", async () => {
      const { pid } = suffering.process;
      limitDescriptors(pid, limitWithFree(pid, FREE_DESCRIPTORS));
      const connections: Deno.TcpConn[] = [];
      try {
        for (let i = 0; i < CONNECTIONS; i++) {
          const { host: hostname, port } = suffering.gossip;
          connections.push(await Deno.connect({ hostname, port }));
        }
        await cluster.eventually(
          "it says so, once a second",
          () =>
            (suffering.output.match(
              /Error accepting TCP connection: .*too many open files/g,
            )?.length ?? 0) >= 3,
        );
        await send("while-exhausted");
        await receives("while-exhausted");
      } finally {
        for (const connection of connections) connection.close();
        if (suffering.process.exit === undefined) limitDescriptors(pid, 1_024);
      }
    });

    await step("with descriptors it accepts again", async () => {
      const text = await theirs.succeed("hashicorp", "join", join);
      assert.match(text, /Successfully joined/);
      await allSeeAll(cluster, all);
    });

    if (FAKETIME !== undefined) await setClocks(cluster, step, FAKETIME);
    else {
      noteSkipped("faketime");
      await step("(no libfaketime: no clock is set)", () => {});
    }

    await step(
      named(CAN_MOUNT, "with room on the disk the snapshot is whole again"),
      async () => {
        if (disk === undefined) return;
        await cluster.eventually(
          "the snapshot was written anew",
          () =>
            suffering.output.includes(
              "Finished compaction, successfully recovered from error state",
            ),
          RECOVERY_DEADLINE_MS,
        );
        const text = Deno.readTextFileSync(snapshot);
        assert.match(text, /^alive: theirs /m);
        assert.match(text, /^alive: ours /m);
        nobodyNoticed(cluster, all);
        const again = await cluster.restart(suffering);
        await allSeeAll(cluster, [again, ours, theirs]);
      },
    );
  },
  { ignore: Deno.build.os !== "linux", needs: ["serf", "prlimit"] },
);

/** The name of a step that does nothing where nothing may be mounted. */
function named(isPossible: boolean, name: string): string {
  return isPossible ? name : `${name} (ignored: may not mount a small disk)`;
}

const DAY_S = 24 * 3_600;

/** Another cluster, of which one agent has its clock set, years forth and back. */
async function setClocks(
  cluster: Cluster,
  step: Step,
  library: string,
): Promise<void> {
  using clock = new FakeClock(library);
  const moved = await cluster.start({
    kind: "ours",
    name: "moved",
    env: clock.env,
    extraArgs: [
      `-config-file=${
        cluster.writeFile("moved.json", '{ "reconnect_interval": "1s" }')
      }`,
    ],
  });
  const join = [moved.gossip.text];
  const theirs = await cluster.start({
    kind: "hashicorp",
    name: "theirs",
    join,
  });
  const gone = await cluster.start({ kind: "ours", name: "gone", join });
  await allSeeAll(cluster, [moved, theirs, gone]);
  await gone.process.kill();
  await cluster.eventually(
    "gone has failed",
    async () => (await moved.members()).get("gone")?.Status === "failed",
  );
  for (
    const [what, seconds] of [["forth", 1_000], ["back", -1_000]] as const
  ) {
    await step(
      `its clock is set 1,000 days ${what}: nobody notices`,
      async () => {
        const { length } = moved.output;
        clock.set(seconds * DAY_S);
        const year = new Date(Date.now() + seconds * DAY_S * 1_000)
          .getFullYear();
        // Timers go on, and the one that failed is not reaped.
        const attempt = new RegExp(
          `^ *${year}/.*attempting reconnect to gone `,
          "gm",
        );
        await cluster.eventually(
          "it tries the failed member again, twice",
          () => (moved.output.slice(length).match(attempt)?.length ?? 0) >= 2,
        );
        await theirs.succeed("hashicorp", "event", [`set-${what}`]);
        await cluster.eventually(
          "it receives an event",
          () =>
            moved.output.slice(length).includes(
              `messageUserEventType: set-${what}`,
            ),
        );
        const members = await moved.members();
        assert.equal(members.get("gone")?.Status, "failed", "not forgotten");
        assert.equal(members.get("theirs")?.Status, "alive");
        for (const [agent, name] of [[theirs, "moved"], [moved, "theirs"]]) {
          const lines = cluster.accusationsOf(agent as Agent);
          const accusations = lines.filter((line) =>
            line.includes(` ${name as string} `)
          );
          assert.deepEqual(accusations, [], (agent as Agent).name);
        }
      },
    );
  }
}
