/**
 * How large is the executable, how soon does it answer, and what do its agents
 * hold? Beside it HashiCorp's, and ours run from source.
 *
 *     deno task compile && deno run -A test/bench/executable.ts [EXECUTABLE]
 *
 * The sides take turns, so that a noisy machine disturbs all alike; times are
 * medians. A first start is one with an empty cache directory (`SERF_CACHE_DIR`).
 * Memory is read from /proc (Linux only), of ten agents in one cluster that have
 * been idle for a while: resident as `ps` shows it; private as what would be free
 * again if one of them ended; share as what is its own plus its part of what it has
 * in common with others, so that shares add up.
 */

import { join } from "node:path";
import {
  freePort,
  hasSerf,
  median,
  pause,
  print,
  timeInTurn,
  waitForOutput,
} from "./footprint.ts";

const ROOT = join(import.meta.dirname ?? "", "../..");
const FIRST_STARTS = 5;
const AGENTS = 10;
/** After the last one has joined, ms. */
const IDLE_MS = 15_000;

/** Whose program, and the command line that starts it. */
interface Side {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
}

interface Memory {
  readonly residentMb: number;
  readonly privateMb: number;
  readonly shareMb: number;
}

function memoryOf(pid: number): Memory {
  const text = Deno.readTextFileSync(`/proc/${pid}/smaps_rollup`);
  const mb = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(text)?.[1]) / 1_024;
  return {
    residentMb: mb("Rss"),
    privateMb: mb("Private_Clean") + mb("Private_Dirty"),
    shareMb: mb("Pss"),
  };
}

/** Agents of one cluster, which end when disposed of. */
class Agents implements AsyncDisposable {
  readonly #children: Deno.ChildProcess[] = [];
  #firstBind = "";
  rpc = "";

  constructor(readonly side: Side) {}

  async start(): Promise<void> {
    const [program, ...args] = this.side.command;
    const bind = `127.0.0.1:${freePort()}`;
    const rpc = `127.0.0.1:${freePort()}`;
    const child = new Deno.Command(program, {
      args: [
        ...[...args, "agent", `-node=n${this.#children.length}`],
        ...[`-bind=${bind}`, `-rpc-addr=${rpc}`],
        ...(this.#firstBind ? [`-join=${this.#firstBind}`] : []),
      ],
      stdout: "piped",
      stderr: "null",
    }).spawn();
    this.#children.push(child);
    await waitForOutput(child, "Log data will now stream in");
    this.#firstBind ||= bind;
    this.rpc ||= rpc;
  }

  memories(): Memory[] {
    return this.#children.map(({ pid }) => memoryOf(pid));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) {
      child.kill("SIGKILL");
      await child.status;
    }
  }
}

function mb(value: number): string {
  return `${value.toFixed(1)} MB`;
}

async function measureMemory(sides: readonly Side[]): Promise<void> {
  const rows = [["", "resident", "private", "share", "all ten"]];
  const row = (name: string, memories: readonly Memory[]) => {
    const of = (pick: (memory: Memory) => number) =>
      mb(median(memories.map(pick)));
    const sum = memories.reduce((total, { shareMb }) => total + shareMb, 0);
    rows.push([
      name,
      of(({ residentMb }) => residentMb),
      of(({ privateMb }) => privateMb),
      of(({ shareMb }) => shareMb),
      ...(memories.length > 1 ? [mb(sum)] : []),
    ]);
  };
  for (const side of sides) {
    await using agents = new Agents(side);
    await agents.start();
    await pause(IDLE_MS);
    row(`${side.name}: one agent`, agents.memories());
    for (let i = 1; i < AGENTS; i++) await agents.start();
    await pause(IDLE_MS);
    row(`${side.name}: ten, each`, agents.memories());
  }
  print(rows);
}

/** Time of `serf version` when nothing is unpacked yet, ms. */
async function measureFirstStarts(executable: string): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < FIRST_STARTS; i++) {
    const cache = Deno.makeTempDirSync();
    try {
      const startMs = performance.now();
      const { success } = await new Deno.Command(executable, {
        args: ["version"],
        env: { SERF_CACHE_DIR: cache },
        stdout: "null",
      }).output();
      if (!success) throw new Error(`${executable} version failed`);
      times.push(performance.now() - startMs);
    } finally {
      Deno.removeSync(cache, { recursive: true });
    }
  }
  return median(times);
}

async function measureStarts(sides: readonly Side[]): Promise<void> {
  await using agents = new Agents(sides[0] as Side);
  await agents.start();
  const calls = [["version"], ["members", `-rpc-addr=${agents.rpc}`]];
  const label = (side: Side, [command]: string[]) =>
    `${side.name}: serf ${command}`;
  const times = await timeInTurn(
    calls.flatMap((call) =>
      sides.map((side) => {
        const [program, ...args] = side.command;
        return [label(side, call), program, [...args, ...call]] as const;
      })
    ),
  );
  print([
    ["", ...calls.map(([command]) => `serf ${command}`)],
    ...sides.map((side) => [
      side.name,
      ...calls.map((call) => `${times.get(label(side, call))?.toFixed(0)} ms`),
    ]),
  ]);
}

if (import.meta.main) {
  const executable = Deno.realPathSync(Deno.args[0] ?? join(ROOT, "dist/serf"));
  const sides: Side[] = [
    { name: "executable", command: [executable] },
    {
      name: "from source",
      command: [Deno.execPath(), "run", "-A", join(ROOT, "main.ts")],
    },
  ];
  if (await hasSerf()) sides.push({ name: "HashiCorp's", command: ["serf"] });
  const size = Deno.statSync(executable).size / 1e6;
  console.log(`${executable}: ${size.toFixed(1)} MB`);
  const firstMs = await measureFirstStarts(executable);
  console.log(`serf version, first start: ${firstMs.toFixed(0)} ms\n`);
  await measureStarts(sides);
  console.log();
  await measureMemory(sides);
}
