/**
 * Clusters of real agents for the whole-program tests.
 *
 * A `Cluster` starts agents of either kind on loopback addresses, watches them
 * and removes every trace of them when disposed of, also after a failure. Here,
 * and only here, real time passes: a test waits for a condition with a deadline
 * (`eventually`), never for a duration, and when the condition does not come
 * true the failure shows what every agent printed.
 */

import { dirname } from "node:path";
import { lacks, type ProgramName } from "../programs.ts";
import { type FreeAddress, PortSource } from "./ports.ts";
import {
  type CliOptions,
  type CliResult,
  type Exit,
  type Kind,
  requireHashicorp,
  runCli,
  Running,
} from "./programs.ts";
import { type EventRecord, type RpcMember, RpcProbe } from "./rpc_probe.ts";

export {
  type Kind,
  KINDS,
  requireHashicorp,
  runCli,
  Running,
} from "./programs.ts";
export type { CliOptions, CliResult, Exit } from "./programs.ts";

/** A program of ours compiles at its start, several at a time on a busy machine. */
const START_DEADLINE_MS = 60_000;
/**
 * Gossip may miss a node; what it missed comes with the next exchange of state,
 * which every node begins within two of its intervals (30 s with the LAN profile).
 */
const EVENTUALLY_DEADLINE_MS = 75_000;
const POLL_INTERVAL_MS = 50;
/** How often a cluster looks whether the machine has time for it. */
const PULSE_INTERVAL_MS = 50;
/** A wait that takes so much longer than it should means a machine that stood still. */
const STALL_MS = 250;
/** Of each agent's output, this much of the end is shown on failure. */
const DUMP_CHARACTERS = 6_000;

export interface AgentOptions {
  readonly kind: Kind;
  readonly name: string;
  readonly tags?: Record<string, string>;
  /** base64 of 16, 24 or 32 bytes. */
  readonly encrypt?: string | undefined;
  readonly logLevel?: string;
  readonly rpcAuth?: string | undefined;
  /** The test has put the token into a configuration file. */
  readonly isTokenInFile?: boolean;
  readonly profile?: "lan" | "wan" | "local";
  /** Gossip addresses to join at start. */
  readonly join?: readonly string[];
  /** Loopback address to bind. */
  readonly host?: string;
  readonly extraArgs?: readonly string[];
  /** Variables of its environment, on top of ours. */
  readonly env?: Record<string, string>;
}

/** One agent process and where it listens. */
export class Agent {
  readonly process: Running;
  /** Kept open, since every new connection leaves a line in the agent's log. */
  #rpc: RpcProbe | undefined;

  constructor(
    readonly options: AgentOptions,
    readonly gossip: FreeAddress,
    readonly rpc: FreeAddress,
    configFile: string | undefined,
  ) {
    const {
      kind,
      name,
      tags = {},
      encrypt,
      logLevel = "debug",
      rpcAuth,
      isTokenInFile,
      profile,
    } = options;
    this.process = new Running(kind, [
      "agent",
      `-node=${name}`,
      `-bind=${gossip.text}`,
      `-rpc-addr=${rpc.text}`,
      `-log-level=${logLevel}`,
      ...Object.entries(tags).flatMap((
        [key, value],
      ) => ["-tag", `${key}=${value}`]),
      ...(encrypt === undefined ? [] : [`-encrypt=${encrypt}`]),
      ...(profile === undefined ? [] : [`-profile=${profile}`]),
      ...(rpcAuth === undefined || kind === "hashicorp" || isTokenInFile
        ? []
        : [`-rpc-auth=${rpcAuth}`]),
      ...(configFile === undefined ? [] : [`-config-file=${configFile}`]),
      ...(options.join ?? []).flatMap((address) => ["-join", address]),
      ...(options.extraArgs ?? []),
    ], options.env);
  }

  get kind(): Kind {
    return this.options.kind;
  }

  get name(): string {
    return this.options.name;
  }

  /** Everything it printed on standard output so far. */
  get output(): string {
    return this.process.stdout;
  }

  /** Flags by which a command reaches this agent. */
  get rpcFlags(): string[] {
    const { rpcAuth } = this.options;
    return [
      `-rpc-addr=${this.rpc.text}`,
      ...(rpcAuth === undefined ? [] : [`-rpc-auth=${rpcAuth}`]),
    ];
  }

  signal(signal: Deno.Signal): void {
    this.process.signal(signal);
  }

  /** Opens an RPC connection that shares no code with the program. */
  openRpc(): Promise<RpcProbe> {
    return RpcProbe.open({
      host: this.rpc.host,
      port: this.rpc.port,
      token: this.options.rpcAuth,
    });
  }

  /** Its members, by name. */
  async members(): Promise<Map<string, RpcMember>> {
    const rpc = this.#rpc ??= await this.openRpc();
    try {
      const members = await rpc.members();
      return new Map(members.map((member) => [member.Name, member]));
    } catch (error) {
      await this.closeRpc();
      throw error;
    }
  }

  /** Closes the connection behind `members`, if there is one. */
  async closeRpc(): Promise<void> {
    const rpc = this.#rpc;
    this.#rpc = undefined;
    await rpc?.[Symbol.asyncDispose]();
  }

  /** Runs `serf COMMAND` of the given kind against this agent. */
  command(
    kind: Kind,
    command: string,
    args: readonly string[] = [],
    options: CliOptions = {},
  ): Promise<CliResult> {
    return runCli(kind, [command, ...this.rpcFlags, ...args], options);
  }

  /** As `command`, failing unless it exits with 0; returns standard output. */
  async succeed(
    kind: Kind,
    command: string,
    args: readonly string[] = [],
  ): Promise<string> {
    const result = await this.command(kind, command, args);
    if (result.code !== 0 || result.stderr !== "") {
      throw new Error(
        `${kind} 'serf ${command} ${
          args.join(" ")
        }' against ${this.name} (${this.kind}) ` +
          `exited with ${result.code}:\n${result.stdout}${result.stderr}`,
      );
    }
    return result.stdout;
  }
}

/** Watches one agent's event stream. */
export class EventLog implements AsyncDisposable {
  readonly records: EventRecord[] = [];
  #rpc: RpcProbe;

  private constructor(readonly agent: Agent, rpc: RpcProbe) {
    this.#rpc = rpc;
  }

  static async open(agent: Agent, filter: string): Promise<EventLog> {
    const log = new EventLog(agent, await agent.openRpc());
    await log.#rpc.stream(filter, (record) => log.records.push(record));
    return log;
  }

  /** The user events, of that name if one is given. */
  userEvents(name?: string): EventRecord[] {
    return this.records.filter((record) =>
      record.Event === "user" && (name === undefined || record.Name === name)
    );
  }

  /** What happened to that member, in order, without `member-`. */
  memberEvents(name: string): string[] {
    return this.records
      .filter((record) =>
        record.Members?.some((member) => member.Name === name)
      )
      .map((record) => record.Event.replace("member-", ""));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#rpc[Symbol.asyncDispose]();
  }
}

export class Cluster implements AsyncDisposable {
  /** Every agent ever started here, the ended ones too. */
  readonly agents: Agent[] = [];
  #ports = new PortSource();
  #directory: string | undefined;
  #logs: EventLog[] = [];
  #longestStallMs = 0;
  #pulseMs = performance.now();
  readonly #pulse = setInterval(() => {
    const nowMs = performance.now();
    const lateMs = nowMs - this.#pulseMs - PULSE_INTERVAL_MS;
    this.#longestStallMs = Math.max(this.#longestStallMs, lateMs);
    this.#pulseMs = nowMs;
  }, PULSE_INTERVAL_MS);

  /**
   * Lines by which agents told of a suspicion or a failure. Where the machine stood
   * still for a moment, a suspicion that was refuted says nothing and is left out.
   */
  accusationsOf({ output }: Agent): string[] {
    const accusation = this.#longestStallMs < STALL_MS
      ? /suspect|\bas failed|EventMemberFailed/i
      : /\bas failed|EventMemberFailed/;
    return output.split("\n").filter((line) => accusation.test(line));
  }

  /** Reserves an address without starting anything there. */
  takeAddress(host = "127.0.0.1"): FreeAddress {
    return this.#ports.take(host);
  }

  /** Starts an agent without waiting for it. */
  launch(
    options: AgentOptions,
    at?: { gossip: FreeAddress; rpc: FreeAddress },
  ): Agent {
    const host = options.host ?? "127.0.0.1";
    const agent = new Agent(
      options,
      at?.gossip ?? this.#ports.take(host),
      at?.rpc ?? this.#ports.take(host),
      // HashiCorp's agent takes the token from a file alone.
      options.rpcAuth === undefined || options.kind === "ours" ||
        options.isTokenInFile
        ? undefined
        : this.writeFile(
          `${options.name}.json`,
          JSON.stringify({ rpc_auth: options.rpcAuth }),
        ),
    );
    this.agents.push(agent);
    return agent;
  }

  /** Starts an agent and waits until it has started (and joined, if told to). */
  async start(
    options: AgentOptions,
    at?: { gossip: FreeAddress; rpc: FreeAddress },
  ): Promise<Agent> {
    const agent = this.launch(options, at);
    await this.eventually(`${agent.name} (${agent.kind}) runs`, () => {
      if (agent.process.exit !== undefined) {
        throw new GivingUp(`it exited with ${agent.process.exit.code}`);
      }
      return agent.output.includes("Serf agent running!") &&
        agent.output.includes("Log data will now stream in as it occurs:\n\n");
    }, START_DEADLINE_MS);
    return agent;
  }

  /** Starts the agent anew at its old addresses, with some options changed. */
  async restart(
    agent: Agent,
    changes: Partial<AgentOptions> = {},
  ): Promise<Agent> {
    await agent.process.kill();
    return this.start({ ...agent.options, ...changes }, agent);
  }

  /** Opens an event stream that is closed together with the cluster. */
  async watch(agent: Agent, filter: string): Promise<EventLog> {
    const log = await EventLog.open(agent, filter);
    this.#logs.push(log);
    return log;
  }

  /** Writes a file into a temporary directory of this cluster; returns its path. */
  writeFile(name: string, text: string): string {
    this.#directory ??= Deno.makeTempDirSync({ prefix: "serf_e2e_" });
    const path = `${this.#directory}/${name}`;
    Deno.mkdirSync(dirname(path), { recursive: true });
    Deno.writeTextFileSync(path, text);
    return path;
  }

  /**
   * Waits until an agent has printed something. What is held back during its
   * start, and what it logs while it answers a command, is read a moment later.
   */
  async prints(agent: Agent, what: string | RegExp): Promise<void> {
    await this.eventually(
      `${agent.name} (${agent.kind}) prints ${what}`,
      () =>
        typeof what === "string"
          ? agent.output.includes(what)
          : what.test(agent.output),
    );
  }

  /** Waits until the agent's process has ended. */
  async exitOf(
    agent: Agent,
    deadlineMs = EVENTUALLY_DEADLINE_MS,
  ): Promise<Exit> {
    await this.eventually(
      `${agent.name} (${agent.kind}) ends`,
      () => agent.process.exit !== undefined,
      deadlineMs,
    );
    return agent.process.ended;
  }

  /**
   * Waits until `check` returns true; an exception counts as "not yet".
   *
   * @param description what must come true, as a statement
   * @param check returns true, or anything else, which the failure will show
   * @throws {Error} after `deadlineMs`, with the last answer of `check` and the
   * output of every agent
   */
  async eventually(
    description: string,
    check: () => unknown | Promise<unknown>,
    deadlineMs = EVENTUALLY_DEADLINE_MS,
  ): Promise<void> {
    const startMs = performance.now();
    const last = await poll(check, deadlineMs);
    if (last === true) return;
    const seconds = ((performance.now() - startMs) / 1_000).toFixed(1);
    const seen = last instanceof Error
      ? last.message
      : Deno.inspect(last, { depth: 6 });
    throw new Error(
      `Not seen within ${seconds} s: ${description}\nLast: ${seen}\n${this.dump()}`,
    );
  }

  /** What the agents printed, for failure messages. */
  dump(): string {
    return this.agents.map((agent) => {
      const { exit, pid, stderr } = agent.process;
      const state = exit === undefined
        ? "running"
        : `exited ${exit.code} ${exit.signal ?? ""}`;
      return [
        `--- ${agent.name} (${agent.kind}) pid ${pid} gossip ${agent.gossip.text} ` +
        `rpc ${agent.rpc.text}: ${state}`,
        tail(agent.output),
        ...(stderr === "" ? [] : ["--- its stderr", tail(stderr)]),
      ].join("\n");
    }).join("\n");
  }

  /** Kills every agent and waits for its end; removes the files. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#pulse);
    await Promise.all(this.#logs.map((log) => log[Symbol.asyncDispose]()));
    await Promise.all(this.agents.map(async (agent) => {
      await agent.closeRpc();
      await agent.process.kill();
    }));
    this.#ports[Symbol.dispose]();
    if (this.#directory !== undefined) {
      await Deno.remove(this.#directory, { recursive: true });
    }
  }
}

/** Thrown by a condition that can no longer come true. */
export class GivingUp extends Error {
  override name = "GivingUp";
}

/**
 * Asks until `check` returns true or the time is over; an exception counts as
 * "not yet", except `GivingUp`.
 *
 * @returns true, or the last answer or exception
 */
export async function poll(
  check: () => unknown | Promise<unknown>,
  deadlineMs: number,
): Promise<unknown> {
  const startMs = performance.now();
  while (true) {
    let last: unknown;
    try {
      last = await check();
      if (last === true) return true;
    } catch (error) {
      last = error;
      if (error instanceof GivingUp) return error;
    }
    if (performance.now() - startMs > deadlineMs) return last;
    await new Promise((resolve) => setTimeout(resolve, POLL_INTERVAL_MS));
  }
}

/** Runs one named step; a failure ends the test, later steps need its outcome. */
export type Step = (
  name: string,
  body: () => void | Promise<void>,
) => Promise<void>;

export interface TestOptions {
  readonly ignore?: boolean;
  /** Programs without which the test is ignored. */
  readonly needs?: readonly ProgramName[];
}

/** Registers a test; one that needs serf fails where that is not HashiCorp's. */
export function testProgram(
  name: string,
  body: (t: Deno.TestContext) => Promise<void>,
  { ignore = false, needs = [] }: TestOptions = {},
): void {
  Deno.test({ name, ignore: ignore || lacks(...needs) }, async (t) => {
    if (needs.includes("serf")) await requireHashicorp();
    await body(t);
  });
}

/**
 * Registers a test that has a cluster of its own and goes in steps. A failure
 * comes with the output of all agents, and no process outlives the test.
 */
export function testCluster(
  name: string,
  body: (cluster: Cluster, step: Step) => Promise<void>,
  options: TestOptions = {},
): void {
  testProgram(name, async (t) => {
    await using cluster = new Cluster();
    const explained = async (run: () => void | Promise<void>) => {
      try {
        await run();
      } catch (error) {
        if (error instanceof Error && !error.message.includes("\n--- ")) {
          error.message += `\n${cluster.dump()}`;
        }
        throw error;
      }
    };
    const step: Step = async (stepName, run) => {
      const isDone = await t.step(stepName, () => explained(run));
      if (!isDone) {
        throw new Error(`Stopped after the failed step "${stepName}"`);
      }
    };
    await explained(() => body(cluster, step));
  }, options);
}

/** Whether this machine has the IPv6 loopback address; some containers do not. */
export function hasIpv6(): boolean {
  try {
    Deno.listen({ hostname: "::1", port: 0 }).close();
    return true;
  } catch {
    return false;
  }
}

/** A random key of so many bytes, in base64, as `-encrypt` wants it. */
export function randomKey(bytes: 16 | 24 | 32): string {
  return crypto.getRandomValues(new Uint8Array(bytes)).toBase64();
}

/** The end of an output, without the lines that our own polling causes. */
function tail(output: string): string {
  const text = output.replaceAll(/^.*agent\.ipc: Accepted client.*\n/gm, "");
  return text.length <= DUMP_CHARACTERS
    ? text
    : `...${text.slice(-DUMP_CHARACTERS)}`;
}
