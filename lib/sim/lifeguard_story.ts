/**
 * What Lifeguard is good for: slow members in a healthy cluster, with and without
 * its three parts, in the manner of the paper's experiments.
 *
 *     interval: C members cannot handle messages for D, then can for I, again and again
 *     threshold: C members cannot handle messages any more
 *
 * A slow member neither takes nor sends packets while it cannot; its timers go on,
 * which is harder on a failure detector than a process that stands still. The
 * first experiment counts false positives: members that are called failed though
 * nothing is wrong with them, by anybody (FP), and by members that are healthy
 * themselves (FP-). The second measures how long real failures take: until a
 * healthy member tells of one, and until all healthy members do.
 *
 * Source: Lifeguard (arXiv 1707.00788), section V.
 */

import type { SerfConfig } from "../serf/config.ts";
import { SerfEngine, type SerfSeeds } from "../serf/engine.ts";
import { isMemberEvent, type Output, type SerfEvent } from "../serf/event.ts";
import { PROFILES } from "../swim/config.ts";
import { decodeMessage } from "../wire/message_codec.ts";
import { PacketCodec } from "../wire/packet.ts";
import { Cluster, type ClusterObserver } from "./cluster.ts";
import type { SimNode } from "./node.ts";
import { startPlan } from "./simulate.ts";
import { Views } from "./views.ts";

/** Which of Lifeguard's parts are on. */
export interface LifeguardParts {
  readonly name: string;
  /** Our own health stretches our probes. */
  readonly probe: boolean;
  /** A suspicion starts long, and each accuser shortens it. */
  readonly suspicion: boolean;
  /** A suspect that we probe is told of the suspicion at once. */
  readonly buddy: boolean;
}

/** The configurations that the paper compares. The last one is our default. */
export const LIFEGUARD_CONFIGS: readonly LifeguardParts[] = [
  { name: "SWIM", probe: false, suspicion: false, buddy: false },
  { name: "LHA-Probe", probe: true, suspicion: false, buddy: false },
  { name: "LHA-Suspicion", probe: false, suspicion: true, buddy: false },
  { name: "Buddy System", probe: false, suspicion: false, buddy: true },
  { name: "Lifeguard", probe: true, suspicion: true, buddy: true },
];

export interface LifeguardOptions {
  readonly seed: number;
  readonly nodes: number;
  readonly parts: LifeguardParts;
  /** Members that are slow at the same time; fewer than half. */
  readonly slow: number;
}

/** What the first experiment gives. */
export interface FalsePositives {
  /** At all members. */
  readonly all: number;
  /** At members that are healthy themselves. */
  readonly atHealthy: number;
  /** Sent by all nodes during the experiment. */
  readonly packets: number;
  readonly bytes: number;
}

/** What the second experiment gives: one entry per slow member that was found, ms. */
export interface DetectionTimes {
  readonly slow: number;
  readonly firstMs: readonly number[];
  readonly allMs: readonly number[];
}

/** How long the intervals go on, ms. */
const INTERVALS_MS = 120_000;
/** How long real failures are waited for, ms. */
const DETECTION_MS = 120_000;
const START_EVERY_MS = 50;
/** From the last start until everything is quiet, ms. */
const SETTLING_MS = 20_000;

/** The first experiment. */
export function countFalsePositives(
  options: LifeguardOptions & {
    /** How long messages are not handled, and then are, ms. */
    readonly blockedMs: number;
    readonly openMs: number;
  },
): FalsePositives {
  const { blockedMs, openMs } = options;
  const { cluster, slow } = formCluster(options);
  const witness = new Witness(cluster, slow);
  const before = sent(cluster);
  const endMs = cluster.nowMs + INTERVALS_MS;
  const block = () => {
    if (cluster.nowMs >= endMs) return;
    for (const node of slow) cluster.stall(node, cluster.nowMs + blockedMs);
    cluster.after(blockedMs + openMs, block);
  };
  block();
  cluster.runUntil(endMs);
  const after = sent(cluster);
  return {
    all: witness.falseAtAll,
    atHealthy: witness.falseAtHealthy,
    packets: after.packets - before.packets,
    bytes: after.bytes - before.bytes,
  };
}

/** The second experiment. */
export function timeDetections(options: LifeguardOptions): DetectionTimes {
  const { cluster, slow } = formCluster(options);
  const witness = new Witness(cluster, slow);
  const endMs = cluster.nowMs + DETECTION_MS;
  for (const node of slow) cluster.stall(node, endMs + 1);
  cluster.runUntil(endMs, () => witness.allMs.length === slow.length);
  const { firstMs, allMs } = witness;
  return { slow: slow.length, firstMs, allMs };
}

/** A formed, quiet cluster, and those of it that are going to be slow. */
function formCluster(
  options: LifeguardOptions,
): { readonly cluster: Cluster; readonly slow: readonly SimNode[] } {
  const { seed, nodes, parts } = options;
  const { lan } = PROFILES;
  const profile = {
    ...lan,
    ...(!parts.probe && { awarenessMaxMultiplier: 1 }),
    ...(!parts.suspicion && { suspicionMaxTimeoutMult: 1 }),
  };
  const cluster = new Cluster({
    seed,
    settings: { swim: { profile } },
    ...(!parts.buddy && {
      makeEngine: (config, seeds) => new UnbuddiedEngine(config, seeds),
    }),
  });
  cluster.addNodes(nodes);
  const views = new Views(cluster);
  const overMs = nodes * START_EVERY_MS;
  cluster.schedule(startPlan(nodes, { overMs }));
  cluster.runUntil(overMs);
  cluster.runUntil(overMs + SETTLING_MS, () => views.wrong === 0);
  cluster.runUntil(overMs + SETTLING_MS);
  const slow = Array.from(
    { length: options.slow },
    (_, i) => cluster.node(Math.floor((i + 0.5) * nodes / options.slow)),
  );
  return { cluster, slow };
}

function sent(cluster: Cluster): { packets: number; bytes: number } {
  let packets = 0;
  let bytes = 0;
  for (const { traffic } of cluster.nodes) {
    packets += traffic.packetsOut;
    bytes += traffic.bytesOut + traffic.streamBytesOut;
  }
  return { packets, bytes };
}

/** Hears who calls whom failed, and whether that is true. */
class Witness implements ClusterObserver {
  falseAtAll = 0;
  falseAtHealthy = 0;
  /** Since the beginning, per slow member, ms. */
  readonly firstMs: number[] = [];
  readonly allMs: number[] = [];
  readonly #cluster: Cluster;
  readonly #startMs: number;
  readonly #slow: ReadonlySet<string>;
  readonly #foundBy = new Map<string, Set<SimNode>>();

  constructor(cluster: Cluster, slow: readonly SimNode[]) {
    this.#cluster = cluster;
    this.#startMs = cluster.nowMs;
    this.#slow = new Set(slow.map(({ name }) => name));
    cluster.observers.push(this);
  }

  onEvent(node: SimNode, event: SerfEvent): void {
    if (!isMemberEvent(event) || event.type !== "member-failed") return;
    const isHealthy = !this.#slow.has(node.name);
    for (const { name } of event.members) {
      if (this.#slow.has(name)) {
        if (isHealthy) this.#noteFound(name, node);
        continue;
      }
      this.falseAtAll++;
      if (isHealthy) this.falseAtHealthy++;
    }
  }

  #noteFound(name: string, by: SimNode): void {
    const afterMs = this.#cluster.nowMs - this.#startMs;
    let foundBy = this.#foundBy.get(name);
    if (foundBy === undefined) {
      foundBy = new Set();
      this.#foundBy.set(name, foundBy);
      this.firstMs.push(afterMs);
    }
    if (foundBy.has(by)) return;
    foundBy.add(by);
    const healthy = this.#cluster.nodes.length - this.#slow.size;
    if (foundBy.size === healthy) this.allMs.push(afterMs);
  }
}

/**
 * An engine without the buddy system: a suspect is probed as everybody is, and
 * hears of the suspicion when gossip comes by. Only for networks in the clear.
 */
class UnbuddiedEngine extends SerfEngine {
  readonly #codec: PacketCodec;

  constructor(config: SerfConfig, seeds: SerfSeeds) {
    super(config, seeds);
    this.#codec = new PacketCodec({
      label: "",
      keyring: undefined,
      compression: false,
      protocolVersion: config.swim.protocolVersion,
      verifyIncoming: false,
      verifyOutgoing: false,
      nextNonce: () => seeds.nextNonce(),
    });
  }

  override drain(): Output[] {
    return super.drain().map((output) => {
      if (output.kind !== "packet") return output;
      const [first, second, ...more] = this.#codec.open(output.bytes).parts;
      if (first === undefined || second === undefined || more.length > 0) {
        return output;
      }
      const ping = decodeMessage(first);
      const suspect = decodeMessage(second);
      const isBuddy = ping.kind === "ping" && suspect.kind === "suspect" &&
        suspect.node === ping.node;
      return isBuddy ? { ...output, bytes: first } : output;
    });
  }
}

/** A share of the sorted numbers is at most this one; `undefined` of none. */
export function percentile(
  numbers: readonly number[],
  share: number,
): number | undefined {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
}
