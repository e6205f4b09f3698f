/**
 * Events that wait for handlers, and the few that are being handled.
 *
 *     push ──▶ [ waiting, oldest first ] ──▶ at most `concurrency` runs
 *                  │
 *                  └─ full: see below
 *
 * Whoever pushes is never held up, so that no script can stall gossip or the
 * control port. Hence a lane that falls behind must lose events in the end:
 *
 * | rule          | room for | when it is used up              |
 * | ------------- | -------- | ------------------------------- |
 * | `wait`        | 1,024    | the oldest waiting event is lost |
 * | `drop`        | 64       | the new event is lost           |
 * | `drop-oldest` | 64       | the oldest waiting event is lost |
 *
 * The original lets 64 wait and then stops taking events in, for everybody. Its
 * number is kept where losing events was asked for; by default bursts of many
 * more are absorbed. Losses are logged, at most one line a second for a lane.
 */

import type { OnFull } from "./handler_spec.ts";

/** Room for waiting events where losing some was asked for. */
export const WAITING_MAX = 64;
/** Room for waiting events elsewhere. */
export const WAITING_HARD_MAX = 1_024;
/** At most one line about lost events in this time, ms. */
const COMPLAINT_INTERVAL_MS = 1_000;

export interface LaneOptions<T> {
  /** Most runs at the same time, at least 1. */
  readonly concurrency: number;
  readonly onFull: OnFull;
  /** What the events wait for, in a log line. */
  readonly label: string;
  /** Handles one event; must not reject. */
  run(event: T): Promise<void>;
  warn(text: string): void;
  /** Hears of each event that is lost. */
  onLost?(): void;
  /** Monotonic time, ms. */
  now(): number;
}

export class HandlerLane<T> {
  readonly #options: LaneOptions<T>;
  #waiting: T[] = [];
  #running = 0;
  #isClosed = false;
  /** Lost events that no line has told of yet. */
  #unsaid = 0;
  #quietUntilMs = -Infinity;

  constructor(options: LaneOptions<T>) {
    this.#options = options;
  }

  /** How many events wait. */
  get waitingCount(): number {
    return this.#waiting.length;
  }

  /** Handles the event, now or later. */
  push(event: T): void {
    if (this.#isClosed) return;
    if (this.#running < this.#options.concurrency) this.#work(event);
    else if (this.#makeRoom()) this.#waiting.push(event);
  }

  /** Forgets what waits and takes nothing more; what runs, runs on. */
  close(): void {
    this.#isClosed = true;
    this.#waiting = [];
  }

  /** One of the concurrent runs: event after event until none waits. */
  async #work(first: T): Promise<void> {
    this.#running++;
    let event: T | undefined = first;
    while (event !== undefined) {
      await this.#options.run(event);
      event = this.#waiting.shift();
    }
    this.#running--;
    if (this.#unsaid > 0) this.#complain();
  }

  /** @returns whether there is room for one more */
  #makeRoom(): boolean {
    const { onFull, onLost, now } = this.#options;
    const roomFor = onFull === "wait" ? WAITING_HARD_MAX : WAITING_MAX;
    if (this.#waiting.length < roomFor) return true;
    if (onFull !== "drop") this.#waiting.shift();
    this.#unsaid++;
    onLost?.();
    const nowMs = now();
    if (nowMs >= this.#quietUntilMs) {
      this.#quietUntilMs = nowMs + COMPLAINT_INTERVAL_MS;
      this.#complain();
    }
    return onFull !== "drop";
  }

  #complain(): void {
    const { onFull, label, warn } = this.#options;
    const which = onFull === "drop" ? "newest" : "oldest";
    const lost = `lost ${this.#unsaid} of the ${which}`;
    this.#unsaid = 0;
    warn(`Too many events wait for ${label}, ${lost}`);
  }
}
