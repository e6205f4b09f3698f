/**
 * `deno task sim`: simulated clusters for people.
 *
 *     deno task sim                          20 seeds of small clusters with every fault
 *     deno task sim --seeds 500              more of them
 *     deno task sim --seed 15 --nodes 6      one seed again, as a failure told
 *     deno task sim --seed 15 --nodes 6 --without pause,loss
 *     deno task sim --nodes 200              a cluster grows, loses nodes, is cut and heals
 *     deno task sim --nodes 100 --loss 20 --minutes 10
 *     deno task sim --story queries          queries without and with relays on a bad network
 *     deno task sim --story day              50 hours: reaping, reconnecting, forgetting
 *     deno task sim --story partition        a cut of two hours heals by itself
 *
 * Exits with 1 when a rule was broken.
 */

import { parseArgs } from "node:util";
import {
  addFaultCounts,
  ALL_FAULTS,
  FAULT_CLASSES,
  type FaultClass,
  type FaultCounts,
  type FaultMask,
  noFaultCounts,
} from "../../lib/sim/faults.ts";
import type { Violation } from "../../lib/sim/checkers.ts";
import { DAY_NODES, dayStory } from "../../lib/sim/day_story.ts";
import { partitionStory } from "../../lib/sim/partition_story.ts";
import {
  missChance,
  queryStory,
  type QueryTally,
} from "../../lib/sim/query_story.ts";
import {
  type Chapter,
  faultStory,
  growthStory,
  lossStory,
  nodesOfSeed,
  type StoryReport,
} from "../../lib/sim/stories.ts";

const HELP = `Usage: deno task sim [options]

  --seeds N         how many seeds of small clusters to run (20)
  --seed S          the first seed, or the only one (1)
  --nodes N         nodes; more than 16 tell another story (3 to 8 by seed)
  --minutes M       virtual minutes with faults or loss (2, or 10 with --loss)
  --loss P          percent of packets lost, all the time
  --story NAME      another story: queries (1000 nodes, 10 % loss), day (10 nodes),
                    or partition (20 nodes); --seed, --nodes and --loss as fits
  --without A,B     fault classes switched off: ${FAULT_CLASSES.join(", ")}
  --help            this text`;

/** Clusters up to this size run with every fault. */
const SMALL_CLUSTER = 16;

interface SimArgs {
  readonly seeds: number;
  readonly seed: number;
  readonly nodes: number | undefined;
  readonly minutes: number | undefined;
  /** Share of packets lost, 0 to 1. */
  readonly loss: number | undefined;
  readonly mask: FaultMask;
  readonly story: StoryName | undefined;
}

const STORIES = ["queries", "day", "partition"] as const;
type StoryName = typeof STORIES[number];

/** @throws {SyntaxError} when an option makes no sense */
function readArgs(args: string[]): SimArgs | undefined {
  const text = { type: "string" } as const;
  const { values } = parseArgs({
    args,
    options: {
      seeds: text,
      seed: text,
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
  const seed = readNumber("seed", values.seed);
  return {
    seeds: readNumber("seeds", values.seeds) ?? (seed === undefined ? 20 : 1),
    seed: seed ?? 1,
    nodes: readNumber("nodes", values.nodes),
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

/** @returns whether no rule was broken */
function runSweep(args: SimArgs): boolean {
  const { minutes = 2, mask } = args;
  const faults = noFaultCounts();
  let isGood = true;
  console.log(
    "seed      nodes  hash              agreed after  packets/node/s  inputs",
  );
  for (let seed = args.seed; seed < args.seed + args.seeds; seed++) {
    const nodes = args.nodes ?? nodesOfSeed(seed);
    const report = faultStory({ seed, nodes, minutes, mask });
    const perNode = report.packets / nodes / (report.virtualMs / 1_000);
    console.log(
      [
        String(seed).padEnd(8),
        String(nodes).padStart(5),
        ` ${report.hash}`,
        seconds(report.agreedAfterMs).padStart(12),
        perNode.toFixed(1).padStart(14),
        String(report.inputs).padStart(6),
      ].join("  "),
    );
    addFaultCounts(faults, report.faults);
    if (report.violations.length > 0) {
      isGood = false;
      printViolations(report.violations);
      console.log(
        `  replay: deno task sim --seed ${seed} --nodes ${nodes} --minutes ${minutes}`,
      );
    }
  }
  printFaults(faults);
  return isGood;
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
      const { nodes = 1_000, loss = 0.1 } = args;
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
      const { nodes = 20 } = args;
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
  }
}

// --- Printing -----------------------------------------------------------------

function printChapterHead(): void {
  console.log(
    "                              virtual        real     packets        bytes   live nodes",
  );
  console.log(
    "chapter                          time        time     /node/s      /node/s  called dead",
  );
}

function printChapter(chapter: Chapter, realMs: number): void {
  const { name, tookMs, packetsPerNode, bytesPerNode, falseFailures } = chapter;
  console.log(
    [
      name.padEnd(27),
      seconds(tookMs).padStart(8),
      seconds(realMs).padStart(10),
      packetsPerNode.toFixed(1).padStart(10),
      bytesPerNode.toFixed(0).padStart(11),
      String(falseFailures).padStart(11),
    ].join("  "),
  );
}

function printTally(tally: QueryTally, loss: number): void {
  const { relayFactor, asked, received, acks, answers } = tally;
  const share = (count: number, of: number) =>
    `${(100 * count / of).toFixed(2)} %`;
  console.log(
    `${relayFactor} relays: ${share(received, asked)} got the query, ` +
      `of these ${share(acks, received)} of the acks and ` +
      `${share(answers, received)} of the answers arrived, ` +
      `expected ${share(1 - missChance(loss, relayFactor), 1)}`,
  );
}

function printFaults(faults: Readonly<FaultCounts>): void {
  console.log("\nfaults that happened");
  for (const fault of FAULT_CLASSES) {
    console.log(`  ${fault.padEnd(12)} ${String(faults[fault]).padStart(8)}`);
  }
}

function printViolations(violations: readonly Violation[]): void {
  for (const { atMs, rule, text } of violations) {
    console.log(`  BROKEN at ${seconds(atMs)}: ${rule}: ${text}`);
  }
}

function seconds(ms: number | undefined): string {
  return ms === undefined ? "never" : `${(ms / 1_000).toFixed(1)} s`;
}

/** @returns whether no rule was broken */
function run(args: SimArgs): boolean {
  const { nodes, loss, story } = args;
  if (story !== undefined) return runNamedStory(args, story);
  const isLarge = loss !== undefined || (nodes ?? 0) > SMALL_CLUSTER;
  return isLarge ? runClusterStory(args, nodes ?? 100) : runSweep(args);
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
