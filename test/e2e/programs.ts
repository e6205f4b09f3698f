/**
 * Running the two programs: ours and HashiCorp's.
 *
 * Ours is `deno run -A main.ts` in the project's root, or whatever the variable
 * SERF_UNDER_TEST says (words separated by blanks, paths from the root), such as
 * the executable:
 *
 *     deno task compile && SERF_UNDER_TEST=dist/serf deno task test test/e2e
 *
 * HashiCorp's is `serf` on the PATH, or what SERF_ORACLE names.
 *
 * Every process started here is known by its pid until it has ended, and is
 * killed when the tests end, whichever way they end.
 */

/** Whose program. */
export type Kind = "ours" | "hashicorp";

export const KINDS: readonly Kind[] = ["ours", "hashicorp"];

/** How a process ended. */
export interface Exit {
  /** Exit code; 128 plus the number of the signal that killed it. */
  readonly code: number;
  readonly signal: string | null;
}

/** What a program that has ended left behind. */
export interface CliResult extends Exit {
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  /** Variables to set on top of ours. */
  readonly env?: Record<string, string>;
  /** The program is killed and the call fails after this long, milliseconds. */
  readonly timeoutMs?: number;
}

const CLI_TIMEOUT_MS = 90_000;
const PROJECT_ROOT = new URL("../..", import.meta.url);

const HOW_TO_INSTALL = [
  "These tests need HashiCorp's serf 0.9.4, and it is not installed.",
  "On Debian: apt-get update && apt-get install -y serf",
  "Elsewhere: put its executable on the PATH or name it in SERF_ORACLE.",
].join("\n");

const running = new Set<Deno.ChildProcess>();

function killAll(): void {
  for (const child of running) {
    try {
      child.kill("SIGKILL");
    } catch {
      // It has ended, but its end was not seen yet.
    }
  }
}

globalThis.addEventListener("unload", killAll);
// A listener replaces the default action, so ending is on us as well.
for (
  const [signal, number] of [["SIGHUP", 1], ["SIGINT", 2], [
    "SIGTERM",
    15,
  ]] as const
) {
  Deno.addSignalListener(signal, () => {
    killAll();
    Deno.exit(128 + number);
  });
}

/** The command of a kind, program first. */
export function commandOf(kind: Kind): readonly string[] {
  if (kind === "hashicorp") return [Deno.env.get("SERF_ORACLE") ?? "serf"];
  const given = Deno.env.get("SERF_UNDER_TEST")?.trim();
  if (given) return given.split(/\s+/);
  return [Deno.execPath(), "run", "-A", "main.ts"];
}

/**
 * Fails when the program on the PATH is not HashiCorp's, or cannot be run. Tests
 * begin with this; where there is no such program they are not begun.
 */
export async function requireHashicorp(): Promise<void> {
  const result = await runCli("hashicorp", ["version"]);
  if (!result.stdout.includes("Agent Protocol: 5")) {
    throw new Error(`Unexpected answer of 'serf version': ${result.stdout}`);
  }
}

/** A started process whose output is collected as it comes. */
export class Running {
  readonly pid: number;
  /** Settles when the process has ended and its output was read to the end. */
  readonly ended: Promise<Exit>;
  #child: Deno.ChildProcess;
  #exit: Exit | undefined;
  #stdout = "";
  #stderr = "";

  /** @throws {Error} with advice when the program does not exist */
  constructor(
    kind: Kind,
    args: readonly string[],
    env: Record<string, string> = {},
  ) {
    const [program, ...given] = commandOf(kind) as [string, ...string[]];
    // Variables of the person at the keyboard must not steer the tests.
    const { SERF_RPC_ADDR: _, SERF_RPC_AUTH: __, ...inherited } = Deno.env
      .toObject();
    try {
      this.#child = new Deno.Command(program, {
        args: [...given, ...args],
        cwd: PROJECT_ROOT,
        clearEnv: true,
        env: { ...inherited, NO_COLOR: "1", ...env },
        stdin: "null",
        stdout: "piped",
        stderr: "piped",
      }).spawn();
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      if (kind === "hashicorp") throw new Error(HOW_TO_INSTALL);
      throw new Error(`Cannot find '${program}' (from SERF_UNDER_TEST)`);
    }
    running.add(this.#child);
    this.pid = this.#child.pid;
    this.ended = this.#collect();
  }

  get stdout(): string {
    return this.#stdout;
  }

  get stderr(): string {
    return this.#stderr;
  }

  /** How it ended, `undefined` while it runs. */
  get exit(): Exit | undefined {
    return this.#exit;
  }

  /** Sends a signal; does nothing when the process has ended. */
  signal(signal: Deno.Signal): void {
    if (!running.has(this.#child)) return;
    try {
      this.#child.kill(signal);
    } catch (error) {
      // It ended a moment ago.
      if (
        !(error instanceof TypeError || error instanceof Deno.errors.NotFound)
      ) {
        throw error;
      }
    }
  }

  /** Kills the process, if it still runs, and waits for its end. */
  async kill(): Promise<void> {
    this.signal("SIGKILL");
    await this.ended;
  }

  async #collect(): Promise<Exit> {
    const child = this.#child;
    const status = child.status.finally(() => running.delete(child));
    await Promise.all([
      readText(child.stdout, (text) => this.#stdout += text),
      readText(child.stderr, (text) => this.#stderr += text),
    ]);
    const { code, signal } = await status;
    this.#exit = { code, signal };
    return this.#exit;
  }
}

/** Runs a program to its end. */
export async function runCli(
  kind: Kind,
  args: readonly string[],
  options: CliOptions = {},
): Promise<CliResult> {
  const timeoutMs = options.timeoutMs ?? CLI_TIMEOUT_MS;
  const process = new Running(kind, args, options.env);
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    process.signal("SIGKILL");
  }, timeoutMs);
  const exit = await process.ended;
  clearTimeout(timer);
  if (isLate) {
    throw new Error(
      `${kind} serf ${
        args.join(" ")
      } did not end within ${timeoutMs} ms; it printed:\n` +
        process.stdout + process.stderr,
    );
  }
  return { ...exit, stdout: process.stdout, stderr: process.stderr };
}

async function readText(
  stream: ReadableStream<Uint8Array>,
  take: (text: string) => void,
): Promise<void> {
  const decoder = new TextDecoder();
  for await (const chunk of stream) {
    take(decoder.decode(chunk, { stream: true }));
  }
  take(decoder.decode());
}
