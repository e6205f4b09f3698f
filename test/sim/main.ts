/**
 * `deno task sim`: simulated clusters for people.
 *
 *     deno task sim                          20 seeds of small clusters with every fault
 *     deno task sim --seeds 500              more of them
 *     deno task sim --seed 15 --nodes 6      one seed again, as a failure told
 *     deno task sim --seed 15 --nodes 6 --without pause,loss
 *     deno task sim --nodes 200              a cluster grows, loses nodes, is cut and heals
 *     deno task sim --nodes 100 --loss 20 --minutes 10
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
import {
  type Chapter,
  faultStory,
  growthStory,
  lossStory,
  nodesOfSeed,
} from "../../lib/sim/stories.ts";

const HELP = `Usage: deno task sim [options]

  --seeds N         how many seeds of small clusters to run (20)
  --seed S          the first seed, or the only one (1)
  --nodes N         nodes; more than 16 tell another story (3 to 8 by seed)
  --minutes M       virtual minutes with faults or loss (2, or 10 with --loss)
  --loss P          percent of packets lost, all the time
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
}

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
function runStory(args: SimArgs, nodes: number): boolean {
  const { seed, loss, minutes = 10 } = args;
  const startedMs = performance.now();
  let chapterMs = startedMs;
  const onChapter = (chapter: Chapter) => {
    printChapter(chapter, performance.now() - chapterMs);
    chapterMs = performance.now();
  };
  printChapterHead();
  const report = loss === undefined
    ? growthStory({ seed, nodes, onChapter })
    : lossStory({ seed, nodes, loss, minutes, onChapter });
  printFaults(report.faults);
  console.log(
    `\nseed ${seed}, ${nodes} nodes, hash ${report.hash}: ` +
      `${seconds(report.virtualMs)} of virtual time, ` +
      `${report.inputs} inputs in ${seconds(performance.now() - startedMs)}`,
  );
  printViolations(report.violations);
  return report.violations.length === 0;
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
  const { nodes, loss } = args;
  const isStory = loss !== undefined || (nodes ?? 0) > SMALL_CLUSTER;
  const isGood = isStory ? runStory(args, nodes ?? 100) : runSweep(args);
  return isGood ? 0 : 1;
}

if (import.meta.main) Deno.exit(main());
