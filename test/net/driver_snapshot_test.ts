/** Drivers that keep a snapshot. */

import assert from "node:assert/strict";
import { utf8Bytes, utf8Text } from "../../lib/kit/bytes.ts";
import type { SnapshotDisk } from "../../lib/net/snapshot_disk.ts";
import { SnapshotStore } from "../../lib/net/snapshot_store.ts";
import { readSnapshot } from "../../lib/serf/snapshot_file.ts";
import { until } from "./deadline.ts";
import { Node } from "./driver_node.ts";

Deno.test("NodeDriver keeps a snapshot, and a later one finds back with it", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/snapshot`;
  const open = () => SnapshotStore.open(path, { rejoinAfterLeave: false });
  try {
    using a = new Node("a");
    const b = new Node("b", { snapshot: await open() });
    await b.join(a.address);
    a.driver.userEvent("seen", utf8Bytes(""), { coalesce: false });
    await until("the event", () => b.events.includes("user seen "));
    // No further line has to come before it is in the file.
    await until(
      "the event's time",
      () => Deno.readTextFileSync(path).includes("\nevent-clock: 1\n"),
    );
    await Promise.all([b.driver.shutdown(), b.driver.shutdown()]);
    await a.sees("a alive", "b failed");
    a.driver.userEvent("missed", utf8Bytes(""), { coalesce: false });

    const { port } = b.driver.bound;
    const again = new Node("b", { port, snapshot: await open() });
    await a.sees("a alive", "b alive");
    await until("the event", () => again.events.includes("user missed "));
    assert.ok(!again.events.includes("user seen "));
    await again.driver.leave();
    await again.driver.shutdown();
    assert.match(Deno.readTextFileSync(path), /\nleave\nclock: \d+\n$/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("NodeDriver gossips on while the disk of its snapshot stalls", async () => {
  const stall = Promise.withResolvers<void>();
  let text = "";
  const write = async (contents: Uint8Array) => {
    await stall.promise;
    text += utf8Text(contents);
  };
  const disk: SnapshotDisk = {
    ...{ append: write, replace: write, close: () => {} },
    ...{ sync: () => stall.promise, change: () => Promise.resolve(undefined) },
  };
  const restored = readSnapshot(utf8Bytes(""), { rejoinAfterLeave: false });
  using a = new Node("a");
  const b = new Node("b", { snapshot: new SnapshotStore(disk, restored, {}) });
  await b.join(a.address);
  await a.sees("a alive", "b alive");
  for (const name of ["one", "two"]) {
    a.driver.userEvent(name, utf8Bytes(""), { coalesce: false });
    await until(name, () => b.events.includes(`user ${name} `));
  }
  await b.driver.leave();
  await a.sees("a alive", "b left");
  assert.equal(text, "");
  stall.resolve();
  await b.driver.shutdown();
  assert.match(text, /^alive: b .*\nalive: a .*\n(.*\n)*leave\nclock: \d+\n$/);
});

Deno.test("NodeDriver brings a snapshot up to date after an error of the disk", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/snapshot`;
  await Deno.writeTextFile(path, "clock: 1\nalive: torn");
  try {
    // The rewriting of the damaged file fails at first.
    await Deno.mkdir(`${path}.compact/x`, { recursive: true });
    const snapshot = await SnapshotStore.open(path, {
      ...{ rejoinAfterLeave: false, recoveryIntervalMs: 20 },
    });
    const node = new Node("a", { snapshot });
    const alive = `alive: a ${node.address}\n`;
    await until(
      "the line",
      () => Deno.readTextFileSync(path) === `clock: 1\n${alive}`,
    );
    await Deno.rename(`${path}.compact`, `${path}.gone`);
    const whole = `${alive}clock: 1\nevent-clock: 0\nquery-clock: 0\n`;
    await until("all of it", () => Deno.readTextFileSync(path) === whole);
    await until(
      "the good news",
      () => node.log.some((line) => line.includes("recovered from error")),
    );
    await node.driver.shutdown();
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("NodeDriver that loses its name leaves a complete snapshot", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/snapshot`;
  try {
    using a = new Node("a");
    using b = new Node("b");
    await b.join(a.address);
    const snapshot = await SnapshotStore.open(path, {
      rejoinAfterLeave: false,
    });
    const lost = Promise.withResolvers<void>();
    const impostor = new Node("b", { snapshot, onNameLost: lost.resolve });
    await impostor.join(a.address);
    await lost.promise;
    // Nobody has to call `shutdown` for that.
    await until("the file to be given up", async () => {
      using file = await Deno.open(path);
      return file.tryLockSync(true);
    });
    const text = Deno.readTextFileSync(path);
    assert.match(text, /^alive: b .*\n(.*\n)*alive: a .*\n(.*\n)*$/);
    assert.deepEqual(
      impostor.log.filter((line) => line.includes("snapshot")),
      [],
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("NodeDriver writes its snapshot anew when somebody else touched it", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/state/snapshot`;
  await Deno.mkdir(`${folder}/state`);
  const name = `${await Deno.realPath(folder)}/state/snapshot`;
  const read = () => Deno.readTextFile(path).catch(() => "");
  const snapshot = await SnapshotStore.open(path, {
    ...{ rejoinAfterLeave: false, recoveryIntervalMs: 20, lookIntervalMs: 20 },
  });
  const a = new Node("a", { snapshot });
  let events = 0n;
  const send = () => {
    events++;
    a.driver.userEvent("e", utf8Bytes(""), { coalesce: false });
  };
  // The clock of user events says how many there were.
  const isWhole = async () => {
    const bytes = utf8Bytes(await read());
    const { members, eventClock } = readSnapshot(bytes, {
      rejoinAfterLeave: false,
    });
    return members.has("a") && members.size === 1 && eventClock === events;
  };
  const doings: [string, () => Promise<void>][] = [
    ["was deleted", () => Deno.remove(path)],
    ["was replaced by another file", async () => {
      await Deno.writeTextFile(`${path}.old`, await read());
      await Deno.rename(`${path}.old`, path);
    }],
    ["was changed by somebody else", () => Deno.truncate(path, 5)],
    [
      "was changed by somebody else",
      () => Deno.writeTextFile(path, "alive: x 1.1.1.1:1\n", { append: true }),
    ],
  ];
  try {
    send();
    await until("the file is there", isWhole);
    for (const [what, doIt] of doings) {
      // With something to write, and with nothing.
      for (const isQuiet of [false, true]) {
        const line = `[WARN] serf: Snapshot ${name} ${what}, writing it anew`;
        const told = () => a.log.filter((each) => each === line).length;
        const before = told();
        // What follows at once on the last one is put right without the line.
        await until(line, async () => {
          await doIt();
          if (!isQuiet) send();
          await until(`what ${what} is whole`, isWhole);
          return told() > before;
        });
      }
    }
    // The folder goes, too, and comes back.
    await Deno.remove(`${folder}/state`, { recursive: true });
    await until(
      "it fails",
      () => a.log.some((line) => /failed to install new snapshot/.test(line)),
    );
    await Deno.mkdir(`${folder}/state`);
    await until("it is whole again", isWhole);
  } finally {
    await a.driver.shutdown();
    await Deno.remove(folder, { recursive: true });
  }
});
