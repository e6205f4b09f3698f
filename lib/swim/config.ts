/**
 * Settings of the SWIM engine and the three profiles that people choose from.
 *
 * Source of names and numbers: memberlist `config.go`.
 */

import type { LogLevel } from "../kit/log.ts";
import type { Keyring } from "../wire/keyring.ts";
import type { SwimLimits } from "./limits.ts";

/** The timing that depends on the network between the members. */
export interface SwimProfile {
  /**
   * Time between probes of one member each, ms. Lower finds failures sooner and
   * costs a ping and an ack per interval and node, whatever the cluster's size.
   * Must exceed `probeTimeoutMs`, so that indirect probes have time to answer.
   */
  readonly probeIntervalMs: number;
  /** How long a direct ping may take before others are asked, ms: about the 99th percentile of round trips. */
  readonly probeTimeoutMs: number;
  /** How many members are asked for an indirect ping. More saves more live nodes behind a bad link. */
  readonly indirectChecks: number;
  /** Time between gossip rounds, ms. Lower spreads faster and sends more. */
  readonly gossipIntervalMs: number;
  /** Members told per gossip round. */
  readonly gossipNodes: number;
  /** How long dead members are still told of their death, ms, so that they can refute it. */
  readonly gossipToTheDeadMs: number;
  /** Time between full exchanges with one random member, ms; stretched in clusters above 32 nodes. */
  readonly pushPullIntervalMs: number;
  /** Limit for a whole exchange over a stream, ms. */
  readonly streamTimeoutMs: number;
  /** A broadcast is sent this many times ceil(log10(nodes + 1)) times. */
  readonly retransmitMult: number;
  /** Shortest suspicion in probe intervals, times log10 of the cluster's size. */
  readonly suspicionMult: number;
  /** Longest suspicion as a multiple of the shortest (Lifeguard). */
  readonly suspicionMaxTimeoutMult: number;
  /** The health score stays below this; it stretches our own probe interval (Lifeguard). */
  readonly awarenessMaxMultiplier: number;
}

/** Names of the ready-made profiles. */
export type ProfileName = "lan" | "wan" | "local";

const LAN: SwimProfile = {
  probeIntervalMs: 1_000,
  probeTimeoutMs: 500,
  indirectChecks: 3,
  gossipIntervalMs: 200,
  gossipNodes: 3,
  gossipToTheDeadMs: 30_000,
  pushPullIntervalMs: 30_000,
  streamTimeoutMs: 10_000,
  retransmitMult: 4,
  suspicionMult: 4,
  suspicionMaxTimeoutMult: 6,
  awarenessMaxMultiplier: 8,
};

const WAN: SwimProfile = {
  ...LAN,
  probeIntervalMs: 5_000,
  probeTimeoutMs: 3_000,
  gossipIntervalMs: 500,
  gossipNodes: 4,
  gossipToTheDeadMs: 60_000,
  pushPullIntervalMs: 60_000,
  streamTimeoutMs: 30_000,
  suspicionMult: 6,
};

const LOCAL: SwimProfile = {
  ...LAN,
  probeTimeoutMs: 200,
  indirectChecks: 1,
  gossipIntervalMs: 100,
  gossipToTheDeadMs: 15_000,
  pushPullIntervalMs: 15_000,
  streamTimeoutMs: 1_000,
  retransmitMult: 2,
  suspicionMult: 3,
};

/** Timing for one data centre (the default), for links between them, and for one machine. */
export const PROFILES: Readonly<Record<ProfileName, SwimProfile>> = {
  lan: LAN,
  wan: WAN,
  local: LOCAL,
};

/** Everything a SWIM engine must be told. Make one with `swimConfig`. */
export interface SwimConfig {
  /** Our name, unique in the cluster. */
  readonly name: string;
  /** The address told to others: 4 or 16 bytes, always in one form. */
  readonly advertiseAddr: Uint8Array;
  readonly advertisePort: number;
  /** Stands in for a port that a very old peer left out. */
  readonly bindPort: number;
  readonly profile: SwimProfile;
  /** Spoken protocol version, 1 to 5; only 1 changes what we send. */
  readonly protocolVersion: number;
  /** Versions of the layer above, told to others: understood from, up to, spoken. */
  readonly delegateVersion: {
    readonly min: number;
    readonly max: number;
    readonly current: number;
  };
  /** Keys of the cluster; `undefined` or empty means no encryption. */
  readonly keyring?: Keyring;
  /** Refuse plaintext while keys are installed. Off only while encryption is being introduced. */
  readonly verifyIncoming: boolean;
  /** Encrypt what we send while keys are installed. */
  readonly verifyOutgoing: boolean;
  readonly compression: boolean;
  /** Prefix that keeps clusters on one network apart, at most 255 bytes of UTF-8; empty for none. */
  readonly label: string;
  /** Packing target of a packet before compression and encryption, bytes. */
  readonly packetBytesMax: number;
  /** A name may be taken over from a member dead for this long, ms; 0 for never. */
  readonly deadNodeReclaimMs: number;
  /** Whether a failed direct ping is also tried over a stream. */
  readonly streamPings: boolean;
  /** Log lines below this level are not produced at all. */
  readonly logLevel: LogLevel;
  /**
   * Most members kept, ourselves included. Beyond it new names are refused and
   * counted; a hostile peer cannot make the table grow for ever.
   */
  readonly membersMax: number;
  /** What peers can make us send; `SWIM_LIMITS` unless given. */
  readonly limits?: SwimLimits;
}

/** The settings that have no sensible default. */
export type RequiredSwimConfig = Pick<
  SwimConfig,
  "name" | "advertiseAddr" | "advertisePort"
>;

/**
 * Settings with defaults as memberlist's LAN profile.
 *
 * @throws {RangeError} when a version, the label, the name or the address is
 * out of range; nothing was made
 */
export function swimConfig(
  given: RequiredSwimConfig & Partial<SwimConfig>,
): SwimConfig {
  const config: SwimConfig = {
    bindPort: given.advertisePort,
    profile: LAN,
    protocolVersion: 2,
    delegateVersion: { min: 0, max: 0, current: 0 },
    verifyIncoming: true,
    verifyOutgoing: true,
    compression: true,
    label: "",
    packetBytesMax: 1_400,
    deadNodeReclaimMs: 0,
    streamPings: true,
    logLevel: "DEBUG",
    membersMax: 65_536,
    ...given,
  };
  const version = config.protocolVersion;
  if (version < PROTOCOL_MIN || version > PROTOCOL_MAX) {
    const side = version < PROTOCOL_MIN ? "low" : "high";
    throw new RangeError(
      `protocol version '${version}' too ${side}. Must be in range: [${PROTOCOL_MIN}, ${PROTOCOL_MAX}]`,
    );
  }
  if (new TextEncoder().encode(config.label).length > 255) {
    throw new RangeError(
      `could not use "${config.label}" as a label: too long`,
    );
  }
  if (config.advertiseAddr.length !== 4 && config.advertiseAddr.length !== 16) {
    throw new RangeError(
      `Advertise address must have 4 or 16 bytes, has ${config.advertiseAddr.length}`,
    );
  }
  return config;
}

/** Oldest protocol version of memberlist that we speak. */
export const PROTOCOL_MIN = 1;
/** Newest protocol version of memberlist that we speak. */
export const PROTOCOL_MAX = 5;
/** Largest meta that a node may announce, bytes. */
export const META_BYTES_MAX = 512;
