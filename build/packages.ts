/**
 * The packages that end up in the executable: those that the program imports and
 * theirs in turn, each in the very version that is bundled.
 */

import { join } from "node:path";
import { runDeno } from "./run_deno.ts";

/** One package of the program. */
export interface BundledPackage {
  readonly name: string;
  readonly version: string;
  /** The directory that it was unpacked into. */
  readonly localPath: string;
  /** SHA-512 of its archive in base64, from `deno.lock`. */
  readonly sha512: string;
  /** Names with versions, `re2js@2.10.0`. */
  readonly dependencies: readonly string[];
}

/** The parts that are read of what `deno info --json` prints. */
interface ModuleInfo {
  readonly modules: readonly {
    readonly kind: string;
    readonly npmPackage?: string;
  }[];
  readonly npmPackages: Readonly<
    Record<string, Omit<BundledPackage, "sha512">>
  >;
}

/** The parts that are read of `deno.lock`. */
interface Lock {
  readonly npm: Readonly<Record<string, { readonly integrity: string }>>;
}

/** Packages of types leave nothing in a bundle. */
const TYPES = "@types/";
const SHA512 = "sha512-";

/**
 * The packages by name.
 *
 * @param root the project's directory
 * @throws {Error} when they cannot be found out, or `deno.lock` lacks one
 */
export async function bundledPackages(root: string): Promise<BundledPackage[]> {
  // Of packages that are not in the cache there is nothing to read.
  await printed(root, ["cache", "--quiet", "main.ts"]);
  const { modules, npmPackages }: ModuleInfo = JSON.parse(
    await printed(root, ["info", "--json", "main.ts"]),
  );
  const lock: Lock = JSON.parse(Deno.readTextFileSync(join(root, "deno.lock")));
  const found = new Map<string, BundledPackage>();
  const wanted = modules.flatMap(({ npmPackage }) => npmPackage ?? []);
  for (const id of wanted) {
    const info = npmPackages[id];
    if (info === undefined) throw new Error(`Nothing is known of ${id}`);
    if (found.has(id) || info.name.startsWith(TYPES)) continue;
    const integrity = lock.npm[id]?.integrity;
    if (!integrity?.startsWith(SHA512)) {
      throw new Error(`deno.lock has no SHA-512 of ${id}`);
    }
    found.set(id, { ...info, sha512: integrity.slice(SHA512.length) });
    wanted.push(...info.dependencies);
  }
  return [...found].sort(([a], [b]) => a < b ? -1 : 1).map(([, info]) => info);
}

/** What `deno ARGS` prints. */
async function printed(root: string, args: readonly string[]): Promise<string> {
  const { success, stdout, stderr } = await runDeno(args, { cwd: root });
  if (success) return stdout;
  throw new Error(`Cannot find out which packages are bundled:\n${stderr}`);
}
