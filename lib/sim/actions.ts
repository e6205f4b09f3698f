/**
 * What can be done to a simulated cluster, as values: what plans are made of.
 *
 * What goes wrong by itself (lost packets and the like) is in `network.ts`; random
 * plans are in `fault_plan.ts`. What a cluster must offer for it is in
 * `cluster_controls.ts`.
 */

import { unreachable } from "../kit/assert.ts";
import { EMPTY_BYTES } from "../kit/bytes.ts";
import type { ClusterControls } from "./cluster_controls.ts";
import type { CutClass, FaultClass } from "./faults.ts";
import { rotateKeys } from "./key_operator.ts";
import type { Bridge } from "./network.ts";
import type { SimNode } from "./node.ts";

/** One thing done to the cluster. Nodes are named by their index. */
export type Action =
  /** Starts a node that is down, which joins the others by itself. */
  | {
    readonly kind: "start";
    readonly node: number;
    readonly via: readonly number[];
  }
  | {
    readonly kind: "crash";
    readonly node: number;
    /** What it counts as. */
    readonly fault?: FaultClass;
  }
  /**
   * Starts a node that is down again: same name and address, nothing remembered
   * but what is on its disk, which may be emptied first. Alone, it joins nobody by
   * itself.
   */
  | {
    readonly kind: "restart";
    readonly node: number;
    readonly alone?: boolean;
    readonly wipes?: boolean;
    /** What it counts as. */
    readonly fault?: FaultClass;
  }
  /** Starts a node that is down under its name, on another machine. */
  | { readonly kind: "relocate"; readonly node: number }
  /** Stops the process without ending it: what arrives waits, timers are late. */
  | { readonly kind: "pause"; readonly node: number }
  | { readonly kind: "resume"; readonly node: number }
  /** From now on each message is handled so much later, ms; 0 for at once. */
  | { readonly kind: "slow"; readonly node: number; readonly byMs: number }
  /** The node's clock leaps forward, whole ms; all that is due comes at once. */
  | { readonly kind: "jumpClock"; readonly node: number; readonly byMs: number }
  | {
    readonly kind: "leave";
    readonly node: number;
    /** What it counts as; leaving alone is no fault. */
    readonly fault?: FaultClass;
  }
  /**
   * An operator gives an encrypted cluster a new key, step by step, each only
   * after all nodes took the one before, and gives up at an instant, ms.
   */
  | { readonly kind: "rotateKeys"; readonly untilMs: number }
  | {
    readonly kind: "forceLeave";
    readonly node: number;
    readonly target: number;
    readonly prune: boolean;
  }
  | { readonly kind: "userEvent"; readonly node: number; readonly name: string }
  | {
    readonly kind: "setTags";
    readonly node: number;
    readonly tags: ReadonlyMap<string, string>;
  }
  /** Cuts the network into parts: one number per node, equal within a part. */
  | {
    readonly kind: "partition";
    readonly groups: readonly number[];
    /** A node that all parts reach. */
    readonly bridge?: Bridge;
    /** What its lost packets count as. */
    readonly fault?: CutClass;
  }
  /** Cuts one direction between two nodes. */
  | { readonly kind: "block"; readonly from: number; readonly to: number }
  /** Ends partitions and blocks. */
  | { readonly kind: "heal" }
  /** Switches all that links do by themselves on or off. */
  | { readonly kind: "noise"; readonly isOn: boolean };

/** An action and when it is done, virtual ms. */
export interface Step {
  readonly atMs: number;
  readonly action: Action;
}

/** Steps in the order of time. */
export type Plan = readonly Step[];

/** Does one thing; what makes no sense at the moment is skipped. */
export function performAction(cluster: ClusterControls, action: Action): void {
  switch (action.kind) {
    case "start":
      return cluster.start(
        cluster.node(action.node),
        action.via.map((index) => cluster.node(index)),
      );
    case "crash":
      return cluster.crash(cluster.node(action.node), action.fault);
    case "restart": {
      const { alone, wipes = false, fault } = action;
      return cluster.restart(
        cluster.node(action.node),
        alone ? [] : undefined,
        { wipes, ...(fault && { fault }) },
      );
    }
    case "relocate":
      return cluster.relocate(cluster.node(action.node));
    case "pause":
      return cluster.pause(cluster.node(action.node));
    case "resume":
      return cluster.resume(cluster.node(action.node));
    case "leave":
      return cluster.leave(cluster.node(action.node), action.fault);
    case "slow":
      return cluster.slow(cluster.node(action.node), action.byMs);
    case "jumpClock":
      return cluster.jumpClock(cluster.node(action.node), action.byMs);
    case "rotateKeys":
      if (cluster.isEncrypted) rotateKeys(cluster, action.untilMs);
      return;
    case "partition":
      return cluster.partition(action.groups, action);
    case "block":
      return cluster.block(cluster.node(action.from), cluster.node(action.to));
    case "heal":
      return cluster.heal();
    case "noise":
      return cluster.network.setNoise(action.isOn);
    case "userEvent":
    case "setTags":
    case "forceLeave": {
      const node = cluster.node(action.node);
      if (node.isServing) request(cluster, node, action);
      return;
    }
    default:
      return unreachable(action);
  }
}

/** Asks the engine of a serving node for something. */
function request(
  cluster: ClusterControls,
  node: SimNode,
  action: Extract<Action, { kind: "userEvent" | "setTags" | "forceLeave" }>,
): void {
  cluster.call(node, (engine, nowMs) => {
    switch (action.kind) {
      case "userEvent":
        engine.userEvent(action.name, EMPTY_BYTES, { coalesce: false }, nowMs);
        break;
      case "setTags":
        engine.setTags(action.tags, nowMs);
        break;
      case "forceLeave": {
        const { prune } = action;
        const target = cluster.node(action.target).name;
        engine.forceLeave(target, { prune }, nowMs);
        break;
      }
    }
  });
}
