import assert from "node:assert/strict";
import { TagChanger, type TagHolder } from "../../lib/agent/tag_changer.ts";
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

/** A changer whose saves take a turn of the event loop. */
function start(
  holder: FakeHolder,
  onSave: () => void = () => {},
): TagChanger {
  return new TagChanger(holder, async (tags) => {
    await new Promise((resolve) => setTimeout(resolve));
    holder.notes.push(`save ${textOf(tags)}`);
    onSave();
  });
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

Deno.test("TagChanger.replace() takes its turn, and keeps nothing of before", async () => {
  const holder = new FakeHolder();
  const changer = start(holder);
  const all = [
    changer.change(changes({ a: "1" })),
    changer.replace(new Map([["b", "2"]])),
    changer.change(changes({ c: "3" })),
  ];
  await until(() => holder.announcements.length === 3);
  assert.deepEqual(holder.notes.filter((note) => note.startsWith("set")), [
    "set a=1,dc=east,role=web",
    "set b=2",
    "set b=2,c=3",
  ]);
  for (const { resolve } of holder.announcements) resolve();
  await Promise.all(all);
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
