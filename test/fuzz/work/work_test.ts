/**
 * A quick run of the fuzzer that measures work, the same at each time.
 *
 * Goal: as they come, the engines, the control port and the responder keep to the
 * table of bounds; without their limits the same attacks are found to cost too
 * much in each of three ways. Longer runs are what `main.ts` is for.
 */

import assert from "node:assert/strict";
import { allowed, BOUNDS, CROWD } from "./bounds.ts";
import { messageMs } from "./calibration.ts";
import { engineTargets } from "./engine_targets.ts";
import { WORK_TARGETS } from "./registry.ts";
import { type Measured, Tally } from "./tally.ts";
import { fuzzWork, type WorkFinding, type WorkTarget } from "./work.ts";

const SEED = 1;
/** Attacks on each door; one on an engine takes up to some seconds. */
const INPUTS = { gossip: 30, others: 200 } as const;

function run(
  target: WorkTarget,
  isEnough?: (finding: WorkFinding) => boolean,
): readonly WorkFinding[] {
  const inputs = target.name.startsWith("gossip")
    ? INPUTS.gossip
    : INPUTS.others;
  return fuzzWork(target, {
    seed: SEED,
    inputs,
    unitMs: messageMs,
    ...(isEnough === undefined ? {} : { isEnough }),
  }).findings;
}

for (const target of WORK_TARGETS) {
  Deno.test(`work at ${target.name} keeps to the table of bounds`, () => {
    const findings = run(target);
    assert.deepEqual(findings, []);
  });
}

Deno.test("fuzzWork() finds each kind of excess in engines without limits", () => {
  const wanted = new Set([
    "size of expressions",
    "bytes to one stranger",
    "harm",
  ]);
  for (const target of engineTargets()) {
    run(target, ({ quantity }) => {
      wanted.delete(quantity);
      return wanted.size === 0;
    });
  }
  assert.deepEqual([...wanted], []);
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
