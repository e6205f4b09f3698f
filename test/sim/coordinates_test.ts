/**
 * 200 engines in a made-up network find their places by the pings that they send
 * anyway.
 *
 * Goal: the round trip time that `serf rtt` tells for two members is of use: half
 * of all estimates are less than 10 % off. Method: the ways between the nodes come
 * from places on a plane and an access link each (`test/coordinate/network.ts`),
 * packets take half a true round trip each way plus jitter, a few far longer; the
 * nodes join as usual and probe one member each second. An estimate is made of
 * the coordinates that one engine holds: its own, and the one that the other told
 * it in an ack. `test/coordinate/simulation_test.ts` is the same without engines.
 */

import assert from "node:assert/strict";
import { distanceNs } from "../../lib/coordinate/coordinate.ts";
import { Random } from "../../lib/kit/random.ts";
import { SerfEngine } from "../../lib/serf/engine.ts";
import { Cluster, type ClusterOptions } from "../../lib/sim/cluster.ts";
import { startPlan } from "../../lib/sim/simulate.ts";
import { MadeUpNetwork } from "../coordinate/network.ts";

const NODES = 200;
const START_MS = 20_000;
const MINUTE_MS = 60_000;
const NS_PER_MS = 1e6;
/** Half a percent of packets are caught in a full queue. */
const LINK = { jitterMs: 1, tailChance: 0.005, tailMs: 200 };

/** A cluster whose nodes are spread over a made-up network. */
function spreadOut(
  seed: number,
  options: Partial<ClusterOptions> = {},
): { cluster: Cluster; places: MadeUpNetwork } {
  const places = new MadeUpNetwork(NODES, new Random(seed));
  const cluster = new Cluster({
    seed,
    link: LINK,
    pathMs: (from, to) => places.trueNs(from, to) / 2 / NS_PER_MS,
    ...options,
  });
  cluster.addNodes(NODES);
  cluster.schedule(startPlan(NODES, { overMs: START_MS }));
  return { cluster, places };
}

interface Estimates {
  /** Of all pairs, the share whose coordinates a node holds. */
  readonly known: number;
  /** Median of |estimate - truth| / truth over them. */
  readonly medianError: number;
}

function estimates(cluster: Cluster, places: MadeUpNetwork): Estimates {
  const errors: number[] = [];
  for (const { engine, name: own, index } of cluster.nodes) {
    const here = engine?.coordinate(own);
    for (const { name, index: other } of cluster.nodes) {
      const there = engine?.coordinate(name);
      if (other === index || here === undefined || there === undefined) {
        continue;
      }
      const truth = places.trueNs(index, other);
      errors.push(Math.abs(distanceNs(here, there) - truth) / truth);
    }
  }
  errors.sort((a, b) => a - b);
  return {
    known: errors.length / (NODES * (NODES - 1)),
    medianError: errors[errors.length >> 1] ?? Number.NaN,
  };
}

Deno.test(`${NODES} nodes predict their round trips to within 10 % after eight minutes`, () => {
  const { cluster, places } = spreadOut(1);
  const medians: number[] = [];
  for (const minutes of [1, 2, 4, 8]) {
    cluster.runUntil(START_MS + minutes * MINUTE_MS);
    const { known, medianError } = estimates(cluster, places);
    medians.push(medianError);
    console.log(
      `after ${minutes} min: ${
        (100 * known).toFixed(0)
      } % of all pairs known, ` +
        `median error ${(100 * medianError).toFixed(1)} %`,
    );
  }
  const { known, medianError } = estimates(cluster, places);
  // A round of probes takes 199 s, so that by now everybody has pinged everybody.
  assert.ok(known > 0.999, `${known} of all pairs are known`);
  assert.ok(medianError < 0.1, `median errors ${medians}`);
  assert.ok(medianError < (medians[0] as number) / 2, "and they get better");
});

Deno.test("engines that do not measure know no places", () => {
  const { cluster, places } = spreadOut(1, {
    makeEngine: (config, seeds) =>
      new SerfEngine({ ...config, enableCoordinates: false }, seeds),
  });
  cluster.runUntil(START_MS + 5_000);
  assert.equal(estimates(cluster, places).known, 0);
});
