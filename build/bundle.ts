/**
 * The program as plain JavaScript files, without packages to look for.
 *
 * Split at each `import()`, so that a command still loads no more than it needs.
 * (As one file, which is also what `deno compile --bundle` makes, every command
 * would load what the agent needs: `serf version` took three times as long.) Not
 * minified: it changed neither start nor memory, and traces stay readable.
 */

import { dirname, join } from "node:path";
import { runDeno } from "./run_deno.ts";

/** Stands in `lib/kit/version.ts` for the commit. */
const COMMIT_MARK = "@commit-of-the-build@";

export interface BundleOptions {
  /** The file that the program begins with. */
  readonly entry: string;
  /** An empty directory. */
  readonly into: string;
  readonly root: string;
  /** Absent when it is not known. */
  readonly commit?: string | undefined;
}

/**
 * Bundles the program.
 *
 * @returns the path of the file that it begins with
 * @throws {Error} when it cannot be bundled
 */
export async function bundle(options: BundleOptions): Promise<string> {
  const { entry, into, root, commit } = options;
  const { success, stderr } = await runDeno([
    ...["bundle", "--quiet", "--platform=deno", "--code-splitting"],
    ...["--frozen", `--outdir=${into}`, entry],
  ], { cwd: root });
  if (!success) throw new Error(`Cannot bundle the program:\n${stderr}`);
  if (commit !== undefined) writeCommit(into, commit);
  const name = entry.replace(/^.*\//, "").replace(/\.ts$/, ".js");
  return join(into, name);
}

/** Puts the commit where the version is. */
function writeCommit(folder: string, commit: string): void {
  let places = 0;
  for (const { name } of Deno.readDirSync(folder)) {
    const path = join(folder, name);
    const text = Deno.readTextFileSync(path);
    if (!text.includes(COMMIT_MARK)) continue;
    Deno.writeTextFileSync(path, text.replace(COMMIT_MARK, commit));
    places++;
  }
  if (places !== 1) {
    throw new Error(`The bundle has ${places} places for the commit, not one`);
  }
}

/**
 * The commit that is checked out, abbreviated, with `+CHANGES` behind it when the
 * files differ from it.
 *
 * @returns `undefined` outside of a repository, or without git, or when git does
 * not trust the repository, because it belongs to somebody else
 */
export async function commitOf(root: string): Promise<string | undefined> {
  const commit = await git(root, ["rev-parse", "--short", "HEAD"]);
  if (commit === undefined) return undefined;
  const changes = await git(root, [
    ...["status", "--porcelain", "--ignore-submodules=all"],
  ]);
  return changes === "" ? commit : `${commit}+CHANGES`;
}

/**
 * Runs git for a repository that has its `.git` in `root`.
 *
 * Git runs programs that a repository names in its settings. It does so in none
 * that belongs to another user, unless it is told otherwise, and we do not tell it.
 */
async function git(
  root: string,
  args: readonly string[],
): Promise<string | undefined> {
  try {
    const { success, stdout } = await new Deno.Command("git", {
      // A program that git would run to learn what has changed.
      args: ["-c", "core.fsmonitor=false", "-C", root, ...args],
      clearEnv: true,
      env: gitEnvironment(root),
      stdin: "null",
      stderr: "null",
    }).output();
    return success ? new TextDecoder().decode(stdout).trim() : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The environment without what leads git to another repository, or, under sudo, to
 * trust in that of the user who called it.
 */
function gitEnvironment(root: string): Record<string, string> {
  const kept = Object.entries(Deno.env.toObject()).filter(([name]) =>
    !/^(GIT_(?!CONFIG)|SUDO_)/.test(name)
  );
  return {
    ...Object.fromEntries(kept),
    // A repository above has nothing to do with what is built.
    GIT_CEILING_DIRECTORIES: dirname(root),
    // The index may belong to somebody else, even where git trusts it.
    GIT_OPTIONAL_LOCKS: "0",
  };
}
