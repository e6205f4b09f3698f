/** The snapshot file on a real disk: what is in it, also after things went wrong. */

import assert from "node:assert/strict";
import { utf8Bytes } from "../../lib/kit/bytes.ts";
import { openSnapshotFile } from "../../lib/net/snapshot_disk.ts";
import { SnapshotError } from "../../lib/net/snapshot_error.ts";
import { lacksAbility } from "../programs.ts";

const PLAIN = { rejoinAfterLeave: false };

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

function modeOf(path: string): number {
  return (Deno.statSync(path).mode ?? 0) & 0o777;
}

Deno.test("openSnapshotFile() makes an empty file that all may read", async () => {
  await inFolder(async (path) => {
    const { disk, restored } = await openSnapshotFile(path("s"), PLAIN);
    assert.equal(restored.members.size, 0);
    assert.equal(restored.isDamaged, false);
    assert.equal(modeOf(path("s")), 0o644);
    await disk.append(utf8Bytes("clock: 1\n"));
    assert.equal(Deno.readTextFileSync(path("s")), "clock: 1\n");
    disk.close();
  });
});

Deno.test("openSnapshotFile() says why it cannot, as Serf does", async () => {
  await inFolder(async (path) => {
    Deno.writeTextFileSync(path("file"), "");
    const attempts = [
      [path("none/s"), "no such file or directory"],
      [path(""), "is a directory"],
      [path("file/s"), "not a directory"],
      ["/dev/null", "not a regular file"],
    ] as const;
    for (const [where, why] of attempts) {
      await assert.rejects(openSnapshotFile(where, PLAIN), (error) => {
        assert.ok(error instanceof SnapshotError);
        assert.equal(
          error.message,
          `failed to open snapshot: open ${where}: ${why}`,
        );
        return true;
      });
    }
  });
});

Deno.test("openSnapshotFile() refuses a file of absurd length without reading it", async () => {
  await inFolder(async (path) => {
    Deno.writeTextFileSync(path("s"), "");
    Deno.truncateSync(path("s"), 2 ** 40);
    await assert.rejects(openSnapshotFile(path("s"), PLAIN), {
      message:
        /^failed to open snapshot: open .*: larger than 268435456 bytes$/,
    });
  });
});

Deno.test("openSnapshotFile() takes away a torn line, so that nothing is glued to it", async () => {
  await inFolder(async (path) => {
    Deno.writeTextFileSync(path("s"), "clock: 4\nalive: b");
    const { disk, restored } = await openSnapshotFile(path("s"), PLAIN);
    assert.equal(restored.isDamaged, true);
    assert.equal(Deno.readTextFileSync(path("s")), "clock: 4\n");
    await disk.append(utf8Bytes("clock: 9\n"));
    assert.equal(Deno.readTextFileSync(path("s")), "clock: 4\nclock: 9\n");
    disk.close();
  });
});

Deno.test("SnapshotDisk.replace() keeps permissions and links, and overwrites a leftover", async () => {
  await inFolder(async (path) => {
    Deno.mkdirSync(path("elsewhere"));
    Deno.writeTextFileSync(path("elsewhere/real"), "clock: 1\n");
    Deno.chmodSync(path("elsewhere/real"), 0o600);
    Deno.symlinkSync(path("elsewhere/real"), path("link"));
    Deno.writeTextFileSync(path("elsewhere/real.compact"), "of a crash");
    const { disk } = await openSnapshotFile(path("link"), PLAIN);
    await disk.append(utf8Bytes("clock: 2\n"));
    await disk.replace(utf8Bytes("clock: 3\n"));
    await disk.append(utf8Bytes("clock: 4\n"));
    await disk.sync();
    disk.close();
    const real = path("elsewhere/real");
    assert.equal(Deno.readTextFileSync(real), "clock: 3\nclock: 4\n");
    assert.equal(modeOf(real), 0o600);
    assert.ok(Deno.lstatSync(path("link")).isSymlink);
    assert.deepEqual(namesIn(path("elsewhere")), ["real"]);
  });
});

Deno.test("SnapshotDisk.replace() that fails leaves the file, which can still be added to", async () => {
  await inFolder(async (path) => {
    const { disk } = await openSnapshotFile(path("s"), PLAIN);
    await disk.append(utf8Bytes("clock: 1\n"));
    // What cannot be removed cannot be replaced.
    Deno.mkdirSync(path("s.compact/x"), { recursive: true });
    await assert.rejects(disk.replace(utf8Bytes("clock: 2\n")), {
      message: `failed to install new snapshot: replace ${
        Deno.realPathSync(path("s"))
      }: directory not empty`,
    });
    await disk.append(utf8Bytes("clock: 3\n"));
    disk.close();
    assert.equal(Deno.readTextFileSync(path("s")), "clock: 1\nclock: 3\n");
  });
});

Deno.test("openSnapshotFile() notices another process, also after a replacement", async () => {
  await inFolder(async (path) => {
    const first = await openSnapshotFile(path("s"), PLAIN);
    await first.disk.replace(utf8Bytes("clock: 1\n"));
    assert.deepEqual(first.restored.complaints, []);
    const second = await openSnapshotFile(path("s"), PLAIN);
    assert.deepEqual(second.restored.complaints, [{
      level: "WARN",
      text: `Snapshot ${path("s")} is in use by another process`,
    }]);
    second.disk.close();
    first.disk.close();
    const third = await openSnapshotFile(path("s"), PLAIN);
    assert.deepEqual(third.restored.complaints, []);
    third.disk.close();
  });
});

/** A file system with next to no room, where this machine lets us make one. */
function mountSmall(folder: string): boolean {
  try {
    const { success } = new Deno.Command("mount", {
      args: ["-t", "tmpfs", "-o", "size=64k", "tmpfs", folder],
      stderr: "null",
    }).outputSync();
    return success;
  } catch {
    return false;
  }
}

function unmount(folder: string): void {
  new Deno.Command("umount", { args: [folder] }).outputSync();
}

function canMount(): boolean {
  const folder = Deno.makeTempDirSync();
  const isMounted = mountSmall(folder);
  if (isMounted) unmount(folder);
  Deno.removeSync(folder);
  return isMounted;
}

Deno.test({
  name: "SnapshotDisk on a full disk takes back what it half wrote",
  ignore: lacksAbility("the right to mount a disk", canMount()),
  fn: async () => {
    const folder = await Deno.makeTempDir();
    assert.ok(mountSmall(folder));
    try {
      const path = `${folder}/s`;
      const { disk } = await openSnapshotFile(path, PLAIN);
      await disk.append(utf8Bytes("clock: 1\n"));
      // More than there is room for, so that a part of it is written first.
      const much = utf8Bytes("clock: 2\n".repeat(10_000));
      const full = { message: `write ${path}: no space left on device` };
      await assert.rejects(disk.append(much), full);
      assert.equal(Deno.readTextFileSync(path), "clock: 1\n");
      await assert.rejects(disk.replace(much), {
        message: /failed to install new snapshot: .*no space left on device$/,
      });
      assert.deepEqual(namesIn(folder), ["s"]);
      assert.equal(Deno.readTextFileSync(path), "clock: 1\n");
      await disk.append(utf8Bytes("clock: 3\n"));
      assert.equal(Deno.readTextFileSync(path), "clock: 1\nclock: 3\n");
      disk.close();
    } finally {
      unmount(folder);
      Deno.removeSync(folder);
    }
  },
});
