/**
 * A stream of things that happen, for a consumer who takes his time.
 *
 *     producer --push--> waiting items, oldest first --next()--> consumer
 *                             | full: the oldest goes
 *                             ▼
 *                         counted, and told as one notice
 *
 * Nobody who makes something happen waits for those who watch: the buffer is
 * bounded, and when it is full the oldest item is dropped. Whoever follows a
 * state by its changes must know that he missed some, so the gap is not silent:
 * in the place of what was dropped the consumer gets one notice with the number.
 * The newest items are kept because they tell how things are now.
 *
 * Not for: what is in the stream (`node_event.ts`, `query_replies.ts`).
 */

/** How a subscription begins and ends. */
export interface SubscriptionOptions<T> {
  /** Most items that wait for the consumer, at least 1. */
  readonly bufferMax: number;
  /** What the consumer is told in place of `count` dropped items. */
  lostNotice(count: number): T;
  /** Ends the iteration when it is aborted; waiting items are dropped then. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Called once, when nothing more will be taken in; not at all when the signal is
   * aborted from the start.
   */
  onEnd?(): void;
}

/**
 * An async iterable over what happens, from the moment of the subscription on.
 *
 * It is consumed once: with `for await`, whose `break` ends the subscription, or
 * with `next()`. Several calls of `next()` may wait at a time, they are served in
 * order. It never fails: when its source ends, or its signal is aborted, the
 * iteration is over. A subscription that nobody reads or ends holds its full
 * buffer until its source ends.
 *
 * ```ts
 * import { SerfNode } from "@serf/serf";
 *
 * await using node = await SerfNode.start({ name: "a", bind: "127.0.0.1:0" });
 * const events = node.events({ types: ["user"] });
 * node.userEvent("deploy", "v42");
 * for await (const event of events) {
 *   if (event.type === "user") break; // ends the subscription
 * }
 * ```
 */
export class Subscription<T> implements AsyncIterableIterator<T> {
  readonly #options: SubscriptionOptions<T>;
  readonly #onAbort = () => {
    this.#items.length = 0;
    this.#lost = 0;
    this.end();
  };
  readonly #items: T[] = [];
  readonly #readers: ((result: IteratorResult<T>) => void)[] = [];
  /** Items dropped from the front since the consumer was last told. */
  #lost = 0;
  #isEnded = false;

  /** @throws {RangeError} when the buffer cannot hold an item */
  constructor(options: SubscriptionOptions<T>) {
    const { bufferMax, signal } = options;
    if (!(bufferMax >= 1)) {
      throw new RangeError(
        `Cannot buffer ${bufferMax} items, at least 1 is needed`,
      );
    }
    this.#options = options;
    if (signal?.aborted) this.#isEnded = true;
    else signal?.addEventListener("abort", this.#onAbort);
  }

  /** Whether nothing more is taken in; what waits may still be read. */
  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** Takes an item in, for the producer. After the end it does nothing. */
  push(item: T): void {
    if (this.#isEnded) return;
    const reader = this.#readers.shift();
    if (reader !== undefined) {
      reader({ done: false, value: item });
      return;
    }
    if (this.#items.length >= this.#options.bufferMax) {
      this.#items.shift();
      this.#lost++;
    }
    this.#items.push(item);
  }

  /** Nothing more will come, says the producer. What waits is still delivered. */
  end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#options.signal?.removeEventListener("abort", this.#onAbort);
    for (const reader of this.#readers.splice(0)) reader(DONE);
    this.#options.onEnd?.();
  }

  /** The next item, as soon as there is one. */
  next(): Promise<IteratorResult<T>> {
    if (this.#lost > 0) {
      const value = this.#options.lostNotice(this.#lost);
      this.#lost = 0;
      return Promise.resolve({ done: false, value });
    }
    if (this.#items.length > 0) {
      const value = this.#items.shift() as T;
      return Promise.resolve({ done: false, value });
    }
    if (this.#isEnded) return Promise.resolve(DONE);
    return new Promise((resolve) => this.#readers.push(resolve));
  }

  /** Ends the subscription; what waits is dropped. */
  return(): Promise<IteratorResult<T>> {
    this.#onAbort();
    return Promise.resolve(DONE);
  }

  /** Itself, since it can be consumed only once. */
  [Symbol.asyncIterator](): this {
    return this;
  }

  /** As `return`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }
}

const DONE: IteratorResult<never> = { done: true, value: undefined };
