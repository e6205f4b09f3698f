/**
 * A running 64-bit fingerprint of everything that a run did, and seeds derived
 * from other seeds.
 *
 * Two runs with one fingerprint did the same things at the same virtual times.
 * It is made for speed and for telling runs apart, not against forgery: two
 * lanes of 32 bits with different multipliers (those of xxHash and MurmurHash).
 */

import type { SerfEvent } from "../serf/event.ts";

const LANE_A = 0x9e37_79b1;
const LANE_B = 0x85eb_ca6b;
const FINAL_A = 0xc2b2_ae3d;
const FINAL_B = 0x27d4_eb2f;

const number64 = new Float64Array(1);
const words = new Uint32Array(number64.buffer);

export class Fingerprint {
  #a = 0x811c_9dc5 | 0;
  #b = 0x1656_67b1 | 0;

  /** Takes in 32 bits. */
  addWord(word: number): void {
    const a = Math.imul(this.#a ^ word, LANE_A);
    const b = Math.imul(this.#b + word, LANE_B);
    this.#a = (a << 13) | (a >>> 19);
    this.#b = (b << 17) | (b >>> 15);
  }

  /** Takes in any number, all 64 bits of it. */
  addNumber(value: number): void {
    number64[0] = value;
    this.addWord(words[0] as number);
    this.addWord(words[1] as number);
  }

  addText(text: string): void {
    this.addWord(text.length);
    for (let i = 0; i < text.length; i++) this.addWord(text.charCodeAt(i));
  }

  /** Takes in bytes, four at a time. */
  addBytes(bytes: Uint8Array): void {
    const { length } = bytes;
    this.addWord(length);
    let i = 0;
    for (; i + 4 <= length; i += 4) {
      this.addWord(
        (bytes[i] as number) | ((bytes[i + 1] as number) << 8) |
          ((bytes[i + 2] as number) << 16) | ((bytes[i + 3] as number) << 24),
      );
    }
    for (; i < length; i++) this.addWord(bytes[i] as number);
  }

  /** The state so far as two unsigned words; more may be added afterwards. */
  lanes(): [number, number] {
    const a = Math.imul(this.#a ^ (this.#a >>> 15), FINAL_A) ^ this.#b;
    const b = Math.imul(this.#b ^ (this.#b >>> 13), FINAL_B) ^ a;
    return [(a ^ (a >>> 16)) >>> 0, (b ^ (b >>> 16)) >>> 0];
  }

  /** The state so far as 16 hexadecimal digits. */
  text(): string {
    return this.lanes().map((lane) => lane.toString(16).padStart(8, "0")).join(
      "",
    );
  }
}

/**
 * A seed for one part of a run (a node, a link, a plan), so that what one part
 * draws does not shift what another one draws.
 *
 * @returns a whole number of 53 bits, as `Random` takes it
 */
export function deriveSeed(...parts: readonly number[]): number {
  const fingerprint = new Fingerprint();
  for (const part of parts) fingerprint.addNumber(part);
  const [high, low] = fingerprint.lanes();
  return (high >>> 11) * 0x1_0000_0000 + low;
}

/** Adds what an application was told. */
export function addEvent(fingerprint: Fingerprint, event: SerfEvent): void {
  fingerprint.addText(event.type);
  if (event.type === "user") {
    fingerprint.addText(event.name);
    fingerprint.addNumber(Number(event.ltime));
  } else if (event.type === "query") {
    fingerprint.addText(event.name);
    fingerprint.addNumber(event.id);
  } else {
    for (const member of event.members) fingerprint.addText(member.name);
  }
}
