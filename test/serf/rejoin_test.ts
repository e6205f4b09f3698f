/** A node that starts again with a snapshot: whom it finds, and what it ignores. */

import assert from "node:assert/strict";
import { EMPTY_BYTES } from "../../lib/kit/bytes.ts";
import { PING_QUERY } from "../../lib/serf/internal_query.ts";
import type { SerfConfig } from "../../lib/serf/config.ts";
import { Rejoin } from "../../lib/serf/rejoin.ts";
import type { JoinTarget } from "../../lib/swim/engine.ts";
import { Cluster, type Node } from "./cluster.ts";
import { nodeOf, Parts, SELF } from "./parts.ts";
import { query } from "./queries.ts";
import { Life, readText } from "./snapshots.ts";

const EMPTY = { snapshot: { restored: readText("") } };

function rejoinLines(node: Node): string[] {
  return node.log.filter((line) => /re-join/i.test(line));
}

/** Three nodes that know each other; `c` keeps a snapshot. */
function three(): { cluster: Cluster; a: Node; b: Node; c: Node } {
  const cluster = new Cluster();
  const a = cluster.start("a");
  const b = cluster.start("b");
  const c = cluster.start("c", EMPTY);
  for (const node of [b, c]) cluster.finish(node, cluster.join(node, a));
  const isComplete = () => c.engine.members().length === 3;
  cluster.runUntil(isComplete, 10_000, "all know each other");
  cluster.settle();
  return { cluster, a, b, c };
}

function sendEvent(cluster: Cluster, from: Node, name: string): void {
  cluster.call(from, (engine, nowMs) => {
    engine.userEvent(name, EMPTY_BYTES, { coalesce: false }, nowMs);
  });
  cluster.run(5_000);
}

function ask(cluster: Cluster, from: Node, name: string): void {
  const operation = cluster.call(
    from,
    (engine, nowMs) =>
      engine.query({
        ...{ name, payload: EMPTY_BYTES, filterNodes: [] },
        ...{ filterTags: new Map(), requestAck: false, relayFactor: 0 },
      }, nowMs),
  );
  cluster.finish(from, operation);
  cluster.run(5_000);
}

Deno.test("SerfEngine records who is alive, its own start first", () => {
  const { cluster, c } = three();
  cluster.run(500);
  assert.equal(
    c.disk,
    "alive: c 10.0.0.3:7946\nalive: b 10.0.0.2:7946\n" +
      "alive: a 10.0.0.1:7946\nclock: 2\n",
  );
});

Deno.test("SerfEngine finds back by itself and delivers nothing twice", () => {
  const { cluster, a, b, c } = three();
  sendEvent(cluster, a, "old");
  ask(cluster, b, "old");
  assert.ok(c.events.includes("user: old@1="));
  assert.ok(c.events.includes("query: old@1="));
  cluster.crash(c);
  cluster.runUntil(() => a.statuses().includes("c: failed"), 60_000, "failed");
  sendEvent(cluster, a, "missed");
  const again = cluster.revive(c);
  const isBack = () =>
    [a, b, again].every((node) =>
      node.statuses().join() === "a: alive,b: alive,c: alive"
    );
  cluster.runUntil(isBack, 10_000, "c is back");
  cluster.run(60_000);
  const [attempts, others] = [
    rejoinLines(again).filter((line) => line.includes("Attempting")).sort(),
    rejoinLines(again).filter((line) => !line.includes("Attempting")),
  ];
  assert.deepEqual(attempts, [
    "[INFO] serf: Attempting re-join to previously known node: a: 10.0.0.1:7946",
    "[INFO] serf: Attempting re-join to previously known node: b: 10.0.0.2:7946",
  ]);
  assert.equal(others.length, 1);
  assert.match(
    others[0] as string,
    /^\[INFO\] serf: Re-joined to previously known node: [ab]: 10\.0\.0\.[12]:7946$/,
  );
  // What it slept through it hears, what it had heard it does not.
  const users = again.events.filter((line) => line.startsWith("user"));
  assert.deepEqual(users, ["user: missed@2="]);
  // A query that still goes round is not answered a second time.
  assert.ok(!again.events.some((line) => line.startsWith("query")));
});

Deno.test("SerfEngine goes on with the clocks of its snapshot", () => {
  const cluster = new Cluster();
  const old = new Cluster().start("a");
  old.disk = "clock: 41\nevent-clock: 17\nquery-clock: 23\n";
  const node = cluster.revive(old);
  const stats = node.engine.stats();
  assert.equal(stats.get("member_time"), "42");
  assert.equal(stats.get("event_time"), "18");
  assert.equal(stats.get("query_time"), "24");
});

Deno.test("SerfEngine drops queries from before its snapshot, without a word", () => {
  const { parts } = new Life("query-clock: 9\n");
  const arrive = (ltime: bigint) => {
    parts.queries.arrived(query(ltime, 1), 0);
    return parts.takeEvents();
  };
  assert.deepEqual(arrive(9n), []);
  assert.deepEqual(parts.takeLog(), []);
  assert.deepEqual(arrive(10n), ["query: load@10="]);
});

Deno.test("SerfEngine with an empty snapshot takes events and queries from time 1 on", () => {
  const { parts } = new Life("");
  assert.equal(parts.userEvents.minTime, 1n);
  assert.equal(parts.queries.arrived(query(0n, 1), 0), false);
  const cluster = new Cluster();
  const node = cluster.start("a", EMPTY);
  sendEvent(cluster, node, "first");
  ask(cluster, node, "first");
  assert.ok(node.events.includes("user: first@1="));
  assert.ok(node.events.includes("query: first@1="));
  assert.deepEqual(rejoinLines(node), []);
});

Deno.test("SerfEngine records internal queries, and those that it coalesces", () => {
  const cluster = new Cluster();
  const windows = {
    userCoalescePeriodMs: 60_000,
    userQuiescentPeriodMs: 60_000,
  };
  const node = cluster.start("a", { ...EMPTY, ...windows });
  ask(cluster, node, PING_QUERY);
  cluster.call(node, (engine, nowMs) => {
    engine.userEvent("e", EMPTY_BYTES, { coalesce: true }, nowMs);
  });
  assert.deepEqual(node.events, ["member-join: a(alive)"]);
  assert.equal(
    node.disk,
    "alive: a 10.0.0.1:7946\nquery-clock: 1\nevent-clock: 1\n",
  );
});

Deno.test("SerfEngine does not record queries that are not for it", () => {
  const { cluster, a, c } = three();
  const operation = cluster.call(
    a,
    (engine, nowMs) =>
      engine.query({
        ...{ name: "q", payload: EMPTY_BYTES, filterNodes: ["b"] },
        ...{ filterTags: new Map(), requestAck: false, relayFactor: 0 },
      }, nowMs),
  );
  cluster.finish(a, operation);
  assert.equal(c.engine.stats().get("query_time"), "2");
  assert.ok(!c.disk.includes("query-clock"));
});

Deno.test("SerfEngine does not rejoin after a leave, unless it is told to", () => {
  const { cluster, a, c } = three();
  cluster.finish(
    c,
    cluster.call(c, (engine, nowMs) => engine.leave(nowMs)),
  );
  cluster.call(c, (engine, nowMs) => engine.shutdown(nowMs));
  cluster.crash(c);
  assert.match(c.disk, /leave\nclock: 3\n$/);
  const alone = cluster.revive(c);
  cluster.run(60_000);
  assert.deepEqual(alone.statuses(), ["c: alive"]);
  assert.deepEqual(rejoinLines(alone), []);
  cluster.crash(alone);
  const back = cluster.revive(c, { rejoinAfterLeave: true });
  assert.ok(
    back.log.includes("[INFO] serf: Ignoring previous leave in snapshot"),
  );
  cluster.runUntil(
    () => a.statuses().includes("c: alive"),
    10_000,
    "c is back, its leave refuted",
  );
});

Deno.test("SerfEngine writes the member clock within 500 ms, and never wakes for one that stands still", () => {
  const still = { reapIntervalMs: 0, reconnectIntervalMs: 0 };
  const swim = { streamPings: false };
  const deadlines = (options: Partial<SerfConfig>) => {
    const node = new Cluster().make("a", { ...still, ...options }, swim);
    const { engine } = node;
    engine.start(0);
    const instants: (number | undefined)[] = [];
    for (let nowMs = 0; nowMs < 120_000;) {
      nowMs = engine.nextDeadlineMs() ?? Infinity;
      instants.push(nowMs);
      engine.handleTimeout(nowMs);
    }
    return { node, instants };
  };
  const without = deadlines({});
  const withIt = deadlines(EMPTY);
  assert.deepEqual(withIt.instants, without.instants);
  const { engine } = withIt.node;
  engine.drain();
  engine.forceLeave("nobody", { prune: false }, 120_100);
  const dueMs = engine.nextDeadlineMs();
  assert.equal(dueMs, 120_600);
  assert.ok(!engine.drain().some(({ kind }) => kind === "persist"));
  engine.handleTimeout(120_600);
  const [output] = engine.drain().filter((each) => each.kind === "persist");
  assert.equal(output?.text, "clock: 1\n");
  // Only the next probe is due.
  assert.equal(engine.nextDeadlineMs(), 121_000);
});

Deno.test("SerfEngine writes the member clock when it is shut down", () => {
  const cluster = new Cluster();
  const node = cluster.start("a", EMPTY);
  cluster.call(node, (engine, nowMs) => {
    engine.forceLeave("nobody", { prune: false }, nowMs);
    engine.shutdown(nowMs);
  });
  assert.equal(node.disk, "alive: a 10.0.0.1:7946\nclock: 1\n");
  cluster.call(node, (engine) => engine.rewriteSnapshot());
  assert.match(node.disk, /^alive: a 10\.0\.0\.1:7946\nclock: 1\nevent-clock/);
});

Deno.test("SerfEngine.rewriteSnapshot() without a snapshot does nothing", () => {
  const node = new Cluster().start("a");
  node.engine.rewriteSnapshot();
  assert.deepEqual(node.engine.drain(), []);
});

/** A `Rejoin` with a SWIM layer that only takes notes. */
class Bench {
  readonly parts: Parts;
  readonly dialled: string[] = [];
  readonly givenUp: string[] = [];
  readonly rejoin: Rejoin;
  nowMs = 0;
  #joins = 0;
  #ended = 0;

  constructor(text: string, options: Partial<SerfConfig> = {}) {
    this.parts = new Parts({
      snapshot: { restored: readText(text) },
      ...options as Record<string, never>,
    });
    this.rejoin = new Rejoin({
      core: this.parts.core,
      roster: this.parts.roster,
      swim: {
        join: (targets: readonly JoinTarget[]) => {
          this.dialled.push(...targets.map(({ address }) => address));
          return ++this.#joins;
        },
      },
      onGivenUp: (name) => this.givenUp.push(name),
    });
    this.rejoin.start(0);
  }

  /** Lets everybody who is dialed refuse. @returns how many were dialed in all */
  failAll(): number {
    while (this.#ended < this.#joins) this.end(++this.#ended, 0);
    return this.dialled.length;
  }

  /** The next round is due. */
  fire(nowMs: number): void {
    this.nowMs = nowMs;
    assert.equal(this.parts.core.deadlines.takeDue(nowMs)?.kind, "rejoin");
    this.rejoin.due(nowMs);
  }

  /** Ends the join of that number, counted from 1. */
  end(operation: number, contacted: number): void {
    const errors = contacted === 0 ? ["refused"] : [];
    this.rejoin.finished(
      { type: "joinFinished", operation, contacted, errors },
      this.nowMs,
    );
  }
}

function members(count: number, kind: "alive" | "failed" = "alive"): string {
  const line = (i: number) =>
    kind === "alive"
      ? `alive: n${i} 10.0.1.${i}:7946\n`
      : `# failed: failed${i} 10.0.2.${i}:7946\n`;
  return Array.from({ length: count }, (_, i) => line(i)).join("");
}

Deno.test("Rejoin tries four at a time, each once, in random order", () => {
  const bench = new Bench(members(30));
  assert.equal(bench.dialled.length, 4);
  for (let i = 1; i <= 30; i++) {
    assert.equal(bench.dialled.length, Math.min(30, i + 3));
    bench.end(i, 0);
  }
  assert.equal(new Set(bench.dialled).size, 30);
  const order = bench.dialled.map((address) =>
    Number(address.split(/[.:]/)[3])
  );
  const sorted = order.toSorted((a, b) => a - b);
  assert.notDeepEqual(order, sorted);
  assert.notDeepEqual(order, sorted.toReversed());
  const log = bench.parts.takeLog();
  assert.equal(log.length, 32);
  assert.deepEqual(log.slice(-2), [
    "[WARN] serf: Failed to re-join any previously known node",
    "[INFO] serf: Will keep trying to re-join 30 previously known node(s)",
  ]);
});

Deno.test("Rejoin tries again with growing waits, a share of those who are missing", () => {
  const bench = new Bench(members(200) + members(100, "failed"));
  const first = bench.failAll();
  assert.equal(first, 300);
  // Who was alive is tried before who had failed.
  assert.ok(bench.dialled.slice(0, 200).every((a) => a.startsWith("10.0.1.")));
  const waits: number[] = [];
  let beforeMs = 0;
  const tried: string[] = [];
  for (let round = 0; round < 40; round++) {
    const atMs = bench.parts.core.deadlines.nextMs() as number;
    waits.push((atMs - beforeMs) / 1_000);
    bench.dialled.length = 0;
    bench.fire(atMs);
    assert.equal(bench.dialled.length, 4, "four at a time");
    bench.failAll();
    assert.equal(bench.dialled.length, 19, "a sixteenth");
    tried.push(...bench.dialled);
    beforeMs = atMs;
  }
  const longest = [30, 60, 120, 240, 300, 300];
  longest.forEach((wait, i) => {
    const real = waits[i] as number;
    assert.ok(real >= 0.75 * wait && real <= 1.25 * wait, `${i}: ${real} s`);
  });
  assert.equal(new Set(tried.slice(0, 300)).size, 300, "all have their turn");
  // Not a line for each of them at the usual level.
  assert.deepEqual(
    bench.parts.takeLog().filter((line) => !line.includes("Attempting")).length,
    2,
  );
});

Deno.test("Rejoin ends when all are members again, under whatever name", () => {
  const bench = new Bench(members(3) + members(1, "failed"));
  bench.failAll();
  const { roster, core } = bench.parts;
  roster.joined(nodeOf("n0", 100), 0);
  roster.joined(nodeOf("failed0", 101), 0);
  roster.gone("failed0", 0);
  roster.joined({ ...nodeOf("new"), addr: Uint8Array.of(10, 0, 1, 1) }, 0);
  bench.dialled.length = 0;
  bench.fire(core.deadlines.nextMs() as number);
  assert.deepEqual(bench.dialled, ["10.0.1.2:7946"]);
  bench.failAll();
  roster.joined(nodeOf("n2", 102), 0);
  bench.fire(core.deadlines.nextMs() as number);
  assert.equal(bench.dialled.length, 1);
  assert.equal(core.deadlines.nextMs(), undefined);
  assert.deepEqual(bench.givenUp, []);
});

Deno.test("Rejoin gives up when failed members would be forgotten, and at a leave", () => {
  const bench = new Bench(members(1) + members(1, "failed"));
  bench.failAll();
  let atMs = 0;
  for (
    let nextMs = bench.parts.core.deadlines.nextMs();
    nextMs !== undefined;
    nextMs = bench.parts.core.deadlines.nextMs()
  ) {
    atMs = nextMs;
    bench.fire(atMs);
    bench.failAll();
  }
  assert.ok(atMs >= 24 * 3_600_000 && atMs < 24.2 * 3_600_000);
  assert.deepEqual(bench.givenUp, ["failed0"]);
  const leaving = new Bench(members(1));
  leaving.failAll();
  leaving.parts.core.become("leaving");
  leaving.fire(60_000);
  assert.equal(leaving.dialled.length, 1);
  assert.equal(leaving.parts.core.deadlines.nextMs(), undefined);
});

Deno.test("Rejoin with a reconnect interval of 0 has one round", () => {
  const bench = new Bench(members(3), { reconnectIntervalMs: 0 });
  bench.failAll();
  assert.equal(bench.parts.core.deadlines.nextMs(), undefined);
  assert.equal(bench.parts.takeLog().length, 4);
});

Deno.test("SerfEngine finds a member that comes back later and knows nobody", () => {
  const { cluster, a, b, c } = three();
  // Everybody fails: a first, so that c holds it for failed.
  cluster.crash(a);
  cluster.runUntil(() => c.statuses().includes("a: failed"), 60_000, "failed");
  cluster.run(1_000);
  cluster.crash(b);
  cluster.crash(c);
  for (const late of [a, b]) {
    const alone = cluster.revive(c);
    cluster.run(20 * 60_000);
    assert.deepEqual(alone.statuses(), ["c: alive"]);
    const number = Number(/(\d+):/.exec(late.address)?.[1]);
    const back = cluster.make(late.name, {}, {}, number);
    cluster.call(back, (engine, nowMs) => engine.start(nowMs));
    cluster.runUntil(
      () => alone.statuses().includes(`${late.name}: alive`),
      7 * 60_000,
      `${late.name} is found`,
    );
    cluster.crash(back);
    cluster.crash(alone);
  }
});

Deno.test("SerfEngine: two halves that start apart with their snapshots meet", () => {
  const cluster = new Cluster();
  const names = ["a", "b", "c", "d"] as const;
  const nodes = names.map((name) => cluster.start(name, EMPTY));
  for (const node of nodes.slice(1)) {
    cluster.finish(node, cluster.join(node, nodes[0] as Node));
  }
  cluster.runUntil(
    () => nodes.every(({ engine }) => engine.members().length === 4),
    20_000,
    "all know each other",
  );
  cluster.run(1_000);
  for (const node of nodes) cluster.crash(node);
  const halves = nodes.map((node, i) => {
    const again = cluster.revive(node);
    again.partition = i < 2 ? 1 : 2;
    return again;
  });
  cluster.run(60_000);
  for (const node of halves) {
    assert.equal(node.statuses().length, 2, "its own half");
    node.partition = 0;
  }
  cluster.runUntil(
    () =>
      halves.every((node) =>
        node.statuses().join().match(/alive/g)?.length === 4
      ),
    10 * 60_000,
    "all have met",
  );
});

Deno.test("Rejoin stops at the first success", () => {
  const bench = new Bench(members(30));
  bench.end(2, 1);
  for (const other of [1, 3, 4]) bench.end(other, other % 2);
  bench.end(99, 1);
  assert.equal(bench.dialled.length, 4);
  const said = bench.parts.takeLog().filter((line) =>
    !line.includes("Attempting")
  );
  assert.equal(said.length, 1);
  assert.match(said[0] as string, /INFO.*Re-joined/);
});

Deno.test("Rejoin ends when we leave or shut down", () => {
  for (const state of ["leaving", "left", "shutdown"] as const) {
    const bench = new Bench(members(30));
    bench.parts.core.become(state);
    bench.parts.takeLog();
    for (let i = 1; i <= 4; i++) bench.end(i, i % 2);
    assert.equal(bench.dialled.length, 4);
    assert.deepEqual(bench.parts.takeLog(), []);
  }
});

Deno.test("Rejoin leaves ourselves out, under whatever name", () => {
  const text = `alive: ${SELF} 10.9.9.9:1\nalive: former 10.0.0.0:7946\n`;
  const bench = new Bench(text);
  assert.deepEqual(bench.dialled, []);
  assert.deepEqual(bench.parts.takeLog(), [
    "[WARN] serf: Failed to re-join any previously known node",
  ]);
});

Deno.test("Rejoin has nothing to say when nobody is known", () => {
  assert.deepEqual(new Bench("clock: 5\n").parts.takeLog(), []);
});

Deno.test("Rejoin skips what is no address, and says so a few times", () => {
  const bad = ["", "x", "1.1.1.1", "host:7946", "1.1.1.1:0", "1.1.1.1:x"];
  const lines = bad.map((address, i) => `alive: n${i} ${address}\n`);
  const bench = new Bench(
    lines.join("") + "alive: v6 [FD00:0::1]:07946\nalive: v4 [10.0.1.1]:7946\n",
  );
  assert.deepEqual(bench.dialled.toSorted(), [
    "10.0.1.1:7946",
    "[fd00::1]:7946",
  ]);
  const warnings = bench.parts.takeLog().filter((line) =>
    line.startsWith("[WARN]")
  );
  assert.equal(warnings.length, 6);
  assert.ok(
    warnings.includes(
      '[WARN] serf: Cannot re-join "n3", whose address in the snapshot is "host:7946"',
    ),
  );
  const many = new Bench(
    Array.from({ length: 500 }, (_, i) => `alive: n${i} x\n`).join(""),
  );
  assert.ok(many.parts.takeLog().length <= 11);
});
