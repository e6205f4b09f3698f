/**
 * What a program says about the node that it embeds, checked and resolved.
 *
 * Every mistake is found before a socket is opened, except what only the sockets
 * and the engine can know (a port that is taken, tags that are too long); nothing
 * is left open in any case.
 */

import { type HostPort, parseIp } from "../kit/address.ts";
import { LOG_LEVELS, type LogLevel, logLevelRank } from "../kit/log.ts";
import type { SerfConfig } from "../serf/config.ts";
import {
  type ProfileName,
  PROFILES,
  type SwimConfig,
  type SwimProfile,
} from "../swim/config.ts";
import { NAME_LENGTH_MAX } from "../swim/name_limit.ts";
import type { Keyring } from "../wire/keyring.ts";
import { BindError } from "./bind.ts";
import type { DriverConfig } from "./driver.ts";
import { type EncryptKey, loadKeyring } from "./keyring_loader.ts";
import { type TextMap, textMap } from "./received.ts";
import { resolveBindAddress } from "./resolve.ts";
import type { SnapshotStore } from "./snapshot_store.ts";

/** Gossip port of an address that names none. */
export const DEFAULT_PORT = 7_946;

/**
 * Settings of the protocol beyond the usual ones. The members of a cluster should
 * have the same; what each of them does is told at `SerfConfig` and `SwimConfig`.
 */
export type NodeSettings = Partial<
  & Omit<SerfConfig, "snapshot" | "swim" | "tags">
  & Pick<
    SwimConfig,
    | "compression"
    | "deadNodeReclaimMs"
    | "label"
    | "membersMax"
    | "packetBytesMax"
    | "streamPings"
    | "verifyIncoming"
    | "verifyOutgoing"
  >
>;

/** How a node is to be. Everything has a default. */
export interface SerfNodeOptions {
  /**
   * Unique in the cluster, 1 to 512 characters; default the name of this machine.
   * If another node claims it, the members vote, and who loses shuts down: see
   * `SerfNode.closed`.
   */
  readonly name?: string;
  /**
   * Where to listen, UDP and TCP: `HOST`, `HOST:PORT`, `[V6]` or `[V6]:PORT`. The
   * port is 7946 unless given, and 0 for one of the system's choice; default
   * `0.0.0.0`, every interface.
   */
  readonly bind?: string;
  /**
   * Where others reach us, when that is not where we listen; same forms. The port
   * is that of `bind` unless given. Default the bound address, or one of this
   * machine's when bound to every interface.
   */
  readonly advertise?: string;
  /** What we say about ourselves; at most 512 bytes encoded. Default nothing. */
  readonly tags?: TextMap;
  /**
   * Timing: `lan` (default), `wan` for members far from each other, `local` for
   * one machine, or a profile of your own, made from one of `PROFILES`.
   */
  readonly profile?: ProfileName | SwimProfile;
  /**
   * Encrypts all gossip. Of several keys the first seals what we send, and all of
   * them open what we receive. Default none, and no encryption.
   */
  readonly encryptKey?: EncryptKey | readonly EncryptKey[];
  /**
   * Keeps who is alive and how far events have come, so that a node that was
   * started anew finds back to its cluster by itself and is told no event a second
   * time. Default none.
   */
  readonly snapshot?: SnapshotOptions;
  /** Further settings of the protocol. */
  readonly settings?: NodeSettings;
  /**
   * Takes log lines. `text` begins with its component: `memberlist: ...`,
   * `serf: ...`. Default none; only failures of responders then go to the standard
   * error output, since they are mistakes of the program.
   */
  readonly onLog?: (level: LogLevel, text: string) => void;
  /** Least important level that `onLog` is given; default INFO. */
  readonly logLevel?: LogLevel;
}

/** Where a node keeps its snapshot, and what it makes of it. */
export interface SnapshotOptions {
  /**
   * A file that this node has to itself. It is made if it is not there, its folder
   * is not; a file of HashiCorp's agent will do. Beside it, `PATH.compact` is
   * written now and then.
   */
  readonly path: string;
  /**
   * Whether to find back even after a leave; default not: who has left starts as
   * if there was no file, but for the clock. `await using` ends with a leave.
   */
  readonly rejoinAfterLeave?: boolean;
}

/** What a driver is started with. */
export interface ResolvedOptions {
  readonly bind: HostPort;
  readonly advertise?: HostPort;
  readonly config: DriverConfig;
  /** Open; it belongs to the caller until a driver has started with it. */
  readonly snapshot?: SnapshotStore;
  /** Port of addresses to join that name none. */
  readonly joinPort: number;
}

/**
 * Checks and resolves options.
 *
 * @throws {RangeError} when a value is out of range
 * @throws {SyntaxError} when an address or a key cannot be read
 * @throws {BindError} when the name of a host is not known
 * @throws {SnapshotError} when the snapshot cannot be opened or read
 */
export async function resolveOptions(
  options: SerfNodeOptions,
): Promise<ResolvedOptions> {
  // The platform leaves it out without its flag.
  if (typeof Deno.listenDatagram !== "function") {
    throw new BindError(
      'Cannot use UDP without "unstable": ["net"] in deno.json, or --unstable-net',
    );
  }
  const name = options.name ?? Deno.hostname();
  if (name.length < 1 || name.length > NAME_LENGTH_MAX) {
    throw new RangeError(
      `Cannot use a name of ${name.length} characters, 1 to ${NAME_LENGTH_MAX} are allowed`,
    );
  }
  const profile = profileOf(options.profile ?? "lan");
  const settings = options.settings ?? {};
  checkNumbers("setting", settings);
  const logLevel = logLevelOf(options);
  // A copy: the map is the caller's, who may change it while we wait below.
  const tags = new Map(textMap(options.tags ?? {}));
  const bind = await resolveAddress(
    "bind",
    options.bind ?? "0.0.0.0",
    DEFAULT_PORT,
  );
  const advertise = options.advertise === undefined
    ? undefined
    : await resolveAddress("advertise", options.advertise, 0);
  const keyring = await keyringOf(options.encryptKey);
  const config = configOf(settings, {
    name,
    profile,
    tags,
    logLevel,
    ...(keyring && { keyring }),
  });
  // Last, so that nothing is open when something else was wrong.
  const snapshot = await openSnapshot(options.snapshot);
  return {
    bind,
    ...(advertise && { advertise }),
    config,
    ...(snapshot && { snapshot }),
    joinPort: bind.port || DEFAULT_PORT,
  };
}

/** A sink that takes lines of the wanted levels alone, and never throws. */
export function logSink(
  options: SerfNodeOptions,
): (level: LogLevel, text: string) => void {
  const { onLog } = options;
  if (onLog === undefined) return () => {};
  const rank = logLevelRank(logLevelOf(options));
  return (level, text) => {
    if (logLevelRank(level) < rank) return;
    try {
      onLog(level, text);
    } catch (error) {
      // The sink's bug must not keep the node from its work.
      reportError(error);
    }
  };
}

function profileOf(given: ProfileName | SwimProfile): SwimProfile {
  if (typeof given !== "string") {
    checkNumbers("profile field", given);
    return given;
  }
  if (Object.hasOwn(PROFILES, given)) return PROFILES[given];
  const names = Object.keys(PROFILES).join(", ");
  throw new RangeError(`Unknown profile "${given}", there are ${names}`);
}

function logLevelOf(options: SerfNodeOptions): LogLevel {
  const { onLog, logLevel = "INFO" } = options;
  if (!LOG_LEVELS.includes(logLevel)) {
    const names = LOG_LEVELS.join(", ");
    throw new RangeError(`Unknown log level "${logLevel}", there are ${names}`);
  }
  // Lines that nobody reads need not be made.
  return onLog === undefined ? "ERR" : logLevel;
}

/** The engine checks what depends on each other; a number must be one at least. */
function checkNumbers(what: string, settings: object): void {
  for (const [name, value] of Object.entries(settings)) {
    if (typeof value !== "number") continue;
    if (Number.isFinite(value) && value >= 0) continue;
    throw new RangeError(`The ${what} ${name} cannot be ${value}`);
  }
}

async function resolveAddress(
  which: "bind" | "advertise",
  text: string,
  defaultPort: number,
): Promise<HostPort> {
  // An IPv6 address without brackets is clear enough where there is no port.
  const isBareV6 = text.includes(":") && parseIp(text) !== undefined;
  try {
    return await resolveBindAddress(isBareV6 ? `[${text}]` : text, defaultPort);
  } catch (error) {
    const message = `Cannot ${which} to "${text}": ${(error as Error).message}`
      .replace("advertise to", "advertise");
    if (error instanceof SyntaxError) {
      throw new SyntaxError(message, { cause: error });
    }
    if (error instanceof RangeError) {
      throw new RangeError(message, { cause: error });
    }
    throw new BindError(message, { cause: error });
  }
}

async function keyringOf(
  given: SerfNodeOptions["encryptKey"],
): Promise<Keyring | undefined> {
  if (given === undefined) return undefined;
  const isOne = typeof given === "string" || given instanceof Uint8Array;
  try {
    return await loadKeyring(isOne ? [given] : given);
  } catch (error) {
    const message = `Cannot use encryptKey: ${(error as Error).message}`;
    throw error instanceof SyntaxError
      ? new SyntaxError(message, { cause: error })
      : new RangeError(message, { cause: error });
  }
}

/** Loads what writes snapshots, which most nodes have no use for. */
async function openSnapshot(
  given: SnapshotOptions | undefined,
): Promise<SnapshotStore | undefined> {
  if (given === undefined) return undefined;
  const { path, rejoinAfterLeave = false } = given;
  const { SnapshotStore } = await import("./snapshot_store.ts");
  return await SnapshotStore.open(path, { rejoinAfterLeave });
}

/** Sorts the settings, which are one list for users, into those of the layers. */
function configOf(
  settings: NodeSettings,
  identity:
    & { readonly tags: ReadonlyMap<string, string> }
    & Pick<SwimConfig, "name" | "profile" | "logLevel">
    & { readonly keyring?: Keyring },
): DriverConfig {
  const {
    compression,
    deadNodeReclaimMs,
    label,
    membersMax,
    packetBytesMax,
    streamPings,
    verifyIncoming,
    verifyOutgoing,
    ...serf
  } = settings;
  const swim = {
    compression,
    deadNodeReclaimMs,
    label,
    membersMax,
    packetBytesMax,
    streamPings,
    verifyIncoming,
    verifyOutgoing,
  };
  const { tags, ...rest } = identity;
  return {
    ...given(serf),
    tags,
    swim: { ...given(swim), ...rest },
  };
}

/** The object without what is undefined, which would hide a default. */
function given<T extends object>(
  object: T,
): { [Field in keyof T]?: Exclude<T[Field], undefined> } {
  return Object.fromEntries(
    Object.entries(object).filter(([, value]) => value !== undefined),
  ) as { [Field in keyof T]?: Exclude<T[Field], undefined> };
}
