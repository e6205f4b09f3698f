/**
 * Somebody who gives a running cluster a new key while things go wrong.
 *
 *     install --all nodes have it--> use --all nodes seal with it--> remove the old one
 *
 * Who missed a key that the others seal with is cut off for good, and who misses
 * it is not seen in the answers of those who are there. So the next step comes
 * only when every node that is running took the one before, as its keyring file
 * tells; until then the operator asks again. The file of a node that is down is
 * written by hand. Stopping anywhere leaves a cluster that works.
 */

import type { KeyRequestParams } from "../serf/engine.ts";
import { equalBytes } from "../kit/bytes.ts";
import type { ClusterControls } from "./cluster_controls.ts";

/** Time between attempts, ms. */
const ASK_EVERY_MS = 3_000;

/** What an operator of keys needs of a cluster. */
type KeyControls = Pick<
  ClusterControls,
  "nowMs" | "nodes" | "faults" | "node" | "call" | "after" | "writeKeys"
>;

/** A key that replaces the first one of the cluster, of the same length. */
export function newKeyFor(oldKey: Uint8Array): Uint8Array {
  return oldKey.map((byte) => byte ^ 0xff);
}

/** Starts a rotation that is given up at an instant, virtual ms. */
export function rotateKeys(cluster: KeyControls, untilMs: number): void {
  const [oldKey] = cluster.node(0).keyring?.keys() ?? [];
  if (oldKey === undefined) return;
  new KeyOperator(cluster, oldKey, untilMs).go();
}

/** A step, and the ring of those who took it, the primary first. */
interface KeyStep {
  readonly params: KeyRequestParams;
  readonly ring: readonly Uint8Array[];
}

class KeyOperator {
  readonly #cluster: KeyControls;
  readonly #untilMs: number;
  readonly #steps: KeyStep[];
  #attempts = 0;

  constructor(cluster: KeyControls, oldKey: Uint8Array, untilMs: number) {
    this.#cluster = cluster;
    this.#untilMs = untilMs;
    const key = newKeyFor(oldKey);
    this.#steps = [
      { params: { kind: "install", key }, ring: [oldKey, key] },
      { params: { kind: "use", key }, ring: [key, oldKey] },
      { params: { kind: "remove", key: oldKey }, ring: [key] },
    ];
  }

  /** Looks how far the nodes are, and asks one of them, another one each time. */
  go(): void {
    const cluster = this.#cluster;
    if (cluster.nowMs >= this.#untilMs) return;
    if (this.#isTaken()) this.#finishStep();
    const [step] = this.#steps;
    if (step === undefined) return;
    const serving = cluster.nodes.filter((node) => node.isServing);
    const node = serving[this.#attempts++ % serving.length];
    if (node !== undefined) {
      cluster.call(
        node,
        (engine, nowMs) => engine.changeKeys(step.params, nowMs),
      );
    }
    cluster.after(ASK_EVERY_MS, () => this.go());
  }

  /** Whether every node that is running took the step. */
  #isTaken(): boolean {
    const ring = this.#steps[0]?.ring ?? [];
    return this.#cluster.nodes.every((node) => {
      const keys = node.keyring?.keys() ?? [];
      return !node.isUp || (keys.length === ring.length &&
        keys.every((key, i) => equalBytes(key, ring[i] as Uint8Array)));
    });
  }

  #finishStep(): void {
    const cluster = this.#cluster;
    const step = this.#steps.shift();
    if (step === undefined) return;
    cluster.faults.keyRotation++;
    for (const node of cluster.nodes) {
      if (!node.isUp) cluster.writeKeys(node, step.ring);
    }
  }
}
