/**
 * Many small clusters with everything that can go wrong, then calm.
 *
 * Goal: no rule of `checkers.ts` is broken at any time, and agreement follows the
 * faults within the time that the configuration allows. Method: one seed is one
 * run; sizes from 3 to 8; every class of faults must have happened over the sweep,
 * or the sweep would prove nothing.
 */

import assert from "node:assert/strict";
import {
  addFaultCounts,
  ALL_FAULTS,
  FAULT_CLASSES,
  noFaultCounts,
} from "../../lib/sim/faults.ts";
import { faultStory, nodesOfSeed } from "../../lib/sim/stories.ts";
import { replayCommand } from "./replay.ts";

const SEEDS = 120;
const MINUTES = 2;

Deno.test(`${SEEDS} seeds of mixed faults break no rule and end in agreement`, () => {
  const faults = noFaultCounts();
  let inputs = 0;
  let slowestMs = 0;
  for (let seed = 1; seed <= SEEDS; seed++) {
    const nodes = nodesOfSeed(seed);
    const report = faultStory({ seed, nodes, minutes: MINUTES });
    assert.deepEqual(
      report.violations,
      [],
      replayCommand({ seed, nodes, minutes: MINUTES }),
    );
    addFaultCounts(faults, report.faults);
    inputs += report.inputs;
    slowestMs = Math.max(slowestMs, report.agreedAfterMs ?? 0);
  }
  for (const fault of FAULT_CLASSES) {
    assert.ok(faults[fault] > 0, `${fault} never happened`);
  }
  const counts = FAULT_CLASSES.map((fault) => `${fault} ${faults[fault]}`).join(
    ", ",
  );
  console.log(
    `${inputs} inputs, slowest agreement after ${slowestMs} ms; ${counts}`,
  );
});

Deno.test("each class of faults alone breaks no rule either", () => {
  for (const fault of FAULT_CLASSES) {
    const faults = noFaultCounts();
    // A restart needs a crash before it.
    const mask = new Set(
      fault === "restart" ? (["crash", fault] as const) : [fault],
    );
    for (let seed = 1; seed <= 10; seed++) {
      const nodes = nodesOfSeed(seed);
      const report = faultStory({ seed, nodes, minutes: MINUTES, mask });
      const without = [...ALL_FAULTS].filter((other) => !mask.has(other));
      assert.deepEqual(
        report.violations,
        [],
        replayCommand({ seed, nodes, minutes: MINUTES, without }),
      );
      addFaultCounts(faults, report.faults);
    }
    for (const other of FAULT_CLASSES) {
      // A node that left starts again, with or without crashes.
      if (other === "restart" && mask.has("restart")) continue;
      assert.equal(
        faults[other] > 0,
        mask.has(other),
        `${other} with ${[...mask].join()}`,
      );
    }
  }
});
