/**
 * What can go wrong in a simulated cluster: the classes of faults, and how often
 * each happened.
 *
 * Random plans of them are in `fault_plan.ts`. A class that is switched off does
 * not happen, whoever asks for it, and changes no draw for the others.
 */

/** Everything that can go wrong. */
export const FAULT_CLASSES = [
  // What links do by themselves, packet by packet.
  "loss",
  "duplication",
  "reordering",
  /** A packet takes much longer than others. */
  "tail",
  "streamBreak",
  // What cuts do to packets.
  /** Two parts that do not reach each other. */
  "partition",
  /** One node that reaches nobody. */
  "isolation",
  "threeWay",
  /** Two parts, and a node between them that reaches both, or is only reached. */
  "bridge",
  /** A link that works in one direction. */
  "oneWay",
  // What happens to nodes.
  "crash",
  /** A node comes back with nothing but its keys. */
  "restart",
  /** A node comes back with its disk. */
  "restartWithState",
  /** A stopped process. */
  "pause",
  /** A clock that leaps forward, as that of a virtual machine after a pause. */
  "clockJump",
  /** A node that handles each message late. */
  "slow",
  /** A node comes back under its name, at another address. */
  "nameReuse",
  // What operators do.
  "keyRotation",
  "massLeave",
  "rollingRestart",
] as const;

/** One thing that can go wrong. */
export type FaultClass = typeof FAULT_CLASSES[number];

/** Ways to cut the network in parts. */
export type CutClass = "partition" | "isolation" | "threeWay" | "bridge";

/**
 * How often each fault really happened: packets that were lost or late, not plans
 * to lose some; nodes that left or came back; steps of a key rotation that all
 * nodes took.
 */
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
