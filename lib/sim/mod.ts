/**
 * The simulator, for testing programs that embed a node.
 *
 * A `Cluster` is any number of engines on a network in memory, in virtual time:
 * an hour takes a second, everything that can go wrong does so on command, and a
 * run is a function of its seed. A program is tested in it by its rules: what it
 * does on events is written as a value that is fed with them (by
 * `for await (... of node.events())` in production), and here an observer feeds
 * one such value per node.
 *
 * - `Cluster`, with `observers`, is for tests that go step by step.
 * - `simulate` runs a whole plan, with rules checked after every step, and reports.
 * - `drawFaultPlan` and `drawNoise` make random plans and networks of a seed.
 *
 * ```ts
 * import { Cluster, startPlan } from "@serf/serf/sim";
 * import assert from "node:assert/strict";
 *
 * const cluster = new Cluster({ seed: 1 });
 * cluster.addNodes(5);
 * const failures: string[] = [];
 * cluster.observers.push({
 *   onEvent(node, event) {
 *     if (event.type !== "member-failed") return;
 *     for (const { name } of event.members) {
 *       failures.push(`${node.name} calls ${name} failed`);
 *     }
 *   },
 * });
 * cluster.schedule(startPlan(5, { overMs: 1_000 }));
 * cluster.runUntil(10_000);
 * cluster.crash(cluster.node(3));
 * assert(cluster.runUntil(60_000, () => failures.length === 4));
 * assert(failures.includes("n0 calls n3 failed"));
 * ```
 *
 * @module
 */

export { type Action, type Plan, type Step } from "./actions.ts";
export { disagreements, wrongLists } from "./agreement.ts";
export {
  convergenceMs,
  detectionMs,
  repairMs,
  spreadMs,
  suspicionMaxMs,
} from "./bounds.ts";
export { Checkers } from "./checkers.ts";
export type { Violation } from "./violation.ts";
export {
  Cluster,
  type ClusterObserver,
  type ClusterOptions,
  type Lifecycle,
  type SimSettings,
} from "./cluster.ts";
export {
  type Curve,
  type CurveOptions,
  type CurveReport,
  measureCurves,
  reachedMs,
  shareAt,
  type TrafficRate,
} from "./curves.ts";
export {
  drawCircumstances,
  drawFaultPlan,
  drawNoise,
  type FaultPlanOptions,
} from "./fault_plan.ts";
export {
  ALL_FAULTS,
  type CutClass,
  FAULT_CLASSES,
  type FaultClass,
  type FaultCounts,
  type FaultMask,
  NO_FAULTS,
} from "./faults.ts";
export {
  type GossipModel,
  modelBytesPerSecond,
  modelMs,
  modelShare,
} from "./gossip_model.ts";
export { Journal } from "./journal.ts";
export {
  type Bridge,
  LAN_LINK,
  type LinkProfile,
  type Network,
  type PathMs,
} from "./network.ts";
export { SimNode, type Traffic } from "./node.ts";
export type { EngineFactory, SimEngine } from "./sim_engine.ts";
export {
  simulate,
  type SimulationOptions,
  type SimulationReport,
  startPlan,
} from "./simulate.ts";
export {
  type ProfileName,
  PROFILES,
  type SwimProfile,
} from "../swim/config.ts";
export { type Belief, type FalseFailure, Views } from "./views.ts";

// What engines take and tell, as in the entry `@serf/serf`.
export type { Coordinate } from "../coordinate/coordinate.ts";
export type { BudgetRate } from "../kit/budget.ts";
export type { LogLevel } from "../kit/log.ts";
export type { Random } from "../kit/random.ts";
export type { SerfConfig, SnapshotConfig } from "../serf/config.ts";
export type { SerfLimits } from "../serf/limits.ts";
export type {
  EngineSeeds,
  JoinTarget,
  KeyRequestParams,
  QueryParams,
  SwimView,
} from "../serf/engine.ts";
export type {
  KeyReport,
  MemberEvent,
  MemberEventType,
  OperationResult,
  Output,
  PersistOutput,
  QueryEvent,
  QueryReply,
  SerfEvent,
  UserEvent,
} from "../serf/event.ts";
export type { Member, MemberStatus } from "../serf/member.ts";
export type {
  RestoredSnapshot,
  SnapshotComplaint,
} from "../serf/snapshot_file.ts";
export type { SwimConfig } from "../swim/config.ts";
export type { ReplyRates, SwimLimits } from "../swim/limits.ts";
export type { DriverOutput, OperationId, StreamId } from "../swim/output.ts";
export type { SealOptions } from "../wire/aead.ts";
export type { EncryptionVersion } from "../wire/seal_size.ts";
export type { Keyring } from "../wire/keyring.ts";
