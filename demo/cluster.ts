/**
 * Real agents, as processes of this machine, for demonstrations and tests.
 *
 * Each agent listens on 127.0.0.1 with ports of the system's choice, which it
 * keeps when it is killed and started again. The first one founds the cluster;
 * the others join whoever is running. Whatever happens, `stop` ends every
 * process that was ever started here, also those whose start is still under way.
 */

import { RpcClient } from "../lib/net/rpc_client.ts";

/** The project's folder. */
const ROOT = `${import.meta.dirname}/..`;
/** Where `deno task compile` puts the executable. */
const EXECUTABLE = Deno.build.os === "windows"
  ? `${ROOT}/dist/serf.exe`
  : `${ROOT}/dist/serf`;
/** Longest start of one agent, ms. */
const START_LIMIT_MS = 30_000;
/** How long an agent may take to end when asked kindly, ms. */
const STOP_LIMIT_MS = 3_000;
/** Lines of output kept for the message when a start fails. */
const OUTPUT_LINES_MAX = 50;

export interface ClusterOptions {
  readonly count: number;
  /** Base64 key for encrypted gossip. */
  readonly encryptKey?: string;
  /** Further flags of `serf agent`. */
  extraFlags?(name: string): readonly string[];
}

/** One place in the cluster, filled by one process at a time. */
export class Slot {
  /** `127.0.0.1:PORT`, once the first process has chosen. */
  gossipAddress = "127.0.0.1:0";
  rpcAddress = "127.0.0.1:0";
  process: AgentProcess | undefined;
  /** What its agent reports: status by name. Absent while it does not answer. */
  view: ReadonlyMap<string, string> | undefined;

  constructor(readonly name: string) {}
}

/** How `serf` is started, program first: the executable if it was built. */
export function serfCommand(executable: string = EXECUTABLE): string[] {
  try {
    if (Deno.statSync(executable).isFile) return [executable];
  } catch {
    // It was not built; so it runs from source.
  }
  const config = `--config=${ROOT}/deno.json`;
  return [Deno.execPath(), "run", "--quiet", "-A", config, `${ROOT}/main.ts`];
}

/** One running `serf agent`. */
export class AgentProcess {
  readonly exited: Promise<Deno.CommandStatus>;
  readonly #child: Deno.ChildProcess;
  readonly #output: string[] = [];
  #client: Promise<RpcClient> | undefined;

  constructor(flags: readonly string[]) {
    const [program, ...args] = serfCommand() as [string, ...string[]];
    this.#child = new Deno.Command(program, {
      args: [...args, "agent", ...flags],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.exited = this.#child.status;
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Ends the process without mercy, or as `signal` says. */
  kill(signal: Deno.Signal = "SIGKILL"): void {
    try {
      this.#child.kill(signal);
    } catch {
      // It has ended already.
    }
  }

  /**
   * Waits until the agent serves commands.
   *
   * @returns its addresses
   * @throws {Error} with its output, when it ends or takes too long
   */
  async ready(): Promise<{ gossipAddress: string; rpcAddress: string }> {
    const limit = setTimeout(() => this.kill(), START_LIMIT_MS);
    const errors = this.#follow(this.#child.stderr, () => {});
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const output = this.#follow(this.#child.stdout, (line) => {
      if (line.includes("Log data will now stream")) resolve(true);
    });
    Promise.all([output, errors]).then(() => resolve(false));
    const isReady = await promise;
    clearTimeout(limit);
    const text = this.#output.join("\n");
    if (!isReady) throw new Error(`An agent did not start:\n${text}`);
    return {
      gossipAddress: fieldOf(text, "Bind addr"),
      rpcAddress: fieldOf(text, "RPC addr"),
    };
  }

  /** What the agent at `rpcAddress` says of everybody; `undefined` for no answer. */
  async askMembers(
    rpcAddress: string,
  ): Promise<ReadonlyMap<string, string> | undefined> {
    try {
      this.#client ??= RpcClient.connect({ address: rpcAddress });
      const members = await (await this.#client).members();
      return new Map(members.map(({ name, status }) => [name, status]));
    } catch {
      this.#client = undefined;
      return undefined;
    }
  }

  /** Closes the connection to the agent, so that nothing is left of it here. */
  async forget(): Promise<void> {
    const client = this.#client;
    this.#client = undefined;
    await client?.then((open) => open.close(), () => {});
  }

  /** Reads the whole stream; a process whose output nobody reads would stop. */
  async #follow(
    stream: ReadableStream<Uint8Array>,
    onLine: (line: string) => void,
  ): Promise<void> {
    let rest = "";
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        if (this.#output.length < OUTPUT_LINES_MAX) this.#output.push(line);
        onLine(line);
      }
    }
  }
}

export class DemoCluster {
  readonly slots: readonly Slot[];
  readonly #options: ClusterOptions;
  readonly #processes = new Set<AgentProcess>();
  #isStopping = false;

  constructor(options: ClusterOptions) {
    this.#options = options;
    this.slots = Array.from(
      { length: options.count },
      (_, i) => new Slot(`n${i + 1}`),
    );
  }

  /** Pids of all processes that have not ended. */
  get pids(): number[] {
    return [...this.#processes].map(({ pid }) => pid);
  }

  /**
   * Starts every agent.
   *
   * @throws {Error} when one does not start; call `stop` for the others
   */
  async start(): Promise<void> {
    const [founder, ...others] = this.slots;
    if (founder !== undefined) await this.launch(founder);
    await Promise.all(others.map((slot) => this.launch(slot)));
  }

  /** Fills an empty slot with a process that joins the others. */
  async launch(slot: Slot): Promise<void> {
    const contact = this.slots.find((other) =>
      other !== slot && other.process !== undefined
    );
    const { encryptKey, extraFlags } = this.#options;
    const flags = [
      `-node=${slot.name}`,
      `-bind=${slot.gossipAddress}`,
      `-rpc-addr=${slot.rpcAddress}`,
      "-profile=local",
      ...(contact ? [`-join=${contact.gossipAddress}`] : []),
      ...(encryptKey ? [`-encrypt=${encryptKey}`] : []),
      ...(extraFlags?.(slot.name) ?? []),
    ];
    if (this.#isStopping) throw new Error("The cluster is being stopped");
    const process = new AgentProcess(flags);
    this.#processes.add(process);
    process.exited.then(() => this.#onExit(slot, process));
    Object.assign(slot, await process.ready());
    if (this.#processes.has(process)) slot.process = process;
  }

  /** Asks every agent how it sees the others. */
  async poll(): Promise<void> {
    await Promise.all(this.slots.map(async (slot) => {
      slot.view = await slot.process?.askMembers(slot.rpcAddress);
    }));
  }

  /** Ends all processes and waits until they are gone. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    const processes = [...this.#processes];
    for (const process of processes) process.kill("SIGTERM");
    const limit = setTimeout(() => {
      for (const process of processes) process.kill();
    }, STOP_LIMIT_MS);
    await Promise.all(processes.map((process) => process.exited));
    clearTimeout(limit);
  }

  #onExit(slot: Slot, process: AgentProcess): void {
    this.#processes.delete(process);
    process.forget();
    if (slot.process !== process) return;
    slot.process = undefined;
    slot.view = undefined;
  }
}

/** A value of the start-up table. */
function fieldOf(output: string, label: string): string {
  const value = new RegExp(`${label}: '(.*)'`).exec(output)?.[1];
  if (value === undefined) throw new Error(`No "${label}" in:\n${output}`);
  return value;
}
