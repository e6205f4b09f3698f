/**
 * The runs that show what the project promises, for tests and for people:
 *
 * - `growthStory`: a large cluster forms, spreads an event, loses a tenth of its
 *   nodes, is cut in half and grows together again.
 * - `lossStory`: a middle-sized cluster on a bad network, where nobody dies.
 * - `faultStory`: a small cluster, everything that can go wrong, then calm.
 *
 * Those about the Serf layer have files of their own: `query_story.ts`,
 * `day_story.ts`, `partition_story.ts`, `key_rotation.ts`.
 */

import { wrongLists } from "./agreement.ts";
import { convergenceMs, detectionMs, repairMs } from "./bounds.ts";
import { Checkers } from "./checkers.ts";
import type { Violation } from "./violation.ts";
import { Cluster, type ClusterOptions, type SimSettings } from "./cluster.ts";
import { drawCircumstances, drawFaultPlan, drawNoise } from "./fault_plan.ts";
import { ALL_FAULTS, type FaultCounts, type FaultMask } from "./faults.ts";
import { simulate, type SimulationReport, startPlan } from "./simulate.ts";
import type { EngineFactory } from "./sim_engine.ts";
import { Views } from "./views.ts";

/** One part of a story. */
export interface Chapter {
  readonly name: string;
  /** Virtual time until its goal was reached, ms; `undefined` when it never was. */
  readonly tookMs: number | undefined;
  /** What nodes sent on average during the chapter, per second. */
  readonly packetsPerNode: number;
  readonly bytesPerNode: number;
  /** Live, reachable nodes that were called failed. */
  readonly falseFailures: number;
}

export interface StoryReport {
  readonly seed: number;
  readonly hash: string;
  readonly chapters: readonly Chapter[];
  readonly violations: readonly Violation[];
  readonly faults: Readonly<FaultCounts>;
  readonly inputs: number;
  readonly virtualMs: number;
}

export interface StoryOptions {
  readonly seed: number;
  readonly nodes: number;
  /** Told of each chapter when it is over, for those who watch. */
  readonly onChapter?: (chapter: Chapter) => void;
  readonly settings?: SimSettings;
  readonly makeEngine?: EngineFactory;
}

/**
 * Nodes start one after the other, one in this time, ms: about as fast as gossip
 * carries the news of each. Faster starts only let queues grow.
 */
const START_EVERY_MS = 50;
/** A quiet time between chapters, ms, in which nothing may happen. */
const QUIET_MS = 20_000;

/** A cluster with its observers, and the telling of chapters. */
export class Stage {
  readonly cluster: Cluster;
  readonly views: Views;
  readonly checkers: Checkers;
  readonly chapters: Chapter[] = [];
  readonly #seed: number;
  readonly #onChapter: (chapter: Chapter) => void;

  constructor(
    options:
      & StoryOptions
      & Pick<ClusterOptions, "answer" | "keys" | "link" | "mask" | "pathMs">,
  ) {
    const { nodes, onChapter = () => {}, ...rest } = options;
    const cluster = new Cluster(rest);
    this.cluster = cluster;
    this.#seed = options.seed;
    this.#onChapter = onChapter;
    cluster.addNodes(nodes);
    this.views = new Views(cluster);
    this.checkers = new Checkers(cluster);
  }

  /** Starts all nodes, until everybody knows everybody. */
  playStart(startEveryMs = START_EVERY_MS): Chapter {
    const { cluster, views } = this;
    const count = cluster.nodes.length;
    const overMs = count * startEveryMs;
    cluster.schedule(startPlan(count, { overMs }));
    const config = cluster.configOf(cluster.node(0));
    return this.play(
      "all have joined",
      overMs + repairMs(config, count),
      () => views.wrong === 0 && cluster.nodes.every((node) => node.isUp),
    );
  }

  /** Runs until a goal is reached, but at most for the given time. */
  play(name: string, limitMs: number, isDone?: () => boolean): Chapter {
    const { cluster, views } = this;
    const before = this.#sent();
    const startMs = cluster.nowMs;
    const isReached = cluster.runUntil(startMs + limitMs, isDone);
    const after = this.#sent();
    const seconds = Math.max(cluster.nowMs - startMs, 1) / 1_000;
    const nodes = cluster.nodes.length;
    const chapter: Chapter = {
      name,
      tookMs: isReached || isDone === undefined
        ? cluster.nowMs - startMs
        : undefined,
      packetsPerNode: (after.packets - before.packets) / seconds / nodes,
      bytesPerNode: (after.bytes - before.bytes) / seconds / nodes,
      falseFailures: views.falseFailureCount - before.falseFailures,
    };
    this.chapters.push(chapter);
    this.#onChapter(chapter);
    if (chapter.tookMs === undefined) {
      this.checkers.report(
        "story",
        `"${name}" was not reached: ${views.describeWrong(3).join("; ")}`,
      );
    }
    return chapter;
  }

  #sent(): { packets: number; bytes: number; falseFailures: number } {
    let packets = 0;
    let bytes = 0;
    for (const { traffic } of this.cluster.nodes) {
      packets += traffic.packetsOut;
      bytes += traffic.bytesOut + traffic.streamBytesOut;
    }
    return { packets, bytes, falseFailures: this.views.falseFailureCount };
  }

  report(): StoryReport {
    const { cluster, checkers, chapters } = this;
    return {
      seed: this.#seed,
      hash: cluster.fingerprint.text(),
      chapters,
      violations: checkers.violations,
      faults: { ...cluster.faults },
      inputs: cluster.inputs,
      virtualMs: cluster.nowMs,
    };
  }
}

/** A large cluster forms, spreads an event, loses nodes, is cut and heals. */
export function growthStory(options: StoryOptions): StoryReport {
  const { nodes } = options;
  const stage = new Stage(options);
  const { cluster, views } = stage;
  const config = cluster.configOf(cluster.node(0));
  const isTrue = () => views.wrong === 0;

  stage.playStart();
  stage.play("quiet", QUIET_MS);

  cluster.perform({ kind: "userEvent", node: nodes >> 1, name: "deploy" });
  stage.play(
    "event has reached all",
    repairMs(config, nodes),
    () => views.delivered("deploy") === nodes,
  );

  // Spread over the cluster, but not node 0.
  const crashed = cluster.nodes.filter(({ index }) => index % 10 === 5);
  for (const node of crashed) cluster.crash(node);
  stage.play("a tenth crashed, all found", detectionMs(config, nodes), isTrue);

  for (const node of crashed) {
    if (views.allBelieve(node, "failed")) continue;
    stage.checkers.report("story", `not everybody lists ${node.name} failed`);
  }

  cluster.partition(cluster.nodes.map((node) => node.index % 2));
  stage.play("cut in half, halves found", detectionMs(config, nodes), isTrue);

  cluster.heal();
  stage.play("healed", convergenceMs(config, nodes), isTrue);
  for (const text of wrongLists(cluster, 3)) {
    stage.checkers.report("story", text);
  }
  return stage.report();
}

/** A cluster that loses packets all the time; nobody crashes. */
export function lossStory(
  options: StoryOptions & { readonly loss: number; readonly minutes: number },
): StoryReport {
  const { loss, minutes, ...rest } = options;
  const stage = new Stage({ ...rest, link: { loss } });
  stage.playStart();
  for (let minute = 1; minute <= minutes; minute++) {
    stage.play(`minute ${minute}`, 60_000);
  }
  return stage.report();
}

export interface FaultStoryOptions extends Omit<StoryOptions, "onChapter"> {
  /** Time with faults, minutes. */
  readonly minutes: number;
  /** Fault classes switched on; all of them unless told otherwise. */
  readonly mask?: FaultMask;
  /** Called before the run, for those who watch. */
  readonly onCluster?: (cluster: Cluster) => void;
}

/** Size of the small cluster of a seed, so that a sweep has all sizes from 3 to 9. */
export function nodesOfSeed(seed: number): number {
  return 3 + seed % 7;
}

/** Nodes of a cluster with faults that are all running before the faults begin. */
const STARTED_PER_SECOND = 20;
/** Time for the last ones to be known, ms. */
const FORMING_MS = 4_000;

/** A cluster, everything that can go wrong, then calm and agreement. */
export function faultStory(options: FaultStoryOptions): SimulationReport {
  const { seed, nodes, minutes, mask = ALL_FAULTS, ...rest } = options;
  const overMs = Math.max(1, nodes / STARTED_PER_SECOND) * 1_000;
  const fromMs = overMs + FORMING_MS;
  const { settings, ...circumstances } = drawCircumstances(seed);
  const toMs = fromMs + minutes * 60_000;
  const faults = drawFaultPlan({ seed, nodes, fromMs, toMs, mask });
  const start = startPlan(nodes, { overMs });
  const { swim, ...others } = rest.settings ?? {};
  return simulate({
    ...rest,
    ...circumstances,
    settings: { ...others, swim: { ...settings.swim, ...swim } },
    seed,
    nodes,
    plan: [
      ...start,
      { atMs: 0, action: { kind: "noise", isOn: false } },
      ...faults,
    ],
    untilMs: toMs,
    demandsAgreement: true,
    mask,
    link: { ...drawNoise(seed), chunkBytesMax: 400 },
  });
}
