/**
 * A quick run of the fuzzer that measures work, the same at each time.
 *
 * Goal: as they come, the engines, the control port and the responder keep to the
 * table of bounds; without their limits the same attacks are found to cost too
 * much in each of three ways. Longer runs are what `main.ts` is for.
 */

import assert from "node:assert/strict";
import { NO_SERF_LIMITS } from "../../../lib/serf/limits.ts";
import { LTimeRing } from "../../../lib/serf/ltime_ring.ts";
import { NO_SWIM_LIMITS } from "../../../lib/swim/limits.ts";
import { allowed, BOUNDS, CROWD } from "./bounds.ts";
import { messageMs } from "./calibration.ts";
import type { EngineSetup } from "./engine_meter.ts";
import { engineTargets } from "./engine_targets.ts";
import { WORK_TARGETS } from "./registry.ts";
import { type Measured, Tally } from "./tally.ts";
import { fuzzWork, type WorkTarget } from "./work.ts";

const SEED = 1;
/** Attacks on each door; one on an engine takes up to some seconds. */
const INPUTS = { gossip: 40, others: 200 } as const;
const WITHOUT_LIMITS: EngineSetup = {
  serf: { limits: NO_SERF_LIMITS },
  swim: { limits: NO_SWIM_LIMITS },
};

/** Attacks among which each kind is found; clocks at their end are one in 200. */
const COSTLY = { seed: 236, inputs: 40 } as const;
/** What must be found: costly filters, amplified answers, clocks at their end. */
const KINDS = [
  /^size of expressions$/,
  /^bytes to one (stranger|member)$/,
  /^harm$/,
];

for (const target of WORK_TARGETS) {
  Deno.test(`work at ${target.name} keeps to the table of bounds`, () => {
    const isEngine = target.name.startsWith("gossip");
    const { findings } = fuzzWork(target, {
      seed: SEED,
      inputs: isEngine ? INPUTS.gossip : INPUTS.others,
      unitMs: messageMs,
    });
    assert.deepEqual(findings, []);
  });
}

/**
 * Puts back rings that outlive the end of time. Without limits the clocks are
 * driven there, and the rings alone keep that from doing harm.
 */
function withLastingRings(run: () => void): void {
  const { restart } = LTimeRing.prototype;
  LTimeRing.prototype.restart = () => {};
  try {
    run();
  } finally {
    LTimeRing.prototype.restart = restart;
  }
}

Deno.test("fuzzWork() finds each kind of excess in engines without limits", () => {
  const [packets] = engineTargets(WITHOUT_LIMITS) as [WorkTarget];
  let missing = KINDS;
  withLastingRings(() =>
    fuzzWork(packets, {
      ...COSTLY,
      unitMs: messageMs,
      isEnough({ quantity }) {
        missing = missing.filter((kind) => !kind.test(quantity));
        return missing.length === 0;
      },
    })
  );
  assert.deepEqual(missing, []);
});

const NOTHING: Measured = { excesses: [], shares: new Map() };

Deno.test("an attack is a function of the target and its seed", () => {
  const wordsOf = (seed: number) => {
    const words: string[] = [];
    const [target] = engineTargets() as [WorkTarget];
    const listening: WorkTarget = {
      name: target.name,
      draw(random) {
        words.push(target.draw(random).words);
        return { words: "", measure: () => NOTHING };
      },
    };
    fuzzWork(listening, { seed, inputs: 5, unitMs: () => 1 });
    return words;
  };
  assert.deepEqual(wordsOf(SEED), wordsOf(SEED));
  assert.deepEqual(wordsOf(SEED).slice(1), wordsOf(SEED + 1).slice(0, 4));
});

Deno.test("an attack that seems slow is timed again before it is a finding", () => {
  const slowTimes = (times: number): WorkTarget => ({
    name: "slow",
    draw: () => ({
      words: "",
      measure: () =>
        times-- > 0
          ? {
            ...NOTHING,
            excesses: [{ quantity: "processor time", amount: 2, allowed: 1 }],
          }
          : NOTHING,
    }),
  });
  const findings = (times: number) =>
    fuzzWork(slowTimes(times), { seed: 1, inputs: 1, unitMs: () => 1 }).findings
      .length;
  assert.deepEqual([findings(1), findings(2), findings(3)], [0, 0, 1]);
});

Deno.test("Tally compares sums by where they went", () => {
  const tally = new Tally();
  const incoming = { bytes: 0, inputs: 0, sources: 1, seconds: 1 };
  const { perSecond } = BOUNDS["bytes to one stranger"];
  tally.add("bytes to one stranger", perSecond, "a");
  tally.add("bytes to one stranger", 10, "b");
  tally.compare(incoming);
  assert.deepEqual(tally.measured.excesses, []);
  tally.add("bytes to one stranger", 5, "a");
  tally.compare(incoming);
  assert.deepEqual(tally.measured.excesses, [{
    quantity: "bytes to one stranger",
    amount: perSecond + 5,
    allowed: perSecond,
    detail: "a",
  }]);
});

Deno.test("many sources may cause more than one, but not as often as they are many", () => {
  const of = (sources: number) =>
    allowed("log lines", { bytes: 0, inputs: 0, sources, seconds: 2 });
  assert.equal(of(1), 2 * BOUNDS["log lines"].perSecond);
  assert.equal(of(64), CROWD * of(1));
});
