/** Looking after seeds, in virtual time. */

import assert from "node:assert/strict";
import { keepSeeds, SeedSchedule } from "../../lib/agent/seeds.ts";
import { Random } from "../../lib/kit/random.ts";
import { member } from "../rpc/fake_target.ts";

const INTERVAL_MS = 30_000;
const MINUTE_MS = 60_000;
const PORT = 7946;

/** An agent in virtual time, with the seeds at which somebody answers. */
class SeededCluster {
  nowMs = 0;
  /** When and where it joined. */
  readonly joins: [number, string[]][] = [];
  readonly lines: string[] = [];
  readonly alive: Set<string>;
  readonly reachable: Set<string>;
  readonly #abort = new AbortController();

  constructor(given: { alive?: string[]; reachable?: string[] } = {}) {
    this.alive = new Set(given.alive);
    this.reachable = new Set(given.reachable);
  }

  members() {
    return [...this.alive].map((ip) =>
      member(ip, { ip, port: PORT, status: "alive" })
    ).concat(member("gone", { ip: "10.0.0.99", port: PORT, status: "failed" }));
  }

  joinSeeds(addresses: readonly string[]): Promise<number> {
    this.joins.push([this.nowMs, [...addresses]]);
    const answering = addresses.filter((address) =>
      this.reachable.has(address.replace(/:\d+$/, ""))
    );
    for (const address of answering) {
      this.alive.add(address.replace(/:\d+$/, ""));
    }
    return answering.length > 0
      ? Promise.resolve(answering.length)
      : Promise.reject(new Error("1 error occurred:\n\t* nobody\n\n"));
  }

  log(level: string, text: string): void {
    this.lines.push(`[${level}] ${text}`);
  }

  /** Runs for so long. */
  async run(
    seeds: readonly string[],
    forMs: number,
    beforeWait: () => void = () => {},
  ): Promise<void> {
    await keepSeeds(this, {
      schedule: new SeedSchedule(seeds, INTERVAL_MS, new Random(1), 0),
      defaultPort: PORT,
      now: () => this.nowMs,
      signal: this.#abort.signal,
      pause: (ms) => {
        beforeWait();
        this.nowMs += Math.max(0, ms);
        return Promise.resolve(this.nowMs < forMs);
      },
    });
  }
}

Deno.test("keepSeeds() leaves seeds alone that are alive members", async () => {
  const cluster = new SeededCluster({ alive: ["10.0.0.1", "::1"] });
  await cluster.run(
    ["10.0.0.1", "10.0.0.1:7946", "[::1]:7946"],
    60 * MINUTE_MS,
  );
  assert.deepEqual(cluster.joins, []);
  assert.deepEqual(cluster.lines, []);
  assert.ok(cluster.nowMs >= 60 * MINUTE_MS, "it went on looking");
});

Deno.test("keepSeeds() joins seeds that are not, ever more rarely", async () => {
  const cluster = new SeededCluster();
  await cluster.run(["10.0.0.1"], 120 * MINUTE_MS);
  const instants = cluster.joins.map(([atMs]) => atMs);
  const pauses = instants.map((atMs, i) => atMs - (instants[i - 1] ?? 0));
  for (const [i, pauseMs] of pauses.entries()) {
    const expectedMs = Math.min(INTERVAL_MS * 2 ** i, 10 * MINUTE_MS);
    assert.ok(pauseMs >= expectedMs * 0.75, `${i}: ${pauseMs}`);
    assert.ok(pauseMs <= expectedMs * 1.25, `${i}: ${pauseMs}`);
  }
  assert.ok(instants.length >= 12);
  assert.equal(
    cluster.lines[0],
    "[DEBUG] agent: Seeds are not alive members, joining: [10.0.0.1:7946]",
  );
  assert.match(cluster.lines[1] ?? "", /^\[DEBUG\] .*cannot be reached: 1 err/);
});

Deno.test("keepSeeds() joins the addresses at which nobody is, and no others", async () => {
  const cluster = new SeededCluster({
    alive: ["10.0.0.1"],
    reachable: ["10.0.0.2"],
  });
  await cluster.run(
    ["10.0.0.1", "b/10.0.0.2", "10.0.0.99", "10.0.0.1:5"],
    INTERVAL_MS * 1.5,
  );
  const joined = cluster.joins.flatMap(([, addresses]) => addresses).sort();
  assert.deepEqual(joined, ["10.0.0.1:5", "10.0.0.99:7946", "b/10.0.0.2:7946"]);
});

Deno.test("keepSeeds() is soon again at a seed that was lost after a good time", async () => {
  const cluster = new SeededCluster({ reachable: ["10.0.0.1"] });
  // It is found at once, lost after an hour, and can be reached all the time.
  let lostMs = 0;
  await cluster.run(["10.0.0.1"], 70 * MINUTE_MS, () => {
    if (cluster.nowMs < 60 * MINUTE_MS || lostMs > 0) return;
    lostMs = cluster.nowMs;
    cluster.alive.clear();
  });
  assert.equal(cluster.joins.length, 2);
  const [, [foundMs]] = cluster.joins as [unknown, [number, string[]]];
  assert.ok(foundMs - lostMs <= INTERVAL_MS * 1.25);
  assert.equal(
    cluster.lines.at(-1),
    "[INFO] agent: Reached 1 seeds of [10.0.0.1:7946]",
  );
});

Deno.test("keepSeeds() survives names that nobody knows", async () => {
  const cluster = new SeededCluster();
  await cluster.run(["1.2.3", "10.0.0.1"], 5 * MINUTE_MS);
  assert.ok(cluster.joins.length > 1);
  for (const [, addresses] of cluster.joins) {
    assert.deepEqual(addresses, ["10.0.0.1:7946"]);
  }
});

Deno.test("keepSeeds() ends at once without seeds", async () => {
  const cluster = new SeededCluster();
  await cluster.run([], MINUTE_MS);
  assert.equal(cluster.nowMs, 0);
});

Deno.test("SeedSchedule draws other waits for other nodes", () => {
  const firstLook = (seed: number) =>
    new SeedSchedule(["a"], INTERVAL_MS, new Random(seed), 1_000).nextMs();
  const looks = new Set([1, 2, 3, 4, 5].map(firstLook));
  assert.equal(looks.size, 5);
});
