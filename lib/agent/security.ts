/**
 * What settings mean for who may do what to an agent: a summary for people and
 * programs, and warnings of what is seldom meant.
 *
 * Nothing here keeps an agent from starting. HashiCorp's agent says nothing of it.
 */

import { parseIp } from "../kit/address.ts";
import {
  type Lookup,
  lookupHost,
  resolveBindAddress,
  resolveListenAddress,
} from "../net/resolve.ts";
import { unixPathOf } from "../net/rpc_endpoint.ts";
import { DEFAULT_BIND_PORT } from "./config.ts";
import type {
  MergedSettings,
  SettingName,
  SettingsLayer,
} from "./config_layer.ts";
import { originsOf } from "./config_merge.ts";
import { readKeyringFile } from "./keyring_file.ts";

/** From where an address can be reached. */
export type Reach =
  /** A socket in the file system: its owner. */
  | "owner"
  /** Programs on this machine. */
  | "this machine"
  /** Whoever reaches that one address. */
  | "one address"
  /** Whoever reaches any address of this machine. */
  | "all addresses"
  /** It could not be resolved. */
  | "unknown";

/** Who can do what to an agent with these settings. */
export interface SecuritySummary {
  readonly encryption: {
    readonly isOn: boolean;
    /** A file, or the command line; absent without encryption. */
    readonly keysFrom?: string;
    /** How many; absent when the file cannot be read. */
    readonly keys?: number;
    /** Permissions of that file, such as `0600`; absent without a file. */
    readonly mode?: string;
  };
  readonly rpc: {
    readonly address: string;
    readonly reach: Reach;
    readonly hasToken: boolean;
    /** A file, or the command line; absent without a token. */
    readonly tokenFrom?: string;
  };
  readonly gossip: {
    readonly bind: string;
    readonly reach: Reach;
    /** Empty when it is that of the bound address. */
    readonly advertise: string;
  };
  /** How many scripts run on events, with the rights of the agent. */
  readonly handlers: number;
  /** Name of the cluster that is looked for on the local network; empty for none. */
  readonly discover: string;
  /** Where metrics are sent to, unencrypted. */
  readonly metricsTo: readonly string[];
  readonly logLevel: string;
  /** Facility of the system's log that has a copy; empty for none. */
  readonly syslog: string;
  /** Whether names of members are limited to letters, digits and a few others. */
  readonly validatesNames: boolean;
}

const COMMAND_LINE = "command line";

/** What is judged: the settings, and who said what. */
export interface JudgedSettings {
  readonly merged: MergedSettings;
  readonly layers: readonly SettingsLayer[];
  readonly lookup?: Lookup;
}

/** Sums up who can do what. */
export async function summarizeSecurity(
  { merged, layers, lookup }: JudgedSettings,
): Promise<SecuritySummary> {
  const { rpcAuth, statsdAddr, statsiteAddr } = merged;
  const tokenFrom = originOf("rpcAuth", layers);
  return {
    encryption: await encryptionOf(merged, layers),
    rpc: {
      address: merged.rpcAddr,
      reach: await rpcReach(merged.rpcAddr, lookup),
      hasToken: rpcAuth !== "",
      ...(tokenFrom !== undefined && { tokenFrom }),
    },
    gossip: {
      bind: merged.bind,
      reach: merged.interfaceName === ""
        ? await reachOf(() =>
          resolveBindAddress(merged.bind, DEFAULT_BIND_PORT, lookup)
        )
        : "one address",
      advertise: merged.advertise,
    },
    handlers: merged.eventHandlers.length,
    discover: merged.discover,
    metricsTo: [statsdAddr, statsiteAddr].filter((address) => address !== ""),
    logLevel: merged.logLevel.toUpperCase(),
    syslog: merged.enableSyslog ? merged.syslogFacility : "",
    validatesNames: merged.validateNodeNames,
  };
}

/** Warnings, each a sentence without its period; none when all seems meant. */
export async function securityWarnings(
  { merged, layers, lookup }: JudgedSettings,
): Promise<string[]> {
  const { rpcAddr, rpcAuth, keyringFile } = merged;
  const warnings: string[] = [];
  const reach = await rpcReach(rpcAddr, lookup);
  if (
    rpcAuth === "" && (reach === "one address" || reach === "all addresses")
  ) {
    const where = reach === "all addresses"
      ? "on all addresses of this machine"
      : "beyond this machine";
    warnings.push(
      `Everybody who reaches ${rpcAddr} can command this agent: it listens ` +
        `${where} and 'rpc_auth' is not set`,
    );
  }
  const files = new Map<string, string>();
  for (const { origin, encryptKey = "", rpcAuth = "" } of layers) {
    if (origin === undefined) continue;
    const secrets = [
      ...(encryptKey === "" ? [] : ["'encrypt_key'"]),
      ...(rpcAuth === "" ? [] : ["'rpc_auth'"]),
    ];
    files.set(origin, secrets.join(" and "));
  }
  if (keyringFile !== "") files.set(keyringFile, "the encryption keys");
  for (const [path, secret] of files) {
    const mode = await modeOf(path);
    if (mode === undefined) continue;
    const shown = modeText(mode);
    if ((mode & 0o004) !== 0 && secret !== "") {
      warnings.push(
        `Every user of this machine can read ${secret} in ${path}: its mode is ${shown}`,
      );
    }
    if ((mode & 0o002) !== 0) {
      warnings.push(
        `Every user of this machine can change ${path}: its mode is ${shown}`,
      );
    }
  }
  return warnings;
}

/** The summary as lines of two columns. */
export function securityText(summary: SecuritySummary): string[] {
  const { encryption, rpc, gossip, handlers, metricsTo, syslog } = summary;
  const rows: [string, string][] = [
    ["encryption", encryptionText(encryption)],
    [
      "control port",
      `${rpc.address}, ${REACH_TEXTS[rpc.reach]}, ` +
      (rpc.hasToken ? `token from ${rpc.tokenFrom}` : "no token"),
    ],
    [
      "gossip",
      `${gossip.bind}, ${REACH_TEXTS[gossip.reach]}` +
      (gossip.advertise === "" ? "" : `, announced as ${gossip.advertise}`),
    ],
    [
      "handlers",
      handlers === 0 ? "none" : `${handlers}, with the rights of the agent`,
    ],
    ["discovery", summary.discover || "off"],
    ["metrics", metricsTo.length === 0 ? "not sent" : metricsTo.join(", ")],
    [
      "log",
      summary.logLevel + (syslog === "" ? "" : `, copied to syslog ${syslog}`),
    ],
    ["node names", summary.validatesNames ? "validated" : "any"],
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`);
}

const REACH_TEXTS: Readonly<Record<Reach, string>> = {
  "owner": "for its owner alone",
  "this machine": "for this machine alone",
  "one address": "reachable from outside",
  "all addresses": "reachable at all addresses of this machine",
  "unknown": "not resolved",
};

function encryptionText(
  { isOn, keysFrom, keys, mode }: SecuritySummary["encryption"],
): string {
  if (!isOn) return "off: whoever reaches the gossip port is believed";
  const count = keys === undefined
    ? "keys"
    : keys === 1
    ? "1 key"
    : `${keys} keys`;
  return `on, ${count} from ${keysFrom}` +
    (mode === undefined ? "" : `, mode ${mode}`);
}

async function encryptionOf(
  { encryptKey, keyringFile }: MergedSettings,
  layers: readonly SettingsLayer[],
): Promise<SecuritySummary["encryption"]> {
  if (keyringFile === "" && encryptKey === "") return { isOn: false };
  const keysFrom = keyringFile === ""
    ? originOf("encryptKey", layers) ?? COMMAND_LINE
    : keyringFile;
  const mode = keysFrom === COMMAND_LINE ? undefined : await modeOf(keysFrom);
  const keys = keyringFile === "" ? 1 : await keyCountOf(keyringFile);
  return {
    isOn: true,
    keysFrom,
    ...(keys !== undefined && { keys }),
    ...(mode !== undefined && { mode: modeText(mode) }),
  };
}

async function keyCountOf(path: string): Promise<number | undefined> {
  try {
    return (await readKeyringFile(path)).length;
  } catch {
    // What is wrong with it is told elsewhere.
    return undefined;
  }
}

/** Who has the last word about a setting; `undefined` for a default. */
function originOf(
  setting: SettingName,
  layers: readonly SettingsLayer[],
): string | undefined {
  const origins = originsOf(setting, layers);
  return origins.length === 0 ? undefined : origins.at(-1) ?? COMMAND_LINE;
}

async function rpcReach(
  address: string,
  lookup: Lookup = lookupHost,
): Promise<Reach> {
  return address.startsWith("unix://") && isUnixPath(address)
    ? "owner"
    : await reachOf(() => resolveListenAddress(address, lookup));
}

function isUnixPath(address: string): boolean {
  try {
    return unixPathOf(address) !== undefined;
  } catch {
    return false;
  }
}

async function reachOf(
  resolve: () => Promise<{ readonly host: string }>,
): Promise<Reach> {
  let host: string;
  try {
    ({ host } = await resolve());
  } catch {
    // What is wrong with it is told elsewhere.
    return "unknown";
  }
  const ip = parseIp(host);
  if (ip === undefined) return "unknown";
  if (ip.every((byte) => byte === 0)) return "all addresses";
  const isLoopback = ip.length === 4 ? ip[0] === 127 : host === "::1";
  return isLoopback ? "this machine" : "one address";
}

/** Permissions of a file; `undefined` where there are none, or no such file. */
async function modeOf(path: string): Promise<number | undefined> {
  try {
    const { mode } = await Deno.stat(path);
    return mode === null ? undefined : mode & 0o777;
  } catch {
    return undefined;
  }
}

function modeText(mode: number): string {
  return `0${mode.toString(8).padStart(3, "0")}`;
}
