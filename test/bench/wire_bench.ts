/**
 * Can every packet be encoded, sealed, opened and decoded inline?
 *
 * A busy node of a large cluster handles some thousand packets a second; beside
 * the 4 us that receiving one costs, the wire should be small. And a push/pull of
 * a thousand members, the largest thing done in one piece, should not keep a node
 * from answering pings: a few ms at most.
 *
 * Run with `deno bench -A test/bench/wire_bench.ts`.
 */

import { WIRE_CASES } from "./wire_cases.ts";

/** Keeps the work from being optimised away; printed by `wire_cases_test.ts`. */
let checksum = 0;

for (const { group, name, run } of WIRE_CASES) {
  Deno.bench({
    group,
    name: `${group}: ${name}`,
    fn: () => {
      checksum = (checksum + run()) % 0x7fff_ffff;
    },
  });
}
