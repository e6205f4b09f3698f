/** The order, the losses and the recoveries of the snapshot store. */

import assert from "node:assert/strict";
import { utf8Text } from "../../lib/kit/bytes.ts";
import { Metrics } from "../../lib/kit/metrics.ts";
import type { SnapshotDisk } from "../../lib/net/snapshot_disk.ts";
import { SnapshotStore } from "../../lib/net/snapshot_store.ts";
import type { PersistOutput } from "../../lib/serf/event.ts";
import { SERF_METRICS } from "../../lib/serf/metrics.ts";
import { Life, readText, stateOf } from "../serf/snapshots.ts";
import { until } from "./deadline.ts";

/** A disk in memory that fails and stalls when told to. */
class FakeDisk implements SnapshotDisk {
  text = "";
  /** What was done, such as `append 9`. */
  readonly calls: string[] = [];
  failsToAppend = false;
  failsToReplace = false;
  /** Every call waits for it. */
  gate: Promise<void> = Promise.resolve();

  async append(lines: Uint8Array): Promise<void> {
    this.calls.push(`append ${lines.length}`);
    await this.gate;
    if (this.failsToAppend) throw new Error("write s: no space left on device");
    this.text += utf8Text(lines);
  }

  async replace(contents: Uint8Array): Promise<void> {
    this.calls.push(`replace ${contents.length}`);
    await this.gate;
    if (this.failsToReplace) {
      throw new Error("replace s: read-only file system");
    }
    this.text = utf8Text(contents);
  }

  /** What somebody else has done to the file. */
  changed: string | undefined;

  change(): Promise<string | undefined> {
    const { changed } = this;
    this.changed = undefined;
    return Promise.resolve(changed);
  }

  async sync(): Promise<void> {
    this.calls.push("sync");
    await this.gate;
  }

  close(): void {
    this.calls.push("close");
  }
}

/** A store whose engine is a text: what it would write when asked for everything. */
class Bench {
  readonly disk = new FakeDisk();
  readonly log: string[] = [];
  readonly metrics = new Metrics();
  readonly store: SnapshotStore;
  /** Everything that the engine knows. */
  whole = "";
  requests = 0;
  nowMs = 0;

  constructor(recoveryIntervalMs = 30_000) {
    this.store = new SnapshotStore(this.disk, readText(""), {
      recoveryIntervalMs,
    });
    this.store.attach({
      metrics: this.metrics,
      nowMs: () => this.nowMs,
      log: (level, text) => this.log.push(`[${level}] ${text}`),
      requestRewrite: () => {
        this.requests++;
        this.replace();
      },
    });
  }

  append(text: string, sync = false): void {
    this.whole += text;
    this.store.write({ kind: "persist", write: "append", text, sync });
  }

  replace(): void {
    const text = this.whole;
    this.store.write({ kind: "persist", write: "replace", text, sync: true });
  }

  wrote(text: string): Promise<void> {
    return until(JSON.stringify(text), () => this.disk.text === text);
  }

  logged(text: string): Promise<void> {
    return until(text, () => this.log.includes(text));
  }
}

const FAILED = "[ERR] serf: Failed to update snapshot: ";
const ATTEMPT = "[INFO] serf: Attempting compaction to recover from error...";
const FINISHED =
  "[INFO] serf: Finished compaction, successfully recovered from error state";

Deno.test("SnapshotStore writes at once, and what waits in one go", async () => {
  const bench = new Bench();
  bench.append("a\n");
  bench.append("b\n");
  await bench.wrote("a\nb\n");
  const gate = Promise.withResolvers<void>();
  bench.disk.gate = gate.promise;
  for (const line of ["c\n", "d\n", "e\n"]) {
    bench.append(line);
    await Promise.resolve();
    await Promise.resolve();
  }
  gate.resolve();
  await bench.wrote("a\nb\nc\nd\ne\n");
  assert.deepEqual(bench.disk.calls, ["append 4", "append 2", "append 4"]);
  await bench.store.close();
});

Deno.test("SnapshotStore syncs what must be safe, and at the end", async () => {
  const bench = new Bench();
  bench.append("a\n");
  await bench.wrote("a\n");
  assert.deepEqual(bench.disk.calls, ["append 2"]);
  bench.append("leave\n", true);
  await until("sync", () => bench.disk.calls.includes("sync"));
  assert.deepEqual(bench.disk.calls, ["append 2", "append 6", "sync"]);
  bench.append("b\n");
  await Promise.all([bench.store.close(), bench.store.close()]);
  assert.deepEqual(bench.disk.calls.slice(3), ["append 2", "sync", "close"]);
  assert.equal(bench.disk.text, "a\nleave\nb\n");
});

Deno.test("SnapshotStore writes what comes behind a replacement behind it", async () => {
  const bench = new Bench();
  bench.append("a\n");
  bench.replace();
  bench.append("b\n");
  bench.replace();
  bench.append("c\n");
  await bench.wrote("a\nb\nc\n");
  assert.deepEqual(bench.disk.calls, ["replace 4", "append 2"]);
  await bench.store.close();
});

Deno.test("SnapshotStore keeps the lines until a replacement stands", async () => {
  const bench = new Bench();
  bench.disk.failsToReplace = true;
  bench.append("a\n");
  bench.replace();
  bench.append("b\n");
  bench.replace();
  bench.append("c\n");
  await bench.wrote("a\nb\nc\n");
  await bench.store.close();
  // Those lines count, however many replacements wait between them.
  const stalled = new Bench();
  const gate = Promise.withResolvers<void>();
  stalled.disk.gate = gate.promise;
  stalled.append("first\n");
  await until("a stall", () => stalled.disk.calls.length === 1);
  for (let i = 0; i < 40; i++) {
    stalled.append("x".repeat(32 * 1_024) + "\n");
    stalled.replace();
  }
  assert.match(stalled.log.join(), /cannot keep up/);
  gate.resolve();
  await stalled.wrote(stalled.whole);
  await stalled.store.close();
});

Deno.test("SnapshotStore recovers from a failed write with everything", async () => {
  const bench = new Bench();
  bench.append("a\n");
  await bench.wrote("a\n");
  bench.disk.failsToAppend = true;
  bench.append("b\n");
  await bench.logged(FINISHED);
  assert.deepEqual(bench.log, [
    `${FAILED}write s: no space left on device`,
    ATTEMPT,
    FINISHED,
  ]);
  assert.equal(bench.disk.text, "a\nb\n");
  bench.disk.failsToAppend = false;
  bench.append("c\n");
  await bench.wrote("a\nb\nc\n");
  await bench.store.close();
});

Deno.test("SnapshotStore counts its writes, and those that failed", async () => {
  const bench = new Bench();
  const { snapshotAppendLine, snapshotCompact, snapshotFailed } = bench.metrics
    .of(SERF_METRICS);
  const counts = () => [
    snapshotAppendLine.count,
    snapshotCompact.count,
    snapshotFailed.value,
  ];
  const gate = Promise.withResolvers<void>();
  bench.disk.gate = gate.promise;
  bench.append("a\n");
  await until("the write begins", () => bench.disk.calls.length === 1);
  bench.nowMs += 20;
  gate.resolve();
  await until("it counts", () => snapshotAppendLine.count === 1);
  assert.equal(snapshotAppendLine.last, 20);
  assert.deepEqual(counts(), [1, 0, 0]);
  bench.disk.failsToAppend = true;
  bench.append("b\n");
  await bench.logged(FINISHED);
  assert.deepEqual(counts(), [1, 1, 1]);
  await bench.store.close();
});

Deno.test("SnapshotStore waits for its interval, whatever else is to be written", async () => {
  const bench = new Bench(3_600_000);
  bench.disk.failsToAppend = bench.disk.failsToReplace = true;
  bench.append("a\n");
  const failed = "[ERR] serf: Compaction failed, will reattempt after 3600s: " +
    "replace s: read-only file system";
  await bench.logged(failed);
  const calls = bench.disk.calls.length;
  for (let i = 0; i < 100; i++) bench.append("x\n");
  assert.equal(bench.disk.calls.length, calls);
  assert.equal(bench.requests, 1);
  await bench.store.close();
});

Deno.test("SnapshotStore tries again after its interval, with one complaint", async () => {
  const bench = new Bench(20);
  bench.disk.failsToAppend = bench.disk.failsToReplace = true;
  bench.append("a\n");
  await until("a second attempt", () => bench.requests >= 2);
  for (let i = 0; i < 100; i++) bench.append("x\n");
  bench.disk.failsToAppend = bench.disk.failsToReplace = false;
  await bench.logged(FINISHED);
  await bench.wrote(bench.whole);
  assert.equal(
    bench.log.filter((line) => line.startsWith(FAILED)).length,
    1,
    "one complaint, not one for each line",
  );
  await bench.store.close();
});

Deno.test("SnapshotStore makes no second attempt within the interval, even after a success", async () => {
  const bench = new Bench();
  bench.disk.failsToAppend = true;
  bench.append("a\n");
  await bench.logged(FINISHED);
  bench.append("b\n");
  await until(
    "a second complaint",
    () => bench.log.filter((line) => line.startsWith(FAILED)).length === 2,
  );
  assert.equal(bench.requests, 1);
  assert.equal(bench.disk.text, "a\n");
  // The end does not wait for the interval.
  bench.disk.failsToAppend = false;
  await bench.store.close();
  assert.equal(bench.disk.text, "a\nb\n");
  assert.equal(bench.requests, 2);
});

Deno.test("SnapshotStore writes no line behind a gap, and what must be safe is", async () => {
  const bench = new Bench();
  bench.disk.failsToAppend = bench.disk.failsToReplace = true;
  const [appending, replacing] = [
    Promise.withResolvers<void>(),
    Promise.withResolvers<void>(),
  ];
  bench.disk.gate = appending.promise;
  bench.append("a\n");
  await until("a write", () => bench.disk.calls.length === 1);
  bench.disk.gate = replacing.promise;
  appending.resolve();
  await until("a stall", () => bench.disk.calls.at(-1) === "replace 2");
  bench.append("b\n");
  bench.disk.failsToAppend = false;
  replacing.resolve();
  await until("a failure", () => bench.log.length === 3);
  bench.append("c\n");
  bench.disk.failsToReplace = false;
  await bench.store.close();
  assert.deepEqual(bench.disk.calls, [
    ...["append 2", "replace 2", "replace 6", "sync", "close"],
  ]);

  const other = new Bench();
  other.disk.failsToReplace = true;
  other.append("leave\n", true);
  other.replace();
  await other.wrote("leave\n");
  await until("sync", () => other.disk.calls.includes("sync"));
  await other.store.close();
});

Deno.test("SnapshotStore goes on adding to the old file when it cannot be replaced", async () => {
  const bench = new Bench(1_000);
  bench.disk.failsToReplace = true;
  bench.append("a\n");
  bench.replace();
  bench.append("b\n");
  await bench.wrote("a\nb\n");
  bench.append("c\n");
  await bench.wrote("a\nb\nc\n");
  assert.equal(
    bench.log[0],
    `${FAILED}replace s: read-only file system`,
  );
  assert.equal(bench.log[1], ATTEMPT);
  bench.disk.failsToReplace = false;
  await bench.logged(FINISHED);
  assert.equal(bench.disk.text, "a\nb\nc\n");
  await bench.store.close();
});

Deno.test("SnapshotStore holds a limited backlog, and catches up with everything", async () => {
  const bench = new Bench();
  const gate = Promise.withResolvers<void>();
  bench.disk.gate = gate.promise;
  bench.append("first\n");
  await until("a stall", () => bench.disk.calls.length === 1);
  const line = `${"x".repeat(1_023)}\n`;
  for (let i = 0; i < 3_000; i++) bench.append(line);
  assert.deepEqual(bench.log, [
    "[WARN] serf: Snapshot cannot keep up and will be written anew",
  ]);
  assert.equal(bench.requests, 0, "not before the disk is ready");
  gate.resolve();
  await bench.wrote(bench.whole);
  assert.equal(bench.requests, 1);
  assert.deepEqual(bench.disk.calls, [
    "append 6",
    `replace ${bench.whole.length}`,
  ]);
  bench.append("last\n");
  await bench.wrote(bench.whole);
  await bench.store.close();
});

Deno.test("SnapshotStore catches up after a burst that came all at once", async () => {
  const bench = new Bench();
  const line = `${"x".repeat(1_023)}\n`;
  for (let i = 0; i < 1_025; i++) bench.append(line);
  await bench.wrote(bench.whole);
  assert.equal(bench.requests, 1);
  await bench.store.close();
});

Deno.test("SnapshotStore notes what is lost while it writes everything", async () => {
  const bench = new Bench();
  const gate = Promise.withResolvers<void>();
  bench.disk.gate = gate.promise;
  bench.append("first\n");
  bench.replace();
  await until("a stall", () => bench.disk.calls.length === 1);
  const line = `${"x".repeat(1_023)}\n`;
  for (let i = 0; i < 1_100; i++) bench.append(line);
  gate.resolve();
  await bench.wrote(bench.whole);
  assert.equal(bench.requests, 1);
  await bench.store.close();
});

Deno.test("SnapshotStore.close() takes what is written in the same breath, nothing later", async () => {
  const bench = new Bench();
  const closed = bench.store.close();
  bench.append("clock: 1\n");
  await closed;
  bench.append("clock: 2\n");
  bench.replace();
  assert.deepEqual(bench.disk.calls, ["append 9", "sync", "close"]);
});

Deno.test("SnapshotStore.close() does not hang or throw on a broken disk", async () => {
  const bench = new Bench();
  bench.disk.failsToAppend = bench.disk.failsToReplace = true;
  bench.append("a\n");
  await bench.store.close();
  assert.equal(bench.disk.calls.at(-1), "close");
  assert.equal(bench.disk.text, "");
});

// --- A real file ---------------------------------------------------------------

async function inFolder(use: (path: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await use(`${folder}/snapshot`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** What a life writes with a small compaction size: appends and replacements. */
function history(): { outputs: PersistOutput[]; states: Map<string, number> } {
  const outputs: PersistOutput[] = [];
  const life = new Life("", { compactBytesMin: 600 });
  const { core } = life.parts;
  const states = new Map<string, number>();
  const note = () => {
    const text = shown(life.text);
    if (!states.has(text)) states.set(text, states.size);
  };
  const { emit } = core;
  core.emit = (output) => {
    if (output.kind === "persist") outputs.push(output);
    emit.call(core, output);
  };
  note();
  for (let i = 0; i < 200; i++) {
    const name = `n${i % 7}`;
    life.member(i % 3 === 2 ? "member-failed" : "member-join", name);
    note();
    life.userEvent(BigInt(i));
    note();
  }
  return { outputs, states };
}

function shown(text: string): string {
  return Deno.inspect(stateOf(readText(text)), { depth: 5 });
}

Deno.test("SnapshotStore: a copy of the file at any moment is a state that was", async () => {
  await inFolder(async (path) => {
    const { outputs, states } = history();
    assert.ok(outputs.some(({ write }) => write === "replace"));
    const store = await SnapshotStore.open(path, { rejoinAfterLeave: false });
    store.attach({ log: (_, text) => assert.fail(text), requestRewrite() {} });
    let last = 0;
    let looks = 0;
    for (const [i, output] of outputs.entries()) {
      store.write(output);
      if (i % 3 !== 0) continue;
      // Lets the writing go on for as long as a copy takes.
      const copy = await Deno.readTextFile(path);
      const whole = copy.slice(0, copy.lastIndexOf("\n") + 1);
      const at = states.get(shown(whole));
      assert.ok(at !== undefined, `never was: ${whole}`);
      assert.ok(at >= last, "it never goes back");
      last = at;
      looks++;
    }
    await store.close();
    assert.ok(looks > 100 && last > 0);
    assert.equal(
      states.get(shown(await Deno.readTextFile(path))),
      states.size - 1,
    );
  });
});

Deno.test("SnapshotStore opens where it was closed", async () => {
  await inFolder(async (path) => {
    const store = await SnapshotStore.open(path, { rejoinAfterLeave: false });
    const text = "alive: a 1.1.1.1:1\nclock: 5\nleave\n";
    store.write({ kind: "persist", write: "append", text, sync: true });
    await store.close();
    const plain = await SnapshotStore.open(path, { rejoinAfterLeave: false });
    assert.equal(plain.restored.members.size, 0);
    await plain.close();
    const again = await SnapshotStore.open(path, { rejoinAfterLeave: true });
    assert.equal(again.restored.members.size, 1);
    assert.equal(again.restored.clock, 5n);
    await again.close();
  });
});

Deno.test("SnapshotStore recovers on a real file, too", async () => {
  await inFolder(async (path) => {
    const store = await SnapshotStore.open(path, {
      ...{ rejoinAfterLeave: false, recoveryIntervalMs: 20 },
    });
    const log: string[] = [];
    const replace = () =>
      store.write({
        ...{
          kind: "persist",
          write: "replace",
          text: "clock: 9\n",
          sync: true,
        },
      });
    store.attach({
      log: (level, text) => log.push(`[${level}] ${text}`),
      requestRewrite: replace,
    });
    Deno.mkdirSync(`${path}.compact/x`, { recursive: true });
    replace();
    store.write({
      ...{ kind: "persist", write: "append", text: "clock: 8\n", sync: false },
    });
    await until("the second attempt", () => log.length >= 4);
    assert.match(
      log[0] as string,
      /^\[ERR\] serf: Failed to update snapshot: /,
    );
    assert.equal(log[1], ATTEMPT);
    assert.match(
      log[2] as string,
      /Compaction failed, .* after 0\.02s: failed/,
    );
    assert.equal(Deno.readTextFileSync(path), "clock: 8\n");
    Deno.renameSync(`${path}.compact`, `${path}.gone`);
    await until("recovery", () => log.includes(FINISHED));
    assert.equal(Deno.readTextFileSync(path), "clock: 9\n");
    await store.close();
  });
});

Deno.test("SnapshotStore leaves a file alone that others change all the time", async () => {
  const bench = new Bench();
  bench.append("a\n");
  await bench.wrote("a\n");
  bench.disk.changed = "s was deleted";
  bench.append("b\n");
  await bench.wrote("a\nb\n");
  for (const line of ["c\n", "d\n"]) {
    bench.disk.changed = "s was replaced by another file";
    bench.append(line);
  }
  await bench.store.close();
  // Once, and at the end.
  assert.equal(bench.requests, 2);
  assert.deepEqual(bench.log, [
    "[WARN] serf: Snapshot s was deleted, writing it anew",
    ATTEMPT,
    FINISHED,
  ]);
  assert.equal(bench.disk.text, "a\nb\nc\nd\n");
});
