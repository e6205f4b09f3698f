/**
 * Writes what an engine wants persisted, without ever making it wait.
 *
 *     write() --> waiting --one loop--> append, replace, sync
 *                    |                       |
 *              over 1 MiB                  error
 *                    +-------> behind <------+
 *                                |
 *                     the engine writes the whole anew
 *
 * Lines go to the file as soon as the one before is written, all that wait in one
 * write, so that they are there long before the 500 ms that upstream may take (and
 * without the next line that upstream waits for). A replacement makes everything
 * before it needless, but that is dropped only once the replacement stands.
 *
 * Once a line is lost, because a write failed or too many waited, the store is
 * *behind*: what follows would be of no use without it and is dropped too, until
 * the engine has been asked for everything and that has been written. After an
 * error this is tried at once, then every 30 s, and a last time at the end. A
 * replacement that fails loses nothing; it is tried again in the same way.
 *
 * The same happens when somebody else has deleted, replaced or changed the file,
 * which is looked for before each write and every 30 s. What they put there is
 * overwritten, and the log says so: two writers would ruin it anyway.
 *
 * Source: serf `snapshot.go` (tryAppend, stream), whose log lines these are.
 */

import { concatBytes, utf8Bytes } from "../kit/bytes.ts";
import type { LogLevel } from "../kit/log.ts";
import type { Metrics } from "../kit/metrics.ts";
import type { PersistOutput } from "../serf/event.ts";
import { SERF_METRICS, type SerfMetrics } from "../serf/metrics.ts";
import type { RestoredSnapshot } from "../serf/snapshot_file.ts";
import { monotonicMs } from "./clock.ts";
import { openSnapshotFile, type SnapshotDisk } from "./snapshot_disk.ts";

/** Most bytes of lines that wait for the disk. */
const BACKLOG_BYTES_MAX = 1_024 * 1_024;
/** Shortest time between two attempts to recover from errors, ms. */
const RECOVERY_INTERVAL_MS = 30_000;

/**
 * Time between looks at a file into which nothing is written, ms. In a quiet
 * cluster that can be for days, and a crash would then cost the whole snapshot.
 */
const LOOK_INTERVAL_MS = 30_000;

/** What the store needs of the driver of its engine. */
export interface SnapshotOwner {
  /** Where to count; absent for nowhere. */
  readonly metrics?: Metrics;
  /** Clock by which writes are timed, ms; the monotonic one unless given. */
  nowMs?(): number;
  /** `text` begins with its component, `serf: `. */
  log(level: LogLevel, text: string): void;
  /** Calls `rewriteSnapshot` of the engine, and `write` with what comes of it. */
  requestRewrite(): void;
}

export interface StoreOptions {
  /** Whether a `leave` in the file is ignored. */
  readonly rejoinAfterLeave: boolean;
  /** Shortest time between two attempts to recover from errors, ms. */
  readonly recoveryIntervalMs?: number;
  /** Time between looks at the file, ms. */
  readonly lookIntervalMs?: number;
}

/** What waits for the disk, in this order. */
interface Waiting {
  /** Lines from before the replacement, or all of them without one. */
  readonly before: Uint8Array[];
  replacement?: Uint8Array;
  readonly after: Uint8Array[];
  /** Of the lines. */
  bytes: number;
  mustSync: boolean;
}

export class SnapshotStore {
  /** What was in the file. */
  readonly restored: RestoredSnapshot;

  readonly #disk: SnapshotDisk;
  readonly #recoveryIntervalMs: number;
  readonly #lookIntervalMs: number;
  #owner: SnapshotOwner | undefined;
  #counts: SerfMetrics | undefined;
  #waiting = nothingWaiting();
  #loop: Promise<void> | undefined;
  #closed: Promise<void> | undefined;
  #isClosed = false;
  /** Whether the file lacks lines, and will until it is replaced. */
  #isBehind = false;
  /** Whether a replacement failed that still has to be made up for. */
  #owesReplacement = false;
  /** Whether the replacement on its way is an attempt to recover from an error. */
  #isRecovering = false;
  /** Runs from one attempt to recover until the next one is allowed. */
  #pause: ReturnType<typeof setTimeout> | undefined;
  #looks: ReturnType<typeof setInterval> | undefined;

  /**
   * Opens and reads a snapshot file; makes it if there is none.
   *
   * @throws {SnapshotError} see `openSnapshotFile`
   */
  static async open(
    path: string,
    options: StoreOptions,
  ): Promise<SnapshotStore> {
    const { disk, restored } = await openSnapshotFile(path, options);
    return new SnapshotStore(disk, restored, options);
  }

  constructor(
    disk: SnapshotDisk,
    restored: RestoredSnapshot,
    options: Omit<StoreOptions, "rejoinAfterLeave">,
  ) {
    this.#disk = disk;
    this.restored = restored;
    this.#recoveryIntervalMs = options.recoveryIntervalMs ??
      RECOVERY_INTERVAL_MS;
    this.#lookIntervalMs = options.lookIntervalMs ?? LOOK_INTERVAL_MS;
  }

  /** Names the driver, before the first `write`. */
  attach(owner: SnapshotOwner): void {
    this.#owner = owner;
    this.#counts = owner.metrics?.of(SERF_METRICS);
    this.#looks = setInterval(() => {
      this.#loop ??= this.#look().then(() => this.#writeAll());
    }, this.#lookIntervalMs);
  }

  /** Sees to it that the text gets into the file. Returns at once. */
  write({ write, text, sync }: PersistOutput): void {
    if (this.#isClosed) return;
    const waiting = this.#waiting;
    const bytes = utf8Bytes(text);
    if (write === "replace") {
      this.#waiting = {
        // Kept until the replacement stands. One that still waits is needless.
        before: [...waiting.before, ...waiting.after],
        replacement: bytes,
        after: [],
        bytes: waiting.bytes,
        mustSync: waiting.mustSync,
      };
    } else if (this.#isLost(bytes.length)) {
      return;
    } else {
      const lines = waiting.replacement ? waiting.after : waiting.before;
      lines.push(bytes);
      waiting.bytes += bytes.length;
    }
    // A replacement goes through to the disk by itself.
    if (sync && write === "append") this.#waiting.mustSync = true;
    this.#loop ??= this.#writeAll();
  }

  /**
   * Writes what still waits, through to the disk, and closes the file. What the
   * caller writes before it lets go of the thread still counts, nothing later.
   * Never fails; what could not be written is in the log.
   */
  close(): Promise<void> {
    this.#closed ??= this.#finish();
    return this.#closed;
  }

  async #finish(): Promise<void> {
    clearInterval(this.#looks);
    // The driver may be in the middle of performing what its engine wants.
    await Promise.resolve();
    await this.#loop;
    clearTimeout(this.#pause);
    if (this.#isBehind) {
      this.#recover();
      await this.#loop;
      clearTimeout(this.#pause);
    }
    await this.#disk.sync().catch((error) => this.#complain(error));
    this.#isClosed = true;
    this.#disk.close();
  }

  /** Whether a line cannot be kept; the first one lost is the beginning. */
  #isLost(bytes: number): boolean {
    const waiting = this.#waiting;
    // What follows a replacement is of use again.
    if (this.#isBehind && waiting.replacement === undefined) return true;
    if (waiting.bytes + bytes <= BACKLOG_BYTES_MAX) return false;
    this.#log("WARN", "Snapshot cannot keep up and will be written anew");
    this.#isBehind = true;
    this.#waiting = nothingWaiting();
    return true;
  }

  /** Works until nothing waits. */
  async #writeAll(): Promise<void> {
    // Not at once: the engine may have more to say in the same breath.
    await Promise.resolve();
    while (true) {
      const mayAsk = this.#isBehind && this.#pause === undefined;
      if (mayAsk && !hasWork(this.#waiting)) this.#owner?.requestRewrite();
      if (!hasWork(this.#waiting)) break;
      const work = this.#waiting;
      this.#waiting = nothingWaiting();
      await this.#perform(work);
    }
    this.#loop = undefined;
  }

  async #perform(work: Waiting): Promise<void> {
    const { before, replacement, after } = work;
    let lines = [...before, ...after];
    if (replacement !== undefined && await this.#replace(replacement)) {
      lines = after;
    }
    if (lines.length > 0) await this.#look();
    // Behind a gap, lines are of no use.
    if (this.#isBehind) return;
    const startMs = this.#nowMs();
    try {
      if (lines.length > 0) {
        await this.#disk.append(concatBytes(lines));
        this.#counts?.snapshotAppendLine.record(this.#nowMs() - startMs);
      }
      if (work.mustSync) await this.#disk.sync();
    } catch (error) {
      this.#isBehind = true;
      this.#failed(error);
    }
  }

  /** @returns whether it stands; if not, the old file does */
  async #replace(contents: Uint8Array): Promise<boolean> {
    const wasBehind = this.#isBehind;
    const wasRecovering = this.#isRecovering;
    // From here on, so that a line that is lost meanwhile counts.
    this.#isBehind = false;
    this.#isRecovering = false;
    const startMs = this.#nowMs();
    try {
      await this.#disk.replace(contents);
      this.#counts?.snapshotCompact.record(this.#nowMs() - startMs);
    } catch (error) {
      this.#isBehind ||= wasBehind;
      this.#owesReplacement = true;
      if (wasRecovering) this.#recoveryFailed(error);
      else this.#failed(error);
      return false;
    }
    this.#owesReplacement = false;
    if (wasRecovering) {
      this.#log(
        "INFO",
        "Finished compaction, successfully recovered from error state",
      );
    }
    return true;
  }

  /** Looks whether the file is still ours. If not, it is written anew. */
  async #look(): Promise<void> {
    if (this.#isBehind) return;
    const change = await this.#disk.change();
    if (change === undefined) return;
    this.#isBehind = true;
    // If somebody does so again and again, that is no reason to do the same.
    if (this.#pause !== undefined) return;
    this.#startPause();
    this.#log("WARN", `Snapshot ${change}, writing it anew`);
    this.#owner?.requestRewrite();
  }

  #failed(error: unknown): void {
    this.#complain(error);
    if (this.#pause === undefined) this.#recover();
  }

  #recoveryFailed(error: unknown): void {
    this.#counts?.snapshotFailed.add();
    const seconds = this.#recoveryIntervalMs / 1_000;
    this.#log(
      "ERR",
      `Compaction failed, will reattempt after ${seconds}s: ` +
        (error as Error).message,
    );
  }

  /** Asks for the whole to be written anew. */
  #recover(): void {
    this.#startPause();
    this.#log("INFO", "Attempting compaction to recover from error...");
    this.#isRecovering = true;
    this.#owner?.requestRewrite();
  }

  #startPause(): void {
    this.#pause = setTimeout(() => {
      this.#pause = undefined;
      if (this.#isBehind || this.#owesReplacement) this.#recover();
    }, this.#recoveryIntervalMs);
  }

  #complain(error: unknown): void {
    this.#counts?.snapshotFailed.add();
    const reason = (error as Error).message;
    this.#log("ERR", `Failed to update snapshot: ${reason}`);
  }

  #log(level: LogLevel, text: string): void {
    this.#owner?.log(level, `serf: ${text}`);
  }

  #nowMs(): number {
    return this.#owner?.nowMs?.() ?? monotonicMs();
  }
}

function nothingWaiting(): Waiting {
  return { before: [], after: [], bytes: 0, mustSync: false };
}

function hasWork(waiting: Waiting): boolean {
  return waiting.before.length > 0 || waiting.replacement !== undefined;
}
