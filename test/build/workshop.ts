/**
 * A self-extracting executable for tests, and ways to start it.
 *
 * It is built once for each test file, next to nothing else, in a directory that
 * everybody may read and nobody but us may write.
 */

import { join } from "node:path";

const ROOT = join(import.meta.dirname ?? "", "../..");
/** Nobody in particular, as everywhere on Linux. */
export const NOBODY = 65_534;
/** Directories where a system keeps its programs, and none of ours. */
const SYSTEM_PATH = "/usr/bin:/bin";

export interface StartOptions {
  /** All variables; PATH has what the system brings unless given. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Starts it as `NOBODY`; wants to be root. */
  readonly asNobody?: boolean;
  /** Command line to put before it, such as `unshare -m`. */
  readonly before?: readonly string[];
  readonly stdin?: "null" | "piped";
}

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Why a test that wants another user, or a file system of its own, cannot be done. */
export const NEEDS_ROOT = Deno.build.os === "linux" && Deno.uid() === 0
  ? undefined
  : "wants root on Linux";

/** The built executable and a place for what its starts leave behind. */
export class Workshop implements Disposable {
  readonly executable: string;
  readonly #folder: string;
  #count = 0;

  private constructor(folder: string) {
    this.#folder = folder;
    this.executable = join(folder, "bin/serf");
  }

  static async open(): Promise<Workshop> {
    const folder = Deno.makeTempDirSync({ prefix: "serf_build_test_" });
    Deno.chmodSync(folder, 0o755);
    const shop = new Workshop(folder);
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "--quiet", "-A", join(ROOT, "build/main.ts")],
        ...["--self-extracting", `--output=${shop.executable}`],
      ],
      stdout: "null",
      stderr: "piped",
    }).output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
    return shop;
  }

  /** A path where nothing is yet, with a blank in it. */
  place(): string {
    return join(this.#folder, `place ${++this.#count}`);
  }

  /** A new directory of that mode. */
  folder(mode = 0o755): string {
    const path = this.place();
    Deno.mkdirSync(path);
    Deno.chmodSync(path, mode);
    return path;
  }

  start(
    args: readonly string[],
    options: StartOptions = {},
    executable = this.executable,
  ): Deno.ChildProcess {
    const { env, cwd = "/", asNobody, before = [], stdin = "null" } = options;
    const asUser = [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups"];
    const line = [
      ...before,
      ...(asNobody ? ["setpriv", ...asUser] : []),
      executable,
      ...args,
    ];
    return new Deno.Command(line[0] as string, {
      args: line.slice(1),
      clearEnv: true,
      env: { PATH: SYSTEM_PATH, ...env },
      cwd,
      stdin,
      stdout: "piped",
      stderr: "piped",
    }).spawn();
  }

  async run(
    args: readonly string[],
    options: StartOptions = {},
    executable = this.executable,
  ): Promise<Outcome> {
    const child = this.start(args, options, executable);
    if (options.stdin === "piped") await child.stdin.close();
    const { code, stdout, stderr } = await child.output();
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    return { code, stdout: text(stdout), stderr: text(stderr) };
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.#folder, { recursive: true });
  }
}

/** Names in a directory, in order. */
export function namesIn(path: string): string[] {
  return [...Deno.readDirSync(path)].map(({ name }) => name).sort();
}

/** The one directory that was unpacked below a cache directory. */
export function unpackedIn(cache: string): string {
  const names = namesIn(cache);
  if (names.length !== 1) throw new Error(`Not one directory: ${names}`);
  return join(cache, names[0] as string);
}
