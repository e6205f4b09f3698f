/**
 * The programs of other people that tests need: one table, which tells what is
 * installed before a full run (`run.ts`), and what was skipped for want of what.
 *
 * A test that needs one of them says `ignore: lacks("zsh")`, or
 * `needs: ["serf"]` where a harness registers it. What every system with a shell
 * has (sh, env, mkfifo, mount) is not listed.
 */

import { delimiter, join } from "node:path";

interface Program {
  /** Its package in Debian. */
  readonly debian: string;
  /** What the tests use it for, to be read behind its name. */
  readonly use: string;
  /**
   * Whether a full run may install it. Not what is part of every Debian anyway,
   * nor what may change how a machine starts.
   */
  readonly isInstalled: boolean;
}

const PROGRAMS = {
  serf: {
    debian: "serf",
    use: "clusters and commands beside HashiCorp's",
    isInstalled: true,
  },
  nft: {
    debian: "nftables",
    use: "faults of networks",
    isInstalled: true,
  },
  ip: {
    debian: "iproute2",
    use: "networks of several machines",
    isInstalled: true,
  },
  faketime: {
    debian: "faketime",
    use: "a clock that is set",
    isInstalled: true,
  },
  zsh: {
    debian: "zsh",
    use: "completion in zsh",
    isInstalled: true,
  },
  bash: {
    debian: "bash",
    use: "completion in bash",
    isInstalled: false,
  },
  git: {
    debian: "git",
    use: "the commit that a build tells",
    isInstalled: true,
  },
  tar: {
    debian: "tar",
    use: "reading our archives",
    isInstalled: false,
  },
  unzip: {
    debian: "unzip",
    use: "reading our archives for Windows",
    isInstalled: true,
  },
  shellcheck: {
    debian: "shellcheck",
    use: "a look at the shell scripts that we ship",
    isInstalled: true,
  },
  groff: {
    debian: "groff-base",
    use: "a look at the manual pages",
    isInstalled: true,
  },
  python3: {
    debian: "python3",
    use: "another reader of service files and notices",
    isInstalled: true,
  },
  "systemd-analyze": {
    debian: "systemd",
    use: "a look at the systemd unit",
    isInstalled: false,
  },
  "start-stop-daemon": {
    debian: "dpkg",
    use: "the SysV script",
    isInstalled: false,
  },
  unshare: {
    debian: "util-linux",
    use: "an agent as process 1",
    isInstalled: false,
  },
  prlimit: {
    debian: "util-linux",
    use: "an agent without free descriptors",
    isInstalled: false,
  },
} as const satisfies Record<string, Program>;

export type ProgramName = keyof typeof PROGRAMS;

const NAMES = Object.keys(PROGRAMS) as ProgramName[];

/** Names the file to which tests append a line for everything that they lack. */
export const SKIPPED_FILE = "SERF_TESTS_SKIPPED";

/** Where Debian has programs that are not on the PATH of every user. */
const FOLDERS_OF_ROOT = ["/usr/sbin", "/sbin"];

/** Whether tests can run a program. */
export function has(program: ProgramName): boolean {
  // The tests take HashiCorp's serf from here, if it is set.
  const oracle = program === "serf" ? Deno.env.get("SERF_ORACLE") : undefined;
  if (oracle?.includes("/")) return isFile(oracle);
  return pathsOf(oracle ?? program, foldersOnPath()).some(isFile);
}

/** The programs that a full run installs where it can, as far as not there. */
export function missingPrograms(): ProgramName[] {
  const folders = [...foldersOnPath(), ...FOLDERS_OF_ROOT];
  return NAMES.filter((name) =>
    PROGRAMS[name].isInstalled && !has(name) &&
    !pathsOf(name, folders).some(isFile)
  );
}

/** The packages of Debian that have these programs. */
export function packagesOf(programs: readonly ProgramName[]): string[] {
  return [...new Set(programs.map((name) => PROGRAMS[name].debian))];
}

function foldersOnPath(): string[] {
  return (Deno.env.get("PATH") ?? "").split(delimiter);
}

function pathsOf(program: string, folders: readonly string[]): string[] {
  const suffix = Deno.build.os === "windows" ? ".exe" : "";
  return folders.map((folder) => join(folder, program + suffix));
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

/**
 * Whether any of these programs is missing, to be called once for each test that
 * needs them, where it is registered. Notes the first one that is missing for the
 * list at the end.
 */
export function lacks(...programs: readonly ProgramName[]): boolean {
  const missing = programs.find((program) => !has(program));
  if (missing !== undefined) noteSkipped(missing);
  return missing !== undefined;
}

/**
 * As `lacks`, of something that is no program but a right, or a feature of the
 * kernel.
 *
 * @param what such as "the right to mount"
 */
export function lacksAbility(what: string, isThere: boolean): boolean {
  if (!isThere) noteSkipped(what);
  return !isThere;
}

/** Notes that one test, or a step of one, is skipped for want of something. */
export function noteSkipped(what: string): void {
  const file = Deno.env.get(SKIPPED_FILE);
  if (file) Deno.writeTextFileSync(file, `${what}\n`, { append: true });
}

/**
 * The list at the end of a run, empty when nothing was skipped.
 *
 * @param notes what the tests have noted, a line each
 */
export function listOfSkipped(notes: string): string[] {
  const counts = new Map<string, number>();
  for (const what of notes.split("\n").filter((line) => line !== "")) {
    counts.set(what, (counts.get(what) ?? 0) + 1);
  }
  if (counts.size === 0) return [];
  const lines = [...counts].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1))
    .map(([what, count]) =>
      `  ${describe(what)}: ${count} ${count === 1 ? "test" : "tests"}`
    );
  return ["Skipped for want of", ...lines];
}

/** A line about a program: its name, package and use. */
export function describe(what: string): string {
  if (!isProgramName(what)) return what;
  const { debian, use } = PROGRAMS[what];
  return `${what} (Debian package ${debian}), for ${use}`;
}

function isProgramName(what: string): what is ProgramName {
  return Object.hasOwn(PROGRAMS, what);
}
