/**
 * The table of members: lookup by name, probe order, random picks, counts.
 *
 * Nothing outside may rely on how rows are kept, so that the inside can change.
 * Dead and left members stay for a while, so that their death can be gossiped
 * and refuted; `resetOrder` forgets them.
 */

import type { Random } from "../kit/random.ts";
import type { NodeStateName } from "../wire/messages.ts";
import type { Member } from "./member.ts";

export class Membership {
  readonly #byName = new Map<string, Member>();
  /** Probe order. Rows know their place, so that removal needs no search. */
  readonly #order: Member[] = [];
  readonly #random: Random;
  #nextProbe = 0;
  #liveCount = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  /** All rows, ourselves, dead and left ones included. */
  get size(): number {
    return this.#order.length;
  }

  /** Alive and suspect members, ourselves included. */
  get liveCount(): number {
    return this.#liveCount;
  }

  get(name: string): Member | undefined {
    return this.#byName.get(name);
  }

  all(): readonly Member[] {
    return this.#order;
  }

  /** Adds a row at a random place of the probe order. */
  add(member: Member): void {
    this.#byName.set(member.name, member);
    const place = this.#random.below(this.#order.length + 1);
    this.#put(member, this.#order.length);
    this.#swap(place, member.place);
    if (member.isLive) this.#liveCount++;
  }

  /** The only way to change a member's state. */
  setState(member: Member, state: NodeStateName, nowMs: number): void {
    const wasLive = member.isLive;
    member.state = state;
    member.stateChangedMs = nowMs;
    if (member.isLive !== wasLive) this.#liveCount += wasLive ? -1 : 1;
  }

  /**
   * The next member to probe, round robin: each live one, but not ourselves,
   * once per round. Source: SWIM, section 4.3.
   *
   * @param onRoundEnd called when a round is over, to `resetOrder`
   * @returns `undefined` when a whole round found nobody
   */
  nextToProbe(self: string, onRoundEnd: () => void): Member | undefined {
    for (let seen = 0; seen <= this.#order.length; seen++) {
      if (this.#nextProbe >= this.#order.length) {
        onRoundEnd();
        this.#nextProbe = 0;
      }
      const member = this.#order[this.#nextProbe++];
      if (member?.isLive && member.name !== self) return member;
    }
    return undefined;
  }

  /**
   * Shuffles the probe order and forgets members dead or left since before the
   * given instant.
   */
  resetOrder(forgetBeforeMs: number): void {
    let kept = 0;
    for (const member of this.#order) {
      if (!member.isLive && member.stateChangedMs < forgetBeforeMs) {
        this.#byName.delete(member.name);
        member.place = -1;
      } else {
        this.#order[kept++] = member;
      }
    }
    this.#order.length = kept;
    this.#random.shuffle(this.#order);
    for (const [place, member] of this.#order.entries()) member.place = place;
  }

  /**
   * Up to `count` different random members that pass the filter.
   *
   * Draws at random, so that the cost does not grow with the cluster while most
   * members pass; a small table is shuffled and searched whole. Source:
   * memberlist `kRandomNodes`.
   */
  pick(count: number, accept: (member: Member) => boolean): Member[] {
    const picked: Member[] = [];
    const total = this.#order.length;
    if (total < 3 * count) {
      const candidates = this.#order.filter(accept);
      this.#random.shuffle(candidates);
      return candidates.slice(0, count);
    }
    for (let draw = 0; draw < 3 * total && picked.length < count; draw++) {
      const member = this.#order[this.#random.below(total)] as Member;
      if (accept(member) && !picked.includes(member)) picked.push(member);
    }
    return picked;
  }

  #put(member: Member, place: number): void {
    this.#order[place] = member;
    member.place = place;
  }

  #swap(a: number, b: number): void {
    const first = this.#order[a] as Member;
    const second = this.#order[b] as Member;
    this.#put(first, b);
    this.#put(second, a);
  }
}
