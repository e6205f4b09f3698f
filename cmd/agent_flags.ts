/** The flags of `serf agent`, and what they say about the settings. */

import {
  ConfigError,
  DEFAULT_BIND_PORT,
  DEFAULT_SETTINGS,
  parseTags,
  refuse,
  type ReportMistake,
  type SettingsLayer,
} from "../lib/agent/config.ts";
import { formatDuration, parseDuration } from "../lib/kit/duration.ts";
import {
  booleanFlag,
  type FlagValues,
  integerFlag,
  listFlag,
  type ParsedFlags,
  textFlag,
} from "./flags.ts";

export const AGENT_FLAGS = {
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
      "stand in brackets: [::1] or [::1]:7946; [::] hears",
      "IPv6 and IPv4. Port 0 lets the system choose.",
    ],
  }),
  "broadcast-timeout": textFlag("", {
    shown: `broadcast-timeout=${
      formatDuration(DEFAULT_SETTINGS.broadcastTimeoutMs)
    }`,
    text: [
      "Longest wait for a leave or a change of tags to be",
      "gossiped; at least 1s.",
    ],
  }),
  "check": booleanFlag(false, {
    text: [
      "Checks the configuration, shows the settings that are",
      "in force and where each comes from, and ends: with 0",
      "if an agent could be started with them, else with 1",
      "after a list of all that is wrong.",
    ],
  }),
  "config-dir": listFlag({
    shown: "config-dir=DIRECTORY",
    text: [
      "Directory of configuration files: all of its files",
      "ending in .json, in the order of their names. May be",
      "given several times, mixed with -config-file.",
    ],
  }),
  "config-file": listFlag({
    shown: "config-file=FILE",
    text: [
      "Configuration file in JSON. Files are read in the order",
      "of the command line; later ones win over earlier ones,",
      "flags win over all files, and lists are appended.",
    ],
  }),
  "disable-compression": booleanFlag(false, {
    text: ["Sends nothing compressed. Others still may."],
  }),
  "discover": textFlag("", {
    shown: "discover=NAME",
    text: [
      "Find agents that discover the same name on the local",
      "network, by multicast DNS, and join them.",
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
  "event-handler": listFlag({
    shown: "event-handler=FILTER=SCRIPT",
    text: [
      "Script to run on events, all or those of the filter:",
      "member-join, user:NAME, query:NAME and so on, with",
      "commas between them. May be given several times.",
    ],
  }),
  "format": textFlag("text", {
    shown: "format=text",
    text: [
      "Output of -check: 'text'; 'json' for a configuration",
      "file with all settings but the secrets; 'report' for a",
      "JSON document with all that was found.",
    ],
  }),
  "iface": textFlag("", {
    shown: "iface=NAME",
    text: [
      "Network interface to bind to, by its first address; if",
      "-bind names an address, the interface must have it.",
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
    shown: "keyring-file=FILE",
    text: ["File that keeps the encryption keys between runs."],
  }),
  "log-json": booleanFlag(false, {
    text: [
      "Writes everything on standard output as JSON, one",
      "object a line, with the keys that Consul's logs have.",
    ],
  }),
  "log-level": textFlag("", {
    shown: "log-level=info",
    text: [
      "Least important log lines shown: trace, debug, info,",
      "warn, err.",
    ],
  }),
  "mdns-disable-ipv4": booleanFlag(false, {
    text: ["Discover over IPv6 alone."],
  }),
  "mdns-disable-ipv6": booleanFlag(false, {
    text: ["Discover over IPv4 alone."],
  }),
  "mdns-iface": textFlag("", {
    shown: "mdns-iface=NAME",
    text: [
      "Network interface for discovery; by default that of",
      "'-iface', or the system's choice.",
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
  "rejoin": booleanFlag(false, {
    text: [
      "Joins the members of the snapshot even if this member",
      "had left the cluster.",
    ],
  }),
  "replay": booleanFlag(false, {
    text: ["Delivers user events from before a join."],
  }),
  "retry-interval": textFlag("", {
    shown: `retry-interval=${formatDuration(DEFAULT_SETTINGS.retryIntervalMs)}`,
    text: ["Pause between the tries of -retry-join, at least 1s."],
  }),
  "retry-join": listFlag({
    shown: "retry-join=ADDRESS",
    text: [
      "Member to join, like -join, but tried again until one",
      "can be reached. May be given several times.",
    ],
  }),
  "retry-max": integerFlag(0, {
    shown: "retry-max=0",
    text: [
      "How often a failed try is repeated before the agent",
      "ends; 0 for no limit.",
    ],
  }),
  "role": textFlag("", {
    shown: "role=ROLE",
    text: ["Older way to say -tag role=ROLE."],
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
      "machine can see it in the list of processes; a",
      "configuration file keeps it from them.",
    ],
  }),
  "snapshot": textFlag("", {
    shown: "snapshot=FILE",
    text: ["File that keeps members and clocks between runs."],
  }),
  "syslog": booleanFlag(false, {
    text: ["Also write the log to the system's log daemon."],
  }),
  "tag": listFlag({
    shown: "tag KEY=VALUE",
    text: ["Tag of this member. May be given several times."],
  }),
  "tags-file": textFlag("", {
    shown: "tags-file=FILE",
    text: ["File that keeps the tags between runs."],
  }),
};

export type AgentFlags = ParsedFlags<typeof AGENT_FLAGS>;

/** Files and directories with settings, in the order of the command line. */
export function configPaths({ given }: AgentFlags): string[] {
  return given.filter(({ name }) =>
    name === "config-file" || name === "config-dir"
  ).map(({ text }) => text);
}

/**
 * What the command line says about the settings.
 *
 * @throws {ConfigError} by way of `report`; what it is about is left out
 */
export function layerOfFlags(
  values: FlagValues<typeof AGENT_FLAGS>,
  report: ReportMistake = refuse,
): SettingsLayer {
  const attempt = <T>(read: () => T, instead: T): T => {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      report(error);
      return instead;
    }
  };
  const tags = attempt(() => parseTags(values["tag"]), new Map());
  const durationOf = (name: "retry-interval" | "broadcast-timeout") =>
    attempt(() => readDuration(values[name]), 0);
  return {
    nodeName: values["node"],
    role: values["role"],
    tags,
    tagsFile: values["tags-file"],
    bind: values["bind"],
    interfaceName: values["iface"],
    advertise: values["advertise"],
    encryptKey: values["encrypt"],
    keyringFile: values["keyring-file"],
    logLevel: values["log-level"],
    logJson: values["log-json"],
    profile: values["profile"],
    protocol: values["protocol"],
    rpcAddr: values["rpc-addr"],
    rpcAuth: values["rpc-auth"],
    startJoin: values["join"],
    retryJoin: values["retry-join"],
    retryMaxAttempts: values["retry-max"],
    retryIntervalMs: durationOf("retry-interval"),
    replayOnJoin: values["replay"],
    eventHandlers: values["event-handler"],
    snapshotPath: values["snapshot"],
    rejoinAfterLeave: values["rejoin"],
    broadcastTimeoutMs: durationOf("broadcast-timeout"),
    disableCompression: values["disable-compression"],
    enableSyslog: values["syslog"],
    discover: values["discover"],
    mdnsInterface: values["mdns-iface"],
    mdnsDisableIpv4: values["mdns-disable-ipv4"],
    mdnsDisableIpv6: values["mdns-disable-ipv6"],
  };
}

/** Milliseconds; 0 when nothing is given. */
function readDuration(text: string): number {
  if (text === "") return 0;
  try {
    return parseDuration(text);
  } catch (error) {
    throw new ConfigError(`Error: ${(error as Error).message}`, {
      cause: error,
    });
  }
}
