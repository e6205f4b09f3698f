/**
 * What actions, errands and the key operator may do to a cluster.
 *
 * It is an interface of its own because they work on the cluster and the cluster
 * starts them. `Cluster` has all of it, and says more about each method.
 */

import type { CutClass, FaultClass, FaultCounts } from "./faults.ts";
import type { Bridge, Network } from "./network.ts";
import type { SimNode } from "./node.ts";
import type { SimEngine } from "./sim_engine.ts";

export interface ClusterControls {
  /** Virtual time, ms. */
  readonly nowMs: number;
  /** Whether the nodes seal what they send. */
  readonly isEncrypted: boolean;
  readonly nodes: readonly SimNode[];
  readonly network: Pick<Network, "setNoise">;
  /** How often each fault happened so far. */
  readonly faults: FaultCounts;

  node(index: number): SimNode;

  // --- The process of a node --------------------------------------------------

  start(node: SimNode, via: readonly SimNode[]): void;
  crash(node: SimNode, fault?: FaultClass): void;
  restart(
    node: SimNode,
    via: readonly SimNode[] | undefined,
    options: { readonly wipes?: boolean; readonly fault?: FaultClass },
  ): void;
  relocate(node: SimNode): void;
  pause(node: SimNode): void;
  resume(node: SimNode): void;
  slow(node: SimNode, byMs: number): void;
  jumpClock(node: SimNode, byMs: number): void;
  leave(node: SimNode, fault?: FaultClass): void;
  /** Writes the keyring file of a node. */
  writeKeys(node: SimNode, keys: readonly Uint8Array[]): void;

  // --- The network ------------------------------------------------------------

  partition(
    groups: readonly number[],
    options: { readonly bridge?: Bridge; readonly fault?: CutClass },
  ): void;
  block(from: SimNode, to: SimNode): void;
  heal(): void;

  // --- Engines and time -------------------------------------------------------

  /** Calls the engine of a node that is up, then performs what it asks for. */
  call<T>(node: SimNode, use: (engine: SimEngine, nowMs: number) => T): T;
  /** Calls a function after some virtual time, ms. */
  after(delayMs: number, run: () => void): void;
}
