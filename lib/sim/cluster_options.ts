/** What a simulated cluster is told before it runs, and whom it tells. */

import type { LogLevel } from "../kit/log.ts";
import type { SerfConfig } from "../serf/config.ts";
import type {
  OperationResult,
  QueryEvent,
  QueryReply,
  SerfEvent,
} from "../serf/event.ts";
import type { SwimConfig } from "../swim/config.ts";
import type { OperationId } from "../swim/output.ts";
import type { Action } from "./actions.ts";
import type { FaultMask } from "./faults.ts";
import type { LinkProfile, PathMs } from "./network.ts";
import type { SimNode } from "./node.ts";
import type { EngineFactory } from "./sim_engine.ts";

/** Changes to the configuration of every node. */
export type SimSettings =
  & Partial<Omit<SerfConfig, "swim">>
  & { readonly swim?: Partial<SwimConfig> };

/** What a cluster is made of. */
export interface ClusterOptions {
  /** Everything random in the run comes from it. */
  readonly seed: number;
  readonly link?: Partial<LinkProfile>;
  /** Fault classes switched on; all of them unless told otherwise. */
  readonly mask?: FaultMask;
  readonly settings?: SimSettings;
  /**
   * Keys that each node starts with, the primary first; none for no encryption.
   * Every node has a ring of its own, and keeps it over a restart.
   */
  readonly keys?: readonly Uint8Array[];
  /**
   * Every node keeps a snapshot on a disk that survives crashes and never loses a
   * line. Absent, none does.
   */
  readonly snapshots?: { readonly rejoinAfterLeave: boolean };
  /** Makes the engines; `SerfEngine` unless told otherwise. */
  readonly makeEngine?: EngineFactory;
  /** Shortest way between two nodes, ms; see `Network`. */
  readonly pathMs?: PathMs;
  /**
   * What the application on a node answers a query with, at once; `undefined`
   * for nothing. Absent, nobody answers.
   */
  readonly answer?: (
    node: SimNode,
    query: QueryEvent,
  ) => Uint8Array | undefined;
}

/** What happened to the process of a node. */
export type Lifecycle =
  | "started"
  | "stopped"
  | "paused"
  | "resumed"
  | "leaving";

/** Sees what a run does. Must not touch engines or cluster, but for `Cluster.after`. */
export interface ClusterObserver {
  /** A step of a plan is about to be done. */
  onAction?(action: Action): void;
  onLifecycle?(node: SimNode, change: Lifecycle): void;
  /** The network was cut or healed. */
  onTopology?(): void;
  onEvent?(node: SimNode, event: SerfEvent): void;
  onLog?(node: SimNode, level: LogLevel, text: string): void;
  onDone?(node: SimNode, result: OperationResult): void;
  /** An ack or an answer reached the node that asked. */
  onReply?(node: SimNode, operation: OperationId, reply: QueryReply): void;
  /** A node took one input, and everything it asked for was performed. */
  onSettled?(node: SimNode): void;
}
