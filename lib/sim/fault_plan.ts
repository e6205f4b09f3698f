/**
 * Random plans of faults, and random circumstances for them: a run of a seed.
 *
 * A plan draws every fault whether or not its class is switched on, and the
 * classes that are off are taken out afterwards. So a failing seed can be made
 * smaller by switching classes off one by one, without a change to the faults
 * that remain. The idea is from TigerBeetle: docs/internals/vopr.md in its
 * repository.
 */

import { Random } from "../kit/random.ts";
import type { Action, Plan, Step } from "./actions.ts";
import type { ClusterOptions, SimSettings } from "./cluster_options.ts";
import type { FaultClass, FaultMask } from "./faults.ts";
import { deriveSeed } from "./fingerprint.ts";
import type { LinkProfile } from "./network.ts";

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
/** Faults that have a beginning and an end, on average one per this time, ms, */
const FAULT_EVERY_MS = 8_000;
/** and as many more as this goes into the number of nodes. */
const NODES_PER_FAULT = 20;
/** A pause may be longer than other faults by this factor: than any suspicion. */
const PAUSE_FACTOR = 3;
/** Longest leap of a clock, ms. */
const JUMP_MAX_MS = 300_000;
/** Latest handling of a message by a slow node, ms. */
const SLOW_MAX_MS = 4_000;
/** Time in which a graceful leave is over, but for bad luck, ms. */
const LEAVE_MS = 8_000;
/** Time between two nodes of a rolling restart, ms, and most nodes in one. */
const ROLL_EVERY_MS = 6_000;
const ROLLED_MAX = 8;
/** Name reuse waits this much longer, so that some come after the death was found. */
const REUSE_FACTOR = 2;

/** What a step of the plan may turn out to be. Some come more often than others. */
const CHOICES = [
  "partition",
  "isolation",
  "threeWay",
  "bridge",
  "oneWay",
  "crash",
  "crash",
  "crash",
  "pause",
  "pause",
  "clockJump",
  "slow",
  "slow",
  "nameReuse",
  "massLeave",
  "rollingRestart",
  "userEvent",
  "userEvent",
  "setTags",
  "leave",
] as const;

/** One fault with everything drawn that any choice may need. */
interface Draw {
  readonly i: number;
  readonly choice: typeof CHOICES[number];
  readonly startMs: number;
  readonly endMs: number;
  /** Without the limit by the end of the plan, ms. */
  readonly lastingMs: number;
  /** Any node but node 0. */
  readonly victim: number;
  /** Any node. */
  readonly other: number;
  readonly comesBack: boolean;
  readonly keepsDisk: boolean;
  readonly isGraceful: boolean;
  /** In [0, 1). */
  readonly luck: number;
  readonly halves: readonly number[];
  readonly thirds: readonly number[];
}

/**
 * A random plan of cuts, crashes, restarts, pauses, leaps of clocks, slow nodes
 * and all else of `FAULT_CLASSES`, with user events, changes of tags and
 * departures in between.
 *
 * Node 0 never crashes, leaves or pauses, so that there is always someone to
 * join. At the end of the plan nothing is cut, paused or slow any more.
 */
export function drawFaultPlan(options: FaultPlanOptions): Plan {
  const { nodes, fromMs, toMs, mask } = options;
  const steps: Step[] = [];
  const add = (atMs: number, action: Action) =>
    steps.push({ atMs: Math.min(atMs, toMs), action });
  for (const draw of drawAll(options)) {
    addFault(draw, { nodes, toMs, mask }, add);
  }
  const keys = new Random(deriveSeed(options.seed, 0x4b45_59));
  const rotateMs = fromMs + keys.fraction() * (toMs - fromMs) / 2;
  if (mask.has("keyRotation")) {
    add(rotateMs, { kind: "rotateKeys", untilMs: toMs });
  }
  for (let node = 0; node < nodes; node++) {
    add(toMs, { kind: "slow", node, byMs: 0 });
    if (node > 0) add(toMs, { kind: "resume", node });
  }
  add(fromMs, { kind: "noise", isOn: true });
  add(toMs, { kind: "noise", isOn: false });
  add(toMs, { kind: "heal" });
  return steps.sort((a, b) => a.atMs - b.atMs);
}

/** Every draw is made, whatever the choice is and whether or not it is switched on. */
function drawAll(options: FaultPlanOptions): Draw[] {
  const { seed, nodes, fromMs, toMs } = options;
  const random = new Random(deriveSeed(seed, 0x504c_414e));
  const everyMs = FAULT_EVERY_MS / Math.max(1, nodes / NODES_PER_FAULT);
  const count = Math.ceil((toMs - fromMs) / everyMs);
  return Array.from({ length: count }, (_, i) => {
    const startMs = fromMs + random.fraction() * (toMs - fromMs);
    const lastingMs = FAULT_MIN_MS +
      random.fraction() ** 2 * (FAULT_MAX_MS - FAULT_MIN_MS);
    return {
      i,
      startMs,
      lastingMs,
      endMs: Math.min(startMs + lastingMs, toMs),
      choice: CHOICES[random.below(CHOICES.length)] as typeof CHOICES[number],
      victim: 1 + random.below(nodes - 1),
      other: random.below(nodes),
      comesBack: random.chance(0.75),
      keepsDisk: random.chance(0.5),
      isGraceful: random.chance(0.5),
      luck: random.fraction(),
      halves: Array.from({ length: nodes }, () => random.below(2)),
      thirds: Array.from({ length: nodes }, () => random.below(3)),
    };
  });
}

/** Adds the steps of one fault, if it is switched on. */
function addFault(
  draw: Draw,
  plan: Pick<FaultPlanOptions, "nodes" | "toMs" | "mask">,
  add: (atMs: number, action: Action) => void,
): void {
  const { i, choice, startMs, endMs, lastingMs, luck } = draw;
  const { victim, other, comesBack, keepsDisk, isGraceful } = draw;
  const { nodes, toMs, mask } = plan;
  const isUserAction = choice === "userEvent" || choice === "setTags" ||
    choice === "leave";
  if (!isUserAction && !mask.has(choice)) return;
  const comeBack = (atMs: number, node: number) => {
    const fault: FaultClass = keepsDisk ? "restartWithState" : "restart";
    if (!comesBack || !mask.has(fault)) return;
    add(atMs, { kind: "restart", node, wipes: !keepsDisk });
  };
  switch (choice) {
    case "partition":
      add(startMs, { kind: "partition", groups: draw.halves });
      add(endMs, { kind: "heal" });
      break;
    case "isolation": {
      const groups = Array.from(
        { length: nodes },
        (_, n) => Number(n === other),
      );
      add(startMs, { kind: "partition", groups, fault: choice });
      add(endMs, { kind: "heal" });
      break;
    }
    case "threeWay":
      add(startMs, { kind: "partition", groups: draw.thirds, fault: choice });
      add(endMs, { kind: "heal" });
      break;
    case "bridge":
      add(startMs, {
        kind: "partition",
        groups: draw.halves,
        fault: choice,
        bridge: { node: other, isHeard: isGraceful },
      });
      add(endMs, { kind: "heal" });
      break;
    case "oneWay":
      if (other === victim) break;
      add(startMs, { kind: "block", from: victim, to: other });
      add(endMs, { kind: "heal" });
      break;
    case "crash":
      add(startMs, { kind: "crash", node: victim });
      comeBack(endMs, victim);
      break;
    case "pause":
      add(startMs, { kind: "pause", node: victim });
      add(startMs + PAUSE_FACTOR * lastingMs, { kind: "resume", node: victim });
      break;
    case "clockJump": {
      const byMs = 1 + Math.floor(luck ** 2 * JUMP_MAX_MS);
      add(startMs, { kind: "jumpClock", node: other, byMs });
      break;
    }
    case "slow":
      add(startMs, { kind: "slow", node: other, byMs: luck * SLOW_MAX_MS });
      add(startMs + PAUSE_FACTOR * lastingMs, {
        kind: "slow",
        node: other,
        byMs: 0,
      });
      break;
    case "nameReuse": {
      const kind = isGraceful ? "leave" : "crash";
      add(startMs, { kind, node: victim, fault: choice });
      const backMs = startMs + REUSE_FACTOR * lastingMs +
        (isGraceful ? LEAVE_MS : 0);
      add(backMs, { kind: "relocate", node: victim });
      // It may have lost a vote about its name; the operator tries once more.
      add(toMs, { kind: "restart", node: victim, wipes: true, fault: choice });
      break;
    }
    case "massLeave": {
      const leavers = 2 + Math.floor(luck * (nodes - 1) / 2);
      for (const node of nodesFrom(victim, leavers, nodes)) {
        add(startMs, { kind: "leave", node, fault: choice });
        if (!comesBack) continue;
        const backMs = startMs + LEAVE_MS + lastingMs;
        const wipes = !keepsDisk;
        add(backMs, { kind: "restart", node, wipes, fault: choice });
      }
      break;
    }
    case "rollingRestart": {
      const rolled = Math.min(nodes - 1, ROLLED_MAX);
      for (const [k, node] of nodesFrom(victim, rolled, nodes).entries()) {
        const atMs = startMs + k * ROLL_EVERY_MS;
        if (atMs >= toMs) break;
        const wipes = !keepsDisk;
        const kind = isGraceful ? "leave" : "crash";
        add(atMs, { kind, node, fault: choice });
        const backMs = atMs + (isGraceful ? LEAVE_MS : ROLL_EVERY_MS / 2);
        add(backMs, { kind: "restart", node, wipes, fault: choice });
      }
      break;
    }
    case "userEvent":
      add(startMs, { kind: "userEvent", node: other, name: `event-${i}` });
      break;
    case "setTags": {
      const tags = new Map([["round", String(i)]]);
      add(startMs, { kind: "setTags", node: other, tags });
      break;
    }
    case "leave":
      add(startMs, { kind: "leave", node: victim });
      comeBack(endMs, victim);
      break;
  }
}

/** So many different nodes in a row, without node 0. */
function nodesFrom(first: number, count: number, nodes: number): number[] {
  const others = nodes - 1;
  return Array.from(
    { length: Math.min(count, others) },
    (_, k) => 1 + (first - 1 + k) % others,
  );
}

/** A random level of noise on all links, for a run of mixed faults. */
export function drawNoise(
  seed: number,
): Pick<
  LinkProfile,
  | "loss"
  | "duplication"
  | "reordering"
  | "streamBreak"
  | "tailChance"
  | "tailMs"
> {
  const random = new Random(deriveSeed(seed, 0x4e4f_4953));
  return {
    loss: random.fraction() * 0.25,
    duplication: random.fraction() * 0.1,
    reordering: random.fraction() * 0.2,
    streamBreak: random.fraction() * 0.3,
    tailChance: random.fraction() * 0.05,
    tailMs: random.fraction() ** 2 * 5_000,
  };
}

/** AES-128, the cheapest to seal with. */
const KEY_BYTES = 16;
/** A name may be taken over from a member dead for this long, ms, in some runs. */
const RECLAIM_MS = 10_000;

/** Random circumstances: disks, keys, and what may be set one way or another. */
export function drawCircumstances(
  seed: number,
): Pick<ClusterOptions, "snapshots" | "keys"> & {
  readonly settings: SimSettings;
} {
  const random = new Random(deriveSeed(seed, 0x5345_54));
  const rejoinAfterLeave = random.chance(0.5);
  const isEncrypted = random.chance(0.5);
  const deadNodeReclaimMs = random.chance(0.5) ? RECLAIM_MS : 0;
  return {
    snapshots: { rejoinAfterLeave },
    ...(isEncrypted && { keys: [new Uint8Array(KEY_BYTES).fill(1)] }),
    settings: { swim: { deadNodeReclaimMs } },
  };
}
