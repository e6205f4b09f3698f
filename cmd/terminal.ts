/**
 * The process as a command sees it: two output streams, the environment, the
 * interrupt key, and what the process is still permitted.
 *
 * Output is written whole and at once, so that nothing is lost when the process
 * ends right afterwards. A reader that went away (`serf members | head -1`) ends
 * the process without a word, as the broken-pipe signal would. An agent must not
 * depend on its reader, so it has its output queued (`output_queue.ts`).
 */

import { NotTextError } from "./given_text.ts";
import type { OutputQueue } from "./output_queue.ts";

/** What a process can give up; the network is always needed. */
const PERMISSIONS = ["read", "write", "run", "sys", "env"] as const;

export type Permission = typeof PERMISSIONS[number];

/** Where output goes, in words. */
export type OutputStream = "standard output" | "standard error";

export type OpenQueue = (
  stream: OutputStream,
  write: (bytes: Uint8Array) => Promise<number>,
) => OutputQueue;

export interface Terminal {
  /** Whether a person sees standard output as it comes. */
  readonly isTerminal: boolean;
  /** Writes to standard output: results and error messages. */
  out(text: string): void;
  /** Writes to standard output what need not be text: answers to a query. */
  outBytes(bytes: Uint8Array): void;
  /** Writes to standard error: help that was asked for, flag complaints. */
  err(text: string): void;
  /**
   * Writes a control sequence of our own; in what the other methods are given,
   * people see such sequences instead of their effect.
   */
  control(stream: "out" | "err", sequence: string): void;
  /**
   * A variable of the environment, `undefined` when it is not set.
   *
   * @throws {NotTextError} when it is not UTF-8
   */
  env(name: string): string | undefined;
  /**
   * Calls `listener` on SIGINT instead of dying of it.
   *
   * @returns stops listening; the next SIGINT ends the process again
   */
  onInterrupt(listener: () => void): () => void;
  /** Gives up all permissions but those, and the network, until the process ends. */
  keepOnly(permissions: readonly Permission[]): void;
  /**
   * From now on output waits for its reader, or is dropped, while the process goes
   * on; a reader that went away does not end it.
   *
   * @param open makes the queue of a stream; `write` writes to that stream
   */
  queueOutput(open: OpenQueue): void;
}

/** Exit code of a process that died of SIGPIPE, as shells report it. */
const BROKEN_PIPE_EXIT_CODE = 141;

/** Longest wait at the end for a reader of queued output, ms. */
const FLUSH_LIMIT_MS = 500;

/** The terminal of this process. */
export class ProcessTerminal implements Terminal {
  readonly isTerminal = Deno.stdout.isTerminal();
  readonly #encoder = new TextEncoder();
  /** What was asked for, since it may be asked again after it has been given up. */
  readonly #variables = new Map<string, string | undefined>();
  #outQueue: OutputQueue | undefined;
  #errQueue: OutputQueue | undefined;

  out(text: string): void {
    if (this.#outQueue !== undefined) this.#outQueue.push(text);
    else this.outBytes(this.#encoder.encode(text));
  }

  outBytes(bytes: Uint8Array): void {
    writeWhole(Deno.stdout, bytes);
  }

  err(text: string): void {
    if (this.#errQueue !== undefined) this.#errQueue.push(text);
    else writeWhole(Deno.stderr, this.#encoder.encode(text));
  }

  control(stream: "out" | "err", sequence: string): void {
    if (stream === "out") this.out(sequence);
    else this.err(sequence);
  }

  env(name: string): string | undefined {
    if (!this.#variables.has(name)) {
      this.#variables.set(name, readVariable(name));
    }
    return this.#variables.get(name);
  }

  onInterrupt(listener: () => void): () => void {
    Deno.addSignalListener("SIGINT", listener);
    return () => Deno.removeSignalListener("SIGINT", listener);
  }

  keepOnly(permissions: readonly Permission[]): void {
    for (const name of [...PERMISSIONS, "ffi", "import"] as const) {
      if (permissions.some((kept) => kept === name)) continue;
      Deno.permissions.revokeSync({ name });
    }
  }

  queueOutput(open: OpenQueue): void {
    this.#outQueue = open(
      "standard output",
      (bytes) => Deno.stdout.write(bytes),
    );
    this.#errQueue = open(
      "standard error",
      (bytes) => Deno.stderr.write(bytes),
    );
  }

  /** Waits for a moment until queued output has been written. */
  async flush(): Promise<void> {
    await Promise.all([
      this.#outQueue?.flush(FLUSH_LIMIT_MS),
      this.#errQueue?.flush(FLUSH_LIMIT_MS),
    ]);
  }
}

function readVariable(name: string): string | undefined {
  try {
    return Deno.env.get(name);
  } catch (error) {
    if (!(error instanceof Deno.errors.InvalidData)) throw error;
    // The runtime's message shows the value, which may be a token.
    throw new NotTextError(`The variable ${name} must be text in UTF-8`);
  }
}

function writeWhole(
  stream: { writeSync(bytes: Uint8Array): number },
  bytes: Uint8Array,
): void {
  let written = 0;
  while (written < bytes.length) {
    try {
      written += stream.writeSync(bytes.subarray(written));
    } catch (error) {
      if (error instanceof Deno.errors.BrokenPipe) {
        Deno.exit(BROKEN_PIPE_EXIT_CODE);
      }
      // Also a full pipe that does not block: how much of the text was taken is
      // then unknown, and trying again might say it twice.
      throw error;
    }
  }
}
