/** A disk of 64 KiB, to be filled: a file system in memory, mounted. */

import assert from "node:assert/strict";

const SIZE_KIB = 64;

export class SmallDisk implements Disposable {
  private constructor(readonly path: string) {}

  /** Whether this machine lets us mount something. */
  static isPossible(): boolean {
    if (Deno.build.os !== "linux") return false;
    try {
      SmallDisk.make()[Symbol.dispose]();
      return true;
    } catch {
      return false;
    }
  }

  /** @throws {AssertionError} where nothing may be mounted */
  static make(): SmallDisk {
    const path = Deno.makeTempDirSync({ prefix: "serf_disk_" });
    const options = `size=${SIZE_KIB}k`;
    if (run("mount", "-t", "tmpfs", "-o", options, "serf-test", path)) {
      return new SmallDisk(path);
    }
    Deno.removeSync(path);
    throw new assert.AssertionError({ message: "cannot mount a small disk" });
  }

  get #filler(): string {
    return `${this.path}/filler`;
  }

  /** Takes all the room there is. */
  fill(): void {
    using file = Deno.openSync(this.#filler, { create: true, append: true });
    assert.throws(() => {
      while (true) file.writeSync(new Uint8Array(1_024));
    }, /No space left on device/i);
  }

  /** Gives the room back. */
  free(): void {
    Deno.removeSync(this.#filler);
  }

  [Symbol.dispose](): void {
    assert.ok(run("umount", "-l", this.path));
    Deno.removeSync(this.path);
  }
}

function run(program: string, ...args: string[]): boolean {
  try {
    return new Deno.Command(program, { args, stderr: "null" }).outputSync()
      .success;
  } catch {
    return false;
  }
}
