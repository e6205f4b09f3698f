/**
 * Remembers what was seen in the last so many Lamport times, so that gossip that
 * goes round in circles is recognised.
 *
 * Slot i holds the group of one time t with t mod slots = i; a newer time takes
 * the slot over. A time too far behind the clock is *old*: its slot may have been
 * taken over, so nobody can tell whether the item was seen.
 *
 * Peers choose the times and how much they send with each, so two more limits
 * hold. A group takes at most `itemsPerTimeMax` items. All groups together weigh
 * at most `weightMax`; beyond it the group with the lowest time gives way, and
 * that time and all below count as old from then on, so that nothing is delivered
 * twice. An item that would be the oldest of a full ring is refused itself.
 *
 * When the clock wraps, the order of times is void, and the ring starts anew.
 * Items are found by a key, so that a group full of them costs no more to search
 * than an empty one.
 *
 * Source: serf `serf.go` (eventBuffer, queryBuffer); the limits on content are
 * ours, upstream has none.
 */

type Key = string | number;

/** Everything seen with one Lamport time. */
export interface LTimeGroup<T> {
  readonly ltime: bigint;
  readonly items: readonly T[];
}

interface Group<T> extends LTimeGroup<T> {
  readonly items: T[];
  readonly keys: Set<Key>;
  weight: number;
}

export interface LTimeRingOptions<T> {
  /** How many different times are remembered, at least 1. */
  readonly slots: number;
  readonly itemsPerTimeMax: number;
  readonly weightMax: number;
  weigh(item: T): number;
  /** Equal keys mean equal items. */
  keyOf(item: T): Key;
}

export class LTimeRing<T> {
  readonly #options: LTimeRingOptions<T>;
  readonly #slotCount: bigint;
  readonly #groups: (Group<T> | undefined)[];
  #weight = 0;
  /** Times below this gave way; they count as old. */
  #floor = 0n;

  /** @throws {RangeError} when there would be no slot */
  constructor(options: LTimeRingOptions<T>) {
    if (!(options.slots >= 1)) {
      throw new RangeError(`Cannot make a ring of ${options.slots} slots`);
    }
    this.#options = options;
    this.#slotCount = BigInt(options.slots);
    this.#groups = new Array(options.slots).fill(undefined);
  }

  /** Weight of everything remembered. */
  get weight(): number {
    return this.#weight;
  }

  /** The slots in order; those never used are `undefined`. */
  get groups(): readonly (LTimeGroup<T> | undefined)[] {
    return this.#groups;
  }

  /** Whether a time is too far behind the clock to tell what was seen with it. */
  isOld(ltime: bigint, clockTime: bigint): boolean {
    if (ltime < this.#floor) return true;
    return clockTime > this.#slotCount && ltime < clockTime - this.#slotCount;
  }

  /** Whether an item with that key was seen with this time. */
  has(ltime: bigint, key: Key): boolean {
    const group = this.#groups[this.#slotOf(ltime)];
    return group?.ltime === ltime && group.keys.has(key);
  }

  /** Forgets everything: times begin again at 0. */
  restart(): void {
    this.#groups.fill(undefined);
    this.#weight = 0;
    this.#floor = 0n;
  }

  /**
   * Remembers an item. The caller has made sure that the time is not old and the
   * item not known.
   *
   * @returns false when a limit forbids it; nothing has changed then, except that
   * older groups may have given way
   */
  add(ltime: bigint, item: T): boolean {
    const { itemsPerTimeMax, weightMax, weigh, keyOf } = this.#options;
    const slot = this.#slotOf(ltime);
    const weight = weigh(item);
    if (weight > weightMax) return false;
    const held = this.#groups[slot];
    const isSameTime = held?.ltime === ltime;
    if (isSameTime && held.items.length >= itemsPerTimeMax) return false;
    if (!isSameTime) this.#clear(slot);
    while (this.#weight + weight > weightMax) {
      if (!this.#dropOldest(ltime)) return false;
    }
    const group = this.#groups[slot] ??
      { ltime, items: [], keys: new Set<Key>(), weight: 0 };
    this.#groups[slot] = group;
    group.items.push(item);
    group.keys.add(keyOf(item));
    group.weight += weight;
    this.#weight += weight;
    return true;
  }

  #slotOf(ltime: bigint): number {
    return Number(ltime % this.#slotCount);
  }

  #clear(slot: number): void {
    this.#weight -= this.#groups[slot]?.weight ?? 0;
    this.#groups[slot] = undefined;
  }

  /** Drops the group with the lowest time if it is below `ltime`. */
  #dropOldest(ltime: bigint): boolean {
    let oldest: Group<T> | undefined;
    for (const group of this.#groups) {
      if (group === undefined) continue;
      if (oldest === undefined || group.ltime < oldest.ltime) oldest = group;
    }
    if (oldest === undefined || oldest.ltime >= ltime) return false;
    this.#clear(this.#slotOf(oldest.ltime));
    this.#floor = oldest.ltime + 1n;
    return true;
  }
}
