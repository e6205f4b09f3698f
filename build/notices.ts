/**
 * Whose work is in the executable besides this project's, and under which terms:
 * a text that goes along with every copy, as most of the licences ask for.
 *
 * The packages are those that the program imports and theirs in turn, each with
 * the licence file of the very version that is bundled.
 */

import { join } from "node:path";
import { runDeno } from "./run_deno.ts";

/** The parts that are looked at of what `deno info --json` prints. */
interface ModuleInfo {
  readonly modules: readonly {
    readonly kind: string;
    readonly npmPackage?: string;
  }[];
  readonly npmPackages: Readonly<Record<string, PackageInfo>>;
}

interface PackageInfo {
  readonly name: string;
  readonly version: string;
  readonly dependencies: readonly string[];
  readonly localPath: string;
}

const LICENSE_FILE = /^licen[cs]e(\.(md|txt))?$/i;
/** Packages of types leave nothing in a bundle. */
const TYPES = "@types/";
const RULE = `\n${"-".repeat(72)}\n\n`;

/**
 * The text.
 *
 * @param root the project's directory, whose own licence stands first
 * @throws {Error} when the packages cannot be found out, or one has no licence file
 */
export async function notices(root: string): Promise<string> {
  const own = Deno.readTextFileSync(join(root, "LICENSE"));
  // The terms without the line that names the holders.
  const mit = own.replace(/^Copyright .*\n\n/m, "");
  const sections = [
    `serf\n\n${own}`,
    [
      "Deno, the run-time that the executable contains: https://deno.com\n",
      "V8 and other libraries are part of it, under permissive licences of",
      "their own: https://github.com/denoland/deno\n",
      mit.replace("\n\n", "\n\nCopyright 2018-2026 the Deno authors\n\n"),
    ].join("\n"),
    ...(await packagesOf(root)).map(({ name, version, localPath }) =>
      `${name} ${version}: https://www.npmjs.com/package/${name}\n\n` +
      licenseIn(localPath)
    ),
  ];
  return sections.map((section) => `${section.trim()}\n`).join(RULE);
}

/** The packages in the program, by name. */
async function packagesOf(root: string): Promise<PackageInfo[]> {
  // Of packages that are not in the cache there is nothing to read.
  await printed(root, ["cache", "--quiet", "main.ts"]);
  const { modules, npmPackages }: ModuleInfo = JSON.parse(
    await printed(root, ["info", "--json", "main.ts"]),
  );
  const found = new Map<string, PackageInfo>();
  const wanted = modules.flatMap(({ npmPackage }) => npmPackage ?? []);
  for (const id of wanted) {
    const info = npmPackages[id];
    if (info === undefined) throw new Error(`Nothing is known of ${id}`);
    if (found.has(id) || info.name.startsWith(TYPES)) continue;
    found.set(id, info);
    wanted.push(...info.dependencies);
  }
  return [...found].sort(([a], [b]) => a < b ? -1 : 1).map(([, info]) => info);
}

function licenseIn(folder: string): string {
  for (const { name } of Deno.readDirSync(folder)) {
    if (LICENSE_FILE.test(name)) {
      return Deno.readTextFileSync(join(folder, name)).replaceAll("\r", "");
    }
  }
  throw new Error(`There is no licence file in ${folder}`);
}

/** What `deno ARGS` prints. */
async function printed(root: string, args: readonly string[]): Promise<string> {
  const { success, stdout, stderr } = await runDeno(args, { cwd: root });
  if (success) return stdout;
  throw new Error(`Cannot find out which packages are bundled:\n${stderr}`);
}
