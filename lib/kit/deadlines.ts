/**
 * The table of everything that must happen at some later time.
 *
 * A row is an absolute instant and a value. Rows can be moved (a suspicion is
 * accelerated) and deleted (cancelled) at any moment; the earliest is always at
 * hand, so a driver needs exactly one timer. Rows of one instant come out in
 * the order in which they were put there, which keeps runs deterministic.
 *
 * Inside: a binary heap in which every row knows its place, so that each
 * operation costs O(log n).
 */

const ABSENT = -1;

/** One row; hold on to it to move or delete it. */
export interface Deadline<T> {
  readonly atMs: number;
  readonly value: T;
}

class Row<T> implements Deadline<T> {
  place = ABSENT;
  constructor(public atMs: number, public order: number, readonly value: T) {}
}

function isBefore<T>(a: Row<T>, b: Row<T>): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

export class Deadlines<T> {
  #heap: Row<T>[] = [];
  #order = 0;

  get size(): number {
    return this.#heap.length;
  }

  /** Instant of the earliest row, `undefined` when the table is empty. */
  nextMs(): number | undefined {
    return this.#heap[0]?.atMs;
  }

  /** @returns the row, which knows which kind of value it holds */
  add<Value extends T>(atMs: number, value: Value): Deadline<Value> {
    const row = new Row(atMs, this.#order++, value);
    row.place = this.#heap.length;
    this.#heap.push(row);
    this.#rise(row);
    return row;
  }

  /** Whether the row is still waiting. */
  has(deadline: Deadline<T>): boolean {
    return (deadline as Row<T>).place !== ABSENT;
  }

  /** Gives a waiting row another instant; a row that is gone stays gone. */
  move(deadline: Deadline<T>, atMs: number): void {
    const row = deadline as Row<T>;
    if (row.place === ABSENT) return;
    row.atMs = atMs;
    row.order = this.#order++;
    this.#rise(row);
    this.#sink(row);
  }

  /** Takes the row out; harmless when it is gone already. */
  delete(deadline: Deadline<T>): void {
    const row = deadline as Row<T>;
    const place = row.place;
    if (place === ABSENT) return;
    row.place = ABSENT;
    const last = this.#heap.pop() as Row<T>;
    if (last === row) return;
    this.#heap[place] = last;
    last.place = place;
    this.#rise(last);
    this.#sink(last);
  }

  /** Takes out and returns the earliest row that is due, if there is one. */
  takeDue(nowMs: number): T | undefined {
    const first = this.#heap[0];
    if (first === undefined || first.atMs > nowMs) return undefined;
    this.delete(first);
    return first.value;
  }

  clear(): void {
    for (const row of this.#heap) row.place = ABSENT;
    this.#heap.length = 0;
  }

  #rise(row: Row<T>): void {
    const heap = this.#heap;
    let place = row.place;
    while (place > 0) {
      const above = (place - 1) >> 1;
      const parent = heap[above] as Row<T>;
      if (!isBefore(row, parent)) break;
      heap[place] = parent;
      parent.place = place;
      place = above;
    }
    heap[place] = row;
    row.place = place;
  }

  #sink(row: Row<T>): void {
    const heap = this.#heap;
    let place = row.place;
    while (true) {
      let below = 2 * place + 1;
      if (below >= heap.length) break;
      const right = heap[below + 1];
      if (right !== undefined && isBefore(right, heap[below] as Row<T>)) {
        below++;
      }
      const child = heap[below] as Row<T>;
      if (!isBefore(child, row)) break;
      heap[place] = child;
      child.place = place;
      place = below;
    }
    heap[place] = row;
    row.place = place;
  }
}
