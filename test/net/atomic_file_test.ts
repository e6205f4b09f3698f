import assert from "node:assert/strict";
import { replaceFile, SUCCESSOR_SUFFIX } from "../../lib/net/atomic_file.ts";
import { utf8Bytes } from "../../lib/kit/bytes.ts";

const PRIVATE = { mode: 0o600 };

async function inFolder(
  use: (path: (name: string) => string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await use((name) => `${folder}/${name}`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function namesIn(path: string): string[] {
  return [...Deno.readDirSync(path)].map(({ name }) => name).sort();
}

Deno.test("replaceFile() makes a file with the permissions asked for", async () => {
  await inFolder(async (path) => {
    await replaceFile(path("keys"), utf8Bytes("one"), PRIVATE);
    assert.equal(await Deno.readTextFile(path("keys")), "one");
    const { mode } = await Deno.stat(path("keys"));
    assert.equal((mode ?? 0) & 0o777, 0o600);
  });
});

Deno.test("replaceFile() replaces all of a longer file and leaves nothing beside it", async () => {
  await inFolder(async (path) => {
    await Deno.writeTextFile(path("keys"), "a much longer text");
    await Deno.chmod(path("keys"), 0o644);
    await replaceFile(path("keys"), utf8Bytes("two"), PRIVATE);
    assert.equal(await Deno.readTextFile(path("keys")), "two");
    assert.equal(((await Deno.stat(path("keys"))).mode ?? 0) & 0o777, 0o600);
    assert.deepEqual(namesIn(path("")), ["keys"]);
  });
});

Deno.test("replaceFile() does not write into the leftover of a crash", async () => {
  await inFolder(async (path) => {
    const leftover = path(`keys${SUCCESSOR_SUFFIX}`);
    await Deno.writeTextFile(path("elsewhere"), "untouched");
    await Deno.symlink(path("elsewhere"), leftover);
    await replaceFile(path("keys"), utf8Bytes("new"), PRIVATE);
    assert.equal(await Deno.readTextFile(path("keys")), "new");
    assert.equal(await Deno.readTextFile(path("elsewhere")), "untouched");
    assert.deepEqual(namesIn(path("")), ["elsewhere", "keys"]);
  });
});

Deno.test("replaceFile() replaces what a link points to, not the link", async () => {
  await inFolder(async (path) => {
    await Deno.writeTextFile(path("real"), "old");
    await Deno.symlink(path("real"), path("link"));
    await replaceFile(path("link"), utf8Bytes("new"), PRIVATE);
    assert.equal(await Deno.readTextFile(path("real")), "new");
    assert.ok((await Deno.lstat(path("link"))).isSymlink);
  });
});

Deno.test("replaceFile() leaves the old file when the new one cannot be put in its place", async () => {
  await inFolder(async (path) => {
    // A folder with something in it cannot be replaced by a file.
    await Deno.mkdir(path("keys"));
    await Deno.writeTextFile(path("keys/inside"), "old");
    await assert.rejects(replaceFile(path("keys"), utf8Bytes("new"), PRIVATE));
    assert.deepEqual(namesIn(path("")), ["keys"]);
    assert.equal(await Deno.readTextFile(path("keys/inside")), "old");
  });
});

Deno.test("replaceFile() says that the folder is missing", async () => {
  await inFolder(async (path) => {
    await assert.rejects(
      replaceFile(path("none/keys"), utf8Bytes("new"), PRIVATE),
      Deno.errors.NotFound,
    );
  });
});
