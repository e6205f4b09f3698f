/** Notices an engine whose deadline never moves past now, which would run for ever. */

import { assert } from "../kit/assert.ts";
import type { SimNode } from "./node.ts";

/** Timeouts of one node at one instant; more mean that it does not make progress. */
const TIMEOUTS_AT_ONCE_MAX = 10_000;

export class ProgressGuard {
  #count = 0;
  #last: { readonly node: SimNode; readonly atMs: number } | undefined;

  /** A timeout of a node is about to be handled. */
  note(node: SimNode, nowMs: number): void {
    if (this.#last?.node !== node || this.#last.atMs !== nowMs) {
      this.#count = 0;
      this.#last = { node, atMs: nowMs };
      return;
    }
    this.#count++;
    assert(
      this.#count < TIMEOUTS_AT_ONCE_MAX,
      `the deadline of ${node.name} moves past ${nowMs} ms`,
    );
  }
}
