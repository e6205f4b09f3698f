/**
 * Faults of the process: stopped for a while, and killed again and again.
 *
 * Where the kernel has time namespaces, the monotonic clock of one agent is years
 * ahead of all others', also after a restart: nothing of one agent's clock may ever
 * matter to another one.
 */

import assert from "node:assert/strict";
import { FIVE, type Host, IS_LONG, type Lan, testLan } from "./lan.ts";

/** Until a member that was away for a moment is alive for all, itself included. */
const BACK_DEADLINE_MS = 75_000;
const FAILED_DEADLINE_MS = 90_000;
const EVENT_DEADLINE_MS = 75_000;
const ROUNDS = IS_LONG ? 25 : 5;

const YEARS_S = 3 * 365 * 24 * 3_600;
const AHEAD = [
  ...["unshare", "--time", `--monotonic=${YEARS_S}`],
  `--boottime=${YEARS_S}`,
];
const HAS_TIME_NAMESPACES = canRun([...AHEAD, "true"]);
const PLACES = FIVE.map((place) =>
  place.name === "a3" && HAS_TIME_NAMESPACES
    ? { ...place, through: AHEAD }
    : place
);

function canRun([program = "", ...args]: readonly string[]): boolean {
  try {
    return new Deno.Command(program, { args, stderr: "null" }).outputSync()
      .success;
  } catch {
    return false;
  }
}

/** How long a fault lasts that is made of time. */
function lasting(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Stops an agent for so long, as a machine does that is short of everything. */
async function pause(host: Host, ms: number): Promise<void> {
  await host.closeRpc();
  host.signal("SIGSTOP");
  await lasting(ms);
  host.signal("SIGCONT");
}

testLan("faults of processes: five agents", PLACES, async (lan, step) => {
  const [a1, a2, a3, b1] = lan.hosts as [Host, Host, Host, Host];

  if (HAS_TIME_NAMESPACES) {
    const offsets = Deno.readTextFileSync(`/proc/${a3.pid}/timens_offsets`);
    assert.match(offsets, new RegExp(`^monotonic +${YEARS_S} `, "m"));
  }

  await step("two stopped for 5 s: back, and everybody agrees", async () => {
    const sleepers = [a2, b1];
    const failures = await lan.watch(a1, "member-failed");
    await Promise.all(sleepers.map((host) => pause(host, 5_000)));
    // A suspect is still listed as alive; only its answer makes an end of that.
    await lan.until(
      "both have refuted",
      () => sleepers.every(({ output }) => output.includes("Refuting a ")),
      BACK_DEADLINE_MS,
    );
    await lan.allSeeAll(BACK_DEADLINE_MS);
    // Those that slept accuse nobody who was awake.
    const awake = lan.hosts.filter((host) => !sleepers.includes(host));
    const accused = failures.flatMap(({ Members = [] }) =>
      Members.map(({ Name }) => Name)
    );
    for (const { name } of awake) assert.ok(!accused.includes(name), name);
  });

  await step(
    "killed and restarted, two of five, again and again",
    async () => {
      const events = await lan.watch(a1, "user");
      for (let round = 0; round < ROUNDS; round++) {
        const victims = round % 2 === 0 ? [a2, b1] : [a3, lan.host("b2")];
        await lan.event(a1, `round-${round}`);
        await lan.until(
          "a1 delivers the event",
          () => events.length > round,
          EVENT_DEADLINE_MS,
        );
        const ltime = events.at(-1)?.LTime ?? Infinity;
        // What has got to the disk is what an agent will not deliver again.
        await lan.until(
          "the victims of ours keep the event in their snapshots",
          () =>
            victims.every((victim) =>
              victim.kind !== "ours" || eventClockOf(lan, victim) >= ltime
            ),
          EVENT_DEADLINE_MS,
        );
        await Promise.all(victims.map((victim) => victim.kill()));
        for (const victim of victims) lan.launch(victim);
        await lan.allSeeAll(BACK_DEADLINE_MS);
        for (const victim of victims) {
          if (victim.kind !== "ours") continue;
          await lan.until(
            `${victim.name} has tried to join again`,
            () =>
              victim.output.includes("Attempting re-join to previously known"),
            BACK_DEADLINE_MS,
          );
        }
      }
      assert.deepEqual(
        events.map(({ Name }) => Name),
        Array.from({ length: ROUNDS }, (_, i) => `round-${i}`),
      );
    },
  );

  await step("what happens next reaches all of ours, once", async () => {
    await lan.event(b1, "after-the-storm");
    for (const host of lan.ours()) {
      await lan.until(
        `${host.name} receives it`,
        () => deliveries(host).get("after-the-storm") === 1,
        EVENT_DEADLINE_MS,
      );
      // Nothing was delivered twice, whichever life it was in.
      for (const [name, count] of deliveries(host)) {
        assert.equal(count, 1, `${name} at ${host.name}`);
      }
    }
  });
});

/** The newest event that the snapshot of an agent tells of; 0 for none. */
function eventClockOf(lan: Lan, host: Host): number {
  const lines = lan.snapshotOf(host).matchAll(/^event-clock: (\d+)$/gm);
  return Math.max(0, ...[...lines].map(([, ltime]) => Number(ltime)));
}

/** How often an agent has delivered each event, in all its lives. */
function deliveries({ output }: Host): Map<string, number> {
  const counts = new Map<string, number>();
  for (
    const [, name = ""] of output.matchAll(
      /Received event: user-event: (.*)$/gm,
    )
  ) {
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return counts;
}

testLan(
  "stopped for 60 s: failed for all, then back",
  FIVE,
  async (lan: Lan) => {
    for (const host of [lan.host("a2"), lan.host("b1")]) {
      const others = lan.hosts.filter((other) => other !== host);
      const startMs = performance.now();
      await host.closeRpc();
      host.signal("SIGSTOP");
      await lan.allSee(others, host, "failed", FAILED_DEADLINE_MS);
      await lasting(60_000 - (performance.now() - startMs));
      host.signal("SIGCONT");
      await lan.allSeeAll(BACK_DEADLINE_MS);
    }
  },
  { ignored: IS_LONG ? undefined : "takes minutes; see `deno task faults`" },
);
