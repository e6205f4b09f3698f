/** Looking after the processes that scripts of a test leave behind. */

import { until } from "../net/deadline.ts";

/** Whether a process exists and has not ended; one that nobody reaps has. */
export async function isAlive(pid: number): Promise<boolean> {
  const state = Deno.build.os === "linux"
    ? stateInProc(pid)
    : await stateFromPs(pid);
  return state !== "" && !state.startsWith("Z");
}

/** Small installations of Linux have no ps. */
function stateInProc(pid: number): string {
  try {
    const line = Deno.readTextFileSync(`/proc/${pid}/stat`);
    // The name of the program may have blanks and parentheses in it.
    return line.slice(line.lastIndexOf(")") + 2);
  } catch {
    return "";
  }
}

async function stateFromPs(pid: number): Promise<string> {
  const { stdout } = await new Deno.Command("ps", {
    args: ["-o", "stat=", "-p", `${pid}`],
    stderr: "null",
  }).output();
  return new TextDecoder().decode(stdout).trim();
}

/** Process ids that scripts write into a file, one a line. */
export class PidFile implements AsyncDisposable {
  readonly path = Deno.makeTempFileSync({ prefix: "serf_pids_" });

  get pids(): number[] {
    const text = Deno.readTextFileSync(this.path);
    return text.split("\n").slice(0, -1).map(Number);
  }

  /** Waits until so many ids were written. */
  async has(count: number): Promise<number[]> {
    await until(`${count} processes`, () => this.pids.length >= count);
    return this.pids;
  }

  /** Waits until none of them is alive. */
  async allEnded(): Promise<void> {
    for (const pid of this.pids) {
      await until(`the end of ${pid}`, async () => !(await isAlive(pid)));
    }
  }

  /** Kills what is left. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const pid of this.pids) {
      if (!await isAlive(pid)) continue;
      try {
        Deno.kill(pid, "SIGKILL");
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    }
    await this.allEnded();
    Deno.removeSync(this.path);
  }
}
