/**
 * Sends lines of metrics to another program, and never holds up the node.
 *
 *                  push (lines wait, or are dropped and counted)
 *                    │ every 100 ms, or when many wait
 *     idle ──▶ sending ──▶ idle
 *                │ cannot connect, cannot send, or they hung up
 *                └──▶ away ──5 s──▶ idle
 *
 * While away, lines are dropped: old news would only delay what comes after. At
 * most `LINES_WAITING_MAX` lines wait at any time, however slow the other side is;
 * further ones are dropped. All drops are counted, and told at the next chance
 * outside of `push`, which must not lead to counting.
 *
 * Source: armon/go-metrics `statsd.go`, `statsite.go` (flushMetrics). The log
 * lines are ours; HashiCorp's agent throws those of its sinks away.
 */

import { concatBytes } from "../kit/bytes.ts";
import type { LogLevel } from "../kit/log.ts";

/** Longest wait of a line for others to share its packet, ms. */
const FLUSH_INTERVAL_MS = 100;
/** So many lines do not wait for others. */
const LINES_PROMPT = 256;
/** Lines that wait; further ones are dropped. */
export const LINES_WAITING_MAX = 4_096;
/** Pause after a failure, ms. */
const AWAY_MS = 5_000;
/** Longest wait of `close` for the last lines to leave, ms. */
const CLOSE_LIMIT_MS = 200;

/** One way to the other program. */
export interface LineConnection {
  /** @throws {Error} when the bytes cannot be sent */
  write(bytes: Uint8Array): Promise<void>;
  /** Settles when the other side has ended the connection; absent if it cannot. */
  readonly ended?: Promise<unknown>;
  close(): void;
}

export interface LineSinkOptions {
  /** Where lines go, as the log names it: `statsd at 127.0.0.1:8125`. */
  readonly target: string;
  /** Most bytes of one write; longer lines are dropped. */
  readonly packetBytesMax: number;
  /** @throws {Error} when there is no way at this time */
  connect(): Promise<LineConnection>;
  log(level: LogLevel, text: string): void;
  /** Told how many lines were dropped since the last call; never within `push`. */
  onDropped(count: number): void;
  /** Calls after some time; the platform's unless given. */
  readonly timers?: LineTimers;
}

/** Calls functions later, and forgets that again. */
export interface LineTimers {
  start(call: () => void, afterMs: number): unknown;
  stop(timer: unknown): void;
}

const PLATFORM_TIMERS: LineTimers = {
  start: (call, afterMs) => setTimeout(call, afterMs),
  stop: (timer) => clearTimeout(timer as ReturnType<typeof setTimeout>),
};

export class LineSink {
  readonly #options: LineSinkOptions;
  readonly #timers: LineTimers;
  readonly #encoder = new TextEncoder();
  #state: "idle" | "sending" | "away" | "closed" = "idle";
  #lines: string[] = [];
  #dropped = 0;
  #connection: LineConnection | undefined;
  /** The next flush, or the end of the pause after a failure. */
  #timer: unknown;
  #sending: Promise<void> = Promise.resolve();
  /** What the log was told last; absent when all is well. */
  #complaint: string | undefined;

  constructor(options: LineSinkOptions) {
    this.#options = options;
    this.#timers = options.timers ?? PLATFORM_TIMERS;
  }

  /** Sends the line soon, or drops it. @param line with its newline */
  push(line: string): void {
    const isTaken = (this.#state === "idle" || this.#state === "sending") &&
      this.#lines.length < LINES_WAITING_MAX;
    if (!isTaken) {
      this.#dropped++;
      return;
    }
    this.#lines.push(line);
    if (this.#state !== "idle") return;
    if (this.#lines.length >= LINES_PROMPT) return this.#flush();
    if (this.#timer !== undefined) return;
    this.#timer = this.#timers.start(() => this.#flush(), FLUSH_INTERVAL_MS);
  }

  /** Sends what waits, if that is quick, and ends the connection. */
  async close(): Promise<void> {
    if (this.#state === "closed") return;
    if (this.#state === "idle" && this.#lines.length > 0) this.#flush();
    let limit: unknown;
    await Promise.race([
      this.#sending,
      new Promise<void>((done) => {
        limit = this.#timers.start(done, CLOSE_LIMIT_MS);
      }),
    ]);
    this.#timers.stop(limit);
    this.#stopTimer();
    this.#state = "closed";
    this.#lines = [];
    this.#connection?.close();
    this.#connection = undefined;
  }

  // --- Inside ---------------------------------------------------------------

  #flush(): void {
    this.#stopTimer();
    this.#state = "sending";
    this.#sending = this.#sendAll();
  }

  async #sendAll(): Promise<void> {
    // Drops are told, and so counted, outside of `push`.
    await Promise.resolve();
    try {
      this.#connection ??= await this.#connect();
      this.#tellDropped();
      let packet: Uint8Array | undefined;
      while ((packet = this.#takePacket()) !== undefined) {
        await this.#connection?.write(packet);
      }
      if (this.#isSending) this.#state = "idle";
    } catch (error) {
      // Otherwise it was closed, or they hung up, and that has been dealt with.
      if (this.#isSending) this.#fail((error as Error).message);
    }
  }

  get #isSending(): boolean {
    return this.#state === "sending";
  }

  async #connect(): Promise<LineConnection> {
    const { connect, log, target } = this.#options;
    const connection = await connect();
    if (!this.#isSending) {
      connection.close();
      throw new Error("Closed meanwhile");
    }
    connection.ended?.then(() => {
      if (this.#connection === connection) this.#fail("connection closed");
    });
    if (this.#complaint !== undefined) {
      log("INFO", `agent: Sending metrics to ${target} again`);
      this.#complaint = undefined;
    }
    return connection;
  }

  /** As many lines as fit, and no part of one. */
  #takePacket(): Uint8Array | undefined {
    const { packetBytesMax } = this.#options;
    const parts: Uint8Array[] = [];
    let taken = 0;
    let byteCount = 0;
    for (const line of this.#lines) {
      const part = this.#encoder.encode(line);
      if (part.length > packetBytesMax) {
        this.#dropped++;
      } else {
        if (byteCount + part.length > packetBytesMax) break;
        parts.push(part);
        byteCount += part.length;
      }
      taken++;
    }
    this.#lines.splice(0, taken);
    return byteCount === 0 ? undefined : concatBytes(parts);
  }

  #fail(why: string): void {
    if (this.#state === "closed") return;
    this.#state = "away";
    this.#connection?.close();
    this.#connection = undefined;
    this.#dropped += this.#lines.length;
    this.#lines = [];
    this.#stopTimer();
    this.#timer = this.#timers.start(() => {
      this.#timer = undefined;
      this.#state = "idle";
    }, AWAY_MS);
    if (why === this.#complaint) return;
    this.#complaint = why;
    this.#options.log(
      "WARN",
      `agent: Cannot send metrics to ${this.#options.target}: ${why}`,
    );
  }

  #tellDropped(): void {
    const count = this.#dropped;
    this.#dropped = 0;
    if (count > 0) this.#options.onDropped(count);
  }

  #stopTimer(): void {
    this.#timers.stop(this.#timer);
    this.#timer = undefined;
  }
}
