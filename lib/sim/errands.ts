/**
 * What the driver of a node does on its own behalf, as an agent would: joining
 * until somebody was reached, and ending the process when a leave is over.
 */

import type { OperationResult } from "../serf/event.ts";
import type { OperationId } from "../swim/output.ts";
import type { ClusterControls } from "./cluster_controls.ts";
import type { SimNode } from "./node.ts";

/** A node whose join reached nobody tries again after this, ms, as agents told to do. */
const REJOIN_MS = 5_000;

/** What errands need of a cluster. */
type ErrandControls = Pick<ClusterControls, "call" | "after">;

export class Errands {
  readonly #cluster: ErrandControls;
  readonly #stop: (node: SimNode) => void;
  readonly #joins = new Map<
    SimNode,
    { operation: OperationId; via: readonly SimNode[] }
  >();
  readonly #leaves = new Map<SimNode, OperationId>();

  /** @param stop ends the process of a node */
  constructor(cluster: ErrandControls, stop: (node: SimNode) => void) {
    this.#cluster = cluster;
    this.#stop = stop;
  }

  /** A node with something on disk asks for old events: it knows those it had. */
  join(node: SimNode, via: readonly SimNode[]): void {
    const targets = via.map((other) => ({ address: other.address }));
    const ignoreOld = node.disk === "";
    this.#cluster.call(node, (engine, nowMs) => {
      const operation = engine.join(targets, { ignoreOld }, nowMs);
      this.#joins.set(node, { operation, via });
    });
  }

  leave(node: SimNode): void {
    this.#cluster.call(node, (engine, nowMs) => {
      this.#leaves.set(node, engine.leave(nowMs));
    });
  }

  /** The process ended. */
  forget(node: SimNode): void {
    this.#joins.delete(node);
    this.#leaves.delete(node);
  }

  onDone(node: SimNode, result: OperationResult): void {
    const join = this.#joins.get(node);
    if (join?.operation === result.operation) {
      this.#joins.delete(node);
      if ((result.contacted ?? 0) === 0) this.#joinLater(node, join.via);
    }
    if (this.#leaves.get(node) === result.operation) {
      this.#leaves.delete(node);
      // Not at once: the engine is still being drained.
      const { life } = node;
      this.#cluster.after(0, () => {
        if (node.life === life && node.isUp) this.#stop(node);
      });
    }
  }

  #joinLater(node: SimNode, via: readonly SimNode[]): void {
    const { life } = node;
    this.#cluster.after(REJOIN_MS, () => {
      if (node.life !== life) return;
      if (node.isPaused) this.#joinLater(node, via);
      else if (node.isServing) this.join(node, via);
    });
  }
}
