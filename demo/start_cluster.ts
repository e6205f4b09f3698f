/**
 * Starts a cluster of real agents on this machine and shows who sees whom.
 *
 *     deno task demo                    five agents, until Ctrl-C
 *     deno task demo --chaos            kills and restarts them, with times
 *     deno task demo --nodes 20 --encrypt
 *
 * On a terminal the picture is redrawn in place; otherwise each change is a
 * line. Beside it the agents take commands like any other:
 * `serf members -rpc-addr=...`. Ctrl-C ends all of them. The agents are those of
 * the executable, `dist/serf`, when `deno task compile` has built it.
 */

import { renderHelp } from "../cmd/command.ts";
import {
  booleanFlag,
  FlagError,
  integerFlag,
  parseFlags,
} from "../cmd/flags.ts";
import { pause, runChaos } from "./chaos.ts";
import { DemoCluster, serfCommand } from "./cluster.ts";
import {
  type Observer,
  observersOf,
  renderChanges,
  renderMatrix,
} from "./matrix.ts";

/** How often the picture is renewed, ms. */
const LOOK_INTERVAL_MS = 500;
/** Most recent reports shown below the picture. */
const REPORTS_SHOWN = 8;
const NODES_MAX = 100;

const FLAGS = {
  "nodes": integerFlag(5, { text: [`Number of agents, 1 to ${NODES_MAX}.`] }),
  "encrypt": booleanFlag(false, { text: ["Encrypts all gossip."] }),
  "chaos": booleanFlag(false, {
    text: ["Kills and restarts agents and measures the effects."],
  }),
  "seconds": integerFlag(0, {
    text: ["Stops by itself after this time; 0 waits for Ctrl-C."],
  }),
};

const HELP = renderHelp({
  usage: "demo [options]",
  description: ["Starts a cluster on this machine and shows who sees whom."],
  flags: FLAGS,
}).replace("Usage: serf demo", "Usage: deno task demo");

/** Standard output: a picture that is redrawn, or lines. */
class Screen {
  readonly #isTerminal = Deno.stdout.isTerminal();
  readonly #startMs = performance.now();
  readonly #reports: string[] = [];
  #drawnLines = 0;
  #before: readonly Observer[] = [];

  show(observers: readonly Observer[]): void {
    if (this.#isTerminal) this.#draw(observers);
    else {
      const changes = renderChanges(this.#before, observers);
      for (const line of changes) this.report(line);
    }
    this.#before = observers;
  }

  /** Something that happened, with the time. */
  report(text: string): void {
    const seconds = ((performance.now() - this.#startMs) / 1_000).toFixed(1);
    const line = `${seconds.padStart(6)} s  ${text}`;
    if (this.#isTerminal) this.#reports.push(line);
    else console.log(line);
  }

  #draw(observers: readonly Observer[]): void {
    // A picture larger than the window could not be drawn over.
    const size = Deno.consoleSize();
    // Some terminals do not know their size.
    const [columns, rows] = [size.columns || 80, size.rows || 24];
    const reports = this.#reports.slice(-REPORTS_SHOWN);
    const lines = [
      ...renderMatrix(observers).split("\n")
        .slice(0, Math.max(1, rows - reports.length - 2)),
      "",
      ...reports,
    ].map((line) => line.slice(0, columns - 1));
    // Back to the first line of the last picture, and erase from there on.
    const erase = this.#drawnLines > 0 ? `\x1b[${this.#drawnLines}A\x1b[J` : "";
    console.log(erase + lines.join("\n"));
    this.#drawnLines = lines.length;
  }
}

async function watch(
  cluster: DemoCluster,
  screen: Screen,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await cluster.poll();
    screen.show(observersOf(cluster));
    await pause(LOOK_INTERVAL_MS, signal);
  }
}

function makeKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(32));
  return btoa(String.fromCharCode(...bytes));
}

interface DemoOptions {
  readonly nodes: number;
  readonly encrypt: boolean;
  readonly chaos: boolean;
  readonly seconds: number;
}

function readOptions(args: readonly string[]): DemoOptions | undefined {
  try {
    const { values } = parseFlags(FLAGS, args);
    if (values.nodes >= 1 && values.nodes <= NODES_MAX) return values;
    console.error(`The number of nodes must be 1 to ${NODES_MAX}`);
  } catch (error) {
    if (!(error instanceof FlagError)) throw error;
    if (error.message !== "") console.error(error.message);
  }
  console.error(HELP);
  return undefined;
}

async function run(options: DemoOptions, signal: AbortSignal): Promise<void> {
  const { nodes, encrypt, chaos, seconds } = options;
  const cluster = new DemoCluster({
    count: nodes,
    ...(encrypt && { encryptKey: makeKey() }),
  });
  const ends = [signal];
  try {
    const isBuilt = serfCommand().length === 1;
    const kind = isBuilt ? "agents of dist/serf" : "agents";
    console.log(`Starting ${nodes} ${kind}; Ctrl-C ends them all.`);
    const ended = new Promise<void>((end) =>
      signal.addEventListener("abort", () => end())
    );
    await Promise.race([cluster.start(), ended]);
    if (signal.aborted) return;
    if (seconds > 0) ends.push(AbortSignal.timeout(seconds * 1_000));
    const end = AbortSignal.any(ends);
    console.log(renderMatrix(observersOf(cluster)).replace(/^seen by.*\n/, ""));
    const flag = `-rpc-addr=${cluster.slots[0]?.rpcAddress}`;
    const serf = isBuilt ? "dist/serf" : "deno task start";
    console.log(`\nIn another terminal: ${serf} members ${flag}`);
    console.log(`or, with Serf installed: serf members ${flag}\n`);
    const screen = new Screen();
    await Promise.all([
      watch(cluster, screen, end),
      ...(chaos && nodes > 1
        ? [runChaos(cluster, {
          signal: end,
          report: (line) => screen.report(line),
        })]
        : []),
    ]);
  } catch (error) {
    // Stopping interrupts starts that are under way; that is no failure.
    if (!signal.aborted) throw error;
  } finally {
    await cluster.stop();
  }
}

async function main(args: readonly string[]): Promise<number> {
  const options = readOptions(args);
  if (options === undefined) return 1;
  const stop = new AbortController();
  const signals: readonly Deno.Signal[] = Deno.build.os === "windows"
    ? ["SIGINT"]
    : ["SIGINT", "SIGTERM", "SIGHUP"];
  for (const name of signals) {
    Deno.addSignalListener(name, () => stop.abort());
  }
  try {
    await run(options, stop.signal);
    console.log("All agents ended.");
    return 0;
  } catch (error) {
    console.error((error as Error).message);
    return 1;
  }
}

if (import.meta.main) Deno.exit(await main(Deno.args));
