/**
 * The driver of an agent: started with the agent's settings, in whose words it
 * fails.
 *
 * Source: serf `command.go` (setupAgent), `serf.go` (Create).
 */

import type { Metrics } from "../kit/metrics.ts";
import { BindError } from "../net/bind.ts";
import {
  type DriverConfig,
  type DriverOptions,
  NodeDriver,
} from "../net/driver.ts";
import type { SnapshotStore } from "../net/snapshot_store.ts";
import { PROFILES } from "../swim/config.ts";
import type { Keyring } from "../wire/keyring.ts";
import type { AgentSettings } from "./config.ts";
import { keyringFileChange, writeKeyringFile } from "./keyring_file.ts";
import { AgentStartError, startText } from "./start_error.ts";

/** Longest wait of a member or user event for others of its kind, ms. */
const COALESCE_PERIOD_MS = 3_000;
/** Quiet time that ends this wait, ms. */
const QUIESCENT_PERIOD_MS = 1_000;

/** What is there before the agent. */
export interface AgentParts {
  readonly metrics: Metrics;
  readonly keyring: Keyring | undefined;
  readonly snapshot: SnapshotStore | undefined;
}

/** @throws {AgentStartError} when the sockets or the engine refuse; nothing is open */
export function startDriver(
  settings: AgentSettings,
  { metrics, keyring, snapshot }: AgentParts,
  listeners: Pick<DriverOptions, "onEvent" | "onLog" | "onNameLost">,
): NodeDriver {
  try {
    return NodeDriver.start({
      bind: settings.bind,
      ...(settings.advertise && { advertise: settings.advertise }),
      ...(snapshot && { snapshot }),
      metrics,
      config: driverConfig(settings, keyring),
      ...keyringSaver(settings, keyring, listeners.onLog),
      ...listeners,
    });
  } catch (error) {
    if (!(error instanceof BindError) && !(error instanceof RangeError)) {
      throw error;
    }
    const where = error instanceof BindError
      ? "Failed to create memberlist: "
      : "";
    throw new AgentStartError(startText(`${where}${error.message}`), {
      cause: error,
    });
  }
}

/** The settings of the agent as the engine knows them. */
export function driverConfig(
  settings: AgentSettings,
  keyring: Keyring | undefined,
): DriverConfig {
  return {
    protocolVersion: settings.protocol,
    tags: settings.tags,
    coalescePeriodMs: COALESCE_PERIOD_MS,
    quiescentPeriodMs: QUIESCENT_PERIOD_MS,
    userCoalescePeriodMs: COALESCE_PERIOD_MS,
    userQuiescentPeriodMs: QUIESCENT_PERIOD_MS,
    userEventBytesMax: settings.userEventBytesMax,
    queryBytesMax: settings.queryBytesMax,
    queryResponseBytesMax: settings.queryResponseBytesMax,
    broadcastTimeoutMs: settings.broadcastTimeoutMs,
    reconnectIntervalMs: settings.reconnectIntervalMs,
    reconnectTimeoutMs: settings.reconnectTimeoutMs,
    tombstoneTimeoutMs: settings.tombstoneTimeoutMs,
    enableNameConflictResolution: settings.nameResolution,
    enableCoordinates: settings.coordinates,
    validateNodeNames: settings.validateNodeNames,
    swim: {
      name: settings.nodeName,
      profile: PROFILES[settings.profile],
      compression: settings.compression,
      ...(keyring && { keyring }),
      // Everything is produced: monitors may ask for any level.
      logLevel: "TRACE",
    },
  };
}

/**
 * Keeps changes of the keys, where there is a file for them. The keys in use are
 * what counts; that the file said something else is logged before it is replaced.
 */
function keyringSaver(
  { keyringFile }: AgentSettings,
  keyring: Keyring | undefined,
  onLog: DriverOptions["onLog"],
): Pick<DriverOptions, "saveKeyring"> {
  if (keyringFile === "") return {};
  let known = keyring?.keys() ?? [];
  return {
    async saveKeyring(keys) {
      const change = await keyringFileChange(keyringFile, known);
      if (change !== undefined) {
        onLog(
          "WARN",
          `agent: Keyring file ${change}; it is replaced by the keys in use`,
        );
      }
      await writeKeyringFile(keyringFile, keys);
      known = [...keys];
    },
  };
}
