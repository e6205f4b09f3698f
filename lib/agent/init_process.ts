/**
 * What falls to an agent that is process 1, as in a container without an init.
 *
 * Processes whose parents have ended become children of process 1, and when they
 * end too, somebody has to ask for their exit status: until then the system keeps
 * a record of each, and its table is finite. Handler scripts with jobs in the
 * background leave such orphans. And when process 1 ends, the system kills all
 * others at once; so they are asked to end first, and given some time.
 *
 * The runtime waits for the scripts that it has started itself, and a status can
 * be fetched only once. So we look who is dead without fetching anything, and
 * fetch from those alone that are not ours. The runtime has no call for either;
 * both are made in the system's C library, of which these two functions are used.
 *
 * Linux alone: elsewhere no program of ours is process 1.
 *
 * Source: waitid(2), waitpid(2), pid_namespaces(7).
 */

import { openLibc } from "../net/libc.ts";

const P_ALL = 0;
const WNOHANG = 1;
const WEXITED = 4;
const WNOWAIT = 0x0100_0000;
/** Size of a siginfo_t, bytes, and where the process id is in it (64 bits). */
const SIGINFO_BYTES = 128;
const SI_PID_OFFSET = 16;

/** Pause before looking again after one of our own was found dead, ms. */
const RETRY_MS = 50;
/** How long others may take to end when we do, ms. */
export const END_GRACE_MS = 2_000;

const SYMBOLS = {
  waitid: { parameters: ["i32", "u32", "buffer", "i32"], result: "i32" },
  waitpid: { parameters: ["i32", "pointer", "i32"], result: "i32" },
} as const;

type Libc = Deno.DynamicLibrary<typeof SYMBOLS>;

/** Processes that somebody waits for already. */
const ownChildren = new Set<number>();

/** Says that the runtime waits for this child, until it has ended. */
export function ownChild(child: Deno.ChildProcess): void {
  ownChildren.add(child.pid);
  const forget = () => ownChildren.delete(child.pid);
  // That there is no status is for those to tell who have asked for it.
  child.status.then(forget, forget);
}

/** The duties of process 1. */
export class InitProcess {
  readonly #libc: Libc;
  readonly #info = new Uint8Array(SIGINFO_BYTES);
  readonly #onChild = () => this.#reap();
  #retry: ReturnType<typeof setTimeout> | undefined;

  /** @throws {Error} when the C library cannot be called; nothing has begun */
  constructor() {
    this.#libc = openLibc(SYMBOLS);
    Deno.addSignalListener("SIGCHLD", this.#onChild);
    this.#reap();
  }

  /**
   * Asks all other processes to end, and waits for them.
   *
   * @param graceMs the longest wait, ms
   */
  async endOthers(graceMs = END_GRACE_MS): Promise<void> {
    try {
      Deno.kill(-1, "SIGTERM");
    } catch (error) {
      // There are none.
      if (error instanceof Deno.errors.NotFound) return;
      throw error;
    }
    const end = performance.now() + graceMs;
    while (this.#reap() && performance.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }

  close(): void {
    clearTimeout(this.#retry);
    Deno.removeSignalListener("SIGCHLD", this.#onChild);
    this.#libc.close();
  }

  /** @returns whether there are children left, dead or alive */
  #reap(): boolean {
    clearTimeout(this.#retry);
    const { waitid, waitpid } = this.#libc.symbols;
    while (true) {
      this.#info.fill(0);
      const result = waitid(
        P_ALL,
        0,
        this.#info,
        WEXITED | WNOHANG | WNOWAIT,
      );
      if (result !== 0) return false;
      const pid = new DataView(this.#info.buffer).getInt32(SI_PID_OFFSET, true);
      if (pid === 0) return true;
      if (ownChildren.has(pid)) {
        // It stands in front of all others until the runtime has fetched it.
        this.#retry = setTimeout(() => this.#reap(), RETRY_MS);
        return true;
      }
      waitpid(pid, null, WNOHANG);
    }
  }
}
