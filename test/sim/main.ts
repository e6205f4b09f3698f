/**
 * `deno task sim`: simulated clusters for people.
 *
 *     deno task sim                          20 seeds of small clusters with every fault
 *     deno task sim --seeds 2000 --nodes 5-9 more of them
 *     deno task sim --seeds 50 --nodes 100   larger ones
 *     deno task sim --seed 15 --nodes 6      one seed again, as a failure told
 *     deno task sim --replay 15 --nodes 6    the same, with all that happens in it
 *     deno task sim --seed 15 --nodes 6 --without pause,loss
 *     deno task sim --nodes 200              a cluster grows, loses nodes, is cut and heals
 *     deno task sim --nodes 100 --loss 20 --minutes 10
 *     deno task sim --story queries          queries without and with relays on a bad network
 *     deno task sim --story day              50 hours: reaping, reconnecting, forgetting
 *     deno task sim --story partition        a cut of two hours heals by itself
 *     deno task sim --story lifeguard        slow members with and without Lifeguard
 *     deno task sim --story scale            100 and 1,000 nodes: times and traffic
 *
 * Exits with 1 when a rule was broken.
 */

import { parseArgs } from "node:util";
import {
  ALL_FAULTS,
  FAULT_CLASSES,
  type FaultClass,
  type FaultMask,
} from "../../lib/sim/faults.ts";
import { DAY_NODES, dayStory } from "../../lib/sim/day_story.ts";
import { Journal } from "../../lib/sim/journal.ts";
import { partitionStory } from "../../lib/sim/partition_story.ts";
import { queryStory } from "../../lib/sim/query_story.ts";
import {
  type Chapter,
  faultStory,
  growthStory,
  lossStory,
  nodesOfSeed,
  type StoryReport,
} from "../../lib/sim/stories.ts";
import { SweepTotals } from "../../lib/sim/sweep.ts";
import { runLifeguard, runScale } from "./measurements.ts";
import {
  printChapter,
  printChapterHead,
  printFaults,
  printRun,
  printRunHead,
  printTally,
  printTotals,
  printViolations,
  seconds,
  showProgress,
} from "./printing.ts";

/** Clusters up to this size run with every fault. */
const SMALL_CLUSTER = 128;

const HELP = `Usage: deno task sim [options]

  --seeds N         how many seeds of clusters with faults to run (20)
  --seed S          the first seed, or the only one (1)
  --replay S        one seed, with everything that happens in it
  --nodes N         nodes, or a range such as 5-9 (3-9); more than ${SMALL_CLUSTER} tell
                    another story
  --minutes M       virtual minutes with faults or loss (2, or 10 with --loss)
  --loss P          percent of packets lost, all the time
  --story NAME      another story: queries (1000 nodes, 10 % loss), day (10 nodes),
                    partition (20 nodes), lifeguard (100 nodes) or scale (100 and
                    1000 nodes); --seed, --nodes and --loss as fits
  --without A,B     fault classes switched off:
                    ${wrapped(FAULT_CLASSES, 58).join("\n                    ")}
  --help            this text`;

/** Words in lines of limited width, with commas. */
function wrapped(words: readonly string[], width: number): string[] {
  const lines = [""];
  for (const [i, word] of words.entries()) {
    const text = i === words.length - 1 ? word : `${word}, `;
    const line = lines.at(-1) as string;
    if (line.length + text.length > width) lines.push(text);
    else lines[lines.length - 1] = line + text;
  }
  return lines.map((line) => line.trimEnd());
}

interface SimArgs {
  readonly seeds: number;
  readonly seed: number;
  readonly nodes: NodeRange | undefined;
  readonly minutes: number | undefined;
  readonly replays: boolean;
  /** Share of packets lost, 0 to 1. */
  readonly loss: number | undefined;
  readonly mask: FaultMask;
  readonly story: StoryName | undefined;
}

interface NodeRange {
  readonly from: number;
  readonly to: number;
}

const STORIES = [
  "queries",
  "day",
  "partition",
  "lifeguard",
  "scale",
] as const;
type StoryName = typeof STORIES[number];

/** @throws {SyntaxError} when an option makes no sense */
function readArgs(args: string[]): SimArgs | undefined {
  const text = { type: "string" } as const;
  const { values } = parseArgs({
    args,
    options: {
      seeds: text,
      seed: text,
      replay: text,
      nodes: text,
      minutes: text,
      loss: text,
      without: text,
      story: text,
      help: { type: "boolean" },
    },
  });
  if (values.help === true) return undefined;
  const loss = readNumber("loss", values.loss);
  const seed = readNumber("seed", values.replay ?? values.seed);
  return {
    seeds: readNumber("seeds", values.seeds) ?? (seed === undefined ? 20 : 1),
    seed: seed ?? 1,
    nodes: readRange(values.nodes),
    replays: values.replay !== undefined,
    minutes: readNumber("minutes", values.minutes),
    loss: loss === undefined ? undefined : loss / 100,
    mask: readMask(values.without),
    story: readStory(values.story),
  };
}

function readNumber(
  name: string,
  text: string | undefined,
): number | undefined {
  if (text === undefined) return undefined;
  const number = Number(text);
  if (text === "" || !(number >= 0)) {
    throw new SyntaxError(`Cannot read --${name} "${text}" as a number`);
  }
  return number;
}

function readRange(text: string | undefined): NodeRange | undefined {
  if (text === undefined) return undefined;
  const [from, to = from] = text.split("-").map((part) =>
    readNumber("nodes", part)
  );
  if (from === undefined || to === undefined || from < 2 || to < from) {
    throw new SyntaxError(`Cannot read --nodes "${text}" as 2 or more nodes`);
  }
  return { from, to };
}

function readMask(without: string | undefined): FaultMask {
  const mask = new Set(ALL_FAULTS);
  for (const name of (without ?? "").split(",").filter((name) => name !== "")) {
    if (!mask.delete(name as FaultClass)) {
      throw new SyntaxError(`Cannot switch off "${name}": no such fault class`);
    }
  }
  return mask;
}

function readStory(text: string | undefined): StoryName | undefined {
  if (text === undefined) return undefined;
  const story = STORIES.find((name) => name === text);
  if (story === undefined) {
    throw new SyntaxError(`No story "${text}", only ${STORIES.join(", ")}`);
  }
  return story;
}

// --- Stories ------------------------------------------------------------------

/** More runs than this are not listed one by one. */
const LISTED_RUNS_MAX = 50;

/** @returns whether no rule was broken */
function runSweep(args: SimArgs): boolean {
  const { minutes = 2, mask, seeds } = args;
  const totals = new SweepTotals();
  const isListed = seeds <= LISTED_RUNS_MAX;
  const startedMs = performance.now();
  if (isListed) printRunHead();
  for (let seed = args.seed; seed < args.seed + seeds; seed++) {
    const nodes = nodesFor(args, seed);
    const report = faultStory({ seed, nodes, minutes, mask });
    totals.add(report, nodes);
    showProgress(isListed ? undefined : { totals, seeds, seed });
    if (isListed) printRun(report, nodes);
    if (report.violations.length > 0) {
      if (!isListed) printRun(report, nodes);
      printViolations(report.violations);
      console.log(
        `  replay: deno task sim --replay ${seed} --nodes ${nodes} --minutes ${minutes}`,
      );
    }
  }
  showProgress(undefined);
  printTotals(totals, performance.now() - startedMs);
  printFaults(totals.faults);
  return totals.failedSeeds.length === 0;
}

function nodesFor({ nodes }: SimArgs, seed: number): number {
  if (nodes === undefined) return nodesOfSeed(seed);
  return nodes.from + seed % (nodes.to - nodes.from + 1);
}

/** @returns whether no rule was broken */
function runReplay(args: SimArgs): boolean {
  const { minutes = 2, mask, seed } = args;
  const nodes = nodesFor(args, seed);
  const report = faultStory({
    seed,
    nodes,
    minutes,
    mask,
    settings: { swim: { logLevel: "INFO" } },
    onCluster: (cluster) => new Journal(cluster, console.log),
  });
  console.log();
  printRunHead();
  printRun(report, nodes);
  printViolations(report.violations);
  printFaults(report.faults);
  return report.violations.length === 0;
}

/** @returns whether no rule was broken */
function runStory(
  seed: number,
  nodes: number,
  tell: (
    options: {
      seed: number;
      nodes: number;
      onChapter: (chapter: Chapter) => void;
    },
  ) => StoryReport,
): boolean {
  const startedMs = performance.now();
  let chapterMs = startedMs;
  const onChapter = (chapter: Chapter) => {
    printChapter(chapter, performance.now() - chapterMs);
    chapterMs = performance.now();
  };
  printChapterHead();
  const report = tell({ seed, nodes, onChapter });
  printFaults(report.faults);
  console.log(
    `\nseed ${seed}, ${nodes} nodes, hash ${report.hash}: ` +
      `${seconds(report.virtualMs)} of virtual time, ` +
      `${report.inputs} inputs in ${seconds(performance.now() - startedMs)}`,
  );
  printViolations(report.violations);
  return report.violations.length === 0;
}

/** @returns whether no rule was broken */
function runClusterStory(args: SimArgs, nodes: number): boolean {
  const { seed, loss, minutes = 10 } = args;
  return runStory(
    seed,
    nodes,
    (options) =>
      loss === undefined
        ? growthStory(options)
        : lossStory({ ...options, loss, minutes }),
  );
}

/** @returns whether no rule was broken */
function runNamedStory(args: SimArgs, story: StoryName): boolean {
  const { seed } = args;
  switch (story) {
    case "queries": {
      const { loss = 0.1 } = args;
      const nodes = args.nodes?.to ?? 1_000;
      return runStory(seed, nodes, (options) => {
        const relayFactors = [0, 3];
        const report = queryStory({
          ...options,
          loss,
          relayFactors,
          queries: 4,
        });
        for (const tally of report.tallies) printTally(tally, loss);
        return report;
      });
    }
    case "day":
      return runStory(seed, DAY_NODES, ({ nodes: _, ...options }) => {
        const report = dayStory(options);
        for (const { subject, made, expected } of report.tries) {
          console.log(
            `${subject}: ${made} tries, expected ${expected.toFixed(0)}`,
          );
        }
        return report;
      });
    case "partition": {
      const nodes = args.nodes?.to ?? 20;
      const sides = [nodes >> 1, Math.max(1, Math.round(nodes * 0.15))];
      return sides.map((minority) => {
        console.log(
          `\n${minority} of ${nodes} nodes are cut off for two hours`,
        );
        return runStory(
          seed,
          nodes,
          (options) => partitionStory({ ...options, minority, hours: 2 }),
        );
      }).every((isGood) => isGood);
    }
    case "lifeguard":
      return runLifeguard({ seed, nodes: args.nodes?.to ?? 100 });
    case "scale":
      return runScale({
        seed,
        sizes: args.nodes === undefined
          ? [100, 1_000]
          : [args.nodes.from, args.nodes.to],
      });
  }
}

/** @returns whether no rule was broken */
function run(args: SimArgs): boolean {
  const { loss, story, replays } = args;
  if (story !== undefined) return runNamedStory(args, story);
  const nodes = args.nodes?.to ?? 0;
  if (loss !== undefined || nodes > SMALL_CLUSTER) {
    return runClusterStory(args, nodes === 0 ? 100 : nodes);
  }
  return replays ? runReplay(args) : runSweep(args);
}

/** @returns the exit code */
function main(): number {
  let args: SimArgs | undefined;
  try {
    args = readArgs(Deno.args);
  } catch (error) {
    console.error((error as Error).message);
    return 2;
  }
  if (args === undefined) {
    console.log(HELP);
    return 0;
  }
  return run(args) ? 0 : 1;
}

if (import.meta.main) Deno.exit(main());
