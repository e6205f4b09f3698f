/**
 * Fuzzes for longer: `deno task fuzz [SEED] [INPUTS] [TARGET]`.
 *
 * SEED defaults to the time, INPUTS (per target) to 100,000, TARGET (a part of a
 * name) to all. Prints a line per target, and for a finding the bytes that lead
 * to it; exits with 1 if there was one.
 */

import { fuzz } from "./fuzz.ts";
import { TARGETS } from "./registry.ts";

const [seedText, inputsText, part = ""] = Deno.args;
const seed = Number(seedText ?? Date.now() % 1_000_000);
const inputs = Number(inputsText ?? 100_000);

console.log(`seed ${seed}, ${inputs} inputs per target`);
for (const target of TARGETS.filter(({ name }) => name.includes(part))) {
  const { accepted, refused, finding } = fuzz(target, seed, inputs);
  console.log(`${target.name}: ${accepted} accepted, ${refused} refused`);
  if (finding === undefined) continue;
  console.error(`finding: ${finding.why}\ninput: ${finding.hex}`);
  Deno.exitCode = 1;
}
