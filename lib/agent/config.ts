/**
 * The agent's settings: where they come from, and what they must satisfy.
 *
 *     defaults, ..., flags ──merge──▶ one layer ──check──▶ AgentSettings
 *     (layers of raw values)                              (typed, resolved)
 *
 * A layer is what one source says, in the form in which people write it. Layers
 * are merged in order, later ones win, and only the result is checked; so a bad
 * value that a later layer replaces does no harm. The command line is the only
 * source besides the defaults so far.
 *
 * Source: serf `config.go` (MergeConfig, AddrParts), `command.go` (readConfig,
 * setupAgent), which also fix the order in which mistakes are found.
 */

import type { HostPort } from "../kit/address.ts";
import { LOG_LEVELS, type LogLevel, parseLogLevel } from "../kit/log.ts";
import { type Lookup, resolveBindAddress } from "../net/resolve.ts";
import { type ProfileName, PROFILES } from "../swim/config.ts";
import { decodeBase64 } from "../kit/base64.ts";

/** Gossip port of an address that names none. */
export const DEFAULT_BIND_PORT = 7946;

/**
 * What one source of settings says. What it leaves out, or gives as an empty
 * text or as a number that is not positive, it has no opinion about.
 */
export interface SettingsLayer {
  /** Our name, unique in the cluster. */
  readonly nodeName?: string;
  /** Gossip address, TCP and UDP: `HOST`, `HOST:PORT`, `[V6]`, `[V6]:PORT`. */
  readonly bind?: string;
  /** Address told to others, in the same forms; the port does not follow `bind`. */
  readonly advertise?: string;
  /** Base64 of 16, 24 or 32 bytes. */
  readonly encryptKey?: string;
  /** Where keys are kept; there can be no `encryptKey` then. */
  readonly keyringFile?: string;
  /** One of TRACE, DEBUG, INFO, WARN, ERR, in any case. */
  readonly logLevel?: string;
  /** `lan`, `wan` or `local`. */
  readonly profile?: string;
  /** Serf protocol version, 2 to 5. */
  readonly protocol?: number;
  /** Where commands are served: `HOST:PORT`. */
  readonly rpcAddr?: string;
  /** What commands must present; empty lets everybody in. */
  readonly rpcAuth?: string;
  /** Merged key by key. */
  readonly tags?: ReadonlyMap<string, string>;
  /** Addresses to join at start, where a failure is fatal. Lists are appended. */
  readonly startJoin?: readonly string[];
}

/** The lowest layer. The node's name is the host's, which only the system knows. */
export const DEFAULT_SETTINGS = {
  nodeName: "",
  bind: "0.0.0.0",
  advertise: "",
  encryptKey: "",
  keyringFile: "",
  logLevel: "INFO",
  profile: "lan",
  protocol: 5,
  rpcAddr: "127.0.0.1:7373",
  rpcAuth: "",
  tags: new Map(),
  startJoin: [],
} as const satisfies Required<SettingsLayer>;

/** Settings that an agent can be started with. */
export interface AgentSettings {
  readonly nodeName: string;
  /** Resolved; the port may be 0. */
  readonly bind: HostPort;
  readonly advertise?: HostPort;
  /** Of any length; the keyring is the judge of that. */
  readonly encryptKey?: Uint8Array;
  /** Never empty. Read only when the agent is set up. */
  readonly keyringFile?: string;
  readonly logLevel: LogLevel;
  readonly profile: ProfileName;
  /** Not checked yet: the engine knows its range. */
  readonly protocol: number;
  /** As given; resolved only when the listener is opened. */
  readonly rpcAddr: string;
  readonly rpcAuth: string;
  readonly tags: ReadonlyMap<string, string>;
  readonly startJoin: readonly string[];
}

/** Settings that make no sense. The message is what the agent prints. */
export class ConfigError extends Error {
  override name = "ConfigError";
}

/** What the settings are checked against. */
export interface ConfigWorld {
  /** Name of this machine. */
  hostname(): string;
  readonly lookup?: Lookup;
}

/** One layer that says what all of them together mean; later ones win. */
export function mergeLayers(
  layers: readonly SettingsLayer[],
): Required<SettingsLayer> {
  let merged: Required<SettingsLayer> = DEFAULT_SETTINGS;
  for (const layer of layers) {
    merged = {
      nodeName: layer.nodeName || merged.nodeName,
      bind: layer.bind || merged.bind,
      advertise: layer.advertise || merged.advertise,
      encryptKey: layer.encryptKey || merged.encryptKey,
      keyringFile: layer.keyringFile || merged.keyringFile,
      logLevel: layer.logLevel || merged.logLevel,
      profile: layer.profile || merged.profile,
      protocol: (layer.protocol ?? 0) > 0
        ? layer.protocol as number
        : merged.protocol,
      rpcAddr: layer.rpcAddr || merged.rpcAddr,
      rpcAuth: layer.rpcAuth || merged.rpcAuth,
      tags: new Map([...merged.tags, ...layer.tags ?? []]),
      startJoin: [...merged.startJoin, ...layer.startJoin ?? []],
    };
  }
  return merged;
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
  const merged = mergeLayers(layers);
  const logLevel = readLogLevel(merged.logLevel);
  const bind = await readAddress("bind", merged.bind, world);
  const advertise = merged.advertise === ""
    ? undefined
    : await readAddress("advertise", merged.advertise, world);
  const encryptKey = merged.encryptKey === ""
    ? undefined
    : readKey(merged.encryptKey);
  return {
    nodeName: merged.nodeName || world.hostname(),
    bind,
    ...(advertise && { advertise }),
    ...(encryptKey && { encryptKey }),
    ...(merged.keyringFile !== "" && { keyringFile: merged.keyringFile }),
    logLevel,
    profile: readProfile(merged.profile),
    protocol: merged.protocol,
    rpcAddr: merged.rpcAddr,
    rpcAuth: merged.rpcAuth,
    tags: merged.tags,
    startJoin: merged.startJoin,
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

function readLogLevel(text: string): LogLevel {
  const level = parseLogLevel(text);
  if (level !== undefined) return level;
  throw new ConfigError(
    `Invalid log level: ${text.toUpperCase()}. ` +
      `Valid log levels are: [${LOG_LEVELS.join(" ")}]`,
  );
}

async function readAddress(
  which: "bind" | "advertise",
  text: string,
  world: ConfigWorld,
): Promise<HostPort> {
  try {
    return await resolveBindAddress(text, DEFAULT_BIND_PORT, world.lookup);
  } catch (error) {
    const reason = (error as Error).message;
    throw new ConfigError(`Invalid ${which} address: ${reason}`, {
      cause: error,
    });
  }
}

function readKey(text: string): Uint8Array {
  try {
    return decodeBase64(text);
  } catch (error) {
    const reason = (error as Error).message;
    throw new ConfigError(`Invalid encryption key: ${reason}`, {
      cause: error,
    });
  }
}

function readProfile(text: string): ProfileName {
  if (Object.hasOwn(PROFILES, text)) return text as ProfileName;
  throw new ConfigError(`Unknown profile: ${text}`);
}
