/**
 * Looks for input that makes us work too much: `deno task fuzz:work [SEED] [INPUTS] [WORD]`.
 *
 * SEED defaults to the time, INPUTS (per target) to 1,000, WORD (a part of a
 * target's name) to all targets. Prints each finding with the seed that replays it,
 * and how much of what is allowed was reached at most; exits with 1 if there was a
 * finding.
 */

import { messageMs } from "./calibration.ts";
import { WORK_TARGETS } from "./registry.ts";
import { fuzzWork, type WorkFinding } from "./work.ts";

const [seedText, inputsText, part = ""] = Deno.args;
const seed = Number(seedText ?? Date.now() % 1_000_000);
const inputs = Number(inputsText ?? 1_000);

function print(finding: WorkFinding): boolean {
  const { quantity, amount, allowed, detail, words } = finding;
  const where = detail === undefined ? "" : ` (${detail})`;
  console.error(
    `finding: ${quantity}${where}: ${amount}, allowed ${allowed}\n  ${words}\n` +
      `  deno task fuzz:work ${finding.seed} 1 "${finding.target}"`,
  );
  Deno.exitCode = 1;
  return false;
}

console.log(`seed ${seed}, ${inputs} attacks per target`);
for (const target of WORK_TARGETS.filter(({ name }) => name.includes(part))) {
  const startMs = performance.now();
  const { findings, shares } = fuzzWork(target, {
    seed,
    inputs,
    unitMs: messageMs,
    isEnough: print,
  });
  const seconds = ((performance.now() - startMs) / 1_000).toFixed(1);
  console.log(`${target.name}: ${findings.length} findings in ${seconds} s`);
  for (const [quantity, share] of [...shares].sort((a, b) => b[1] - a[1])) {
    console.log(`  ${(100 * share).toFixed(1)} % ${quantity}`);
  }
}
