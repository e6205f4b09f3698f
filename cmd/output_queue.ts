/**
 * Output for a process that must go on whatever becomes of its reader.
 *
 * A pipe that nobody reads is full after 64 KiB, a terminal can be stopped with
 * Ctrl-S, a disk can hang: a program that writes at once then stands still until
 * the reader goes on. Here what is written waits in a queue, and at most one write
 * is under way, on a thread that may be held up for ever.
 *
 *     push ──▶ waiting ──▶ writing ──▶ written
 *                │            │ cannot be written: a reader that is gone, a full disk
 *                │            └──▶ away ──1 s──▶ tried again
 *                └ full, or away: dropped and counted
 *
 * While away all is dropped: old lines would only delay the new ones. The newest
 * lines are those that are dropped, so that what arrives is whole up to the gap,
 * and the gap is told in its place as soon as it has an end.
 */

import { systemErrorText } from "../lib/net/system_error.ts";

/**
 * Most characters that wait.
 *
 * An agent that meets a cluster of 10,000 members writes some 2 MiB at once at the
 * level DEBUG, and a reader that works takes it within a second. Twice as many.
 */
export const WAITING_CHARACTERS_MAX = 4 << 20;
/** Bytes of one write; a blocking one returns only when all are taken. */
const WRITE_BYTES_MAX = 16_384;
/** Pause before a pipe that is full, and does not block, is tried again, ms. */
const RETRY_MS = 20;
/** Pause after a failure, ms. */
const AWAY_MS = 1_000;

/** What becomes of the output. */
export interface OutputWatcher {
  /** So many lines were dropped. */
  onDropped(lines: number): void;
  /** From now on lines are dropped. @param reason in a few words */
  onTrouble(reason: string): void;
  /** Lines are written again. @param lines how many are missing before them */
  onRecovery(lines: number): void;
}

export interface OutputQueueOptions {
  /** Writes some of the bytes; returns how many. Never blocks the caller. */
  write(bytes: Uint8Array): Promise<number>;
  readonly watcher?: OutputWatcher | undefined;
  /** Settles after a time; the platform's timers unless given. */
  pause?(ms: number): Promise<void>;
}

export class OutputQueue {
  readonly #options: OutputQueueOptions;
  readonly #pause: (ms: number) => Promise<void>;
  readonly #encoder = new TextEncoder();
  #state: "idle" | "writing" | "away" = "idle";
  #writing: Promise<void> = Promise.resolve();
  #waiting: string[] = [];
  #waitingCharacters = 0;
  /** Why lines are dropped; absent while none are. */
  #trouble: "full" | "failed" | undefined;
  /** Lines dropped since the trouble began. */
  #missing = 0;
  /** Whether the last line that was written is not whole. */
  #isTorn = false;

  constructor(options: OutputQueueOptions) {
    this.#options = options;
    this.#pause = options.pause ?? pause;
  }

  /** Writes the text soon, or drops it. Never waits. @param text whole lines */
  push(text: string): void {
    if (this.#state === "away") return this.#drop(text);
    const characters = this.#waitingCharacters + text.length;
    if (characters > WAITING_CHARACTERS_MAX) {
      this.#drop(text);
      this.#startTrouble("full", "it is not read");
      return;
    }
    this.#waiting.push(text);
    this.#waitingCharacters = characters;
    if (this.#state !== "idle") return;
    this.#state = "writing";
    this.#writing = this.#writeAll();
  }

  /** Waits until all has been written, but no longer than `limitMs`. */
  async flush(limitMs: number): Promise<void> {
    if (this.#state !== "writing") return;
    await Promise.race([this.#writing, this.#pause(limitMs)]);
  }

  // --- Inside ---------------------------------------------------------------

  async #writeAll(): Promise<void> {
    // What is said in one go becomes one write.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const bytes = this.#encoder.encode(this.#take());
      if (this.#trouble === "full") this.#endTrouble();
      let written = 0;
      try {
        while (written < bytes.length) {
          written += await this.#writeSome(bytes.subarray(written));
          if (this.#trouble === "failed") this.#endTrouble();
        }
      } catch (error) {
        this.#fail(bytes.subarray(written), systemErrorText(error));
        return;
      }
    }
    this.#state = "idle";
  }

  #take(): string {
    const text = this.#waiting.join("");
    this.#waiting = [];
    this.#waitingCharacters = 0;
    if (!this.#isTorn) return text;
    this.#isTorn = false;
    return `\n${text}`;
  }

  async #writeSome(bytes: Uint8Array): Promise<number> {
    const some = bytes.subarray(0, WRITE_BYTES_MAX);
    try {
      const count = await this.#options.write(some);
      if (count > 0) this.#isTorn = some[count - 1] !== NEWLINE;
      return count;
    } catch (error) {
      if (!(error instanceof Deno.errors.WouldBlock)) throw error;
      await this.#pause(RETRY_MS);
      return 0;
    }
  }

  /** @param rest what is left of the text that was being written */
  #fail(rest: Uint8Array, reason: string): void {
    this.#state = "away";
    this.#drop(new TextDecoder().decode(rest) + this.#waiting.join(""));
    this.#waiting = [];
    this.#waitingCharacters = 0;
    this.#startTrouble("failed", reason);
    this.#pause(AWAY_MS).then(() => this.#state = "idle");
  }

  #drop(text: string): void {
    const lines = text.split("\n").length - 1;
    this.#missing += lines;
    if (lines > 0) this.#options.watcher?.onDropped(lines);
  }

  #startTrouble(kind: "full" | "failed", reason: string): void {
    const isNew = this.#trouble === undefined;
    this.#trouble = kind;
    if (isNew) this.#options.watcher?.onTrouble(reason);
  }

  #endTrouble(): void {
    const lines = this.#missing;
    this.#trouble = undefined;
    this.#missing = 0;
    this.#options.watcher?.onRecovery(lines);
  }
}

const NEWLINE = 0x0a;

function pause(ms: number): Promise<void> {
  return new Promise((done) => setTimeout(done, ms));
}
