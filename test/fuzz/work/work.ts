/**
 * Fuzzing whose oracle is work: composes attacks, carries each out and compares
 * what it caused with the table of bounds.
 *
 * The attack at place `i` of a run with seed `s` is a function of the target's
 * name and of `s + i`, so `SEED` and one input replay a finding.
 */

import { Random } from "../../../lib/kit/random.ts";
import type { Quantity } from "./bounds.ts";
import type { Excess, Measured } from "./tally.ts";

/** A door of the agent. */
export interface WorkTarget {
  /** Unique; the attacks are a function of it and of the seed. */
  readonly name: string;
  /** Composes an attack, to be carried out as often as wanted. */
  draw(random: Random): PreparedAttack;
}

export interface PreparedAttack {
  /** What it consists of. */
  readonly words: string;
  /**
   * Carries it out on something new.
   *
   * @param unitMs time of one ordinary message on this machine
   */
  measure(unitMs: number): Measured;
}

/** An attack that caused more than the table allows. */
export interface WorkFinding extends Excess {
  readonly target: string;
  /** Replays it, with one input. */
  readonly seed: number;
  readonly words: string;
}

export interface WorkOptions {
  readonly seed: number;
  readonly inputs: number;
  /** Time of one ordinary message, ms; called before each attack that is timed. */
  readonly unitMs: () => number;
  /** Called with each finding; the run ends when it returns true. */
  readonly isEnough?: (finding: WorkFinding) => boolean;
}

export interface WorkReport {
  readonly findings: readonly WorkFinding[];
  /** The highest share of what is allowed that any attack reached. */
  readonly shares: ReadonlyMap<Quantity, number>;
}

/** An attack that seemed slow is timed this often again before it is a finding. */
const TIMED_AGAIN = 2;

export function fuzzWork(
  target: WorkTarget,
  options: WorkOptions,
): WorkReport {
  const { inputs, unitMs, isEnough = () => false } = options;
  const findings: WorkFinding[] = [];
  const shares = new Map<Quantity, number>();
  const firstUnitMs = unitMs();
  for (let i = 0; i < inputs; i++) {
    const seed = options.seed + i;
    const attack = target.draw(
      new Random(seed * 1_000_003 + hashOf(target.name)),
    );
    const { excesses, shares: reached } = attack.measure(firstUnitMs);
    for (const [quantity, share] of reached) {
      shares.set(quantity, Math.max(share, shares.get(quantity) ?? 0));
    }
    for (const excess of excesses) {
      if (
        excess.quantity === "processor time" && !isSlow(attack, unitMs)
      ) continue;
      const { name } = target;
      const finding = { ...excess, target: name, seed, words: attack.words };
      findings.push(finding);
      if (isEnough(finding)) return { findings, shares };
    }
  }
  return { findings, shares };
}

/** Whether an attack takes too long each time: once may have been the machine. */
function isSlow(attack: PreparedAttack, unitMs: () => number): boolean {
  for (let i = 0; i < TIMED_AGAIN; i++) {
    const { excesses } = attack.measure(unitMs());
    if (!excesses.some(({ quantity }) => quantity === "processor time")) {
      return false;
    }
  }
  return true;
}

function hashOf(name: string): number {
  let hash = 7;
  for (let i = 0; i < name.length; i++) {
    hash = (hash * 31 + name.charCodeAt(i)) % 1_000_003;
  }
  return hash;
}
