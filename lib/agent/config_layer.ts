/**
 * Layers of settings: what each source says, and the defaults below all of them.
 *
 * A layer holds raw values, in the form in which people write them. Nothing is
 * checked here: a bad value that a later layer replaces does no harm.
 *
 * Not for: what layers mean together (`config_merge.ts`). Source: serf `config.go`
 * (Config, DefaultConfig).
 */

import type { HandlerEntry } from "./handler_spec.ts";

/**
 * What one source of settings says. What it leaves out, or gives as an empty
 * text, as zero or as false, it has no opinion about; of the protocol version
 * also not if it is negative.
 */
export interface SettingsLayer {
  /** Path of the file that says this; absent for the command line. */
  readonly origin?: string;
  /** Our name, unique in the cluster. */
  readonly nodeName?: string;
  /** Becomes the tag `role`. */
  readonly role?: string;
  /** Merged key by key. */
  readonly tags?: ReadonlyMap<string, string>;
  /** Where tags are kept between runs. */
  readonly tagsFile?: string;
  /** Gossip address, TCP and UDP: `HOST`, `HOST:PORT`, `[V6]`, `[V6]:PORT`. */
  readonly bind?: string;
  /** Name of the network interface to bind to. */
  readonly interfaceName?: string;
  /** Address told to others, in the same forms; the port does not follow `bind`. */
  readonly advertise?: string;
  /** Base64 of 16, 24 or 32 bytes. */
  readonly encryptKey?: string;
  /** Where keys are kept between runs. */
  readonly keyringFile?: string;
  /** One of TRACE, DEBUG, INFO, WARN, ERR, in any case. */
  readonly logLevel?: string;
  /** Standard output is JSON, one object a line. */
  readonly logJson?: boolean;
  /** `lan`, `wan` or `local`. */
  readonly profile?: string;
  /** Serf protocol version, 2 to 5. */
  readonly protocol?: number;
  /** Where commands are served: `HOST:PORT`. */
  readonly rpcAddr?: string;
  /** What commands must present; empty lets everybody in. */
  readonly rpcAuth?: string;
  /** Addresses to join at start, where a failure is fatal. Lists are appended. */
  readonly startJoin?: readonly string[];
  /** Addresses to join as soon as one of them answers. */
  readonly retryJoin?: readonly string[];
  /** Failed attempts that are followed by another one; 0 or less for no limit. */
  readonly retryMaxAttempts?: number;
  /** Pause after a failed attempt, ms. */
  readonly retryIntervalMs?: number;
  /** Deliver user events from before our own joins. */
  readonly replayOnJoin?: boolean;
  /** Event handlers in the forms of `handler_spec.ts`. Lists are appended. */
  readonly eventHandlers?: readonly HandlerEntry[];
  /** Where members and clocks are kept between runs. */
  readonly snapshotPath?: string;
  /** Join again even if the snapshot says that we left. */
  readonly rejoinAfterLeave?: boolean;
  /** Leave the cluster on SIGTERM. */
  readonly leaveOnTerminate?: boolean;
  /** Do not leave the cluster on SIGINT. */
  readonly skipLeaveOnInterrupt?: boolean;
  /** Where metrics are sent over UDP: `HOST:PORT`. */
  readonly statsdAddr?: string;
  /** Where metrics are sent over TCP: `HOST:PORT`. */
  readonly statsiteAddr?: string;
  /** Largest encoded query that we send, bytes. */
  readonly queryBytesMax?: number;
  /** Largest encoded answer to a query that we send, bytes. */
  readonly queryResponseBytesMax?: number;
  /** Largest name plus payload of a user event, bytes. */
  readonly userEventBytesMax?: number;
  /** Copy the log to the system's log daemon. */
  readonly enableSyslog?: boolean;
  /** Name of a facility, in any case. */
  readonly syslogFacility?: string;
  /** Find agents of this name on the local network. */
  readonly discover?: string;
  /** Name of the network interface to find them by. */
  readonly mdnsInterface?: string;
  readonly mdnsDisableIpv4?: boolean;
  readonly mdnsDisableIpv6?: boolean;
  /** Longest wait for a message of ours to be gossiped, ms. */
  readonly broadcastTimeoutMs?: number;
  /** Time between attempts to reach a failed member again, ms. */
  readonly reconnectIntervalMs?: number;
  /** Failed members are forgotten after this, ms. */
  readonly reconnectTimeoutMs?: number;
  /** Left members are forgotten after this, ms. */
  readonly tombstoneTimeoutMs?: number;
  /** Do not vote when two nodes claim one name. */
  readonly disableNameResolution?: boolean;
  /** Do not measure where we are in the network. */
  readonly disableCoordinates?: boolean;
  /** Refuse names of nodes that have unusual characters. */
  readonly validateNodeNames?: boolean;
  /** Send nothing compressed. Only the command line can say so. */
  readonly disableCompression?: boolean;
  /** What files say about compression, which never counts. */
  readonly enableCompression?: boolean;
}

/** The name of one setting. */
export type SettingName = Exclude<keyof SettingsLayer, "origin">;

/** What all layers together say. */
export type MergedSettings = Readonly<
  Required<Pick<SettingsLayer, SettingName>>
>;

/** The lowest layer. The node's name is the host's, which only the system knows. */
export const DEFAULT_SETTINGS = {
  nodeName: "",
  role: "",
  tags: new Map(),
  tagsFile: "",
  bind: "0.0.0.0",
  interfaceName: "",
  advertise: "",
  encryptKey: "",
  keyringFile: "",
  logLevel: "INFO",
  logJson: false,
  profile: "lan",
  protocol: 5,
  rpcAddr: "127.0.0.1:7373",
  rpcAuth: "",
  startJoin: [],
  retryJoin: [],
  retryMaxAttempts: 0,
  retryIntervalMs: 30_000,
  replayOnJoin: false,
  eventHandlers: [],
  snapshotPath: "",
  rejoinAfterLeave: false,
  leaveOnTerminate: false,
  skipLeaveOnInterrupt: false,
  statsdAddr: "",
  statsiteAddr: "",
  queryBytesMax: 1_024,
  queryResponseBytesMax: 1_024,
  userEventBytesMax: 512,
  enableSyslog: false,
  syslogFacility: "LOCAL0",
  discover: "",
  mdnsInterface: "",
  mdnsDisableIpv4: false,
  mdnsDisableIpv6: false,
  broadcastTimeoutMs: 5_000,
  reconnectIntervalMs: 30_000,
  reconnectTimeoutMs: 24 * 3_600_000,
  tombstoneTimeoutMs: 24 * 3_600_000,
  disableNameResolution: false,
  disableCoordinates: false,
  validateNodeNames: false,
  disableCompression: false,
  enableCompression: false,
} as const satisfies MergedSettings;

/** Settings that make no sense. The message is what the agent prints. */
export class ConfigError extends Error {
  override name = "ConfigError";
  /** @param setting the one at fault, if it is a single one */
  constructor(
    message: string,
    options?: ErrorOptions & { readonly setting?: SettingName },
  ) {
    super(message, options);
    this.setting = options?.setting;
  }
  readonly setting: SettingName | undefined;
}
