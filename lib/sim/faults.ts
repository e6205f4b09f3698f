/**
 * What can go wrong in a simulated cluster, and random plans of it.
 *
 * A plan draws every fault whether or not its class is switched on, and the
 * classes that are off are taken out afterwards. So a failing seed can be made
 * smaller by switching classes off one by one, without a change to the faults
 * that remain. (tigerbeetle `docs/internals/vopr.md`.)
 */

import { Random } from "../kit/random.ts";
import type { Action, Plan, Step } from "./actions.ts";
import { deriveSeed } from "./fingerprint.ts";

/** Everything that can go wrong. */
export const FAULT_CLASSES = [
  "loss",
  "duplication",
  "reordering",
  "partition",
  "oneWay",
  "streamBreak",
  "crash",
  "restart",
  "pause",
] as const;

/** One thing that can go wrong. */
export type FaultClass = typeof FAULT_CLASSES[number];

/** How often each fault really happened: packets that were lost, not plans to lose some. */
export type FaultCounts = Record<FaultClass, number>;

/** The classes that are switched on. */
export type FaultMask = ReadonlySet<FaultClass>;

/** Everything goes wrong that a plan or a profile says. */
export const ALL_FAULTS: FaultMask = new Set(FAULT_CLASSES);
/** Nothing goes wrong. */
export const NO_FAULTS: FaultMask = new Set();

export function noFaultCounts(): FaultCounts {
  const counts = {} as FaultCounts;
  for (const fault of FAULT_CLASSES) counts[fault] = 0;
  return counts;
}

/** Adds the second to the first. */
export function addFaultCounts(total: FaultCounts, more: FaultCounts): void {
  for (const fault of FAULT_CLASSES) total[fault] += more[fault];
}

/** What a random plan is drawn from. */
export interface FaultPlanOptions {
  readonly seed: number;
  readonly nodes: number;
  /** Faults start here, ms; the cluster should have formed by then. */
  readonly fromMs: number;
  /** Faults end before this, ms: partitions heal, paused nodes resume. */
  readonly toMs: number;
  /** Classes switched on. */
  readonly mask: FaultMask;
}

/** Shortest and longest of one fault, ms. */
const FAULT_MIN_MS = 500;
const FAULT_MAX_MS = 25_000;
/** Faults that have a beginning and an end, on average one per this time, ms. */
const FAULT_EVERY_MS = 12_000;

/**
 * A random plan of partitions, blocked links, crashes, restarts and pauses, with
 * user events, changes of tags and departures in between.
 *
 * Node 0 never crashes, leaves or pauses, so that there is always someone to
 * join. At the end of the plan nothing is cut or paused any more.
 */
export function drawFaultPlan(options: FaultPlanOptions): Plan {
  const { seed, nodes, fromMs, toMs, mask } = options;
  const random = new Random(deriveSeed(seed, 0x504c_414e));
  const steps: Step[] = [];
  const count = Math.ceil((toMs - fromMs) / FAULT_EVERY_MS);
  for (let i = 0; i < count; i++) {
    // Every draw is made, whatever the class turns out to be and whether or not
    // it is switched on.
    const startMs = fromMs + random.fraction() * (toMs - fromMs);
    const lastingMs = FAULT_MIN_MS +
      random.fraction() ** 2 * (FAULT_MAX_MS - FAULT_MIN_MS);
    const endMs = Math.min(startMs + lastingMs, toMs);
    const choice = random.below(6);
    const victim = 1 + random.below(nodes - 1);
    const other = random.below(nodes);
    const comesBack = random.chance(0.75);
    const groups = Array.from({ length: nodes }, () => random.below(2));
    const add = (atMs: number, action: Action) => steps.push({ atMs, action });
    switch (choice) {
      case 0:
        if (!mask.has("partition")) break;
        add(startMs, { kind: "partition", groups });
        add(endMs, { kind: "heal" });
        break;
      case 1:
        if (!mask.has("oneWay") || other === victim) break;
        add(startMs, { kind: "block", from: victim, to: other });
        add(endMs, { kind: "heal" });
        break;
      case 2:
        if (!mask.has("crash")) break;
        add(startMs, { kind: "crash", node: victim });
        if (mask.has("restart") && comesBack) {
          add(endMs, { kind: "restart", node: victim });
        }
        break;
      case 3:
        if (!mask.has("pause")) break;
        add(startMs, { kind: "pause", node: victim });
        add(endMs, { kind: "resume", node: victim });
        break;
      case 4:
        add(startMs, { kind: "userEvent", node: other, name: `event-${i}` });
        break;
      case 5:
        if (comesBack) {
          const tags = new Map([["round", String(i)]]);
          add(startMs, { kind: "setTags", node: other, tags });
        } else {
          add(startMs, { kind: "leave", node: victim });
          if (mask.has("restart")) {
            add(endMs, { kind: "restart", node: victim });
          }
        }
        break;
    }
  }
  for (let node = 1; node < nodes; node++) {
    steps.push({ atMs: toMs, action: { kind: "resume", node } });
  }
  steps.push({ atMs: fromMs, action: { kind: "noise", isOn: true } });
  steps.push({ atMs: toMs, action: { kind: "noise", isOn: false } });
  steps.push({ atMs: toMs, action: { kind: "heal" } });
  return steps.sort((a, b) => a.atMs - b.atMs);
}

/** A random level of noise on all links, for a run of mixed faults. */
export function drawNoise(seed: number): {
  readonly loss: number;
  readonly duplication: number;
  readonly reordering: number;
  readonly streamBreak: number;
} {
  const random = new Random(deriveSeed(seed, 0x4e4f_4953));
  return {
    loss: random.fraction() * 0.25,
    duplication: random.fraction() * 0.1,
    reordering: random.fraction() * 0.2,
    streamBreak: random.fraction() * 0.3,
  };
}
