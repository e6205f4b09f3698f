/** Two nodes with engines that only do what a test tells them. */

import { utf8Bytes } from "../../lib/kit/bytes.ts";
import type { Output } from "../../lib/serf/event.ts";
import { Cluster, type ClusterOptions } from "../../lib/sim/cluster.ts";
import type { SimNode } from "../../lib/sim/node.ts";
import { FakeEngine } from "./fake_engine.ts";

/** A link where everything takes exactly one millisecond. */
export const STEADY = { latencyMs: 1, jitterMs: 0, tailChance: 0 };

export interface Fixture {
  readonly cluster: Cluster;
  readonly a: SimNode;
  readonly b: SimNode;
  readonly engineA: FakeEngine;
  readonly engineB: FakeEngine;
}

export function engineOf(node: SimNode): FakeEngine {
  return node.engine as FakeEngine;
}

/** Two running nodes. */
export function pair(options: Partial<ClusterOptions> = {}): Fixture {
  const cluster = new Cluster({
    seed: 1,
    link: STEADY,
    makeEngine: (config) => new FakeEngine(config),
    ...options,
  });
  const a = cluster.addNode("a");
  const b = cluster.addNode("b");
  cluster.start(a);
  cluster.start(b);
  return { cluster, a, b, engineA: engineOf(a), engineB: engineOf(b) };
}

/** Has a node ask for something, as if an input had caused it. */
export function ask(
  cluster: Cluster,
  node: SimNode,
  ...outputs: Output[]
): void {
  cluster.call(node, () => engineOf(node).outputs.push(...outputs));
}

export function packet(to: SimNode, text: string): Output {
  return { kind: "packet", to: to.address, bytes: utf8Bytes(text) };
}

export function write(streamId: number, text: string): Output {
  return { kind: "write", streamId, bytes: utf8Bytes(text) };
}
