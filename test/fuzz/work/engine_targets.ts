/** The gossip port: packets and streams at a whole engine. */

import type { Random } from "../../../lib/kit/random.ts";
import { type Attack, drawPackets, drawStreams } from "./attack.ts";
import { EngineMeter, type EngineSetup } from "./engine_meter.ts";
import type { WorkTarget } from "./work.ts";

function target(
  name: string,
  draw: (random: Random) => Attack,
  setup: EngineSetup,
): WorkTarget {
  return {
    name,
    draw(random) {
      const attack = draw(random);
      return {
        words: attack.words,
        measure: (unitMs) => new EngineMeter(setup, unitMs).measure(attack),
      };
    },
  };
}

/** @param setup how the engines are configured; as they come, without it */
export function engineTargets(setup: EngineSetup = {}): WorkTarget[] {
  return [
    target("gossip, packets", drawPackets, setup),
    target("gossip, streams", drawStreams, setup),
  ];
}
