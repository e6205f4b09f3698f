/**
 * How fast news reaches a cluster: the share of nodes that know of a join, a user
 * event and a failure, over time, and what the cluster sends meanwhile.
 *
 *     all but one start --> quiet --> the last one joins --> quiet
 *         --> an event, and at once another one --> quiet --> some crash
 *
 * The cluster is simulated node by node, engine by engine; nothing is a model
 * here. Curves begin with the instant of the join, the event or the crash.
 */

import type { ProfileName, SwimProfile } from "../swim/config.ts";
import { PROFILES } from "../swim/config.ts";
import type { SerfEvent } from "../serf/event.ts";
import { detectionMs, repairMs } from "./bounds.ts";
import { Cluster, type ClusterObserver } from "./cluster.ts";
import type { LinkProfile } from "./network.ts";
import type { SimNode } from "./node.ts";
import { startPlan } from "./simulate.ts";
import { Views } from "./views.ts";

/** Which cluster is measured, and under what circumstances. */
export interface CurveOptions {
  readonly seed: number;
  /** At least 3. Time and memory grow with the square: 1,000 take a minute and 0.7 GB. */
  readonly nodes: number;
  readonly profile: ProfileName;
  /** Replaces parts of the profile. */
  readonly timing?: Partial<SwimProfile>;
  readonly link?: Partial<LinkProfile>;
  /**
   * Share of the nodes that crash, in [0, 1). With 0 the event is sent in a healthy
   * cluster, and a few nodes crash afterwards.
   */
  readonly failed: number;
  /** Told of each part when it begins, for those who watch. */
  readonly onPart?: (name: string) => void;
}

/** Who learned of one thing, and when. */
export interface Curve {
  /** How many there are to learn of it; of several failures, pairs of nodes. */
  readonly of: number;
  /** When each of them did, ms from the beginning, rising. */
  readonly timesMs: readonly number[];
}

/** What nodes send on average. */
export interface TrafficRate {
  readonly packetsPerNode: number;
  /** In packets and streams, per second. */
  readonly bytesPerNode: number;
}

/** How fast each piece of news spread, and what it cost. */
export interface CurveReport {
  /** From the last start to all nodes knowing all, ms; `undefined` if never. */
  readonly formedMs: number | undefined;
  readonly forming: TrafficRate;
  readonly quiet: TrafficRate;
  readonly join: Curve;
  /** Of an event in a cluster where nobody had anything to gossip. */
  readonly event: Curve;
  /**
   * Of an event that is sent while everybody gossips. It waits for the next round
   * at each node on its way, while a node that has been quiet sends at once.
   */
  readonly busyEvent: Curve;
  readonly failure: Curve;
  /** How many nodes crashed. */
  readonly crashed: number;
  /** When the first node called each crashed one failed, ms, rising. */
  readonly firstDetectionsMs: readonly number[];
  /** How often a live node was called failed. */
  readonly falseFailures: number;
  readonly hash: string;
}

/** Nodes start one after the other, one in this time, ms. */
const START_EVERY_MS = 50;
/** Time in which nothing happens, ms, of which the later half is measured. */
const QUIET_MS = 40_000;
/** Time between two pieces of news, ms, after which nobody gossips any more. */
const PAUSE_MS = 10_000;
/** Of a healthy cluster this share crashes at the end, and at most so many. */
const CRASHED_SHARE = 0.02;
const CRASHED_MAX = 20;

/** Simulates one cluster and follows three pieces of news through it. */
export function measureCurves(options: CurveOptions): CurveReport {
  const { seed, nodes, profile, timing, link, failed } = options;
  const { onPart = () => {} } = options;
  const cluster = new Cluster({
    seed,
    ...(link && { link }),
    settings: { swim: { profile: { ...PROFILES[profile], ...timing } } },
  });
  cluster.addNodes(nodes);
  const views = new Views(cluster);
  const config = cluster.configOf(cluster.node(0));
  const limitMs = repairMs(config, nodes) + detectionMs(config, nodes);

  onPart("the cluster forms");
  const meter = new Meter(cluster);
  const overMs = (nodes - 1) * START_EVERY_MS;
  cluster.schedule(startPlan(nodes - 1, { overMs }));
  cluster.runUntil(overMs);
  const isFormed = cluster.runUntil(overMs + limitMs, () => views.wrong === 0);
  const formedMs = isFormed ? cluster.nowMs - overMs : undefined;
  const forming = meter.rate();

  onPart("quiet");
  cluster.runUntil(cluster.nowMs + QUIET_MS / 2);
  meter.reset();
  cluster.runUntil(cluster.nowMs + QUIET_MS / 2);
  const quiet = meter.rate();

  onPart("a node joins");
  const newcomer = cluster.node(nodes - 1);
  const join = new Spread(cluster, [newcomer], "member-join");
  cluster.start(newcomer, [cluster.node(0)]);
  cluster.runUntil(cluster.nowMs + limitMs, () => join.isComplete);

  cluster.runUntil(cluster.nowMs + PAUSE_MS);
  const crashed = crashedOf(cluster, failed);
  const crash = () => {
    onPart("nodes crash");
    for (const node of crashed) cluster.crash(node);
    return new Spread(cluster, crashed, "member-failed");
  };
  const send = (name: string) => {
    onPart(`an event is sent: ${name}`);
    const spread = new Spread(cluster, [cluster.node(0)], "user", name);
    cluster.perform({ kind: "userEvent", node: 0, name });
    cluster.runUntil(cluster.nowMs + limitMs, () => spread.isComplete);
    return spread.curve();
  };
  const early = failed > 0 ? crash() : undefined;
  const event = send("quiet");
  const busyEvent = send("busy");
  cluster.runUntil(cluster.nowMs + (early === undefined ? PAUSE_MS : 0));
  const failure = early ?? crash();
  cluster.runUntil(cluster.nowMs + limitMs, () => failure.isComplete);
  return {
    formedMs,
    forming,
    quiet,
    join: join.curve(),
    event,
    busyEvent,
    failure: failure.curve(),
    crashed: crashed.length,
    firstDetectionsMs: failure.firstMs(),
    falseFailures: views.falseFailureCount,
    hash: cluster.fingerprint.text(),
  };
}

/** Nodes spread evenly, without the first and the last. */
function crashedOf(cluster: Cluster, failed: number): SimNode[] {
  const { length } = cluster.nodes;
  const wanted = failed > 0
    ? Math.ceil(length * failed)
    : Math.min(CRASHED_MAX, Math.ceil(length * CRASHED_SHARE));
  const count = Math.min(wanted, length - 2);
  return Array.from(
    { length: count },
    (_, i) => cluster.node(1 + Math.floor(i * (length - 2) / count)),
  );
}

/** When a share of those who should learn of something had, ms; `undefined` if never. */
export function reachedMs(curve: Curve, share: number): number | undefined {
  return curve.timesMs[Math.max(1, Math.ceil(share * curve.of)) - 1];
}

/** Which share had learned of it after some time, in [0, 1]. */
export function shareAt({ timesMs, of }: Curve, afterMs: number): number {
  const later = timesMs.findIndex((timeMs) => timeMs > afterMs);
  return (later < 0 ? timesMs.length : later) / of;
}

/** Follows one piece of news, from now on, to all who are serving now. */
class Spread implements ClusterObserver {
  readonly #cluster: Cluster;
  readonly #type: SerfEvent["type"];
  readonly #startMs: number;
  readonly #names: ReadonlySet<string>;
  readonly #event: string;
  readonly #of: number;
  readonly #timesMs: number[] = [];
  /** By subject, who knows. */
  readonly #known = new Map<string, Set<SimNode>>();
  readonly #firstMs = new Map<string, number>();

  /**
   * @param subjects whom member events must be about; they are no audience of
   * their own. The sender of a user event is.
   * @param event name of the user event
   */
  constructor(
    cluster: Cluster,
    subjects: readonly SimNode[],
    type: SerfEvent["type"],
    event = "",
  ) {
    this.#cluster = cluster;
    this.#type = type;
    this.#event = event;
    this.#startMs = cluster.nowMs;
    this.#names = new Set(subjects.map(({ name }) => name));
    const audience = cluster.nodes.filter((node) =>
      node.isServing && (type === "user" || !subjects.includes(node))
    );
    this.#of = audience.length * (type === "user" ? 1 : subjects.length);
    cluster.observers.push(this);
  }

  get isComplete(): boolean {
    return this.#timesMs.length >= this.#of;
  }

  onEvent(node: SimNode, event: SerfEvent): void {
    if (event.type !== this.#type || this.isComplete) return;
    if (event.type === "user") {
      if (event.name === this.#event) this.#note(node, event.name);
    } else if ("members" in event) {
      for (const { name } of event.members) {
        if (this.#names.has(name) && name !== node.name) this.#note(node, name);
      }
    }
  }

  #note(node: SimNode, subject: string): void {
    let known = this.#known.get(subject);
    if (known === undefined) {
      known = new Set();
      this.#known.set(subject, known);
      this.#firstMs.set(subject, this.#cluster.nowMs - this.#startMs);
    }
    if (known.has(node)) return;
    known.add(node);
    this.#timesMs.push(this.#cluster.nowMs - this.#startMs);
  }

  curve(): Curve {
    return { of: this.#of, timesMs: this.#timesMs };
  }

  /** When each subject was first known to anybody, ms, rising. */
  firstMs(): number[] {
    return [...this.#firstMs.values()].sort((a, b) => a - b);
  }
}

/** Measures what all nodes send. */
class Meter {
  readonly #cluster: Cluster;
  #startMs = 0;
  #packets = 0;
  #bytes = 0;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  reset(): void {
    const { packets, bytes } = this.#sent();
    this.#startMs = this.#cluster.nowMs;
    this.#packets = packets;
    this.#bytes = bytes;
  }

  /** Since the last reset, per node that is up and second. */
  rate(): TrafficRate {
    const { packets, bytes } = this.#sent();
    const { nodes, nowMs } = this.#cluster;
    const up = nodes.filter((node) => node.isUp).length;
    const nodeSeconds = up * (nowMs - this.#startMs) / 1_000;
    return {
      packetsPerNode: (packets - this.#packets) / nodeSeconds,
      bytesPerNode: (bytes - this.#bytes) / nodeSeconds,
    };
  }

  #sent(): { packets: number; bytes: number } {
    let packets = 0;
    let bytes = 0;
    for (const { traffic } of this.#cluster.nodes) {
      packets += traffic.packetsOut;
      bytes += traffic.bytesOut + traffic.streamBytesOut;
    }
    return { packets, bytes };
  }
}
