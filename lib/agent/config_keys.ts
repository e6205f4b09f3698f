/**
 * The keys of configuration files: one table.
 *
 * Decoding files, merging layers, `serf agent -check`, complaints and the
 * documentation are all driven by it, so that a key is described in one place.
 *
 * Source: serf `config.go` (the tags of Config), and `docs/agent/options`.
 */

import type { SettingName, SettingsLayer } from "./config_layer.ts";

/** How a value is written, and how layers of it are merged. */
export type KeyKind =
  | "text"
  | "boolean"
  | "integer"
  /** A text such as `1m30s`; milliseconds in a layer. */
  | "duration"
  /** Texts; layers are appended. */
  | "list"
  /** Texts by name; layers are merged by name. */
  | "map"
  /** Texts or objects; layers are appended. */
  | "handlers";

/** The settings that can hold a value of a type. */
type SettingOf<T> = {
  [Name in SettingName]: T extends Required<SettingsLayer>[Name] ? Name : never;
}[SettingName];

type Kinded =
  | { readonly kind: "text"; readonly setting: SettingOf<string> }
  | { readonly kind: "boolean"; readonly setting: SettingOf<boolean> }
  | {
    readonly kind: "integer" | "duration";
    readonly setting: SettingOf<number>;
    /** Smallest value; none when absent. */
    readonly min?: number;
  }
  | { readonly kind: "list"; readonly setting: SettingOf<readonly string[]> }
  | { readonly kind: "map"; readonly setting: "tags" }
  | { readonly kind: "handlers"; readonly setting: "eventHandlers" };

/** One key, and the setting that it is the name of. */
export type ConfigKey = Kinded & {
  /** As it is written in files; behind a dot, as a key of an inner object. */
  readonly key: string;
  /** The flag that says the same, without the dash. */
  readonly flag?: string;
  /** What a value must be, as the end of a sentence. */
  readonly takes: string;
  /** What it does, for the documentation: one sentence without its period. */
  readonly effect: string;
  /** Whether the value is kept out of everything that is printed. */
  readonly isSecret?: true;
  /** Whether SIGHUP takes a new value over. */
  readonly isReloaded?: true;
  /** Whether it is accepted and never counts. */
  readonly isIdle?: true;
  /** Whether files may not have it. */
  readonly isFlagOnly?: true;
};

const ADDRESSES = 'a list of addresses, such as ["10.0.0.1:7946"]';
const DURATION = 'a duration, such as "30s"';
const TRUTH = "true or false";
const BYTES = "a number of bytes, such as 1024";
/** What a setting takes whose value may be anything that names a file. */
export const PATH = "a path";

/** All keys, in the order in which people look for them. */
export const CONFIG_KEYS: readonly ConfigKey[] = [
  {
    key: "node_name",
    kind: "text",
    setting: "nodeName",
    flag: "node",
    takes: 'a text, such as "web-1"',
    effect: "Name of this member, unique in the cluster; by default the host's",
  },
  {
    key: "tags",
    kind: "map",
    setting: "tags",
    flag: "tag",
    takes: 'an object of texts, such as {"role": "web"}',
    effect: "Tags of this member, which filters and handlers see",
    isReloaded: true,
  },
  {
    key: "tags_file",
    kind: "text",
    setting: "tagsFile",
    flag: "tags-file",
    takes: PATH,
    effect: "File that keeps the tags between runs, instead of `tags`",
  },
  {
    key: "role",
    kind: "text",
    setting: "role",
    flag: "role",
    takes: 'a text, such as "web"',
    effect: "Older way to set the tag `role`; prints a warning",
    isReloaded: true,
  },
  {
    key: "bind",
    kind: "text",
    setting: "bind",
    flag: "bind",
    takes: 'an address, such as "10.0.0.1", "10.0.0.1:7946" or "[::1]:7946"',
    effect:
      "Address for gossip, UDP and TCP; `[::]` hears IPv6 and IPv4; port 7946 unless given",
  },
  {
    key: "interface",
    kind: "text",
    setting: "interfaceName",
    flag: "iface",
    takes: 'the name of a network interface, such as "eth0"',
    effect:
      "Binds to the first address of this interface that is not link-local; with `bind`, the interface must have that address",
  },
  {
    key: "advertise",
    kind: "text",
    setting: "advertise",
    flag: "advertise",
    takes: 'an address, such as "10.0.0.1", "10.0.0.1:7946" or "[::1]:7946"',
    effect:
      "Address told to others, if it is not the bound one; port 7946 unless given",
  },
  {
    key: "profile",
    kind: "text",
    setting: "profile",
    flag: "profile",
    takes: '"lan", "wan" or "local"',
    effect: "Timing for the network between the members",
  },
  {
    key: "protocol",
    kind: "integer",
    setting: "protocol",
    flag: "protocol",
    takes: "a whole number from 2 to 5",
    effect: "Version of the Serf protocol to speak",
  },
  {
    key: "encrypt_key",
    kind: "text",
    setting: "encryptKey",
    flag: "encrypt",
    takes: "16, 24 or 32 bytes in base64, as `serf keygen` prints them",
    effect: "Key that encrypts all gossip",
    isSecret: true,
  },
  {
    key: "keyring_file",
    kind: "text",
    setting: "keyringFile",
    flag: "keyring-file",
    takes: PATH,
    effect: "File that keeps the keys between runs, instead of `encrypt_key`",
  },
  {
    key: "rpc_addr",
    kind: "text",
    setting: "rpcAddr",
    flag: "rpc-addr",
    takes: 'an address with a port, such as "127.0.0.1:7373"',
    effect: "Address where this agent takes commands",
  },
  {
    key: "rpc_auth",
    kind: "text",
    setting: "rpcAuth",
    flag: "rpc-auth",
    takes: "a text",
    effect: "Token that commands must present",
    isSecret: true,
  },
  {
    key: "log_level",
    kind: "text",
    setting: "logLevel",
    flag: "log-level",
    takes: '"trace", "debug", "info", "warn" or "err"',
    effect: "Least important log lines shown",
    isReloaded: true,
  },
  {
    key: "log_json",
    kind: "boolean",
    setting: "logJson",
    flag: "log-json",
    takes: TRUTH,
    effect: "Standard output is JSON, one object a line",
  },
  {
    key: "start_join",
    kind: "list",
    setting: "startJoin",
    flag: "join",
    takes: ADDRESSES,
    effect: "Members to join at start; the agent ends when none can be reached",
  },
  {
    key: "retry_join",
    kind: "list",
    setting: "retryJoin",
    flag: "retry-join",
    takes: ADDRESSES,
    effect: "Members to join, tried again until one can be reached",
  },
  {
    key: "retry_interval",
    kind: "duration",
    setting: "retryIntervalMs",
    flag: "retry-interval",
    takes: DURATION,
    effect: "Pause between these tries, at least 1s",
  },
  {
    key: "retry_max_attempts",
    kind: "integer",
    setting: "retryMaxAttempts",
    flag: "retry-max",
    takes: "a whole number, such as 5",
    effect:
      "How often a failed try is repeated before the agent ends; 0 for no limit",
  },
  {
    key: "replay_on_join",
    kind: "boolean",
    setting: "replayOnJoin",
    flag: "replay",
    takes: TRUTH,
    effect: "Delivers user events from before the agent's own joins",
  },
  {
    key: "event_handlers",
    kind: "handlers",
    setting: "eventHandlers",
    flag: "event-handler",
    takes:
      'a list of handlers, such as ["member-join=/etc/serf/join.sh"] or [{"filter": "user:deploy", "script": "deploy.sh"}]',
    effect: "Scripts to run on events",
    isReloaded: true,
  },
  {
    key: "snapshot_path",
    kind: "text",
    setting: "snapshotPath",
    flag: "snapshot",
    takes: PATH,
    effect: "File that keeps members and clocks between runs",
  },
  {
    key: "rejoin_after_leave",
    kind: "boolean",
    setting: "rejoinAfterLeave",
    flag: "rejoin",
    takes: TRUTH,
    effect: "Joins the members of the snapshot even after a leave",
  },
  {
    key: "leave_on_terminate",
    kind: "boolean",
    setting: "leaveOnTerminate",
    takes: TRUTH,
    effect: "Leaves the cluster on SIGTERM",
    isReloaded: true,
  },
  {
    key: "skip_leave_on_interrupt",
    kind: "boolean",
    setting: "skipLeaveOnInterrupt",
    takes: TRUTH,
    effect: "Does not leave the cluster on SIGINT",
    isReloaded: true,
  },
  {
    key: "enable_syslog",
    kind: "boolean",
    setting: "enableSyslog",
    flag: "syslog",
    takes: TRUTH,
    effect: "Copies the log to the system's log daemon",
  },
  {
    key: "syslog_facility",
    kind: "text",
    setting: "syslogFacility",
    takes: 'the name of a facility, such as "LOCAL0" or "DAEMON"',
    effect: "Facility of the lines that the log daemon gets",
  },
  {
    key: "discover",
    kind: "text",
    setting: "discover",
    flag: "discover",
    takes: 'a name for the cluster, such as "web"',
    effect:
      "Finds and joins agents of the same name on the local network, by multicast DNS",
  },
  {
    key: "mdns.interface",
    kind: "text",
    setting: "mdnsInterface",
    flag: "mdns-iface",
    takes: 'the name of a network interface, such as "eth0"',
    effect: "Interface for discovery; by default that of `interface`",
  },
  {
    key: "mdns.disable_ipv4",
    kind: "boolean",
    setting: "mdnsDisableIpv4",
    flag: "mdns-disable-ipv4",
    takes: TRUTH,
    effect: "Discovers over IPv6 alone",
  },
  {
    key: "mdns.disable_ipv6",
    kind: "boolean",
    setting: "mdnsDisableIpv6",
    flag: "mdns-disable-ipv6",
    takes: TRUTH,
    effect: "Discovers over IPv4 alone",
  },
  {
    key: "broadcast_timeout",
    kind: "duration",
    setting: "broadcastTimeoutMs",
    flag: "broadcast-timeout",
    takes: DURATION,
    effect: "Longest wait for a leave or a change to be gossiped, at least 1s",
  },
  {
    key: "reconnect_interval",
    kind: "duration",
    setting: "reconnectIntervalMs",
    min: 0,
    takes: DURATION,
    effect: "Time between attempts to reach failed members again",
  },
  {
    key: "reconnect_timeout",
    kind: "duration",
    setting: "reconnectTimeoutMs",
    min: 0,
    takes: DURATION,
    effect: "Failed members are forgotten after this",
  },
  {
    key: "tombstone_timeout",
    kind: "duration",
    setting: "tombstoneTimeoutMs",
    min: 0,
    takes: DURATION,
    effect: "Members that left are forgotten after this",
  },
  {
    key: "statsd_addr",
    kind: "text",
    setting: "statsdAddr",
    takes: 'an address with a port, such as "127.0.0.1:8125"',
    effect: "Sends metrics there over UDP, as statsd takes them",
  },
  {
    key: "statsite_addr",
    kind: "text",
    setting: "statsiteAddr",
    takes: 'an address with a port, such as "127.0.0.1:8125"',
    effect: "Sends metrics there over TCP, as statsite takes them",
  },
  {
    key: "query_size_limit",
    kind: "integer",
    setting: "queryBytesMax",
    min: 0,
    takes: BYTES,
    effect: "Largest encoded query that this member sends",
  },
  {
    key: "query_response_size_limit",
    kind: "integer",
    setting: "queryResponseBytesMax",
    min: 0,
    takes: BYTES,
    effect: "Largest encoded answer that this member sends",
  },
  {
    key: "user_event_size_limit",
    kind: "integer",
    setting: "userEventBytesMax",
    min: 0,
    takes: "a number of bytes, at most 9216",
    effect: "Largest name plus payload of a user event",
  },
  {
    key: "disable_name_resolution",
    kind: "boolean",
    setting: "disableNameResolution",
    takes: TRUTH,
    effect: "Only warns when two members have one name, instead of voting",
  },
  {
    key: "disable_coordinates",
    kind: "boolean",
    setting: "disableCoordinates",
    takes: TRUTH,
    effect: "Does not measure where this member is in the network",
  },
  {
    key: "validate_node_names",
    kind: "boolean",
    setting: "validateNodeNames",
    takes: TRUTH,
    effect:
      "Refuses names with other characters than letters, digits, `-` and `.`, or of more than 128 bytes",
  },
  {
    key: "enable_compression",
    kind: "boolean",
    setting: "enableCompression",
    takes: TRUTH,
    effect:
      "Without effect, as in the original; only the flag `-disable-compression` counts",
    isIdle: true,
  },
  {
    key: "disable_compression",
    kind: "boolean",
    setting: "disableCompression",
    flag: "disable-compression",
    takes: TRUTH,
    effect: "Sends nothing compressed",
    isFlagOnly: true,
  },
];

/** Keys of the original that mean nothing here, and do not there. */
export const IDLE_KEYS: ReadonlySet<string> = new Set([
  "MsgpackUseNewTimeFormat",
]);

/** The keys that files may have. */
export const FILE_KEYS: readonly ConfigKey[] = CONFIG_KEYS.filter((key) =>
  !key.isFlagOnly
);

/** The table as Markdown, for the documentation. */
export function keysAsMarkdown(): string {
  const rows = FILE_KEYS.map(({ key, flag, takes, effect }) =>
    `| \`${key}\` | ${
      flag === undefined ? "" : `\`-${flag}\``
    } | ${takes} | ${effect} |`
  );
  return [
    "| Key | Flag | Takes | Effect |",
    "| --- | --- | --- | --- |",
    ...rows,
  ].join("\n");
}
