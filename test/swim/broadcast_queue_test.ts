/**
 * The queue against the recorded behaviour of memberlist's own queue
 * (`test/vectors/memberlist.json`, group `queue`), and its own promises.
 */

import assert from "node:assert/strict";
import {
  BroadcastQueue,
  retransmitLimit,
} from "../../lib/swim/broadcast_queue.ts";
import { vectorsOf } from "./vectors.ts";

interface Operation {
  readonly op: "queue" | "get" | "prune";
  readonly id?: string;
  readonly kind?: "named" | "unique" | "plain";
  readonly name?: string;
  readonly invalidation_group?: string;
  readonly size?: number;
  readonly overhead?: number;
  readonly limit?: number;
  readonly retain?: number;
  readonly expect_ids?: readonly string[];
  readonly expect_finished: readonly string[];
  readonly expect_queued: number;
}

interface QueueVector {
  readonly name: string;
  readonly num_nodes: number;
  readonly retransmit_mult: number;
  readonly ops: readonly Operation[];
}

/** A defect of the original that we do not have. */
const DEFECT = "queue-id-reuse-loses-message";

for (const vector of vectorsOf<QueueVector>("queue")) {
  if (vector.name === DEFECT) continue;
  Deno.test(`BroadcastQueue follows ${vector.name}`, () => {
    const queue = new BroadcastQueue({
      retransmitMult: vector.retransmit_mult,
      depthMax: 1_000,
    });
    const ids: string[] = [];
    const idOfBytes = new Map<Uint8Array, string>();
    for (const [step, operation] of vector.ops.entries()) {
      if (operation.op === "queue") {
        const bytes = new Uint8Array(operation.size ?? 0);
        const token = ids.push(operation.id ?? "") - 1;
        idOfBytes.set(bytes, operation.id ?? "");
        // Plain broadcasts of one group replace each other; nobody uses them on
        // the wire, and a name of their own says the same.
        const name = operation.name ??
          (operation.invalidation_group &&
            `group ${operation.invalidation_group}`);
        if (name === undefined) queue.queue(bytes, token);
        else queue.queueNamed(name, bytes, token);
      } else if (operation.op === "get") {
        const taken = queue.take(
          operation.overhead ?? 0,
          operation.limit ?? 0,
          vector.num_nodes,
        );
        assert.deepEqual(
          taken.map((bytes) => idOfBytes.get(bytes)),
          operation.expect_ids,
          `step ${step}`,
        );
      } else {
        queue.prune(operation.retain ?? 0);
      }
      const finished = queue.drainFinished().map((token) => ids[token]);
      assert.deepEqual(
        finished.sort(),
        [...operation.expect_finished].sort(),
        `step ${step}`,
      );
      assert.equal(queue.size, operation.expect_queued, `step ${step}`);
    }
  });
}

Deno.test("BroadcastQueue loses no message where the original reuses an id", () => {
  const queue = new BroadcastQueue({ retransmitMult: 3, depthMax: 10 });
  const [a, b] = [new Uint8Array(10), new Uint8Array(10)];
  queue.queue(a);
  assert.deepEqual(queue.take(2, 12, 10), [a]);
  queue.queue(b);
  assert.deepEqual(queue.take(2, 12, 10), [b]);
  assert.equal(queue.size, 2);
});

Deno.test("queue() drops the most-sent, shortest, oldest broadcast when full", () => {
  const queue = new BroadcastQueue({ retransmitMult: 4, depthMax: 2 });
  queue.queue(new Uint8Array(9), 1);
  queue.queue(new Uint8Array(5), 2);
  queue.queue(new Uint8Array(7), 3);
  assert.equal(queue.size, 2);
  assert.deepEqual(queue.drainFinished(), [2]);
});

Deno.test("queue() finishes at once what no packet can carry", () => {
  const queue = new BroadcastQueue({
    retransmitMult: 4,
    depthMax: 2,
    messageBytesMax: 100,
  });
  queue.queueNamed("big", new Uint8Array(101), 7);
  assert.equal(queue.size, 0);
  assert.deepEqual(queue.drainFinished(), [7]);
});

Deno.test("retransmitLimit() equals memberlist's table", () => {
  const [vector] = vectorsOf<{
    name: string;
    params: { n: number; retransmit_mult: number; limit: number }[];
  }>("formula").filter(({ name }) => name === "formula-retransmit-limit");
  assert.ok(vector !== undefined && vector.params.length > 10);
  for (const { n, retransmit_mult, limit } of vector.params) {
    assert.equal(retransmitLimit(n, retransmit_mult), limit, `n=${n}`);
  }
});
