/**
 * One run of a script, from the shell to the last byte that it prints.
 *
 *     spawned ──the shell ended, its output is closed or quiet──▶ exited, signaled
 *        ├── timeout: all its processes are killed ─────────────▶ timedOut
 *        └── nobody waits any more: it runs on alone ───────────▶ abandoned
 *
 * A job that the script leaves in the background does not keep the run going, also
 * when it holds the output open (`script_output.ts`). In the original it does: the
 * query is never answered, and no handler runs any more. With a timeout the job is
 * killed when that is over, as long as it holds the output.
 *
 * Standard output and standard error are one pipe, so that what they carry stays
 * in order. The runtime can only make two; so a first shell joins them and then
 * becomes, under the same process id, the shell that runs the script with exactly
 * the arguments that the original gives it. Windows has no such shell: there are
 * two pipes, merged in the order in which their bytes arrive.
 *
 * With a timeout the script gets a session and process group of its own, which
 * is what can be killed as a whole; what leaves the group on purpose escapes.
 * Without one it stays in the agent's group, as in the original, and hears the
 * interrupt key of the terminal.
 *
 * A script may print without end. The last `OUTPUT_BYTES_MAX` bytes are kept, and
 * beyond as many the pipe is read once a millisecond, so that a flood costs the
 * agent a few percent of a processor and the script its speed.
 *
 * Not for: what scripts are told (`handler_input.ts`) and when they run
 * (`event_handlers.ts`). Source: serf, `cmd/serf/command/agent/invoke.go`.
 */

import { unreachable } from "../kit/assert.ts";
import { EMPTY_BYTES } from "../kit/bytes.ts";
import { formatDuration } from "../kit/duration.ts";
import { monotonicMs } from "../net/clock.ts";
import { systemErrorText } from "../net/system_error.ts";
import { ownChild } from "./init_process.ts";
import { type Leftovers, ScriptOutput } from "./script_output.ts";

/** A script that runs longer is called slow, ms. */
const SLOW_MS = 1_000;

export interface Invocation {
  readonly script: string;
  /** Variables on top of the agent's own. */
  readonly env: Readonly<Record<string, string>>;
  /** Standard input. The script need not read it. */
  readonly input: Uint8Array;
  /** After how long the script is killed, ms; for ever unless given. */
  readonly timeoutMs?: number;
  /** Aborted when nobody waits for the script any more. */
  readonly signal?: AbortSignal;
  /** Called once, if the script takes longer than a second. */
  onSlow?(): void;
  /**
   * Takes care of an output that a job holds open when the script has ended.
   * Absent, the output is closed at once.
   */
  readonly leftovers?: Leftovers;
  /** Called when such a job was killed, with the reason if that failed. */
  onLateKill?(killError: string | undefined): void;
  /** The shell of this system, unless given. */
  readonly shell?: Shell;
}

/** How a run ended. */
export type ScriptEnd =
  | { readonly kind: "exited"; readonly code: number }
  | { readonly kind: "signaled"; readonly signal: string }
  | {
    readonly kind: "timedOut";
    readonly afterMs: number;
    /** Why it could not be killed; absent when it was. */
    readonly killError?: string;
  }
  | { readonly kind: "notStarted"; readonly reason: string }
  /** It is over, but the system does not say how. */
  | { readonly kind: "untold"; readonly reason: string }
  | { readonly kind: "abandoned" };

export interface ScriptResult {
  readonly end: ScriptEnd;
  /** The end of what it printed. */
  readonly output: Uint8Array;
  /** Whether something that it has started still holds its output open. */
  readonly isHeld: boolean;
}

/** How a system runs a command line. */
export interface Shell {
  readonly path: string;
  /** Whether standard error has a pipe of its own. */
  readonly hasErrorPipe: boolean;
  args(script: string): string[];
  /** Whether only what leads a process group of its own can be killed as one. */
  readonly killsByGroup: boolean;
  /**
   * Kills a shell and what it has started.
   *
   * @throws {Error} when it cannot; that there are none left is no error
   */
  killGroup(pid: number): void;
}

const UNIX_SHELL: Shell = {
  path: "/bin/sh",
  hasErrorPipe: false,
  killsByGroup: true,
  args: (script) => ["-c", 'exec "$0" -c "$1" 2>&1', "/bin/sh", script],
  killGroup(pid) {
    try {
      Deno.kill(-pid, "SIGKILL");
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  },
};

const WINDOWS_SHELL: Shell = {
  path: "cmd",
  hasErrorPipe: true,
  killsByGroup: false,
  args: (script) => ["/C", script],
  killGroup(pid) {
    new Deno.Command("taskkill", {
      args: ["/T", "/F", "/PID", `${pid}`],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn().unref();
  },
};

/** The shell of an operating system. */
export function shellOf(os: typeof Deno.build.os): Shell {
  return os === "windows" ? WINDOWS_SHELL : UNIX_SHELL;
}

/** Runs a script to its end. Never rejects. */
export async function runScript(
  invocation: Invocation,
): Promise<ScriptResult> {
  const { timeoutMs, signal, shell = shellOf(Deno.build.os) } = invocation;
  let child: Deno.ChildProcess;
  try {
    child = spawn(invocation, shell);
    ownChild(child);
  } catch (error) {
    const reason = startErrorText(shell.path, error);
    return {
      end: { kind: "notStarted", reason },
      output: EMPTY_BYTES,
      isHeld: false,
    };
  }
  const output = new ScriptOutput(
    shell.hasErrorPipe ? [child.stdout, child.stderr] : [child.stdout],
  );
  const { promise: cut, resolve: cutShort } = Promise.withResolvers<
    ScriptEnd
  >();
  const startMs = monotonicMs();
  const slowTimer = setTimeout(() => invocation.onSlow?.(), SLOW_MS);
  const killTimer = timeoutMs === undefined ? undefined : setTimeout(
    () => cutShort(killAfter(timeoutMs, child.pid, shell)),
    timeoutMs,
  );
  const onAbort = () => cutShort({ kind: "abandoned" });
  signal?.addEventListener("abort", onAbort);
  const stopFeeding = feed(child.stdin, invocation.input);

  const end = await Promise.race([endOf(child), cut]);
  clearTimeout(slowTimer);
  clearTimeout(killTimer);
  signal?.removeEventListener("abort", onAbort);
  stopFeeding();
  const isCut = end.kind === "timedOut" || end.kind === "abandoned";
  if (!isCut) await output.settled();
  const bytes = output.take();
  const isHeld = !isCut && output.isOpen;
  if (isHeld && invocation.leftovers !== undefined) {
    const killer = timeoutMs === undefined ? undefined : {
      afterMs: Math.max(0, startMs + timeoutMs - monotonicMs()),
      kill() {
        const { killError } = killAfter(timeoutMs, child.pid, shell);
        invocation.onLateKill?.(killError);
      },
    };
    invocation.leftovers.hold({ output, ...(killer && { killer }) });
  } else {
    // A process that still writes finds the pipe broken, and holds nothing here.
    output.cancel();
  }
  if (isCut) child.unref();
  return { end, output: bytes, isHeld };
}

/** Why a run was no success, `undefined` when it was one. */
export function failureText(end: ScriptEnd): string | undefined {
  switch (end.kind) {
    case "exited":
      return end.code === 0 ? undefined : `exit status ${end.code}`;
    case "signaled":
      return `signal: ${signalText(end.signal)}`;
    case "timedOut":
      return `timed out after ${formatDuration(end.afterMs)}, ` +
        (end.killError === undefined
          ? "its process group was killed"
          : `its process group could not be killed: ${end.killError}`);
    case "notStarted":
      return end.reason;
    case "untold":
      return `wait: ${end.reason}`;
    case "abandoned":
      return "nobody waits for it";
    default:
      return unreachable(end);
  }
}

function spawn(invocation: Invocation, shell: Shell): Deno.ChildProcess {
  const { script, env, timeoutMs } = invocation;
  const options: Deno.CommandOptions = {
    args: shell.args(script),
    env,
    stdin: "piped",
    stdout: "piped",
    stderr: shell.hasErrorPipe ? "piped" : "null",
    detached: timeoutMs !== undefined && shell.killsByGroup,
  };
  try {
    return new Deno.Command(shell.path, options).spawn();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    // Most likely it is our working directory that is gone, as after a release was
    // replaced by the next one. The runtime starts nothing in it; the root stays.
    return new Deno.Command(shell.path, { ...options, cwd: "/" }).spawn();
  }
}

/**
 * Hands the input over, or as much of it as the script wants.
 *
 * @returns gives up what has not been taken yet
 */
function feed(
  stdin: WritableStream<Uint8Array>,
  input: Uint8Array,
): () => void {
  const writer = stdin.getWriter();
  // If it does not read, or has ended, that is its own affair.
  writer.write(input).then(() => writer.close()).catch(() => {});
  return () => writer.abort().catch(() => {});
}

function killAfter(
  afterMs: number,
  pid: number,
  shell: Shell,
): Extract<ScriptEnd, { kind: "timedOut" }> {
  try {
    shell.killGroup(pid);
    return { kind: "timedOut", afterMs };
  } catch (error) {
    return { kind: "timedOut", afterMs, killError: systemErrorText(error) };
  }
}

async function endOf(child: Deno.ChildProcess): Promise<ScriptEnd> {
  try {
    const { code, signal } = await child.status;
    return signal === null
      ? { kind: "exited", code }
      : { kind: "signaled", signal };
  } catch (error) {
    // Whoever started us may have had the signal of dying children ignored, which
    // is inherited: the system then keeps no status of ours.
    return { kind: "untold", reason: systemErrorText(error) };
  }
}

/** Signals in the words of Go. The others have none, and are few and rare. */
const SIGNAL_TEXTS: ReadonlyMap<string, string> = new Map([
  ["SIGABRT", "aborted"],
  ["SIGALRM", "alarm clock"],
  ["SIGBUS", "bus error"],
  ["SIGFPE", "floating point exception"],
  ["SIGHUP", "hangup"],
  ["SIGILL", "illegal instruction"],
  ["SIGINT", "interrupt"],
  ["SIGKILL", "killed"],
  ["SIGPIPE", "broken pipe"],
  ["SIGQUIT", "quit"],
  ["SIGSEGV", "segmentation fault"],
  ["SIGTERM", "terminated"],
  ["SIGTRAP", "trace/breakpoint trap"],
  ["SIGUSR1", "user defined signal 1"],
  ["SIGUSR2", "user defined signal 2"],
]);

function signalText(signal: string): string {
  return SIGNAL_TEXTS.get(signal) ?? signal;
}

/** Why a shell did not start, in the words of Go. */
function startErrorText(path: string, error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  // A name or tag of the cluster may contain what no variable can hold.
  const reason = message.includes("nul byte")
    ? "invalid argument"
    : systemErrorText(message.replace(/^Failed to spawn '[^']*': /, ""));
  return `fork/exec ${path}: ${reason}`;
}
