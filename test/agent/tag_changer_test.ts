import assert from "node:assert/strict";
import {
  type KeptTags,
  TagChanger,
  type TagHolder,
  type TagStore,
} from "../../lib/agent/tag_changer.ts";
import type { TagChanges } from "../../lib/rpc/protocol.ts";

type Tags = ReadonlyMap<string, string>;

/** A holder that notes what is done to it; announcing ends when a test says so. */
class FakeHolder implements TagHolder {
  tags: Tags = new Map([["role", "web"], ["dc", "east"]]);
  readonly notes: string[] = [];
  readonly announcements: PromiseWithResolvers<void>[] = [];
  isLeaving = false;

  checkTags(tags: Tags): void {
    if (tags.size > 3) throw new RangeError("too long");
    if (this.isLeaving) throw new Error("leaving");
  }

  setTags(tags: Tags): Promise<void> {
    this.notes.push(`set ${textOf(tags)}`);
    this.tags = tags;
    const announcement = Promise.withResolvers<void>();
    this.announcements.push(announcement);
    return announcement.promise;
  }
}

function textOf(tags: Tags): string {
  return [...tags].map(([name, value]) => `${name}=${value}`).sort().join();
}

function changes(
  set: Record<string, string>,
  deleted: readonly string[] = [],
): TagChanges {
  return { set: new Map(Object.entries(set)), delete: deleted };
}

/** A tags file whose reading and writing takes a turn of the event loop. */
class FakeStore implements TagStore {
  tags: Tags | undefined;
  edits: string[] = [];
  loadError: Error | undefined;

  constructor(
    readonly holder: FakeHolder,
    readonly onSave: () => void = () => {},
  ) {
    this.tags = holder.tags;
  }

  async load(): Promise<Tags | undefined> {
    await new Promise((resolve) => setTimeout(resolve));
    if (this.loadError !== undefined) throw this.loadError;
    return this.tags;
  }

  async save(tags: Tags): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve));
    this.holder.notes.push(`save ${textOf(tags)}`);
    this.onSave();
    this.tags = tags;
  }

  onEdited(tags: Tags): void {
    this.edits.push(textOf(tags));
  }
}

function start(holder: FakeHolder, onSave?: () => void): TagChanger {
  return new TagChanger(holder, new FakeStore(holder, onSave));
}

Deno.test("TagChanger.change() deletes, then sets; saves, then announces", async () => {
  const holder = new FakeHolder();
  const changed = start(holder).change(
    changes({ dc: "west" }, ["dc", "role", "none"]),
  );
  await until(() => holder.announcements.length === 1);
  assert.deepEqual(holder.notes, ["save dc=west", "set dc=west"]);
  let isDone = false;
  changed.then(() => isDone = true);
  await new Promise((resolve) => setTimeout(resolve));
  assert.equal(isDone, false, "it waits until a peer knows");
  holder.announcements[0]?.resolve();
  await changed;
});

Deno.test("TagChanger.change() loses none of several changes made at once", async () => {
  const holder = new FakeHolder();
  const changer = start(holder);
  const all = [
    changer.change(changes({ a: "1" })),
    changer.change(changes({}, ["role"])),
    changer.change(changes({ b: "2" })),
  ];
  // A change does not wait until a peer knows of the one before.
  await until(() => holder.announcements.length === 3);
  assert.equal(textOf(holder.tags), "a=1,b=2,dc=east");
  for (const { resolve } of holder.announcements) resolve();
  await Promise.all(all);
});

Deno.test("TagChanger.reload() takes its turn, and keeps what was changed", async () => {
  const holder = new FakeHolder();
  const changer = new TagChanger(holder);
  const kept: KeptTags[] = [];
  const all = [
    changer.change(changes({ a: "1" }, ["dc"])),
    changer.reload(
      new Map([["b", "2"], ["dc", "west"]]),
      (names) => kept.push(names),
    ),
    changer.change(changes({ c: "3" })),
    changer.reload(
      new Map([["a", "1"], ["c", "3"]]),
      (names) => kept.push(names),
    ),
  ];
  await until(() => holder.announcements.length === 4);
  assert.deepEqual(holder.notes, [
    "set a=1,role=web",
    "set a=1,b=2",
    "set a=1,b=2,c=3",
    "set a=1,c=3",
  ]);
  assert.deepEqual(kept, [
    { set: ["a"], deleted: ["dc"] },
    { set: [], deleted: [] },
  ]);
  for (const { resolve } of holder.announcements) resolve();
  await Promise.all(all);
});

Deno.test("TagChanger.reload() keeps no change that was refused", async () => {
  const holder = new FakeHolder();
  const changer = new TagChanger(holder);
  await assert.rejects(changer.change(changes({ a: "1", b: "2" })));
  const reloaded = changer.reload(new Map([["c", "3"]]), () => {});
  await until(() => holder.announcements.length === 1);
  assert.equal(textOf(holder.tags), "c=3");
  holder.announcements[0]?.resolve();
  await reloaded;
});

Deno.test("TagChanger.reload() leaves a tags file alone, and takes over its edits", async () => {
  const holder = new FakeHolder();
  const store = new FakeStore(holder);
  const changer = new TagChanger(holder, store);
  const kept: string[] = [];
  const reload = () =>
    changer.reload(new Map(), ({ set }) => kept.push(set.join()));
  await reload();
  assert.deepEqual(holder.notes, []);
  store.tags = new Map([["role", "db"]]);
  const edited = reload();
  await until(() => holder.announcements.length === 1);
  holder.announcements[0]?.resolve();
  await edited;
  assert.deepEqual(holder.notes.splice(0), ["set role=db"]);
  assert.deepEqual(kept, ["dc,role", "role"]);
  assert.deepEqual(store.edits, ["role=db"]);
  // It was deleted: what we have is written anew.
  store.tags = undefined;
  await reload();
  assert.deepEqual(holder.notes.splice(0), ["save role=db"]);
  store.loadError = new Error("no JSON");
  await assert.rejects(reload(), store.loadError);
  await assert.rejects(changer.change(changes({ a: "1" })), store.loadError);
  assert.deepEqual(holder.notes, [], "a file that cannot be read is kept");
});

Deno.test("TagChanger.change() goes on from a tags file that was edited", async () => {
  const holder = new FakeHolder();
  const store = new FakeStore(holder);
  store.tags = new Map([["dc", "north"], ["x", "1"]]);
  const changed = new TagChanger(holder, store).change(
    changes({ a: "1" }, ["x"]),
  );
  await until(() => holder.announcements.length === 1);
  assert.deepEqual(holder.notes, ["save a=1,dc=north", "set a=1,dc=north"]);
  assert.deepEqual(store.edits, ["dc=north,x=1"]);
  holder.announcements[0]?.resolve();
  await changed;
});

Deno.test("TagChanger.change() refuses without touching anything, and goes on", async () => {
  const holder = new FakeHolder();
  let failure: Error | undefined;
  const changer = start(holder, () => {
    if (failure !== undefined) throw failure;
  });
  const before = holder.tags;
  await assert.rejects(changer.change(changes({ a: "1", b: "2" })), {
    message: "too long",
  });
  assert.deepEqual(holder.notes, [], "what is too long is not even saved");
  failure = new Error("disk full");
  await assert.rejects(changer.change(changes({ a: "1" })), failure);
  assert.equal(holder.tags, before);
  failure = undefined;
  const changed = changer.change(changes({ a: "1" }));
  await until(() => holder.announcements.length === 1);
  holder.announcements[0]?.reject(new Error("nobody took note"));
  await assert.rejects(changed, { message: "nobody took note" });
  assert.equal(textOf(holder.tags), "a=1,dc=east,role=web");
});

Deno.test("TagChanger.change() puts the saved tags back when a leave began meanwhile", async () => {
  const holder = new FakeHolder();
  const changer = start(holder, () => holder.isLeaving = true);
  await assert.rejects(changer.change(changes({ a: "1" })), {
    message: "leaving",
  });
  assert.deepEqual(holder.notes, [
    "save a=1,dc=east,role=web",
    "save dc=east,role=web",
  ]);
});

async function until(condition: () => boolean): Promise<void> {
  for (let turn = 0; turn < 1_000 && !condition(); turn++) {
    await new Promise((resolve) => setTimeout(resolve));
  }
  assert.ok(condition());
}
