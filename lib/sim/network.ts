/**
 * What the simulated network does to each packet and each piece of a stream:
 * how long it takes, whether it arrives, whether it arrives twice.
 *
 * It decides and counts; it does not carry anything (see `cluster.ts` for
 * packets and `streams.ts` for streams). Every decision about a packet takes the
 * same number of draws from the sender's own random source, whether the network
 * is calm or cut, so that switching one class of faults off leaves the draws for
 * all others as they were.
 */

import { Random } from "../kit/random.ts";
import {
  ALL_FAULTS,
  type CutClass,
  type FaultCounts,
  type FaultMask,
  noFaultCounts,
} from "./faults.ts";
import { deriveSeed } from "./fingerprint.ts";

/**
 * How the links behave. All of them alike, but for the length of the way where a
 * network is made with a `PathMs`. Chances are in [0, 1].
 */
export interface LinkProfile {
  /** Shortest time on the way, ms. */
  readonly latencyMs: number;
  /** Added on top, evenly in [0, this), ms. */
  readonly jitterMs: number;
  /** Chance of a late packet, and up to how much later, ms. */
  readonly tailChance: number;
  readonly tailMs: number;
  /** Chance that a packet is lost. A piece of a stream is sent again instead. */
  readonly loss: number;
  /** Chance that a packet arrives twice. */
  readonly duplication: number;
  /** Chance that a packet is held back, and up to how long, ms, so that later ones overtake it. */
  readonly reordering: number;
  readonly reorderMs: number;
  /** Chance that a stream breaks somewhere in its first bytes. */
  readonly streamBreak: number;
  /** Streams arrive in pieces of 1 to this many bytes; 0 for whole writes. */
  readonly chunkBytesMax: number;
}

/**
 * Shortest time on the way between two nodes, ms, where that differs from pair
 * to pair. It must depend on nothing but the pair, and be the same both ways.
 */
export type PathMs = (from: number, to: number) => number;

/** A good local network without faults. */
export const LAN_LINK: LinkProfile = {
  latencyMs: 0.25,
  jitterMs: 0.5,
  tailChance: 0.01,
  tailMs: 10,
  loss: 0,
  duplication: 0,
  reordering: 0,
  reorderMs: 100,
  streamBreak: 0,
  chunkBytesMax: 0,
};

/** A node between the parts of a cut network. */
export interface Bridge {
  readonly node: number;
  /** Whether the other parts hear it too; if not, it only hears them. */
  readonly isHeard: boolean;
}

/** What happens to one packet. */
export interface Fate {
  /** 0 for a lost packet, 2 for a doubled one. */
  copies: 0 | 1 | 2;
  delayMs: number;
  /** Delay of the second copy, ms. */
  secondDelayMs: number;
}

/** First wait before TCP sends a lost piece again, ms. Source: RFC 6298 as Linux has it. */
const RETRANSMIT_MS = 200;
/** A piece lost this often in a row ends the stream. */
const RETRANSMITS_MAX = 8;
/** A stream that breaks does so within this many bytes. */
const BREAK_BYTES_MAX = 1_200;

/** What becomes of packets and streams between nodes; made by a `Cluster`. */
export class Network {
  readonly counts: FaultCounts = noFaultCounts();
  readonly #seed: number;
  readonly #profile: LinkProfile;
  readonly #mask: FaultMask;
  readonly #pathMs: PathMs;
  readonly #packetRandoms: Random[] = [];
  readonly #streamRandoms: Random[] = [];
  #groups: readonly number[] | undefined;
  #bridge: Bridge | undefined;
  #cutClass: CutClass = "partition";
  /** Blocked directions, as the text `from>to`. */
  readonly #blocked = new Set<string>();
  /** Chances in force: those of the profile, or 0 for classes switched off. */
  #loss = 0;
  #duplication = 0;
  #reordering = 0;
  #streamBreak = 0;
  #tailChance = 0;
  readonly #fate: Fate = { copies: 1, delayMs: 0, secondDelayMs: 0 };

  constructor(options: {
    readonly seed: number;
    readonly profile?: Partial<LinkProfile>;
    readonly mask?: FaultMask;
    /** Replaces the latency of the profile. */
    readonly pathMs?: PathMs;
  }) {
    this.#seed = options.seed;
    this.#profile = { ...LAN_LINK, ...options.profile };
    const { latencyMs } = this.#profile;
    this.#pathMs = options.pathMs ?? (() => latencyMs);
    this.#mask = options.mask ?? ALL_FAULTS;
    this.setNoise(true);
  }

  get profile(): LinkProfile {
    return this.#profile;
  }

  /** Prepares the draws of one more node; its index is the number of calls before. */
  addNode(): void {
    const index = this.#packetRandoms.length;
    this.#packetRandoms.push(new Random(deriveSeed(this.#seed, index, 1)));
    this.#streamRandoms.push(new Random(deriveSeed(this.#seed, index, 2)));
  }

  // --- Faults ---------------------------------------------------------------

  /** Switches loss, duplication, reordering, late packets and stream breaks on or off. */
  setNoise(isOn: boolean): void {
    const { loss, duplication, reordering, streamBreak, tailChance } =
      this.#profile;
    const has = (
      fault: "loss" | "duplication" | "reordering" | "streamBreak" | "tail",
    ) => isOn && this.#mask.has(fault);
    this.#tailChance = has("tail") ? tailChance : 0;
    this.#loss = has("loss") ? loss : 0;
    this.#duplication = has("duplication") ? duplication : 0;
    this.#reordering = has("reordering") ? reordering : 0;
    this.#streamBreak = has("streamBreak") ? streamBreak : 0;
  }

  /** Cuts the network: nodes reach those with the same number only. */
  partition(
    groups: readonly number[],
    options: { readonly bridge?: Bridge; readonly fault?: CutClass } = {},
  ): void {
    const { bridge, fault = "partition" } = options;
    if (!this.#mask.has(fault)) return;
    this.#groups = groups;
    this.#bridge = bridge;
    this.#cutClass = fault;
  }

  /** Cuts one direction. */
  block(from: number, to: number): void {
    if (this.#mask.has("oneWay")) this.#blocked.add(`${from}>${to}`);
  }

  /** Ends all partitions and blocks. */
  heal(): void {
    this.#groups = undefined;
    this.#blocked.clear();
  }

  /** Whether nothing sent by `from` reaches `to`. */
  isCut(from: number, to: number): boolean {
    return this.#isPartitioned(from, to) || this.#isBlocked(from, to);
  }

  #isPartitioned(from: number, to: number): boolean {
    const groups = this.#groups;
    if (groups === undefined || groups[from] === groups[to]) return false;
    const bridge = this.#bridge;
    if (bridge === undefined) return true;
    return to !== bridge.node && !(from === bridge.node && bridge.isHeard);
  }

  #isBlocked(from: number, to: number): boolean {
    return this.#blocked.size > 0 && this.#blocked.has(`${from}>${to}`);
  }

  // --- Decisions ------------------------------------------------------------

  /**
   * Decides about one packet. The answer is overwritten by the next call.
   *
   * @internal
   */
  packetFate(from: number, to: number): Fate {
    const { jitterMs, tailMs, reorderMs } = this.#profile;
    const tailChance = this.#tailChance;
    const random = this.#packetRandoms[from] as Random;
    const isLost = random.chance(this.#loss);
    const isDoubled = random.chance(this.#duplication);
    const isHeldBack = random.chance(this.#reordering);
    const jitter = random.fraction();
    const tail = random.fraction();
    const spread = random.fraction();

    const { counts } = this;
    const fate = this.#fate;
    if (this.#isPartitioned(from, to)) {
      counts[this.#cutClass]++;
      fate.copies = 0;
      return fate;
    }
    if (this.#isBlocked(from, to)) {
      counts.oneWay++;
      fate.copies = 0;
      return fate;
    }
    if (isLost) {
      counts.loss++;
      fate.copies = 0;
      return fate;
    }
    let delayMs = this.#pathMs(from, to) + jitter * jitterMs;
    if (tail < tailChance) {
      counts.tail++;
      delayMs += tail / tailChance * tailMs;
    }
    if (isHeldBack) {
      counts.reordering++;
      delayMs += spread * reorderMs;
    }
    fate.delayMs = delayMs;
    if (isDoubled) {
      counts.duplication++;
      fate.copies = 2;
      fate.secondDelayMs = delayMs + spread * reorderMs;
    } else {
      fate.copies = 1;
      fate.secondDelayMs = 0;
    }
    return fate;
  }

  /**
   * How long one piece of a stream takes, ms; lost pieces are sent again, later
   * each time.
   *
   * @returns `undefined` when it never arrives
   */
  streamDelayMs(from: number, to: number): number | undefined {
    const { jitterMs, tailMs } = this.#profile;
    const tailChance = this.#tailChance;
    const random = this.#streamRandoms[from] as Random;
    const jitter = random.fraction();
    const tail = random.fraction();
    // One draw decides about all repetitions: below loss² it is lost twice.
    const luck = random.fraction();
    if (this.#isPartitioned(from, to)) {
      this.counts[this.#cutClass]++;
      return undefined;
    }
    if (this.#isBlocked(from, to)) {
      this.counts.oneWay++;
      return undefined;
    }
    let delayMs = this.#pathMs(from, to) + jitter * jitterMs;
    if (tail < tailChance) {
      this.counts.tail++;
      delayMs += tail / tailChance * tailMs;
    }
    let waitMs = RETRANSMIT_MS;
    let chance = this.#loss;
    for (let sent = 1; luck < chance; sent++) {
      if (sent > RETRANSMITS_MAX) return undefined;
      delayMs += waitMs;
      waitMs *= 2;
      chance *= this.#loss;
    }
    return delayMs;
  }

  /** After how many bytes, both directions together, a new stream breaks. */
  streamBreakBytes(from: number): number {
    const random = this.#streamRandoms[from] as Random;
    const breaks = random.chance(this.#streamBreak);
    const bytes = random.below(BREAK_BYTES_MAX);
    return breaks ? bytes : Number.POSITIVE_INFINITY;
  }

  /** Size of the next piece of a stream when `length` bytes are left, at least 1. */
  chunkBytes(from: number, length: number): number {
    const { chunkBytesMax } = this.#profile;
    const random = this.#streamRandoms[from] as Random;
    const drawn = random.fraction();
    if (chunkBytesMax === 0) return length;
    return Math.min(length, 1 + Math.floor(drawn * chunkBytesMax));
  }
}
