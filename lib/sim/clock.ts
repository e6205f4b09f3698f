/**
 * Virtual time: one table of everything that is still to happen.
 *
 * The order of a run is the order of (instant, number of the entry) in this one
 * table, whatever the entries stand for: a packet on its way, a node's timer, a
 * step of the plan. That order and the seed are all that a run depends on. Time
 * stands still while an entry is handled and jumps to the next one afterwards,
 * so a quiet hour costs nothing.
 */

import { type Deadline, Deadlines } from "../kit/deadlines.ts";

export class VirtualClock<T> {
  readonly #table = new Deadlines<T>();
  #nowMs = 0;

  /** Virtual milliseconds since the run began; never goes back. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** Entries that are still to happen. */
  get size(): number {
    return this.#table.size;
  }

  /** Plans an entry; an instant that has passed means now. */
  at(atMs: number, value: T): Deadline<T> {
    return this.#table.add(Math.max(atMs, this.#nowMs), value);
  }

  /** Gives a waiting entry another instant; one that is gone stays gone. */
  move(entry: Deadline<T>, atMs: number): void {
    this.#table.move(entry, Math.max(atMs, this.#nowMs));
  }

  cancel(entry: Deadline<T>): void {
    this.#table.delete(entry);
  }

  isWaiting(entry: Deadline<T>): boolean {
    return this.#table.has(entry);
  }

  /**
   * Jumps to the earliest entry and takes it out.
   *
   * @returns `undefined` when there is none up to `limitMs`; time then stands at
   * `limitMs`, unless it had passed that already
   */
  next(limitMs: number): T | undefined {
    const atMs = this.#table.nextMs();
    if (atMs === undefined || atMs > limitMs) {
      this.#nowMs = Math.max(this.#nowMs, limitMs);
      return undefined;
    }
    this.#nowMs = atMs;
    return this.#table.takeDue(atMs);
  }
}
