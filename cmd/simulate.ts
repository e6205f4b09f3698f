/**
 * `serf simulate`: how fast news would reach a cluster of so many nodes.
 *
 * The cluster is simulated in this process, with the engine that agents run, in
 * virtual time; no agent is asked and no packet is sent. Beside what comes of it
 * stands the formula of the convergence simulator on Serf's website. The work is
 * done in `lib/sim/curves.ts`.
 */

import { measureCurves } from "../lib/sim/curves.ts";
import type { GossipModel } from "../lib/sim/gossip_model.ts";
import {
  type ProfileName,
  PROFILES,
  type SwimProfile,
} from "../lib/sim/mod.ts";
import { type Command, failUsage, readFlags, renderHelp } from "./command.ts";
import {
  durationFlag,
  type Flag,
  type FlagHelp,
  type FlagValues,
  integerFlag,
  textFlag,
} from "./flags.ts";
import { checkFormat, fail, formatFlag, print } from "./format.ts";
import { simulationJson, simulationText } from "./simulate_output.ts";

/** Beyond it a simulation takes hours and more memory than most machines have. */
const NODES_MAX = 10_000;
const NODES_MIN = 3;
/**
 * What each node keeps about each other one, and garbage, bytes: 2,000 nodes took
 * 3.2 GB where 4.4 were allowed, and 5,000 nodes 16 GB where no more were.
 */
const BYTES_PER_PAIR = 780;

/** A share of something, at least 0 and below 1. */
function shareFlag(help: FlagHelp): Flag<number> {
  return {
    kind: "value",
    default: 0,
    read: (text) => {
      const share = text.trim() === "" ? Number.NaN : Number(text);
      if (share >= 0 && share < 1) return share;
      throw new RangeError("must be at least 0 and below 1");
    },
    ...help,
  };
}

const FLAGS = {
  "failed": shareFlag({
    shown: "failed=0",
    text: [
      "Share of the nodes that crash just before the event",
      "is sent. With 0 it is sent in a healthy cluster, and",
      "2% of the nodes (20 at most) crash afterwards.",
    ],
  }),
  "fanout": integerFlag(0, {
    shown: "fanout=3",
    text: ["Nodes told per gossip round. The profile has one."],
  }),
  "format": formatFlag(),
  "interval": durationFlag(0, {
    shown: "interval=200ms",
    text: ["Time between gossip rounds. The profile has one."],
  }),
  "latency": durationFlag(1, {
    shown: "latency=1ms",
    text: [
      "How long a packet takes at least; up to as much is",
      "added at random.",
    ],
  }),
  "loss": shareFlag({
    shown: "loss=0",
    text: ["Share of packets that are lost, such as 0.1."],
  }),
  "nodes": integerFlag(100, {
    text: [
      "Size of the cluster. Time and memory grow with its",
      "square or faster: 1000 nodes take about a minute, 5000",
      "more than an hour and 16 to 20 GB.",
    ],
  }),
  "profile": textFlag("lan", {
    text: ["Timing of all nodes: 'lan', 'wan' or 'local'."],
  }),
  "seed": integerFlag(1, {
    text: ["Chance. The same seed gives the same result."],
  }),
};

type Settings = FlagValues<typeof FLAGS>;

export const command: Command = {
  help: () =>
    renderHelp({
      usage: "simulate [options]",
      description: [
        "Simulates a cluster in this process and prints how fast a join, a user",
        "event and the failure of nodes become known to everybody, and what the",
        "nodes send. Beside it stands the formula of the convergence simulator on",
        "Serf's website, which covers gossip alone.",
        "",
        "A node that has been quiet gossips news at once. The event in a busy",
        "cluster is sent while all nodes gossip, and waits for a round at each.",
        "",
        "Nothing is sent, and no agent is needed. The exit code is 1 when some",
        "nodes did not learn of something in time.",
      ],
      flags: FLAGS,
    }),

  async run(args, terminal) {
    const flags = readFlags(command, FLAGS, args, terminal);
    if (flags === undefined) return 1;
    const { values: settings, positionals } = flags;
    const { format } = settings;
    if (!checkFormat(format, terminal)) return 1;
    const complaint = complaintAbout(settings, positionals);
    if (complaint !== undefined) {
      return failUsage(command, complaint, terminal, format);
    }
    const { getHeapStatistics } = await import("node:v8");
    const heapBytesMax = getHeapStatistics().heap_size_limit;
    const lack = complaintAboutMemory(settings.nodes, heapBytesMax);
    if (lack !== undefined) return fail(format, lack, terminal);
    const isShown = terminal.isTerminal && format === "text";
    const show = (text: string) => {
      if (isShown) terminal.control("err", `\r${text}\x1b[K`);
    };
    const timing = timingOf(settings);
    const report = measureCurves({
      seed: settings.seed,
      nodes: settings.nodes,
      profile: settings.profile as ProfileName,
      timing,
      link: {
        latencyMs: settings.latency,
        jitterMs: settings.latency,
        loss: settings.loss,
      },
      failed: settings.failed,
      onPart: (name) => show(`${settings.nodes} nodes: ${name}`),
    });
    show("");
    if (report.formedMs === undefined) {
      const text = "The nodes did not come to know each other in time";
      return fail(format, text, terminal);
    }
    const model: GossipModel = {
      nodes: settings.nodes,
      fanout: timing.gossipNodes,
      intervalMs: timing.gossipIntervalMs,
      loss: settings.loss,
      failed: settings.failed,
    };
    print(format, terminal, {
      text: simulationText(settings, model, report),
      json: simulationJson(settings, model, report),
    });
    const { join, event, busyEvent, failure } = report;
    const isComplete = [join, event, busyEvent, failure].every((
      { timesMs, of },
    ) => timesMs.length === of);
    return isComplete ? 0 : 1;
  },
};

function complaintAbout(
  settings: Settings,
  positionals: readonly string[],
): string | undefined {
  const { nodes, profile, fanout, interval, latency } = settings;
  if (positionals.length > 0) return "This command takes no arguments.";
  if (!(nodes >= NODES_MIN && nodes <= NODES_MAX)) {
    return `The number of nodes must be from ${NODES_MIN} to ${NODES_MAX}.`;
  }
  if (!Object.hasOwn(PROFILES, profile)) return `Unknown profile: ${profile}`;
  if (fanout < 0 || fanout > nodes) {
    return "The fanout must be from 1 to the number of nodes.";
  }
  if (interval < 0 || latency < 0) return "A time must not be negative.";
  return undefined;
}

/**
 * What to say when the cluster does not fit into the memory that the process may
 * use, which would end it after an hour of work.
 */
export function complaintAboutMemory(
  nodes: number,
  heapBytesMax: number,
): string | undefined {
  const bytes = BYTES_PER_PAIR * nodes ** 2;
  if (bytes <= heapBytesMax) return undefined;
  const gb = (count: number) => (count / 1e9).toFixed(1);
  const mb = 1_000 * Math.ceil(bytes / 1e9);
  return `${nodes} nodes take some ${
    gb(bytes)
  } GB of memory, and this process may use ${gb(heapBytesMax)} GB. ` +
    `It may use more with DENO_V8_FLAGS=--max-old-space-size=${mb} in the environment.`;
}

/** The timing of the profile, with what the flags replace. */
function timingOf({ profile, fanout, interval }: Settings): SwimProfile {
  return {
    ...PROFILES[profile as ProfileName],
    ...(fanout > 0 && { gossipNodes: fanout }),
    ...(interval > 0 && { gossipIntervalMs: interval }),
  };
}
