/**
 * The agent's settings: where they come from, and what they must satisfy.
 *
 *     defaults, files, flags ──merge──▶ one layer ──resolve──▶ AgentSettings
 *     (layers of raw values)                                  (typed, resolved)
 *
 * Two steps, as in the original, because a reload takes the first one only. The
 * merge checks what layers say together and warns; resolving turns texts into
 * values and asks the resolver and the machine's interfaces. Both report the
 * mistakes in the original's order; by default the first one ends it.
 *
 * Not for: reading files (`config_path.ts`), and what only the engine knows
 * (`start_checks.ts`).
 *
 * Source: serf `config.go` (AddrParts), `command.go` (readConfig, setupAgent).
 */

import { decodeBase64 } from "../kit/base64.ts";
import type { HostPort } from "../kit/address.ts";
import { LOG_LEVELS, type LogLevel, parseLogLevel } from "../kit/log.ts";
import { interfaceAddresses } from "../net/interfaces.ts";
import { type Lookup, resolveBindAddress } from "../net/resolve.ts";
import { type ProfileName, PROFILES } from "../swim/config.ts";
import {
  ConfigError,
  type MergedSettings,
  type SettingName,
  type SettingsLayer,
} from "./config_layer.ts";
import { mergeLayers } from "./config_merge.ts";
import {
  type EventHandler,
  HandlerSpecError,
  parseHandler,
} from "./handler_spec.ts";
import { addressOnInterface } from "./interface_address.ts";
import { isFacility } from "./syslog_facility.ts";

export {
  ConfigError,
  DEFAULT_SETTINGS,
  type MergedSettings,
  type SettingsLayer,
} from "./config_layer.ts";
export { explainError, mergeLayers } from "./config_merge.ts";

/** Gossip port of an address that names none. */
export const DEFAULT_BIND_PORT = 7946;
/** An address without a host. One of IPv6 without brackets has more colons. */
const PORT_ALONE = /^(\[\])?:[^:]*$/;
/** Shortest pause between attempts to join, and shortest broadcast timeout, ms. */
const WAIT_MS_MIN = 1_000;

/** Settings that an agent can be started with. */
export interface AgentSettings {
  readonly nodeName: string;
  /** The role among them. */
  readonly tags: ReadonlyMap<string, string>;
  /** Empty for none, like the other paths. */
  readonly tagsFile: string;
  /** Resolved; the port may be 0. */
  readonly bind: HostPort;
  readonly advertise?: HostPort;
  /** Of any length; the keyring is the judge of that. */
  readonly encryptKey?: Uint8Array;
  readonly keyringFile: string;
  readonly logLevel: LogLevel;
  readonly logJson: boolean;
  readonly profile: ProfileName;
  /** Not checked yet: the engine knows its range. */
  readonly protocol: number;
  /** As given; resolved only when the listener is opened. */
  readonly rpcAddr: string;
  readonly rpcAuth: string;
  readonly startJoin: readonly string[];
  readonly retryJoin: readonly string[];
  /** At least 1 s. */
  readonly retryIntervalMs: number;
  /** No limit when 0 or less. */
  readonly retryMaxAttempts: number;
  readonly replayOnJoin: boolean;
  readonly eventHandlers: readonly EventHandler[];
  readonly snapshotPath: string;
  readonly rejoinAfterLeave: boolean;
  readonly leaveOnTerminate: boolean;
  readonly skipLeaveOnInterrupt: boolean;
  /** Name of a known facility; absent when the log goes nowhere else. */
  readonly syslogFacility?: string;
  /** Absent when nothing is to be discovered. */
  readonly discovery?: DiscoverySettings;
  readonly compression: boolean;
  /** At least 1 s. */
  readonly broadcastTimeoutMs: number;
  readonly reconnectIntervalMs: number;
  readonly reconnectTimeoutMs: number;
  readonly tombstoneTimeoutMs: number;
  /** As given; empty for none. A bad one is no reason not to start. */
  readonly statsdAddr: string;
  readonly statsiteAddr: string;
  readonly queryBytesMax: number;
  readonly queryResponseBytesMax: number;
  /** Not checked yet either. */
  readonly userEventBytesMax: number;
  readonly nameResolution: boolean;
  readonly coordinates: boolean;
  readonly validateNodeNames: boolean;
}

/** How agents are found on the local network. */
export interface DiscoverySettings {
  /** Name of the cluster to be found. */
  readonly cluster: string;
  /** Name of the interface; the system's choice when empty. */
  readonly interfaceName: string;
  readonly usesIpv4: boolean;
  readonly usesIpv6: boolean;
}

/** What the settings are checked against, and who hears of it. */
export interface ConfigWorld {
  /** Name of this machine. */
  hostname(): string;
  readonly lookup?: Lookup;
  /** Addresses of a network interface; `undefined` when there is no such. */
  interfaceAddresses?(name: string): readonly string[] | undefined;
  /** Hears warnings and what was chosen. */
  say?(message: string): void;
}

/**
 * Hears of each mistake. One that returns lets the search go on, so that all
 * mistakes are found; one that throws ends it.
 */
export type ReportMistake = (error: ConfigError) => void;

/** The first mistake is the last one. */
export function refuse(error: ConfigError): never {
  throw error;
}

/**
 * Merges the layers and checks the result.
 *
 * @throws {ConfigError} with the first mistake found
 */
export async function readSettings(
  layers: readonly SettingsLayer[],
  world: ConfigWorld,
): Promise<AgentSettings> {
  const settings = await resolveSettings(mergeSettings(layers, world), world);
  return settings as AgentSettings;
}

/**
 * What all layers say, with what that implies: the machine's name, the role as a
 * tag, and no wait that is too short.
 *
 * @throws {ConfigError} by way of `report`
 */
export function mergeSettings(
  layers: readonly SettingsLayer[],
  world: ConfigWorld,
  report: ReportMistake = refuse,
): MergedSettings {
  const merged = mergeLayers(layers);
  for (const entry of merged.eventHandlers) {
    try {
      parseHandler(entry);
    } catch (error) {
      if (!(error instanceof HandlerSpecError)) throw error;
      const { message } = error;
      report(new ConfigError(message, { setting: "eventHandlers" }));
    }
  }
  const { interfaceName, role } = merged;
  if (interfaceName !== "" && addressesOf(interfaceName, world) === undefined) {
    report(
      new ConfigError(
        "Invalid network interface: route ip+net: no such network interface",
        { setting: "interfaceName" },
      ),
    );
  }
  checkDiscovery(merged, world, report);
  const say = (message: string) => world.say?.(message);
  if (role !== "") {
    say("Deprecation warning: 'Role' has been replaced with 'Tags'");
  }
  const patient = (name: string, ms: number) => {
    if (ms >= WAIT_MS_MIN) return ms;
    say(`Warning: '${name}' is too low. Setting to 1s`);
    return WAIT_MS_MIN;
  };
  const result = {
    ...merged,
    nodeName: merged.nodeName || world.hostname(),
    tags: role === ""
      ? merged.tags
      : new Map([...merged.tags, ["role", role]] as const),
    retryIntervalMs: patient("RetryInterval", merged.retryIntervalMs),
    broadcastTimeoutMs: patient("BroadcastTimeout", merged.broadcastTimeoutMs),
  };
  if (merged.rejoinAfterLeave && merged.snapshotPath === "") {
    say("Warning: 'RejoinAfterLeave' enabled without snapshot file");
  }
  return result;
}

/**
 * Turns merged settings into values.
 *
 * @returns `undefined` when `report` heard of mistakes and returned
 * @throws {ConfigError} by way of `report`
 */
export async function resolveSettings(
  merged: MergedSettings,
  world: ConfigWorld,
  report: ReportMistake = refuse,
): Promise<AgentSettings | undefined> {
  const attempt = async <T>(
    step: () => T | Promise<T>,
  ): Promise<T | undefined> => {
    try {
      return await step();
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      report(error);
      return undefined;
    }
  };
  const logLevel = await attempt(() => readLogLevel(merged.logLevel));
  const facility = await attempt(() => readFacility(merged));
  const given = await attempt(() => readAddress("bind", merged.bind, world));
  const bind = given &&
    await attempt(() => bindOnInterface(merged.interfaceName, given, world));
  const advertise = await attempt(() =>
    merged.advertise === ""
      ? null
      : readAddress("advertise", merged.advertise, world)
  );
  const encryptKey = await attempt(() =>
    merged.encryptKey === "" ? null : readKey(merged.encryptKey)
  );
  const profile = await attempt(() => readProfile(merged.profile));
  if (
    logLevel === undefined || bind === undefined || advertise === undefined ||
    encryptKey === undefined || profile === undefined ||
    facility === undefined
  ) return undefined;
  return {
    nodeName: merged.nodeName,
    tags: merged.tags,
    tagsFile: merged.tagsFile,
    bind,
    ...(advertise && { advertise }),
    ...(encryptKey && { encryptKey }),
    keyringFile: merged.keyringFile,
    logLevel,
    logJson: merged.logJson,
    profile,
    protocol: merged.protocol,
    rpcAddr: merged.rpcAddr,
    rpcAuth: merged.rpcAuth,
    startJoin: merged.startJoin,
    retryJoin: merged.retryJoin,
    retryIntervalMs: merged.retryIntervalMs,
    retryMaxAttempts: merged.retryMaxAttempts,
    replayOnJoin: merged.replayOnJoin,
    eventHandlers: merged.eventHandlers.map(parseHandler),
    snapshotPath: merged.snapshotPath,
    rejoinAfterLeave: merged.rejoinAfterLeave,
    leaveOnTerminate: merged.leaveOnTerminate,
    skipLeaveOnInterrupt: merged.skipLeaveOnInterrupt,
    // What files say of it is overruled by the command line, always.
    compression: !merged.disableCompression,
    ...(facility !== null && { syslogFacility: facility }),
    ...(merged.discover !== "" && {
      discovery: {
        cluster: merged.discover,
        interfaceName: merged.mdnsInterface || merged.interfaceName,
        usesIpv4: !merged.mdnsDisableIpv4,
        usesIpv6: !merged.mdnsDisableIpv6,
      },
    }),
    broadcastTimeoutMs: merged.broadcastTimeoutMs,
    reconnectIntervalMs: merged.reconnectIntervalMs,
    reconnectTimeoutMs: merged.reconnectTimeoutMs,
    tombstoneTimeoutMs: merged.tombstoneTimeoutMs,
    statsdAddr: merged.statsdAddr,
    statsiteAddr: merged.statsiteAddr,
    queryBytesMax: merged.queryBytesMax,
    queryResponseBytesMax: merged.queryResponseBytesMax,
    userEventBytesMax: merged.userEventBytesMax,
    nameResolution: !merged.disableNameResolution,
    coordinates: !merged.disableCoordinates,
    validateNodeNames: merged.validateNodeNames,
  };
}

/**
 * Tags as `key=value` texts; of a key given twice, the last one counts.
 *
 * @throws {ConfigError} when a text has no `=` or begins with it
 */
export function parseTags(texts: readonly string[]): Map<string, string> {
  return new Map(texts.map((text) => {
    const equals = text.indexOf("=");
    if (equals < 1) throw new ConfigError(`Error: Invalid tag: '${text}'`);
    return [text.slice(0, equals), text.slice(equals + 1)];
  }));
}

/** @throws {ConfigError} when there is no such level */
export function readLogLevel(text: string): LogLevel {
  const level = parseLogLevel(text);
  if (level !== undefined) return level;
  throw new ConfigError(
    `Invalid log level: ${text.toUpperCase()}. ` +
      `Valid log levels are: [${LOG_LEVELS.join(" ")}]`,
    { setting: "logLevel" },
  );
}

/** What is said about discovery must make sense together. */
function checkDiscovery(
  merged: MergedSettings,
  world: ConfigWorld,
  report: ReportMistake,
): void {
  const { discover, mdnsInterface, mdnsDisableIpv4, mdnsDisableIpv6 } = merged;
  const complain = (setting: SettingName, message: string) =>
    report(new ConfigError(message, { setting }));
  if (mdnsInterface !== "" && discover === "") {
    complain(
      "mdnsInterface",
      "mDNS interface specified without enabling mDNS discovery",
    );
  }
  if (
    mdnsInterface !== "" && addressesOf(mdnsInterface, world) === undefined
  ) {
    complain(
      "mdnsInterface",
      "Invalid mDNS network interface: route ip+net: no such network interface",
    );
  }
  // The original looks at this only when an interface is named.
  if (discover !== "" && mdnsDisableIpv4 && mdnsDisableIpv6) {
    complain(
      "mdnsDisableIpv4",
      "Invalid mDNS configuration: both IPv4 and IPv6 are disabled",
    );
  }
}

/** @returns null when the log goes to no daemon */
function readFacility(merged: MergedSettings): string | null {
  const { enableSyslog, syslogFacility } = merged;
  if (!enableSyslog) return null;
  if (isFacility(syslogFacility)) return syslogFacility;
  throw new ConfigError(
    `Syslog setup failed: invalid syslog facility: ${syslogFacility}`,
    { setting: "syslogFacility" },
  );
}

function addressesOf(
  name: string,
  world: ConfigWorld,
): readonly string[] | undefined {
  return (world.interfaceAddresses ?? interfaceAddresses)(name);
}

function bindOnInterface(
  name: string,
  bind: HostPort,
  world: ConfigWorld,
): HostPort {
  // One that does not exist was reported by the merge.
  const addresses = name === "" ? undefined : addressesOf(name, world);
  if (addresses === undefined) return bind;
  const chosen = addressOnInterface(name, addresses, bind);
  if (chosen !== bind) {
    world.say?.(`Using interface '${name}' address '${chosen.host}'`);
  }
  return chosen;
}

async function readAddress(
  setting: "bind" | "advertise",
  text: string,
  world: ConfigWorld,
): Promise<HostPort> {
  return await orComplain(
    `Invalid ${setting} address`,
    setting,
    () => {
      // `0.0.0.0`, which it means for `bind`, is nowhere that others could reach.
      if (setting === "advertise" && PORT_ALONE.test(text)) {
        throw new SyntaxError(`address ${text}: missing host in address`);
      }
      return resolveBindAddress(text, DEFAULT_BIND_PORT, world.lookup);
    },
  );
}

async function readKey(text: string): Promise<Uint8Array> {
  return await orComplain(
    "Invalid encryption key",
    "encryptKey",
    () => decodeBase64(text),
  );
}

/** Any error of a step as a mistake in the setting. */
async function orComplain<T>(
  what: string,
  setting: SettingName,
  step: () => T | Promise<T>,
): Promise<T> {
  try {
    return await step();
  } catch (error) {
    throw new ConfigError(`${what}: ${(error as Error).message}`, {
      cause: error,
      setting,
    });
  }
}

function readProfile(text: string): ProfileName {
  if (Object.hasOwn(PROFILES, text)) return text as ProfileName;
  throw new ConfigError(`Unknown profile: ${text}`, { setting: "profile" });
}
