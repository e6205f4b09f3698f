/**
 * Builds the executable: `deno task compile`.
 *
 *     deno task compile                  dist/serf for this machine
 *     deno task compile --all            dist/serf-OS-ARCH for all of them
 *     deno task compile --self-extracting    without a download, see below
 *
 * `deno compile` makes it where Deno's small run-time is at hand or can be
 * downloaded (`native.ts`). Otherwise the Deno that is running goes into a file
 * that extracts itself (`self_extracting.ts`), on Linux and macOS, for this machine
 * alone.
 */

import { join } from "node:path";
import { renderHelp } from "../cmd/command.ts";
import { booleanFlag, FlagError, parseFlags, textFlag } from "../cmd/flags.ts";
import { VERSION } from "../lib/kit/version.ts";
import { bundle, commitOf } from "./bundle.ts";
import { compile, DownloadError, TARGETS } from "./native.ts";
import { buildSelfExtracting } from "./self_extracting.ts";

const ROOT = join(import.meta.dirname ?? "", "..");
const IS_WINDOWS = Deno.build.os === "windows";

const FLAGS = {
  "all": booleanFlag(false, {
    text: ["Builds for Linux, macOS and Windows; wants a download."],
  }),
  "output": textFlag(join(ROOT, IS_WINDOWS ? "dist/serf.exe" : "dist/serf"), {
    shown: "output=dist/serf",
    text: ["Where to put it; with -all, what the names begin with."],
  }),
  "self-extracting": booleanFlag(false, {
    text: ["Builds a file that extracts itself, see docs/executable.md."],
  }),
};

const HELP = renderHelp({
  usage: "compile [options]",
  description: ["Builds serf as one executable file."],
  flags: FLAGS,
}).replace("Usage: serf compile", "Usage: deno task compile");

interface Build {
  readonly output: string;
  readonly commit: string | undefined;
  /** A directory for what is needed on the way. */
  readonly scratch: string;
}

/** For this machine. */
async function buildHere(build: Build): Promise<void> {
  const { output } = build;
  try {
    await compile({ program: await bundleForCompiler(build), output });
    report(output);
  } catch (error) {
    if (!(error instanceof DownloadError) || IS_WINDOWS) throw error;
    console.info(
      "Deno's run-time for executables cannot be downloaded here " +
        `(${error.message}); building a self-extracting file of ` +
        `${Deno.execPath()} instead`,
    );
    await buildWithoutDownload(build);
  }
}

async function buildWithoutDownload(build: Build): Promise<void> {
  const { output, commit, scratch } = build;
  const into = join(scratch, "self_extracting");
  await bundle({ entry: "build/start.ts", into, root: ROOT, commit });
  await buildSelfExtracting({ bundle: into, output, version: VERSION });
  report(output);
}

/**
 * For everybody.
 *
 * @throws {Error} when some could not be built; which, it has said
 */
async function buildAll(build: Build): Promise<void> {
  const program = await bundleForCompiler(build);
  let failures = 0;
  for (const [name, target] of Object.entries(TARGETS)) {
    const suffix = name.startsWith("windows") ? ".exe" : "";
    const output = `${build.output.replace(/\.exe$/, "")}-${name}${suffix}`;
    try {
      await compile({ program, output, target });
      report(output);
    } catch (error) {
      if (!(error instanceof DownloadError)) throw error;
      failures++;
      console.error(`Not built: ${name} (${error.message})`);
    }
  }
  if (failures > 0) {
    throw new Error("Without --all, one for this machine can still be built");
  }
}

function bundleForCompiler({ scratch, commit }: Build): Promise<string> {
  const into = join(scratch, "native");
  return bundle({ entry: "main.ts", into, root: ROOT, commit });
}

function report(output: string): void {
  const megabytes = (Deno.statSync(output).size / 1e6).toFixed(1);
  console.info(`${output}: ${megabytes} MB`);
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
  const { all, output, "self-extracting": isSelfExtracting } = options;
  const scratch = await Deno.makeTempDir({ prefix: "serf_build_" });
  try {
    await Deno.mkdir(join(output, ".."), { recursive: true });
    const build = { output, scratch, commit: await commitOf(ROOT) };
    if (all) await buildAll(build);
    else if (isSelfExtracting) await buildWithoutDownload(build);
    else await buildHere(build);
    return 0;
  } catch (error) {
    console.error((error as Error).message);
    return 1;
  } finally {
    await Deno.remove(scratch, { recursive: true });
  }
}

if (import.meta.main) Deno.exit(await main(Deno.args));
