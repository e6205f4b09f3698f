/**
 * What does an agent cost a machine that it does nothing on, and how long does a
 * command take? Prints tables of docs/benchmarks.md.
 *
 *     deno run -A test/bench/footprint.ts
 *
 * Memory is read from /proc (Linux only): resident as `ps` shows it, private as
 * what would be free again if the process ended (Private_Clean + Private_Dirty).
 * CPU is the processor time that each of five idle agents of one cluster used
 * during 30 s. Times are medians of 15 starts, the two sides of a comparison in
 * turn, so that a noisy machine disturbs both alike. Ratios and differences are
 * what counts.
 *
 * It makes its own agents on loopback and ends them again.
 */

const ROOT = new URL("../..", import.meta.url).pathname;
const STARTS = 15;
const CPU_SECONDS = 30;
/** Processor time in /proc is counted in hundredths of a second. */
const TICKS_PER_SECOND = 100;

const IDLE_SCRIPT = "setInterval(() => {}, 1e9);";
const EMPTY_SCRIPT = "export {};";

export interface Memory {
  readonly residentMb: number;
  readonly privateMb: number;
}

export function memoryOf(pid: number): Memory {
  const text = Deno.readTextFileSync(`/proc/${pid}/smaps_rollup`);
  const kb = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(text)?.[1] ?? 0);
  return {
    residentMb: kb("Rss") / 1_024,
    privateMb: (kb("Private_Clean") + kb("Private_Dirty")) / 1_024,
  };
}

/** User and system time of a process so far, s. */
function cpuSecondsOf(pid: number): number {
  const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

const running: Deno.ChildProcess[] = [];

function start(args: readonly string[]): Deno.ChildProcess {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", ...args],
    cwd: ROOT,
    stdout: "piped",
    stderr: "null",
  }).spawn();
  running.push(child);
  return child;
}

/** Reads a child's output until the text is there. */
export async function waitForOutput(
  child: Deno.ChildProcess,
  text: string,
): Promise<void> {
  const decoder = new TextDecoder();
  let seen = "";
  const reader = child.stdout.getReader();
  while (!seen.includes(text)) {
    const { value, done } = await reader.read();
    if (done) {
      throw new Error(`The process ended without printing ${text}: ${seen}`);
    }
    seen += decoder.decode(value, { stream: true });
  }
  reader.releaseLock();
  // The rest is read and thrown away, so that the child never blocks.
  child.stdout.pipeTo(new WritableStream()).catch(() => {});
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

export function freePort(): number {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  return port;
}

interface Agent {
  readonly child: Deno.ChildProcess;
  readonly bind: string;
  readonly rpc: string;
}

async function startAgent(name: string, join?: string): Promise<Agent> {
  const bind = `127.0.0.1:${freePort()}`;
  const rpc = `127.0.0.1:${freePort()}`;
  const flags = [`-node=${name}`, `-bind=${bind}`, `-rpc-addr=${rpc}`];
  if (join !== undefined) flags.push(`-join=${join}`);
  const child = start(["main.ts", "agent", ...flags]);
  await waitForOutput(child, "Log data will now stream in");
  return { child, bind, rpc };
}

async function timeMs(
  command: string,
  args: readonly string[],
): Promise<number> {
  const startedMs = performance.now();
  const { success } = await new Deno.Command(command, {
    args: [...args],
    cwd: ROOT,
    stdout: "null",
    stderr: "null",
  }).output();
  if (!success) throw new Error(`${command} ${args.join(" ")} failed`);
  return performance.now() - startedMs;
}

export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

export type Timed = readonly [
  label: string,
  command: string,
  args: readonly string[],
];

/** Medians of several commands, started in turn. */
export async function timeInTurn(
  commands: readonly Timed[],
): Promise<Map<string, number>> {
  const times = new Map<string, number[]>(
    commands.map(([label]) => [label, []]),
  );
  for (let i = 0; i <= STARTS; i++) {
    for (const [label, command, args] of commands) {
      const tookMs = await timeMs(command, args);
      // The first start fills caches and is not counted.
      if (i > 0) times.get(label)?.push(tookMs);
    }
  }
  return new Map([...times].map(([label, values]) => [label, median(values)]));
}

export function print(rows: readonly (readonly string[])[]): void {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0))
  );
  for (const row of rows) {
    console.log(
      row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join("  ").trimEnd(),
    );
  }
}

/** The real Serf, when it is installed. */
export async function hasSerf(): Promise<boolean> {
  try {
    return (await new Deno.Command("serf", {
      args: ["version"],
      stdout: "null",
    }).output()).success;
  } catch {
    return false;
  }
}

if (import.meta.main) {
  const scratch = await Deno.makeTempDir();
  const idlePath = `${scratch}/idle.ts`;
  const emptyPath = `${scratch}/empty.ts`;
  Deno.writeTextFileSync(idlePath, `console.log("idle");${IDLE_SCRIPT}`);
  Deno.writeTextFileSync(emptyPath, EMPTY_SCRIPT);
  try {
    const idle = start([idlePath]);
    await waitForOutput(idle, "idle");
    const first = await startAgent("n1");
    const agents = [first];
    for (let i = 2; i <= 5; i++) {
      agents.push(await startAgent(`n${i}`, first.bind));
    }
    console.log(`Five agents run; measuring for ${CPU_SECONDS} s ...\n`);
    // Joining and the code it compiles should be over.
    await pause(5_000);
    const before = agents.map(({ child }) => cpuSecondsOf(child.pid));
    await pause(CPU_SECONDS * 1_000);
    const cpu = agents.map(({ child }, i) =>
      cpuSecondsOf(child.pid) - (before[i] ?? 0)
    );

    const idleMemory = memoryOf(idle.pid);
    const memories = agents.map(({ child }) => memoryOf(child.pid));
    const agentMemory: Memory = {
      residentMb: median(memories.map(({ residentMb }) => residentMb)),
      privateMb: median(memories.map(({ privateMb }) => privateMb)),
    };
    const mb = (value: number): string => `${value.toFixed(1)} MB`;
    const ms = (value: number | undefined): string =>
      `${(value ?? 0).toFixed(0)} ms`;

    print([
      ["", "resident", "private"],
      [
        "idle Deno process",
        mb(idleMemory.residentMb),
        mb(idleMemory.privateMb),
      ],
      [
        "idle agent (median of 5)",
        mb(agentMemory.residentMb),
        mb(agentMemory.privateMb),
      ],
      [
        "difference",
        mb(agentMemory.residentMb - idleMemory.residentMb),
        mb(agentMemory.privateMb - idleMemory.privateMb),
      ],
    ]);
    const share = 100 * median(cpu) / CPU_SECONDS;
    console.log(
      `\nCPU of an idle agent in a 5-node cluster: ${
        share.toFixed(2)
      } % of one core\n`,
    );

    const deno = Deno.execPath();
    const run = (
      ...args: string[]
    ): readonly string[] => ["run", "-A", ...args];
    const commands: Timed[] = [
      ["empty Deno script", deno, run(emptyPath)],
      ["serf version", deno, run("main.ts", "version")],
      [
        "serf members",
        deno,
        run("main.ts", "members", `-rpc-addr=${first.rpc}`),
      ],
    ];
    if (await hasSerf()) {
      commands.push(
        ["HashiCorp's serf version", "serf", ["version"]],
        ["HashiCorp's serf members", "serf", [
          "members",
          `-rpc-addr=${first.rpc}`,
        ]],
      );
    }
    const times = await timeInTurn(commands);
    const emptyMs = times.get("empty Deno script") ?? 0;
    print([
      ["", "median", "beyond an empty script"],
      ...[...times].map(([label, value]) => [
        label,
        ms(value),
        label.startsWith("serf") ? ms(value - emptyMs) : "",
      ]),
    ]);
  } finally {
    for (const child of running) {
      try {
        child.kill("SIGKILL");
      } catch {
        // It has ended already.
      }
      await child.status;
    }
    await Deno.remove(scratch, { recursive: true });
  }
}
