/** A first-in first-out buffer of fixed capacity that forgets its oldest item. */
export class Ring<T> {
  #items: T[] = [];
  #start = 0;

  /** @param capacity how many items are kept, at least 1 */
  constructor(readonly capacity: number) {
    if (!(capacity >= 1)) {
      throw new RangeError(`Cannot make a ring of capacity ${capacity}`);
    }
  }

  get size(): number {
    return this.#items.length;
  }

  push(item: T): void {
    if (this.#items.length < this.capacity) {
      this.#items.push(item);
      return;
    }
    this.#items[this.#start] = item;
    this.#start = (this.#start + 1) % this.capacity;
  }

  /** The items, oldest first. */
  toArray(): T[] {
    return [
      ...this.#items.slice(this.#start),
      ...this.#items.slice(0, this.#start),
    ];
  }
}
