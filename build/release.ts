/**
 * Makes a release: `deno task release`.
 *
 *     deno task release                     build all, pack all: dist/release/
 *     deno task release -executables=DIR    pack what was built elsewhere
 *
 * Packs an archive for each system that there is an executable for, lists what is
 * in them (`sbom.ts`), and writes SHA256SUMS. What cannot be built here is named, with the reason, and then the
 * exit code is 1; what could be is packed all the same.
 */

import { join } from "node:path";
import { renderHelp } from "../cmd/command.ts";
import { FlagError, parseFlags, textFlag } from "../cmd/flags.ts";
import { VERSION } from "../lib/kit/version.ts";
import { bundle, commitOf } from "./bundle.ts";
import {
  compile,
  DownloadError,
  TARGETS as COMPILER_TARGETS,
} from "./native.ts";
import { notices } from "./notices.ts";
import { packRelease } from "./package.ts";
import { sbom } from "./sbom.ts";
import { buildSelfExtracting } from "./self_extracting.ts";

const ROOT = join(import.meta.dirname ?? "", "..");
const SUMS = "SHA256SUMS";
/** By name, so that sums are in the order of the archives. */
const TARGETS = Object.entries(COMPILER_TARGETS).sort();
/** What an earlier release may have left. */
const OURS = /^(serf_.*\.(tar\.gz|zip|cdx\.json)|SHA256SUMS)$/;

const FLAGS = {
  "executables": textFlag("", {
    shown: "executables=DIRECTORY",
    text: [
      "Packs the executables that are there, named",
      "serf-OS-ARCH, instead of building them.",
    ],
  }),
  "output": textFlag(join(ROOT, "dist", "release"), {
    shown: "output=dist/release",
    text: ["Directory for the archives."],
  }),
  "tag": textFlag("", {
    shown: "tag=vVERSION",
    text: ["Fails unless this is the tag for the version."],
  }),
};

const HELP = renderHelp({
  usage: "release [options]",
  description: ["Packs serf for all systems, with sums."],
  flags: FLAGS,
}).replace("Usage: serf release", "Usage: deno task release");

/** The executable's name, as `deno task compile --all` chooses it. */
function fileNameOf(target: string): string {
  return `serf-${target}${target.startsWith("windows") ? ".exe" : ""}`;
}

/** The target that this machine is. */
function hostTarget(): string {
  const os = Deno.build.os === "darwin" ? "macos" : Deno.build.os;
  return `${os}-${Deno.build.arch === "aarch64" ? "arm64" : "x64"}`;
}

/**
 * Builds into a directory, the one for this machine without a download if need be.
 *
 * @returns for each target that could not be built, why
 */
async function buildInto(folder: string): Promise<Map<string, string>> {
  const reasons = new Map<string, string>();
  const commit = await commitOf(ROOT);
  const into = join(folder, "native");
  const program = await bundle({ entry: "main.ts", into, root: ROOT, commit });
  for (const [name, target] of TARGETS) {
    const output = join(folder, fileNameOf(name));
    try {
      await compile({ program, output, target });
    } catch (error) {
      if (!(error instanceof DownloadError)) throw error;
      if (name === hostTarget() && Deno.build.os !== "windows") {
        const into = join(folder, "self_extracting");
        await bundle({ entry: "build/start.ts", into, root: ROOT, commit });
        await buildSelfExtracting({ bundle: into, output, version: VERSION });
        console.info(`${name}: a self-extracting file (${error.message})`);
      } else reasons.set(name, error.message);
    }
  }
  return reasons;
}

interface Packing {
  readonly executables: string;
  readonly output: string;
  /** Why executables are missing, by target. */
  readonly reasons: ReadonlyMap<string, string>;
}

/** @returns whether nothing is missing */
async function pack(
  { executables, output, reasons }: Packing,
): Promise<boolean> {
  Deno.mkdirSync(output, { recursive: true });
  for (const { name } of [...Deno.readDirSync(output)]) {
    if (OURS.test(name)) Deno.removeSync(join(output, name));
  }
  const release = { version: VERSION, notices: await notices(ROOT) };
  const list = new TextEncoder().encode(await sbom(ROOT, VERSION));
  // Its name comes before those of the archives.
  const sums = [await put(output, `serf_${VERSION}.cdx.json`, list)];
  const missing: string[] = [];
  for (const [target] of TARGETS) {
    const executable = readIfThere(join(executables, fileNameOf(target)));
    if (executable === undefined) {
      const reason = reasons.get(target) ?? "there is no executable";
      missing.push(`${target} (${reason})`);
      continue;
    }
    const { name, bytes } = await packRelease(target, executable, release);
    sums.push(await put(output, name, bytes));
  }
  Deno.writeTextFileSync(join(output, SUMS), sums.join(""));
  if (missing.length > 0) {
    console.error(`Not in this release: ${missing.join(", ")}`);
  }
  return missing.length === 0;
}

/** Writes a file of the release. @returns its line of the sums */
async function put(
  folder: string,
  name: string,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<string> {
  const path = join(folder, name);
  Deno.writeFileSync(path, bytes);
  console.info(`${path}: ${(bytes.length / 1e6).toFixed(1)} MB`);
  const hash = await crypto.subtle.digest("SHA-256", bytes);
  return `${new Uint8Array(hash).toHex()}  ${name}\n`;
}

function readIfThere(path: string): Uint8Array | undefined {
  try {
    return Deno.readFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

async function main(args: readonly string[]): Promise<number> {
  let options;
  try {
    options = parseFlags(FLAGS, args).values;
  } catch (error) {
    if (!(error instanceof FlagError)) throw error;
    if (error.message !== "") console.error(error.message);
    console.error(HELP);
    return 1;
  }
  const { executables, output, tag } = options;
  if (tag !== "" && tag !== `v${VERSION}`) {
    console.error(`The tag ${tag} is not that of version ${VERSION}`);
    return 1;
  }
  if (executables !== "") {
    return await pack({ executables, output, reasons: new Map() }) ? 0 : 1;
  }
  const scratch = await Deno.makeTempDir({ prefix: "serf_release_" });
  try {
    const reasons = await buildInto(scratch);
    return await pack({ executables: scratch, output, reasons }) ? 0 : 1;
  } finally {
    await Deno.remove(scratch, { recursive: true });
  }
}

if (import.meta.main) Deno.exit(await main(Deno.args));
