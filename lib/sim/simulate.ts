/**
 * One simulated run as a pure function: seed and plan in, report out.
 *
 *     start all ... plan with faults ... | calm: no faults, convergence demanded
 *
 * A run fails when a rule of `checkers.ts` is broken at any time, or when the
 * calm does not bring agreement within the time that the configuration allows.
 */

import type { Plan } from "./actions.ts";
import { disagreements } from "./agreement.ts";
import { convergenceMs } from "./bounds.ts";
import { Checkers } from "./checkers.ts";
import type { Violation } from "./violation.ts";
import { Cluster, type SimSettings } from "./cluster.ts";
import type { FaultCounts, FaultMask } from "./faults.ts";
import type { LinkProfile } from "./network.ts";
import type { EngineFactory } from "./sim_engine.ts";
import { Views } from "./views.ts";

/** What a run is a function of. */
export interface SimulationOptions {
  /** The whole run is a function of it and of the other options. */
  readonly seed: number;
  readonly nodes: number;
  readonly plan: Plan;
  /** End of the plan, virtual ms. */
  readonly untilMs: number;
  /** Whether agreement is demanded after the plan. */
  readonly demandsAgreement: boolean;
  readonly link?: Partial<LinkProfile>;
  readonly mask?: FaultMask;
  readonly settings?: SimSettings;
  readonly makeEngine?: EngineFactory;
  readonly snapshots?: { readonly rejoinAfterLeave: boolean };
  readonly keys?: readonly Uint8Array[];
  /** Called with the cluster before it runs, for observers. */
  readonly onCluster?: (cluster: Cluster) => void;
}

/** What came of a run. */
export interface SimulationReport {
  readonly seed: number;
  /** Equal for two runs that did the same. */
  readonly hash: string;
  readonly virtualMs: number;
  /** Packets, stream events and timeouts that engines were given. */
  readonly inputs: number;
  readonly violations: readonly Violation[];
  /** From the end of the plan to agreement, ms; `undefined` when not demanded or not reached. */
  readonly agreedAfterMs: number | undefined;
  /** How often a live, reachable node was called failed. */
  readonly falseFailures: number;
  /** Faults that really happened. */
  readonly faults: Readonly<FaultCounts>;
  /** Sent by all nodes together. */
  readonly packets: number;
  readonly packetBytes: number;
  readonly streamBytes: number;
}

/** Largest cluster that is checked after every input. */
const CHECKED_NODES_MAX = 128;
/** Time between looks at whether everything agrees, ms. */
const LOOK_EVERY_MS = 500;

/**
 * Runs a plan, with the rules checked on the way. The same options give the same
 * report, its hash included.
 *
 * ```ts
 * import { simulate, startPlan } from "@serf/serf/sim";
 * import assert from "node:assert/strict";
 *
 * const report = simulate({
 *   seed: 4711,
 *   nodes: 5,
 *   plan: [
 *     ...startPlan(5, { overMs: 1_000 }),
 *     { atMs: 5_000, action: { kind: "crash", node: 2 } },
 *     { atMs: 40_000, action: { kind: "restart", node: 2 } },
 *   ],
 *   untilMs: 60_000,
 *   demandsAgreement: true,
 * });
 * assert.deepEqual(report.violations, []);
 * ```
 */
export function simulate(options: SimulationOptions): SimulationReport {
  const { seed, nodes, plan, untilMs, demandsAgreement, onCluster, ...rest } =
    options;
  const cluster = new Cluster({ seed, ...rest });
  cluster.addNodes(nodes);
  const views = new Views(cluster);
  const checkers = new Checkers(cluster, CHECKED_NODES_MAX);
  onCluster?.(cluster);
  cluster.schedule(plan);
  cluster.runUntil(untilMs);
  const agreedAfterMs = demandsAgreement
    ? agree(cluster, views, checkers)
    : undefined;

  let packets = 0;
  let packetBytes = 0;
  let streamBytes = 0;
  for (const { traffic } of cluster.nodes) {
    packets += traffic.packetsOut;
    packetBytes += traffic.bytesOut;
    streamBytes += traffic.streamBytesOut;
  }
  return {
    seed,
    hash: cluster.fingerprint.text(),
    virtualMs: cluster.nowMs,
    inputs: cluster.inputs,
    violations: checkers.violations,
    agreedAfterMs,
    falseFailures: views.falseFailureCount,
    faults: { ...cluster.faults },
    packets,
    packetBytes,
    streamBytes,
  };
}

/**
 * Runs on without faults until everybody agrees.
 *
 * @returns how long that took, ms; `undefined`, and a violation, when it took
 * longer than allowed
 */
function agree(
  cluster: Cluster,
  views: Views,
  checkers: Checkers,
): number | undefined {
  const startMs = cluster.nowMs;
  const limitMs = startMs +
    convergenceMs(cluster.configOf(cluster.node(0)), cluster.nodes.length);
  while (cluster.nowMs < limitMs) {
    cluster.runUntil(limitMs, () => views.wrong === 0);
    if (views.wrong === 0 && disagreements(cluster, 1).length === 0) {
      return cluster.nowMs - startMs;
    }
    cluster.runUntil(Math.min(cluster.nowMs + LOOK_EVERY_MS, limitMs));
  }
  const texts = [...views.describeWrong(3), ...disagreements(cluster, 3)];
  checkers.report(
    "agreement",
    `no agreement within ${limitMs - startMs} ms: ${texts.join("; ")}`,
  );
  return undefined;
}

/** A plan that starts all nodes, evenly over a time, each joining through the first. */
export function startPlan(
  nodes: number,
  options: { readonly overMs: number },
): Plan {
  return Array.from({ length: nodes }, (_, node) => ({
    atMs: node * options.overMs / nodes,
    action: { kind: "start" as const, node, via: node === 0 ? [] : [0] },
  }));
}
