/**
 * Many nodes in a made-up network find their places.
 *
 * Goal: estimates that are of use between nodes that never measured each other.
 * Method: as in a cluster, every node pings one other per round, in a random
 * order of its own; the time is virtual, the seed decides everything. Then the
 * estimate of every pair is held against the truth. 400 rounds are about seven
 * minutes of a cluster with the LAN profile.
 */

import assert from "node:assert/strict";
import { distanceNs } from "../../lib/coordinate/coordinate.ts";
import { Vivaldi } from "../../lib/coordinate/vivaldi.ts";
import { Random } from "../../lib/kit/random.ts";
import { MadeUpNetwork } from "./network.ts";

const NODES = 200;

interface Outcome {
  /** Median over all pairs of |estimate - truth| / truth, after each span. */
  readonly medianErrors: readonly number[];
  /** Something that changes with any change of the outcome. */
  readonly checksum: string;
}

/** Runs `rounds` pings of every node, and looks every `span` rounds. */
function simulate(seed: number, rounds: number, span: number): Outcome {
  const random = new Random(seed);
  const network = new MadeUpNetwork(NODES, random);
  const nodes = Array.from({ length: NODES }, () => new Vivaldi(random));
  const medianErrors: number[] = [];
  for (let round = 1; round <= rounds; round++) {
    for (const [i, node] of nodes.entries()) {
      const j = (i + 1 + random.below(NODES - 1)) % NODES;
      const peer = nodes[j] as Vivaldi;
      node.update(`n${j}`, peer.coordinate, network.measureNs(i, j));
    }
    if (round % span === 0) medianErrors.push(medianError(nodes, network));
  }
  assert.ok(nodes.every((node) => node.peerCount < NODES));
  assert.ok(nodes.every((node) => node.resets === 0));
  const sum = nodes.reduce(
    (total, { coordinate }) =>
      total + coordinate.height + (coordinate.vec[0] as number),
    0,
  );
  return { medianErrors, checksum: `${sum}` };
}

function medianError(
  nodes: readonly Vivaldi[],
  network: MadeUpNetwork,
): number {
  const errors: number[] = [];
  for (const [i, a] of nodes.entries()) {
    for (let j = i + 1; j < nodes.length; j++) {
      const b = nodes[j] as Vivaldi;
      const truth = network.trueNs(i, j);
      const estimate = distanceNs(a.coordinate, b.coordinate);
      errors.push(Math.abs(estimate - truth) / truth);
    }
  }
  return errors.sort((a, b) => a - b)[errors.length >> 1] as number;
}

for (const seed of [1, 2, 3]) {
  Deno.test(`200 nodes predict their round trips to within 10 %, seed ${seed}`, () => {
    const { medianErrors } = simulate(seed, 400, 100);
    const last = medianErrors.at(-1) as number;
    assert.ok(last < 0.1, `median errors ${medianErrors}`);
    assert.ok(last < (medianErrors[0] as number), "and get better at it");
  });
}

Deno.test("a simulation of coordinates is a function of its seed", () => {
  assert.deepEqual(simulate(4, 20, 20), simulate(4, 20, 20));
  assert.notEqual(simulate(4, 20, 20).checksum, simulate(5, 20, 20).checksum);
});
