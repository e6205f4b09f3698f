/**
 * Many small clusters with everything that can go wrong, then calm.
 *
 * Goal: no rule of `checkers.ts` is broken at any time, and agreement follows the
 * faults within the time that the configuration allows. Method: one seed is one
 * run; sizes from 3 to 9; every class of faults must have happened over the sweep,
 * or the sweep would prove nothing.
 */

import assert from "node:assert/strict";
import {
  addFaultCounts,
  ALL_FAULTS,
  FAULT_CLASSES,
  type FaultClass,
  noFaultCounts,
} from "../../lib/sim/faults.ts";
import { faultStory, nodesOfSeed } from "../../lib/sim/stories.ts";
import { SweepTotals } from "../../lib/sim/sweep.ts";
import { replayCommand } from "./replay.ts";

const SEEDS = 120;
const MINUTES = 2;

Deno.test(`${SEEDS} seeds of mixed faults break no rule and end in agreement`, () => {
  const totals = new SweepTotals();
  for (let seed = 1; seed <= SEEDS; seed++) {
    const nodes = nodesOfSeed(seed);
    const report = faultStory({ seed, nodes, minutes: MINUTES });
    assert.deepEqual(
      report.violations,
      [],
      replayCommand({ seed, nodes, minutes: MINUTES }),
    );
    totals.add(report, nodes);
  }
  assert.deepEqual(totals.missingFaults, [], "never happened");
  const { inputs, faults, slowestMs, slowestSeed } = totals;
  const counts = FAULT_CLASSES.map((fault) => `${fault} ${faults[fault]}`).join(
    ", ",
  );
  console.log(
    `${inputs} inputs, slowest agreement after ${slowestMs} ms (seed ${slowestSeed}); ${counts}`,
  );
});

/** What a class cannot do without: nobody comes back who has not gone. */
const NEEDED: Partial<Record<FaultClass, FaultClass>> = {
  restart: "crash",
  restartWithState: "crash",
};

Deno.test("each class of faults alone breaks no rule either", () => {
  for (const fault of FAULT_CLASSES) {
    const faults = noFaultCounts();
    const needed = NEEDED[fault];
    const mask = new Set(needed === undefined ? [fault] : [needed, fault]);
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
      assert.equal(
        faults[other] > 0,
        mask.has(other),
        `${other} with ${[...mask].join()}`,
      );
    }
  }
});
