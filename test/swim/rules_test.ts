/** Tests of the pure rules of lib/swim: awareness, suspicion, precedence, scaling. */

import assert from "node:assert/strict";
import { Awareness } from "../../lib/swim/awareness.ts";
import { precedence, type Verdict } from "../../lib/swim/member.ts";
import { pushPullIntervalMs } from "../../lib/swim/push_pull.ts";
import {
  remainingSuspicionMs,
  Suspicion,
  suspicionTimeoutMs,
} from "../../lib/swim/suspicion.ts";
import { vectorsOf } from "./vectors.ts";

function table<T>(name: string): T[] {
  const found = vectorsOf<{ name: string; params: T[] }>("formula")
    .find((vector) => vector.name === name);
  assert.ok(found !== undefined && found.params.length > 10);
  return found.params;
}

Deno.test("suspicionTimeoutMs() equals memberlist's table", () => {
  for (
    const row of table<{
      n: number;
      suspicion_mult: number;
      probe_interval_ms: number;
      timeout_ns: number;
    }>("formula-suspicion-timeout")
  ) {
    const timeoutMs = suspicionTimeoutMs(
      row.suspicion_mult,
      row.n,
      row.probe_interval_ms,
    );
    assert.equal(timeoutMs, row.timeout_ns / 1e6, JSON.stringify(row));
  }
});

Deno.test("remainingSuspicionMs() equals memberlist's table", () => {
  for (
    const row of table<{
      confirmations: number;
      k: number;
      elapsed_ms: number;
      min_ms: number;
      max_ms: number;
      remaining_ms: number;
    }>("formula-remaining-suspicion")
  ) {
    const remainingMs = remainingSuspicionMs({
      confirmations: row.confirmations,
      expected: row.k,
      elapsedMs: row.elapsed_ms,
      minMs: row.min_ms,
      maxMs: row.max_ms,
    });
    assert.equal(remainingMs, row.remaining_ms, JSON.stringify(row));
  }
});

Deno.test("pushPullIntervalMs() equals memberlist's table", () => {
  for (
    const row of table<{ n: number; interval_ms: number; scaled_ms: number }>(
      "formula-push-pull-scale",
    )
  ) {
    assert.equal(
      pushPullIntervalMs(row.interval_ms, row.n),
      row.scaled_ms,
      `n=${row.n}`,
    );
  }
});

Deno.test("Suspicion counts each accuser once and no more than expected", () => {
  const suspicion = new Suspicion(2, 1_000, 6_000, 0, "a");
  assert.equal(suspicion.deadlineMs(0), 6_000);
  assert.equal(
    suspicion.confirm("a"),
    false,
    "the first accuser never confirms",
  );
  assert.equal(suspicion.confirm("b"), true);
  assert.equal(suspicion.confirm("b"), false);
  const after = suspicion.deadlineMs(500);
  assert.ok(after > 1_000 && after < 6_000);
  assert.equal(suspicion.confirm("c"), true);
  assert.equal(suspicion.deadlineMs(500), 1_000);
  assert.equal(suspicion.confirm("d"), false, "no more are wanted");
});

Deno.test("Suspicion fires at once when confirmations come too late", () => {
  const suspicion = new Suspicion(1, 1_000, 6_000, 0, "a");
  suspicion.confirm("b");
  assert.equal(suspicion.deadlineMs(4_000), 4_000);
});

Deno.test("Suspicion that expects nobody starts with the shortest timeout", () => {
  assert.equal(new Suspicion(0, 1_000, 6_000, 10, "a").deadlineMs(10), 1_010);
});

Deno.test("Awareness stays within its range", () => {
  const awareness = new Awareness(8);
  awareness.apply(-1);
  assert.equal(awareness.score, 0);
  assert.equal(awareness.scaleMs(500), 500);
  for (let i = 0; i < 20; i++) awareness.apply(1);
  assert.equal(awareness.score, 7);
  assert.equal(awareness.scaleMs(500), 4_000);
});

Deno.test("precedence() gives the whole table", () => {
  const states = ["alive", "suspect", "dead", "left"] as const;
  const claims = ["alive", "suspect", "dead"] as const;
  const expected: Record<string, Record<string, [Verdict, Verdict, Verdict]>> =
    {
      // held: claim: [older, same, newer incarnation]
      alive: {
        alive: ["ignore", "ignore", "apply"],
        suspect: ["ignore", "apply", "apply"],
        dead: ["ignore", "apply", "apply"],
      },
      suspect: {
        alive: ["ignore", "ignore", "apply"],
        suspect: ["ignore", "confirm", "apply"],
        dead: ["ignore", "apply", "apply"],
      },
      dead: {
        alive: ["ignore", "ignore", "apply"],
        suspect: ["ignore", "ignore", "ignore"],
        dead: ["ignore", "ignore", "ignore"],
      },
      left: {
        alive: ["ignore", "ignore", "apply"],
        suspect: ["ignore", "ignore", "ignore"],
        dead: ["ignore", "ignore", "ignore"],
      },
    };
  for (const state of states) {
    for (const kind of claims) {
      const verdicts = [4, 5, 6].map((incarnation) =>
        precedence({ state, incarnation: 5 }, { kind, incarnation })
      );
      assert.deepEqual(
        verdicts,
        expected[state]?.[kind],
        `${state} told ${kind}`,
      );
    }
  }
});
