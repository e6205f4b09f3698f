/**
 * Who has a place at the control port, and who gives way when there is none.
 *
 *     stranger ──may give commands──▶ admitted
 *        │ ▲
 *     waits for us: its token is held back
 *
 * - An admitted client keeps its place until it goes.
 * - A stranger gives way to a newcomer: the oldest of the newcomer's own source
 *   when that source has its share, else the oldest of the source with the most
 *   strangers. So an attacker pushes out its own connections first, and no number
 *   of silent connections keeps a client out that introduces itself at once.
 * - A stranger that waits for us does not give way. There are few of them; see
 *   `token_gate.ts`.
 * - A newcomer that nobody gives way to is refused.
 */

import type { RpcLimits } from "./limits.ts";

/** What becomes of a newcomer. */
export type Admission<T> =
  | { readonly kind: "refused" }
  | {
    readonly kind: "placed";
    /** Has lost its place to the newcomer. */
    readonly evicted: T | undefined;
  };

type PlaceLimits = Pick<
  RpcLimits,
  "clientsMax" | "strangersMax" | "strangersPerSourceMax"
>;

export class ClientPlaces<T> {
  readonly #limits: PlaceLimits;
  readonly #admitted = new Set<T>();
  /** The source of each stranger. */
  readonly #sources = new Map<T, string>();
  /** Strangers that may give way, by source, oldest first; no set is empty. */
  readonly #evictable = new Map<string, Set<T>>();
  /** Strangers of each source, also those that wait for us. */
  readonly #counts = new Map<string, number>();

  constructor(limits: PlaceLimits) {
    this.#limits = limits;
  }

  /** Clients that have a place. */
  get size(): number {
    return this.#admitted.size + this.#sources.size;
  }

  get strangerCount(): number {
    return this.#sources.size;
  }

  /** Clients that may give commands. */
  get admitted(): Iterable<T> {
    return this.#admitted;
  }

  /** All clients that have a place. */
  all(): T[] {
    return [...this.#admitted, ...this.#sources.keys()];
  }

  /**
   * Gives a newcomer a place, as a stranger.
   *
   * @param source where it comes from; what shares a limit has the same text
   */
  place(client: T, source: string): Admission<T> {
    const { clientsMax, strangersMax, strangersPerSourceMax } = this.#limits;
    const isShareUsed = this.#countOf(source) >= strangersPerSourceMax;
    const isFull = this.size >= clientsMax ||
      this.#sources.size >= strangersMax;
    let evicted: T | undefined;
    if (isShareUsed || isFull) {
      evicted = this.#oldestOf(isShareUsed ? source : this.#crowdedSource());
      if (evicted === undefined) return { kind: "refused" };
      this.remove(evicted);
    }
    this.#sources.set(client, source);
    this.#counts.set(source, this.#countOf(source) + 1);
    this.#letEvict(client, source);
    return { kind: "placed", evicted };
  }

  /** A stranger may give commands from now on. */
  admit(client: T): void {
    if (!this.#sources.has(client)) return;
    this.remove(client);
    this.#admitted.add(client);
  }

  /** A stranger waits for us from now on. */
  hold(client: T): void {
    const source = this.#sources.get(client);
    if (source !== undefined) this.#forbidEviction(client, source);
  }

  /** A stranger waits for us no longer. It counts as one that has just come. */
  release(client: T): void {
    const source = this.#sources.get(client);
    if (source !== undefined) this.#letEvict(client, source);
  }

  /** A client has gone. Harmless when it has no place. */
  remove(client: T): void {
    this.#admitted.delete(client);
    const source = this.#sources.get(client);
    if (source === undefined) return;
    this.#sources.delete(client);
    this.#forbidEviction(client, source);
    const left = this.#countOf(source) - 1;
    if (left === 0) this.#counts.delete(source);
    else this.#counts.set(source, left);
  }

  #countOf(source: string): number {
    return this.#counts.get(source) ?? 0;
  }

  #letEvict(client: T, source: string): void {
    const clients = this.#evictable.get(source);
    if (clients !== undefined) clients.add(client);
    else this.#evictable.set(source, new Set([client]));
  }

  #forbidEviction(client: T, source: string): void {
    const clients = this.#evictable.get(source);
    clients?.delete(client);
    if (clients?.size === 0) this.#evictable.delete(source);
  }

  #oldestOf(source: string): T | undefined {
    const [oldest] = this.#evictable.get(source) ?? [];
    return oldest;
  }

  /** The source with the most strangers that may give way. */
  #crowdedSource(): string {
    let crowded = "";
    let most = 0;
    for (const [source, { size }] of this.#evictable) {
      if (size <= most) continue;
      most = size;
      crowded = source;
    }
    return crowded;
  }
}
