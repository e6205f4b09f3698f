/**
 * `serf agent`: runs a node of the cluster until it is told to stop.
 *
 * All output goes to standard output. Messages carry `==> `, facts and log lines
 * four spaces; log lines are held back until the start-up text is complete.
 */

import { Agent, AgentStartError, RpcStartError } from "../lib/agent/agent.ts";
import {
  type AgentSettings,
  ConfigError,
  type ConfigWorld,
  explainError,
  type MergedSettings,
  mergeSettings,
  resolveSettings,
  type SettingsLayer,
} from "../lib/agent/config.ts";
import { readConfigPaths, type ReadOptions } from "../lib/agent/config_path.ts";
import { AgentLog } from "../lib/agent/log.ts";
import { LOG_METRICS } from "../lib/agent/log_metrics.ts";
import type { Discovery } from "../lib/agent/discovery.ts";
import type { InitProcess } from "../lib/agent/init_process.ts";
import { Reloader } from "../lib/agent/reload.ts";
import { retryJoin } from "../lib/agent/retry_join.ts";
import { keepSeeds, SeedSchedule } from "../lib/agent/seeds.ts";
import { watchRuntime } from "../lib/agent/runtime_metrics.ts";
import {
  awaitEnd,
  ignoreSignals,
  onDumpSignal,
  ProcessSignals,
} from "../lib/agent/signals.ts";
import { securityWarnings } from "../lib/agent/security.ts";
import type { ServiceNotifier } from "../lib/agent/service_notify.ts";
import type { Syslog } from "../lib/agent/syslog.ts";
import { engineProblems } from "../lib/agent/start_checks.ts";
import { Telemetry } from "../lib/agent/telemetry.ts";
import { Metrics } from "../lib/kit/metrics.ts";
import { monotonicMs, wallClock } from "../lib/net/clock.ts";
import { seededRandom } from "../lib/net/entropy.ts";
import { interfaceAddresses } from "../lib/net/interfaces.ts";
import type { MdnsInterface } from "../lib/net/mdns.ts";
import { MDNS_METRICS } from "../lib/net/metrics.ts";
import { checkAgent } from "./agent_check.ts";
import { AgentConsole, startUpFacts } from "./agent_console.ts";
import {
  AGENT_FLAGS,
  type AgentFlags,
  configPaths,
  layerOfFlags,
} from "./agent_flags.ts";
import { type Command, failUsage, readFlags, renderHelp } from "./command.ts";
import { debuggerTrouble } from "./debugger_guard.ts";
import { OutputQueue, type OutputWatcher } from "./output_queue.ts";
import { agentNeeds } from "./permissions.ts";
import type { OutputStream, Terminal } from "./terminal.ts";

export const command: Command = {
  help: () =>
    renderHelp({
      usage: "agent [options]",
      description: [
        "Starts a Serf agent, which takes part in a cluster as one of its",
        "members and runs until it is interrupted or told to leave. All other",
        "commands talk to a running agent. Settings come from files and flags;",
        "on SIGHUP the agent reads them again.",
      ],
      flags: AGENT_FLAGS,
    }),

  async run(args, terminal) {
    const console = new AgentConsole(terminal, wallClock);
    const flags = readFlags(command, AGENT_FLAGS, args, {
      isTerminal: terminal.isTerminal,
      out: (text) => terminal.out(`==> ${text}`),
      outBytes: (bytes) => terminal.outBytes(bytes),
      err: (text) => terminal.err(text),
      control: (stream, sequence) => terminal.control(stream, sequence),
      env: (name) => terminal.env(name),
      onInterrupt: (listener) => terminal.onInterrupt(listener),
      keepOnly: (permissions) => terminal.keepOnly(permissions),
      queueOutput: (open) => terminal.queueOutput(open),
    });
    if (flags === undefined) return 1;
    const world: ConfigWorld = {
      hostname: () => Deno.hostname(),
      say: (message) => console.say(message),
    };
    if (flags.values.check) return await checkAgent(flags, world, terminal);
    if (flags.given.some(({ name }) => name === "format")) {
      return failUsage(command, "==> -format is for -check", terminal);
    }
    const sources = new Sources(flags, world);
    try {
      return await runAgent(sources, console, terminal);
    } catch (error) {
      if (error instanceof ConfigError || error instanceof AgentStartError) {
        console.open(sources.isJson);
        console.complain(sources.explain(error));
        return 1;
      }
      throw error;
    }
  },
};

/** Files and flags: where the settings come from, now and at a reload. */
class Sources {
  readonly #flags: AgentFlags;
  readonly #world: ConfigWorld;
  #layers: readonly SettingsLayer[] = [];
  #merged: MergedSettings | undefined;

  constructor(flags: AgentFlags, world: ConfigWorld) {
    this.#flags = flags;
    this.#world = world;
  }

  /** Whether standard output is to be JSON, as far as that is known. */
  get isJson(): boolean {
    return this.#merged?.logJson ?? this.#flags.values["log-json"];
  }

  /** Whether some of them are files. */
  get hasFiles(): boolean {
    return configPaths(this.#flags).length > 0;
  }

  /** @throws {ConfigError} with the first mistake */
  async merge(options: ReadOptions = {}): Promise<MergedSettings> {
    const flags = layerOfFlags(this.#flags.values);
    const files = await readConfigPaths(configPaths(this.#flags), options);
    this.#layers = [...files, flags];
    this.#merged = mergeSettings(this.#layers, this.#world);
    return this.#merged;
  }

  /** As `merge`, at a reload, with errors that need no explanation any more. */
  async mergeAgain(): Promise<MergedSettings> {
    try {
      return await this.merge({ isReload: true });
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      throw new ConfigError(this.explain(error), { cause: error });
    }
  }

  /** @throws {ConfigError} with the first mistake */
  async resolve(merged: MergedSettings): Promise<AgentSettings> {
    return await resolveSettings(merged, this.#world) as AgentSettings;
  }

  /** What should not be left as it is, in the sense of `securityWarnings`. */
  async securityWarnings(merged: MergedSettings): Promise<string[]> {
    return await securityWarnings({ merged, layers: this.#layers });
  }

  /** What went wrong, with the file that has the setting at fault. */
  explain(error: ConfigError | AgentStartError): string {
    return explainError(this.#asConfigError(error), this.#layers);
  }

  #asConfigError(error: ConfigError | AgentStartError): ConfigError {
    if (error instanceof ConfigError) return error;
    const { message } = error;
    if (error instanceof RpcStartError) {
      return new ConfigError(message, { setting: "rpcAddr" });
    }
    const known = this.#merged &&
      engineProblems(this.#merged).find((problem) =>
        problem.message === message
      );
    return known ?? new ConfigError(message);
  }
}

async function runAgent(
  sources: Sources,
  console: AgentConsole,
  terminal: Terminal,
): Promise<number> {
  const merged = await sources.merge();
  console.open(sources.isJson);
  const settings = await sources.resolve(merged);
  const log = new AgentLog({
    level: settings.logLevel,
    isJson: settings.logJson,
    write: (text) => console.write(text),
    now: wallClock,
  });
  const metrics = new Metrics();
  terminal.queueOutput((stream, write) =>
    new OutputQueue({ write, watcher: watchOutput(stream, log, metrics) })
  );
  const syslog = await openSyslog(settings, log, metrics);
  warnOfDebugger(log);
  await using telemetry = Telemetry.start({
    metrics,
    statsdAddr: settings.statsdAddr,
    statsiteAddr: settings.statsiteAddr,
    hostname: () => Deno.hostname(),
    log: (level, text) => log.log(level, text),
  });
  const service = await openService(terminal, log);
  using _ignored = ignoreSignals();
  using _dumps = onDumpSignal(() => console.writeAside(telemetry.dump()));
  const init = Deno.pid === 1 ? await beInit(log) : undefined;
  console.say("Starting Serf agent...");
  for (const warning of await sources.securityWarnings(merged)) {
    log.log("WARN", `agent: ${warning}`);
  }
  const agent = await Agent.start(settings, log, metrics);
  const unwatch = watchRuntime(metrics, () => agent.loopCount);
  let discovery: Discovery | undefined;
  try {
    discovery = await discover(agent, settings, log);
    const rpcAt = await agent.serveRpc(() => telemetry.report());
    terminal.keepOnly(agentNeeds(settings, {
      hasConfigFiles: sources.hasFiles,
      isInit: init !== undefined,
    }));
    console.say("Starting Serf agent RPC...");
    console.introduce(startUpFacts(settings, agent.bound, rpcAt));
    if (settings.startJoin.length > 0) {
      const isJoined = await joinAtStart(agent, settings, console);
      if (!isJoined) return 1;
    }
    const reloader = new Reloader(merged, {
      setLogLevel: (level) => log.setLevel(level),
      replaceHandlers: (handlers) => agent.replaceEventHandlers(handlers),
      setTags: (tags) => agent.reloadTags(tags),
      say: (message) => console.say(message),
    });
    const reload = async () => {
      service?.reloading();
      await reloader.reload(() => sources.mergeAgain());
      service?.reloaded();
    };
    return await runUntilEnd(
      { agent, settings, log, console, service },
      { reloader, reload },
    );
  } finally {
    service?.stopping();
    discovery?.close();
    unwatch();
    await agent.shutdown();
    await init?.endOthers();
    syslog?.close();
    service?.close();
  }
}

/** Counts and logs what becomes of output that is not read. */
function watchOutput(
  stream: OutputStream,
  log: AgentLog,
  metrics: Metrics,
): OutputWatcher {
  const { outputDropped } = metrics.of(LOG_METRICS);
  return {
    onDropped: (lines) => outputDropped.add(lines),
    onTrouble: (reason) =>
      log.log("WARN", `agent: Dropping lines of ${stream}: ${reason}`),
    onRecovery: (lines) =>
      log.log(
        "WARN",
        `agent: ${lines} lines of ${stream} were dropped before this one`,
      ),
  };
}

/** Warns of the signal that opens a debugger, where that cannot be prevented. */
function warnOfDebugger(log: AgentLog): void {
  const reason = debuggerTrouble();
  if (reason === undefined) return;
  log.log(
    "WARN",
    "agent: Do not send SIGUSR1 to this process: it opens the debugger of Deno " +
      `for a moment, which the C library could prevent: ${reason}`,
  );
}

/** Takes over the duties of process 1, as far as that is possible. */
async function beInit(log: AgentLog): Promise<InitProcess | undefined> {
  const { InitProcess } = await import("../lib/agent/init_process.ts");
  try {
    return new InitProcess();
  } catch (error) {
    const reason = (error as Error).message;
    log.log(
      "WARN",
      "agent: Process 1 cannot see to orphaned processes; an init such as " +
        `that of 'docker run --init' can: ${reason}`,
    );
    return undefined;
  }
}

/** Finds the way to systemd, if it has started the agent and wants to hear of it. */
async function openService(
  terminal: Terminal,
  log: AgentLog,
): Promise<ServiceNotifier | undefined> {
  if (!terminal.env("NOTIFY_SOCKET")) return undefined;
  const { SERVICE_VARIABLES, ServiceNotifier } = await import(
    "../lib/agent/service_notify.ts"
  );
  const variables = Object.fromEntries(
    SERVICE_VARIABLES.map((name) => [name, terminal.env(name)]),
  );
  // Handler scripts are no part of what systemd has asked about.
  for (const name of SERVICE_VARIABLES) Deno.env.delete(name);
  try {
    return new ServiceNotifier(variables);
  } catch (error) {
    const reason = (error as Error).message;
    log.log("WARN", `agent: Cannot tell systemd how the agent is: ${reason}`);
    return undefined;
  }
}

/** Copies the log to the system's daemon, if it is to. */
async function openSyslog(
  { syslogFacility: facility }: AgentSettings,
  log: AgentLog,
  metrics: Metrics,
): Promise<Syslog | undefined> {
  if (facility === undefined) return undefined;
  const { Syslog, SyslogError } = await import("../lib/agent/syslog.ts");
  const { syslogDropped } = metrics.of(LOG_METRICS);
  try {
    const syslog = await Syslog.open({
      facility,
      now: wallClock,
      onDropped: () => syslogDropped.add(1),
    });
    log.copyTo((level, text) => syslog.write(level, text));
    return syslog;
  } catch (cause) {
    if (!(cause instanceof SyslogError)) throw cause;
    throw new ConfigError(`Syslog setup failed: ${cause.message}`, { cause });
  }
}

/** Begins to look for others on the local network, if it is to. */
async function discover(
  agent: Agent,
  { discovery, nodeName, replayOnJoin }: AgentSettings,
  log: AgentLog,
): Promise<Discovery | undefined> {
  if (discovery === undefined) return undefined;
  const { Discovery } = await import("../lib/agent/discovery.ts");
  const { cluster, interfaceName, usesIpv4, usesIpv6 } = discovery;
  const { host: ip, port } = agent.advertised;
  const hostName = Deno.hostname();
  const random = seededRandom();
  if (interfaceName !== "") {
    log.log(
      "INFO",
      `agent: Starting mDNS listener on interface ${interfaceName}`,
    );
  }
  try {
    return await Discovery.start({
      service: { cluster, instance: nodeName, hostName, ip, port },
      iface: mdnsInterface(interfaceName),
      usesIpv4,
      usesIpv6,
      join: (addresses) => agent.join(addresses, replayOnJoin),
      log: (level, text) => log.log(level, text),
      onRefused: () => agent.metrics.of(MDNS_METRICS).refused.add(),
      randomId: () => random.uint32() & 0xffff,
    });
  } catch (cause) {
    const reason = (cause as Error).message;
    throw new AgentStartError(`Error starting mDNS listener: ${reason}`, {
      cause,
    });
  }
}

function mdnsInterface(name: string): MdnsInterface | undefined {
  if (name === "") return undefined;
  const addresses = interfaceAddresses(name) ?? [];
  const ipv4 = addresses.find((address) => !address.includes(":"));
  return { name, ...(ipv4 !== undefined && { ipv4 }) };
}

async function joinAtStart(
  agent: Agent,
  { startJoin, replayOnJoin }: AgentSettings,
  console: AgentConsole,
): Promise<boolean> {
  console.say(`Joining cluster...(replay: ${replayOnJoin})`);
  try {
    const contacted = await agent.join(startJoin, replayOnJoin);
    console.tell(`Join completed. Synced with ${contacted} initial agents`);
    return true;
  } catch (error) {
    console.complain((error as Error).message);
    return false;
  }
}

interface Running {
  readonly agent: Agent;
  readonly settings: AgentSettings;
  readonly log: AgentLog;
  readonly console: AgentConsole;
  readonly service: ServiceNotifier | undefined;
}

async function runUntilEnd(
  { agent, settings, log, console, service }: Running,
  { reloader, reload }: { reloader: Reloader; reload(): Promise<void> },
): Promise<number> {
  // Before the text that tells people, and scripts, that the agent is up.
  const signals = new ProcessSignals();
  const end = new AbortController();
  try {
    console.announceLog();
    log.open();
    service?.ready({ overdueMs: () => agent.overdueMs });
    const gaveUp = joinAndKeepSeeds(agent, settings, end.signal);
    return await awaitEnd(agent, signals, {
      say: (message) => console.say(message),
      leavesOn: (signal) =>
        signal === "interrupt"
          ? !reloader.current.skipLeaveOnInterrupt
          : reloader.current.leaveOnTerminate,
      reload,
      gaveUp,
    });
  } finally {
    end.abort();
    signals.close();
  }
}

/**
 * Joins with retries, and sees to the seeds from then on.
 *
 * @returns when joining was given up; never otherwise
 */
function joinAndKeepSeeds(
  agent: Agent,
  settings: AgentSettings,
  signal: AbortSignal,
): Promise<void> {
  const { startJoin, retryJoin: addresses, retryIntervalMs } = settings;
  const { promise: gaveUp, resolve: giveUp } = Promise.withResolvers<void>();
  const run = async () => {
    const outcome = await retryJoin(agent, {
      addresses,
      replay: settings.replayOnJoin,
      intervalMs: retryIntervalMs,
      attemptsMax: settings.retryMaxAttempts,
      signal,
    });
    if (outcome === "gaveUp") return giveUp();
    await keepSeeds(agent, {
      schedule: new SeedSchedule(
        [...startJoin, ...addresses],
        retryIntervalMs,
        seededRandom(),
        monotonicMs(),
      ),
      defaultPort: agent.bound.port,
      now: monotonicMs,
      signal,
    });
  };
  run();
  return gaveUp;
}
