import type { FaultClass } from "../../lib/sim/faults.ts";

/** The command that runs one seed of mixed faults again, for failure messages. */
export function replayCommand(options: {
  readonly seed: number;
  readonly nodes: number;
  readonly minutes: number;
  readonly without?: readonly FaultClass[];
}): string {
  const { seed, nodes, minutes, without = [] } = options;
  const masked = without.length === 0 ? "" : ` --without ${without.join()}`;
  return `replay: deno task sim --seed ${seed} --nodes ${nodes} --minutes ${minutes}${masked}`;
}
