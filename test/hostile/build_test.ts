/**
 * Whoever owns a repository around or above what is built runs no program through
 * the build, which root may have started.
 */

import assert from "node:assert/strict";
import { commitOf } from "../../build/bundle.ts";
import { lacks, lacksAbility } from "../programs.ts";
import { NEEDS_ROOT, NOBODY } from "../build/workshop.ts";

/** A repository that names a program for git to run, and a place to build in. */
class TrappedRepository implements Disposable {
  readonly path: string;

  constructor() {
    const folder = Deno.makeTempDirSync({ prefix: "serf_trapped_" });
    Deno.chmodSync(folder, 0o755);
    this.path = `${folder}/repository`;
    const program = `${folder}/monitor`;
    Deno.writeTextFileSync(program, `#!/bin/sh\n: > "${folder}/trace"\n`);
    Deno.chmodSync(program, 0o755);
    Deno.mkdirSync(`${this.path}/inner`, { recursive: true });
    Deno.writeTextFileSync(`${this.path}/inner/file`, "");
    this.git("init", "--quiet");
    this.git("add", ".");
    this.git(
      ...["-c", "user.name=n", "-c", "user.email=e@localhost"],
      ...["commit", "--quiet", "--message=m"],
    );
    this.git("config", "core.fsmonitor", program);
  }

  get isSprung(): boolean {
    return [...Deno.readDirSync(`${this.path}/..`)]
      .some(({ name }) => name === "trace");
  }

  git(...args: readonly string[]): string {
    const { success, stdout, stderr } = new Deno.Command("git", {
      args: ["-C", this.path, ...args],
    }).outputSync();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
    return new TextDecoder().decode(stdout).trim();
  }

  give(uid: number): void {
    const { success } = new Deno.Command("chown", {
      args: ["-R", `${uid}:${uid}`, this.path],
    }).outputSync();
    assert.ok(success);
  }

  [Symbol.dispose](): void {
    Deno.removeSync(`${this.path}/..`, { recursive: true });
  }
}

Deno.test(
  "a build takes no commit from a repository above it, and runs nothing there",
  {
    ignore: lacks("git"),
  },
  async () => {
    using repository = new TrappedRepository();
    assert.equal(await commitOf(`${repository.path}/inner`), undefined);
    assert.ok(!repository.isSprung);
  },
);

Deno.test(
  "a build learns the commit of its own repository, and runs nothing there",
  {
    ignore: lacks("git"),
  },
  async () => {
    using repository = new TrappedRepository();
    const commit = repository.git("rev-parse", "--short", "HEAD");
    assert.equal(await commitOf(repository.path), commit);
    Deno.writeTextFileSync(`${repository.path}/inner/file`, "changed");
    assert.equal(await commitOf(repository.path), `${commit}+CHANGES`);
    assert.ok(!repository.isSprung);
  },
);

Deno.test("a build by root does not trust the repository of another user", {
  ignore: lacksAbility("root on Linux", NEEDS_ROOT === undefined) ||
    lacks("git"),
}, async () => {
  using repository = new TrappedRepository();
  repository.give(NOBODY);
  const before = Deno.env.get("SUDO_UID");
  Deno.env.set("SUDO_UID", String(NOBODY));
  try {
    assert.equal(await commitOf(repository.path), undefined);
    assert.equal(await commitOf(`${repository.path}/inner`), undefined);
  } finally {
    if (before === undefined) Deno.env.delete("SUDO_UID");
    else Deno.env.set("SUDO_UID", before);
  }
  assert.ok(!repository.isSprung);
});
