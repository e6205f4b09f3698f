/**
 * The test command: `deno task test [PATH ...] [FLAG ...]`.
 *
 * Runs everything under `test/` and the examples in the documentation of `lib/`
 * and its pages, or those in the files and folders that are named, in three
 * phases: first what needs no other process, several files at a time; then the
 * examples; then whole programs, one file after another, because failure detectors
 * do not like a machine that is busy with something else. Flags (such
 * as `--filter=NAME`, the value behind an equals sign) are handed on to `deno test`.
 *
 * When no paths are named, it first installs the programs of other people that
 * tests need (`programs.ts`), where it can: on Debian, as root or with a sudo that
 * asks for no password. `--no-install` keeps it from that. Tests that need what
 * is still not there are skipped.
 *
 * Prints a line for each test with its time; then, if there is any, what was
 * skipped for want of which program; and as the last line of all
 * `N passed, N failed`, with `, N skipped` behind it when some were. Tests are
 * counted, their steps are not; a file that cannot be loaded counts as a failed
 * test.
 */

import { installMissing } from "./installing.ts";
import { listOfSkipped, SKIPPED_FILE } from "./programs.ts";

/** Tests that start agents as processes of their own, or attack whole engines. */
const PROGRAM_FOLDERS = [
  "test/build",
  "test/demo",
  "test/e2e",
  "test/faults",
  "test/hostile",
  "test/packaging",
];
/** Where examples are looked for. */
const DOCUMENTED = ["lib", "README.md", "docs/library.md"];
const ROOT = new URL("..", import.meta.url);
/** The one flag that is for us, not for Deno. */
const NO_INSTALL = "--no-install";

/** One call of `deno test`. */
interface Phase {
  readonly title: string;
  readonly paths: readonly string[];
  readonly flags: readonly string[];
}

/** Set when somebody ends the test command: no further phase begins. */
let isStopped = false;

/** How many tests came to which end. */
export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** Sorts paths into the phases; a path that does not exist is Deno's to refuse. */
function phasesOf(args: readonly string[]): Phase[] {
  const flags = args.filter((arg) => arg.startsWith("-"));
  const given = args.filter((arg) => !arg.startsWith("-"));
  const paths = given.length === 0 ? ["test", ...DOCUMENTED] : given;
  const isDocumented = (path: string) =>
    DOCUMENTED.some((place) => isWithin(path, place));
  const isProgram = (path: string) =>
    PROGRAM_FOLDERS.some((folder) => isWithin(path, folder));
  const programs = paths.filter(isProgram);
  const units = paths.filter((path) => !isProgram(path) && !isDocumented(path));
  const inside = PROGRAM_FOLDERS.filter((folder) =>
    units.some((path) => isWithin(folder, path))
  );
  const phases = [{
    title: "Units, simulation and fuzzing",
    paths: units,
    flags: ["--parallel", `--ignore=${PROGRAM_FOLDERS.join()}`, ...flags],
  }, {
    title: "Examples",
    paths: paths.filter(isDocumented).flatMap(filesWithExamples),
    flags: ["--parallel", "--doc", ...flags],
  }, {
    title: "Whole programs",
    paths: [...programs, ...inside],
    flags,
  }];
  return phases.filter((phase) => phase.paths.length > 0);
}

/** Whether `path` is `folder` or lies in it. */
function isWithin(path: string, folder: string): boolean {
  const inner = new URL(path, ROOT).pathname.replace(/\/+$/, "");
  const outer = new URL(folder, ROOT).pathname.replace(/\/+$/, "");
  return inner === outer || inner.startsWith(`${outer}/`);
}

/** The files at or below `path` that have examples; one that is not there, too. */
function filesWithExamples(path: string): string[] {
  let isDirectory: boolean;
  try {
    isDirectory = Deno.statSync(new URL(path, ROOT)).isDirectory;
  } catch {
    return [path];
  }
  if (isDirectory) {
    return [...Deno.readDirSync(new URL(path, ROOT))]
      .map(({ name }) => `${path.replace(/\/+$/, "")}/${name}`).sort()
      .flatMap(filesWithExamples);
  }
  const text = Deno.readTextFileSync(new URL(path, ROOT));
  return /^(?: *\* )?```ts$/m.test(text) ? [path] : [];
}

/**
 * Writes the configuration for examples and returns its path. Deno adds an import
 * of the whole documented file to each, which would count as unused.
 */
function exampleConfig(): string {
  const read = Deno.readTextFileSync(new URL("deno.json", ROOT));
  const { unstable, nodeModulesDir, compilerOptions, imports, name, exports } =
    JSON.parse(read);
  const entries = Object.entries<string>(exports).map(([entry, file]) => [
    name + entry.slice(1),
    new URL(file, ROOT).href,
  ]);
  const path = Deno.makeTempFileSync({ suffix: ".json" });
  Deno.writeTextFileSync(
    path,
    JSON.stringify({
      unstable,
      nodeModulesDir,
      compilerOptions: { ...compilerOptions, noUnusedLocals: false },
      imports: { ...imports, ...Object.fromEntries(entries) },
    }),
  );
  return path;
}

/** @param skippedFile where tests note what they lack */
async function runPhase(phase: Phase, skippedFile: string): Promise<Counts> {
  if (!phase.flags.includes("--doc")) return await runTests(phase, skippedFile);
  const config = exampleConfig();
  try {
    const flags = [`--config=${config}`, "--no-lock", ...phase.flags];
    return await runTests({ ...phase, flags }, skippedFile);
  } finally {
    Deno.removeSync(config);
  }
}

async function runTests(phase: Phase, skippedFile: string): Promise<Counts> {
  console.log(`\n=== ${phase.title}: ${phase.paths.join(" ")}`);
  const child = new Deno.Command(Deno.execPath(), {
    args: ["test", "-A", "--permit-no-files", ...phase.flags, ...phase.paths],
    cwd: ROOT,
    env: { [SKIPPED_FILE]: skippedFile },
    stdout: "piped",
  }).spawn();
  // Somebody who ends the test command means the tests, and the agents of theirs.
  const stop = () => {
    child.kill("SIGTERM");
    isStopped = true;
  };
  Deno.addSignalListener("SIGTERM", stop);
  const output = await copyOutput(child.stdout);
  const { success } = await child.status;
  Deno.removeSignalListener("SIGTERM", stop);
  const counts = countsOf(output);
  // A type error or a leak may leave no failed test in the summary.
  return success ? counts : { ...counts, failed: Math.max(1, counts.failed) };
}

/** Shows the output as it comes, and returns it. */
async function copyOutput(stream: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of stream) {
    text += decoder.decode(chunk, { stream: true });
    for (let at = 0; at < chunk.length;) {
      at += await Deno.stdout.write(chunk.subarray(at));
    }
  }
  return text;
}

/** Reads `ok | 12 passed (3 steps) | 0 failed | 2 ignored (1s)`, Deno's last line. */
export function countsOf(output: string): Counts {
  // deno-lint-ignore no-control-regex -- colours begin with an escape character
  const plain = output.replaceAll(/\x1b\[[\d;]*m/g, "");
  const summary =
    /^(?:ok|FAILED) \| (\d+) passed(?: \(.*?\))? \| (\d+) failed(?: \(.*?\))?(?: \| (\d+) ignored)?/gm;
  const last = [...plain.matchAll(summary)].at(-1);
  return {
    passed: Number(last?.[1] ?? 0),
    failed: Number(last?.[2] ?? 0),
    skipped: Number(last?.[3] ?? 0),
  };
}

/** Adds the counts of phases. */
export function sum(all: readonly Counts[]): Counts {
  const total = (of: (counts: Counts) => number) =>
    all.reduce((sum, counts) => sum + of(counts), 0);
  return {
    passed: total(({ passed }) => passed),
    failed: total(({ failed }) => failed),
    skipped: total(({ skipped }) => skipped),
  };
}

/** The last line of all. */
export function lastLine({ passed, failed, skipped }: Counts): string {
  const line = `${passed} passed, ${failed} failed`;
  return skipped === 0 ? line : `${line}, ${skipped} skipped`;
}

if (import.meta.main) {
  const args = Deno.args.filter((arg) => arg !== NO_INSTALL);
  if (args.every((arg) => arg.startsWith("-"))) {
    await installMissing(!Deno.args.includes(NO_INSTALL));
  }
  const skippedFile = Deno.makeTempFileSync({ prefix: "serf_skipped_" });
  const all: Counts[] = [];
  for (const phase of phasesOf(args)) {
    all.push(await runPhase(phase, skippedFile));
    if (isStopped) break;
  }
  const skippedLines = listOfSkipped(Deno.readTextFileSync(skippedFile));
  Deno.removeSync(skippedFile);
  const counts = sum(all);
  const { passed, failed, skipped } = counts;
  // To find nothing to run is a mistake, not a success.
  const isEmpty = passed + failed + skipped === 0;
  if (isEmpty) console.error("error: no test was run");
  if (skippedLines.length > 0) console.log(`\n${skippedLines.join("\n")}`);
  console.log(`\n${lastLine(counts)}`);
  Deno.exit(failed === 0 && !isEmpty ? 0 : 1);
}
