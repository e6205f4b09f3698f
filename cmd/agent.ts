/**
 * `serf agent`: runs a node of the cluster until it is told to stop.
 *
 * All output goes to standard output. Messages carry `==> `, facts and log lines
 * four spaces; log lines are held back until the start-up text is complete.
 */

import { Agent, AgentStartError, showAddress } from "../lib/agent/agent.ts";
import {
  type AgentSettings,
  ConfigError,
  DEFAULT_BIND_PORT,
  DEFAULT_SETTINGS,
  parseTags,
  readSettings,
  type SettingsLayer,
} from "../lib/agent/config.ts";
import { AgentLog } from "../lib/agent/log.ts";
import { awaitEnd, ProcessSignals } from "../lib/agent/signals.ts";
import type { HostPort } from "../lib/kit/address.ts";
import { wallClock } from "../lib/net/clock.ts";
import {
  formatRpcEndpoint,
  type RpcEndpoint,
} from "../lib/net/rpc_endpoint.ts";
import { type Command, readFlags, renderHelp } from "./command.ts";
import { type FlagValues, integerFlag, listFlag, textFlag } from "./flags.ts";
import type { Terminal } from "./terminal.ts";

const FLAGS = {
  "advertise": textFlag("", {
    shown: "advertise=ADDRESS",
    text: [
      "Address that other members are told to use, if it is",
      "not the one that the agent is bound to.",
    ],
  }),
  "bind": textFlag("", {
    shown: `bind=${DEFAULT_SETTINGS.bind}:${DEFAULT_BIND_PORT}`,
    text: [
      "Address for gossip, over UDP and TCP. IPv6 addresses",
      "stand in brackets: [::1] or [::1]:7946. Port 0 lets",
      "the system choose.",
    ],
  }),
  "encrypt": textFlag("", {
    shown: "encrypt=KEY",
    text: [
      "Key that encrypts all gossip: 16, 24 or 32 bytes in",
      "base64, as `serf keygen` prints it. All members of a",
      "cluster need the same one.",
    ],
  }),
  "join": listFlag({
    shown: "join=ADDRESS",
    text: [
      "Member to join at start: HOST, HOST:PORT or",
      "NAME/HOST:PORT. May be given several times; the agent",
      "ends when none can be reached.",
    ],
  }),
  "keyring-file": textFlag("", {
    shown: "keyring-file=PATH",
    text: [
      "File with the keys that encrypt all gossip, a JSON list",
      "of them, the one in use first. `serf keys` changes it.",
      "Excludes '-encrypt'.",
    ],
  }),
  "log-level": textFlag("", {
    shown: "log-level=info",
    text: [
      "Least important log lines shown: trace, debug, info,",
      "warn, err.",
    ],
  }),
  "node": textFlag("", {
    shown: "node=HOSTNAME",
    text: ["Name of this member, unique in the cluster."],
  }),
  "profile": textFlag("", {
    shown: `profile=${DEFAULT_SETTINGS.profile}`,
    text: [
      "Timing for the network between the members: lan, wan",
      "or local.",
    ],
  }),
  "protocol": integerFlag(0, {
    shown: `protocol=${DEFAULT_SETTINGS.protocol}`,
    text: ["Version of the Serf protocol to speak, 2 to 5."],
  }),
  "rpc-addr": textFlag("", {
    shown: `rpc-addr=${DEFAULT_SETTINGS.rpcAddr}`,
    text: [
      "Address where this agent takes commands: HOST:PORT, or",
      "unix:///PATH for a socket that only its owner may use.",
    ],
  }),
  "rpc-auth": textFlag("", {
    shown: "rpc-auth=TOKEN",
    text: [
      "Token that commands must present. Other users of this",
      "machine can see it in the list of processes.",
    ],
  }),
  "tag": listFlag({
    shown: "tag KEY=VALUE",
    text: ["Tag of this member. May be given several times."],
  }),
};

export const command: Command = {
  help: () =>
    renderHelp({
      usage: "agent [options]",
      description: [
        "Starts a Serf agent, which takes part in a cluster as one of its",
        "members and runs until it is interrupted or told to leave. All other",
        "commands talk to a running agent.",
      ],
      flags: FLAGS,
    }),

  async run(args, terminal) {
    const console = new AgentConsole(terminal);
    const flags = readFlags(command, FLAGS, args, {
      isTerminal: terminal.isTerminal,
      out: (text) => terminal.out(`==> ${text}`),
      err: (text) => terminal.err(text),
      env: (name) => terminal.env(name),
      onInterrupt: (listener) => terminal.onInterrupt(listener),
    });
    if (flags === undefined) return 1;
    try {
      const settings = await readSettings([layerOf(flags.values)], Deno);
      return await runAgent(settings, console, terminal);
    } catch (error) {
      if (error instanceof ConfigError || error instanceof AgentStartError) {
        console.say(error.message);
        return 1;
      }
      throw error;
    }
  },
};

/** What the command line says about the settings. */
function layerOf(values: FlagValues<typeof FLAGS>): SettingsLayer {
  return {
    nodeName: values["node"],
    bind: values["bind"],
    advertise: values["advertise"],
    encryptKey: values["encrypt"],
    keyringFile: values["keyring-file"],
    logLevel: values["log-level"],
    profile: values["profile"],
    protocol: values["protocol"],
    rpcAddr: values["rpc-addr"],
    rpcAuth: values["rpc-auth"],
    tags: parseTags(values["tag"]),
    startJoin: values["join"],
  };
}

async function runAgent(
  settings: AgentSettings,
  console: AgentConsole,
  terminal: Terminal,
): Promise<number> {
  const log = new AgentLog({
    level: settings.logLevel,
    write: (text) => terminal.out(text),
    now: wallClock,
  });
  console.say("Starting Serf agent...");
  const agent = await Agent.start(settings, log);
  try {
    const rpcAt = await agent.serveRpc();
    console.say("Starting Serf agent RPC...");
    console.say("Serf agent running!");
    for (const line of startUpTable(settings, agent.bound, rpcAt)) {
      console.tell(line);
    }
    if (settings.startJoin.length > 0) {
      const isJoined = await joinAtStart(agent, settings.startJoin, console);
      if (!isJoined) return 1;
    }
    return await runUntilEnd(agent, log, console);
  } finally {
    await agent.shutdown();
  }
}

async function joinAtStart(
  agent: Agent,
  addresses: readonly string[],
  console: AgentConsole,
): Promise<boolean> {
  console.say("Joining cluster...(replay: false)");
  try {
    const contacted = await agent.join(addresses, false);
    console.tell(`Join completed. Synced with ${contacted} initial agents`);
    return true;
  } catch (error) {
    console.say((error as Error).message);
    return false;
  }
}

async function runUntilEnd(
  agent: Agent,
  log: AgentLog,
  console: AgentConsole,
): Promise<number> {
  // Before the text that tells people, and scripts, that the agent is up.
  const signals = new ProcessSignals();
  try {
    console.say("");
    console.say("Log data will now stream in as it occurs:");
    console.say("");
    log.open();
    return await awaitEnd(agent, signals, {
      say: (message) => console.say(message),
    });
  } finally {
    signals.close();
  }
}

/** Width of the labels in the start-up table. */
const LABEL_WIDTH = 27;

/** What the agent shows of itself when it runs. */
export function startUpTable(
  settings: AgentSettings,
  bound: HostPort,
  rpcAt: RpcEndpoint,
): string[] {
  const row = (label: string, value: unknown) =>
    `${label.padStart(LABEL_WIDTH)}: ${value}`;
  const { advertise } = settings;
  return [
    row("Node name", `'${settings.nodeName}'`),
    row("Bind addr", showAddress(bound)),
    // This one row is not aligned; neither is it in the original.
    ...(advertise ? [`Advertise addr: ${showAddress(advertise)}`] : []),
    // As it was given, unless it left the choice of the port to the system.
    row(
      "RPC addr",
      settings.rpcAddr.endsWith(":0")
        ? `'${formatRpcEndpoint(rpcAt)}'`
        : `'${settings.rpcAddr}'`,
    ),
    row(
      "Encrypted",
      settings.encryptKey !== undefined || settings.keyringFile !== undefined,
    ),
    row("Snapshot", false),
    row("Profile", settings.profile),
    row("Message Compression Enabled", true),
  ];
}

/** The agent's two ways to say something beside its log. */
class AgentConsole {
  constructor(readonly terminal: Terminal) {}

  /** A message; an empty one is an empty line. */
  say(message: string): void {
    this.terminal.out(message === "" ? "\n" : `==> ${message}\n`);
  }

  /** A fact. */
  tell(message: string): void {
    this.terminal.out(`    ${message}\n`);
  }
}
