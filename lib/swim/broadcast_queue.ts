/**
 * Messages waiting to be gossiped, each a limited number of times.
 *
 * What was sent least goes first; among equals the longest (it is the hardest to
 * fit), then the newest. A named broadcast replaces the one queued under the same
 * name, so that the newest statement about a node is the only one that travels.
 *
 * The queue is bounded at the moment something is put in: beyond `depthMax` the
 * most-sent, shortest, oldest broadcast is dropped. A broadcast that has used up
 * its transmissions, was replaced or was dropped is *finished*; whoever queued it
 * with a token learns so from `drainFinished`.
 *
 * Source: memberlist `queue.go` (TransmitLimitedQueue).
 */

/**
 * How many times a broadcast is gossiped before it is dropped.
 *
 * Grows with the logarithm of the cluster, so that every member hears an update
 * with high probability while the load per node stays flat:
 *
 *     ceil(log10(members + 1)) * retransmitMult
 *
 * Source: SWIM (Das et al. 2002), section 4.1; base 10 as memberlist has it, so
 * that mixed clusters spread updates at one rate.
 *
 * @param members cluster size including ourselves
 */
export function retransmitLimit(
  members: number,
  retransmitMult: number,
): number {
  return Math.ceil(Math.log10(members + 1)) * retransmitMult;
}

interface Entry {
  readonly bytes: Uint8Array;
  /** Of `bytes`; kept here because the order is by it. */
  readonly length: number;
  readonly name: string | undefined;
  readonly token: number | undefined;
  /** Rises with every broadcast queued; never reset, so no two are alike. */
  readonly order: number;
  transmits: number;
}

export interface BroadcastQueueOptions {
  readonly retransmitMult: number;
  /** Most broadcasts kept, at least 1. */
  readonly depthMax: number;
  /**
   * Longest message that fits any packet, bytes. A longer one could never be
   * sent; it is finished at once instead of waiting for ever.
   */
  readonly messageBytesMax?: number;
}

/** Whether `a` is the better one to send than `b` of the same tier. */
function isPreferred(a: Entry, b: Entry): boolean {
  return a.length > b.length || (a.length === b.length && a.order > b.order);
}

export class BroadcastQueue {
  readonly #options: BroadcastQueueOptions;
  /** By transmissions so far; within a tier the preferred entry comes last. */
  readonly #tiers: Entry[][] = [];
  readonly #named = new Map<string, Entry>();
  #size = 0;
  #nextOrder = 0;
  #finished: number[] = [];

  constructor(options: BroadcastQueueOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#size;
  }

  /** Queues a message that replaces the one waiting under the same name. */
  queueNamed(name: string, bytes: Uint8Array, token?: number): void {
    this.withdraw(name);
    this.#queue(name, bytes, token);
  }

  /** Takes back what waits under a name, if anything does. */
  withdraw(name: string): void {
    const entry = this.#named.get(name);
    if (entry === undefined) return;
    this.#remove(entry);
    this.#finish(entry);
  }

  /** Queues a message that stands for itself. */
  queue(bytes: Uint8Array, token?: number): void {
    this.#queue(undefined, bytes, token);
  }

  /**
   * Takes messages for one packet and counts its transmissions.
   *
   * @param overheadBytes what each message costs on top of its own length
   * @param roomBytes how much all of them, overhead included, may take
   * @param members cluster size, for the transmission limit
   * @param copies to how many members the packet goes
   */
  take(
    overheadBytes: number,
    roomBytes: number,
    members: number,
    copies = 1,
  ): Uint8Array[] {
    if (this.#size === 0) return [];
    const limit = retransmitLimit(members, this.#options.retransmitMult);
    const taken: Uint8Array[] = [];
    // Put back only at the end, so that no message is taken twice.
    const again: Entry[] = [];
    let freeBytes = roomBytes - overheadBytes;
    const tierCount = this.#tiers.length;
    for (let t = 0; t < tierCount && freeBytes > 0; t++) {
      const tier = this.#tiers[t] as Entry[];
      while (freeBytes > 0) {
        const place = lastFitting(tier, freeBytes);
        if (place < 0) break;
        const entry = tier[place] as Entry;
        tier.splice(place, 1);
        this.#size--;
        freeBytes -= entry.length + overheadBytes;
        taken.push(entry.bytes);
        entry.transmits += copies;
        if (entry.transmits >= limit) {
          this.#forgetName(entry);
          this.#finish(entry);
        } else {
          again.push(entry);
        }
      }
    }
    for (const entry of again) this.#insert(entry);
    return taken;
  }

  /** Drops the least useful broadcasts until at most `keep` are left. */
  prune(keep: number): void {
    for (let t = this.#tiers.length - 1; t >= 0 && this.#size > keep; t--) {
      const tier = this.#tiers[t] as Entry[];
      const surplus = Math.min(this.#size - keep, tier.length);
      for (const entry of tier.splice(0, surplus)) {
        this.#size--;
        this.#forgetName(entry);
        this.#finish(entry);
      }
    }
  }

  /** Tokens of the broadcasts finished since the last call. */
  drainFinished(): number[] {
    if (this.#finished.length === 0) return [];
    const finished = this.#finished;
    this.#finished = [];
    return finished;
  }

  #queue(
    name: string | undefined,
    bytes: Uint8Array,
    token: number | undefined,
  ): void {
    const { messageBytesMax, depthMax } = this.#options;
    const { length } = bytes;
    const order = this.#nextOrder++;
    const entry: Entry = { name, bytes, length, token, order, transmits: 0 };
    if (messageBytesMax !== undefined && length > messageBytesMax) {
      this.#finish(entry);
      return;
    }
    if (entry.name !== undefined) this.#named.set(entry.name, entry);
    this.#insert(entry);
    this.prune(depthMax);
  }

  #insert(entry: Entry): void {
    while (this.#tiers.length <= entry.transmits) this.#tiers.push([]);
    const tier = this.#tiers[entry.transmits] as Entry[];
    tier.splice(placeOf(tier, entry), 0, entry);
    this.#size++;
  }

  #remove(entry: Entry): void {
    const tier = this.#tiers[entry.transmits] as Entry[];
    tier.splice(placeOf(tier, entry) - 1, 1);
    this.#size--;
    this.#forgetName(entry);
  }

  #forgetName(entry: Entry): void {
    if (entry.name !== undefined && this.#named.get(entry.name) === entry) {
      this.#named.delete(entry.name);
    }
  }

  #finish(entry: Entry): void {
    if (entry.token !== undefined) this.#finished.push(entry.token);
  }
}

/** Place behind every entry to which `entry` is preferred or equal. */
function placeOf(tier: Entry[], entry: Entry): number {
  let low = 0;
  let high = tier.length;
  const last = tier[high - 1];
  // Mostly it belongs at the end; the search would end there too.
  if (last === undefined || !isPreferred(last, entry)) return high;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (isPreferred(tier[middle] as Entry, entry)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Place of the preferred entry of at most `lengthMax` bytes, -1 for none. */
function lastFitting(tier: Entry[], lengthMax: number): number {
  let low = 0;
  let high = tier.length;
  const last = tier[high - 1];
  // Mostly even the longest fits.
  if (last !== undefined && last.length <= lengthMax) return high - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((tier[middle] as Entry).length <= lengthMax) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
