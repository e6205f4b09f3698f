/**
 * Many nodes that start at once find each other by gossip, not minutes later by
 * the periodic push/pulls that repair what gossip has missed.
 */

import assert from "node:assert/strict";
import { simulate, startPlan } from "../../lib/sim/simulate.ts";

const NODES = 100;
const START_MS = 10_000;
/** Well below the interval of push/pulls, which is 90 s at this size. */
const AGREED_MS = 5_000;

Deno.test(`${NODES} nodes that start within ten seconds agree soon after`, () => {
  for (let seed = 1; seed <= 4; seed++) {
    const { agreedAfterMs, violations } = simulate({
      seed,
      nodes: NODES,
      plan: startPlan(NODES, { overMs: START_MS }),
      untilMs: START_MS,
      demandsAgreement: true,
    });
    assert.deepEqual(violations, [], `seed ${seed}`);
    console.log(
      `seed ${seed}: ${agreedAfterMs?.toFixed(0)} ms after the last start`,
    );
    assert.ok(
      agreedAfterMs !== undefined && agreedAfterMs < AGREED_MS,
      `seed ${seed}`,
    );
  }
});
