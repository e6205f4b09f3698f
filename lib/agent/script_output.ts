/**
 * What a script prints, and what the jobs print that it leaves behind.
 *
 *     read into the tail ──the pipe is closed──────────────▶ closed
 *        └──the script has ended, and the pipe is quiet──▶ left over ──▶ closed
 *
 * The answer of a script is complete when the script has ended. A job that it has
 * started in the background inherits the pipe and may hold it for ever, so the
 * end of the pipe is not waited for. What the script itself wrote is in the pipe
 * by then, and needs only to be read: a short quiet time is enough.
 *
 * After that the pipe stays open on our side, and what comes is thrown away:
 * closing it would kill a job with its next line. Few such pipes are kept; beyond
 * them the oldest is closed.
 */

import { OutputTail } from "./output_tail.ts";

/** Bytes of the output that are kept, the last ones. */
export const OUTPUT_BYTES_MAX = 8_192;
/** Pause between reads from a script that prints more than is kept, ms. */
const FLOOD_PAUSE_MS = 1;
/** Pause between reads whose bytes are thrown away, ms: at most 640 KB/s. */
const LEFTOVER_PAUSE_MS = 100;

/**
 * Length of a step of the wait for a quiet pipe, ms. Between two steps the event
 * loop looks for bytes. So an agent that was busy for a second has not waited for
 * a second: it still reads what is there.
 */
const STEP_MS = 50;
/** Steps without a byte after which a pipe is quiet: 250 ms. */
const QUIET_STEPS = 5;
/** Steps after which a pipe that a job goes on filling is left: 1 s. */
const STEPS_MAX = 20;

/**
 * Pipes kept open for jobs of ended scripts. Each costs a descriptor. A handler
 * that starts a service does so once or a few times; one that leaves a job at
 * every event would use up all descriptors of the agent (1,024 by default).
 */
export const LEFTOVERS_MAX = 64;

type Pipe = ReadableStream<Uint8Array>;

/** The output of one run. */
export class ScriptOutput {
  /** Fulfilled when nothing can come any more. */
  readonly closed: Promise<void>;
  readonly #readers: readonly ReadableStreamDefaultReader<Uint8Array>[];
  readonly #tail = new OutputTail(OUTPUT_BYTES_MAX);
  #isClosed = false;
  #isTaken = false;

  /** Begins to read. */
  constructor(pipes: readonly Pipe[]) {
    this.#readers = pipes.map((pipe) => pipe.getReader());
    const reads = this.#readers.map((reader) => this.#readAll(reader));
    this.closed = Promise.all(reads).then(() => {
      this.#isClosed = true;
    });
  }

  /** Whether somebody may still write. */
  get isOpen(): boolean {
    return !this.#isClosed;
  }

  /** Waits until the pipe is closed or quiet, at most for a second or so. */
  async settled(): Promise<void> {
    let bytesBefore = this.#tail.bytesTotal;
    let quietSteps = 0;
    for (
      let steps = 0;
      steps < STEPS_MAX && quietSteps < QUIET_STEPS;
      steps++
    ) {
      let timer: ReturnType<typeof setTimeout> | undefined;
      const step = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, STEP_MS);
      });
      await Promise.race([this.closed, step]);
      clearTimeout(timer);
      if (this.#isClosed) return;
      const { bytesTotal } = this.#tail;
      quietSteps = bytesTotal === bytesBefore ? quietSteps + 1 : 0;
      bytesBefore = bytesTotal;
    }
  }

  /** The end of what was printed. What comes later is thrown away. */
  take(): Uint8Array {
    this.#isTaken = true;
    return this.#tail.toBytes();
  }

  /** Closes our end. Others who write find the pipe broken. */
  cancel(): void {
    for (const reader of this.#readers) reader.cancel().catch(() => {});
  }

  async #readAll(
    reader: ReadableStreamDefaultReader<Uint8Array>,
  ): Promise<void> {
    try {
      while (true) {
        const { value, done } = await reader.read();
        if (done) return;
        if (this.#isTaken) {
          await pause(LEFTOVER_PAUSE_MS);
          continue;
        }
        this.#tail.push(value);
        if (this.#tail.bytesTotal > OUTPUT_BYTES_MAX) {
          await pause(FLOOD_PAUSE_MS);
        }
      }
    } catch {
      // A broken pipe is a closed one.
    }
  }
}

/** What a script has left running. */
export interface Leftover {
  readonly output: ScriptOutput;
  /** Ends the job itself, where that was asked for. */
  readonly killer?: {
    /** How long it may go on, ms. */
    readonly afterMs: number;
    kill(): void;
  };
}

/** The pipes that jobs of ended scripts hold. */
export class Leftovers {
  /** How to let go of each, oldest first. */
  readonly #held = new Map<Leftover, () => void>();

  get size(): number {
    return this.#held.size;
  }

  /**
   * Reads and throws away what the job prints, until it closes the pipe.
   *
   * The job is killed when its time is over. It is, too, when its pipe has to make
   * room, since then nothing would tell us any more that it is still the same job.
   */
  hold(leftover: Leftover): void {
    const { output, killer } = leftover;
    const timer = killer && setTimeout(() => {
      letGo();
      killer.kill();
    }, killer.afterMs);
    const letGo = () => {
      clearTimeout(timer);
      this.#held.delete(leftover);
      output.cancel();
    };
    this.#held.set(leftover, letGo);
    output.closed.then(letGo);
    for (const [oldest, letGoOfOldest] of this.#held) {
      if (this.#held.size <= LEFTOVERS_MAX) break;
      letGoOfOldest();
      oldest.killer?.kill();
    }
  }

  /** Lets go of all; the jobs run on. */
  close(): void {
    for (const letGo of this.#held.values()) letGo();
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
