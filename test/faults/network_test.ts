/**
 * Faults of the network between real agents, three of ours and two of
 * HashiCorp's: what users are promised while they last, and how long recovery
 * takes when they are over. Each lasts until it has hit so many packets.
 *
 * Two halves that cannot see each other are `test/e2e/partition_test.ts`.
 */

import assert from "node:assert/strict";
import type { EventRecord } from "../e2e/rpc_probe.ts";
import { FIVE, type Host, type Lan, testLan } from "./lan.ts";

/** How long gossip, or the exchange of states behind it, may take to bring an event. */
const EVENT_DEADLINE_MS = 120_000;
/** A fault has hit what it should by then. */
const FAULT_DEADLINE_MS = 120_000;
/**
 * Five members call a dead one failed within 4 s of suspicion by several, 24 s
 * by one alone; finding it takes a round of probes.
 */
const FAILED_DEADLINE_MS = 90_000;
/**
 * A healed link is found again: a reconnect every two seconds, and gossip; or what
 * gossip missed, with an exchange of states.
 */
const HEAL_DEADLINE_MS = 75_000;

/** Who was called failed by whom, and came back or did not. */
interface Failures {
  readonly by: Host;
  readonly records: readonly EventRecord[];
}

async function watchFailures(lan: Lan): Promise<Failures[]> {
  return await Promise.all(lan.hosts.map(async (by) => ({
    by,
    records: await lan.watch(by, "member-failed"),
  })));
}

/** The members that somebody has called failed. */
function failedOf(failures: readonly Failures[]): string[] {
  return failures.flatMap(({ by, records }) =>
    records.flatMap(({ Members = [] }) =>
      Members.map(({ Name }) => `${Name} by ${by.name}`)
    )
  );
}

testLan("faults of the network: five agents", FIVE, async (lan, step) => {
  const failures = await watchFailures(lan);
  const userEvents = await Promise.all(
    lan.ours().map((host) => lan.watch(host, "user")),
  );
  /** Ours all have the event, once. */
  const allReceive = async (name: string) => {
    for (const [i, records] of userEvents.entries()) {
      const count = () => records.filter(({ Name }) => Name === name).length;
      const who = lan.ours()[i]?.name;
      await lan.until(
        `${who} receives ${name}`,
        () => count() > 0,
        EVENT_DEADLINE_MS,
      );
      assert.equal(count(), 1, `${who} receives ${name} once`);
    }
  };
  const sendAndReceive = async (names: readonly string[]) => {
    for (const [i, name] of names.entries()) {
      await lan.event(lan.hosts[i % lan.hosts.length] as Host, name);
    }
    for (const name of names) await allReceive(name);
  };
  /** The cluster is whole, and was all the time. */
  const nobodyFailed = async () => {
    await lan.allSeeAll(HEAL_DEADLINE_MS);
    assert.deepEqual(failedOf(failures), []);
  };
  const [a1, a2, a3, b1] = lan.hosts as [Host, Host, Host, Host];

  await step("a quarter of all packets lost: events arrive", async () => {
    using loss = lan.faults("loss 25%");
    await sendAndReceive(["lossy-1", "lossy-2"]);
    await lan.until(
      "60 packets were lost",
      () => loss.hits() >= 60,
      FAULT_DEADLINE_MS,
    );
  });

  await step("after the loss all are alive for all", async () => {
    await lan.allSeeAll(HEAL_DEADLINE_MS);
    // With losses somebody may be called failed, though not for long.
    for (const { records } of failures) {
      (records as EventRecord[]).length = 0;
    }
  });

  await step("every second packet twice: events arrive once", async () => {
    using duplicates = lan.faults("duplicate 50%");
    await sendAndReceive(["twice-1", "twice-2"]);
    await lan.until(
      "40 packets came twice",
      () => duplicates.hits() >= 40,
      FAULT_DEADLINE_MS,
    );
    await nobodyFailed();
  });

  await step(
    "a quarter of all packets corrupt, under encryption: refused, counted",
    async () => {
      const before = await members(lan);
      using corrupt = lan.faults("corrupt 25%");
      const refused = () =>
        lan.ours().map(({ output }) =>
          output.match(/no installed keys could decrypt/g)
            ?.length ?? 0
        );
      const startedWith = refused();
      await sendAndReceive(["bent"]);
      await lan.until(
        "30 packets were corrupt, and each of ours has refused some",
        () =>
          corrupt.hits() >= 30 &&
          refused().every((count, i) => count > (startedWith[i] ?? 0)),
        FAULT_DEADLINE_MS,
      );
      await nobodyFailed();
      assert.deepEqual(await members(lan), before);
    },
  );

  await step("one agent hears no UDP: TCP keeps it alive", async () => {
    const { length } = a1.output;
    using blocked = lan.fault(a3, "block udp");
    const warning = "Was able to connect to a3 over TCP but UDP probes failed";
    await lan.until(
      "a1 and a2 say so",
      () =>
        a1.output.slice(length).includes(warning) &&
        a2.output.includes(warning),
      FAULT_DEADLINE_MS,
    );
    assert.ok(blocked.hits() >= 2);
    await nobodyFailed();
  });

  await step(
    "no TCP at all: gossip goes on, joins say what is wrong",
    async () => {
      using refused = lan.faults("refuse tcp");
      await lan.event(b1, "without-tcp");
      await allReceive("without-tcp");
      for (const host of [a1, b1]) {
        const { code, text } = await lan.command(host, host.kind, [
          "join",
          a2.ip,
        ]);
        assert.equal(code, 1);
        assert.match(
          text,
          new RegExp(
            `dial tcp ${
              a2.ip.replaceAll(".", "\\.")
            }:7946: connect: connection refused`,
          ),
          host.name,
        );
      }
      assert.ok(refused.hits() >= 2);
      await nobodyFailed();
    },
  );

  await step("one link deaf in one direction: others relay", async () => {
    using toTheirs = lan.fault(a1, `block all to ${b1.ip}`);
    using toOurs = lan.fault(a2, `block all from ${a3.ip}`);
    await lan.until(
      "both have lost packets",
      () => toTheirs.hits() >= 8 && toOurs.hits() >= 8,
      FAULT_DEADLINE_MS,
    );
    await nobodyFailed();
  });

  await step("links that take 1,280 bytes: full packets arrive", async () => {
    for (const host of lan.hosts) lan.ipIn(host, "link set eth0 mtu 1280");
    const names: string[] = [];
    const fragments = async () => {
      const file = await lan.kernelFile(a1, "/proc/net/snmp");
      const [head, row] = [...file.matchAll(/^Ip: (.*)$/gm)]
        .map(([, text]) => text?.split(" ") ?? []);
      return Number(row?.[head?.indexOf("FragCreates") ?? -1]);
    };
    await lan.until(
      "packets were longer than the links take",
      async () => {
        // All at once, and nothing that could be compressed: packets get full,
        // if all come between two ticks of gossip.
        const batch = Array.from(
          { length: 12 },
          (_, i) => `small-${names.length + i}`,
        );
        names.push(...batch);
        await Promise.all(batch.map(async (name) => {
          const bytes = crypto.getRandomValues(new Uint8Array(300));
          const payload = bytes.toBase64();
          const args = ["event", "-coalesce=false", name, payload];
          const { code, text } = await lan.command(a1, "hashicorp", args);
          assert.equal(code, 0, text);
        }));
        await Promise.all(batch.map(allReceive));
        return await fragments() > 0;
      },
      FAULT_DEADLINE_MS,
    );
    for (const name of names) await allReceive(name);
    for (const host of lan.hosts) lan.ipIn(host, "link set eth0 mtu 1500");
    await nobodyFailed();
  });

  await step(
    "cut off entirely, an agent fails for all others",
    async () => {
      using cut = lan.fault(a3, "block all");
      const others = lan.hosts.filter((host) => host !== a3);
      await lan.allSee(others, a3, "failed", FAILED_DEADLINE_MS);
      assert.ok(cut.hits() >= 2);
    },
  );

  await step("connected again, all are alive for all", async () => {
    await lan.allSeeAll(HEAL_DEADLINE_MS);
    await sendAndReceive(["healed"]);
  });
});

/** Every agent's view, for comparison. */
async function members(lan: Lan): Promise<Map<string, string>[]> {
  return await Promise.all(lan.hosts.map((host) => host.statuses()));
}

testLan(
  "links of 200 ms with jitter: all stay alive, events arrive",
  FIVE,
  async (lan) => {
    const failures = await watchFailures(lan);
    const events = await Promise.all(
      lan.ours().map((host) => lan.watch(host, "user")),
    );
    // There and back is less than the 500 ms that a probe waits on a LAN.
    using _slow = lan.faults("delay 100ms 40ms");
    await lan.event(lan.hosts[0] as Host, "slow");
    await lan.until(
      "all of ours receive it",
      () => events.every((records) => records.length === 1),
      EVENT_DEADLINE_MS,
    );
    await lan.allSeeAll(HEAL_DEADLINE_MS);
    assert.deepEqual(failedOf(failures), []);
  },
  // Nothing else delays packets.
  { needsNetem: true },
);
