/**
 * Records on their way to one reader, who may be slow.
 *
 * At most `capacity` records wait; while the queue is full, new ones are
 * dropped. That something was dropped is worth one line in the log, but not one
 * per record: a monitor would see its own complaints, which would be dropped
 * and complained about in turn, without end. So the queue knows episodes: the
 * first drop begins one, and it is over when the reader has caught up to half.
 * With 512 records the log hears at most once per 256 records delivered.
 */

export class WaitingRecords<T> {
  readonly #capacity: number;
  /** Consumed from `#next` on; what lies before it is done with. */
  #items: T[] = [];
  #next = 0;
  #isDropping = false;

  /** @param capacity how many may wait, at least 2 */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#items.length - this.#next;
  }

  /**
   * Takes a record in, or drops it.
   *
   * @returns whether it was taken, and whether a drop should be reported, which is so for the first of an
   * episode
   */
  offer(item: T): { readonly isTaken: boolean; readonly isFirstDrop: boolean } {
    if (this.size < this.#capacity) {
      this.#items.push(item);
      return { isTaken: true, isFirstDrop: false };
    }
    const isFirstDrop = !this.#isDropping;
    this.#isDropping = true;
    return { isTaken: false, isFirstDrop };
  }

  /** The oldest record, which then waits no longer. */
  take(): T | undefined {
    if (this.size === 0) return undefined;
    const item = this.#items[this.#next++] as T;
    if (this.size === 0 || this.#next >= this.#capacity) {
      this.#items = this.#items.slice(this.#next);
      this.#next = 0;
    }
    if (this.size <= this.#capacity / 2) this.#isDropping = false;
    return item;
  }
}
