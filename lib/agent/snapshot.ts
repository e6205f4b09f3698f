/**
 * The snapshot that an agent goes on from and writes to, if it has one.
 *
 * Source: serf `serf.go` (Create).
 */

import { SnapshotError } from "../net/snapshot_error.ts";
import type { SnapshotStore } from "../net/snapshot_store.ts";
import type { AgentSettings } from "./config.ts";
import { AgentStartError, startText } from "./start_error.ts";

/**
 * Opens the snapshot of an agent; `undefined` when it has none, and then nothing
 * is loaded for it.
 *
 * @throws {AgentStartError} when the file cannot be opened or read
 */
export async function openSnapshot(
  settings: Pick<AgentSettings, "snapshotPath" | "rejoinAfterLeave">,
): Promise<SnapshotStore | undefined> {
  const { snapshotPath, rejoinAfterLeave } = settings;
  if (snapshotPath === "") return undefined;
  const { SnapshotStore } = await import("../net/snapshot_store.ts");
  try {
    return await SnapshotStore.open(snapshotPath, { rejoinAfterLeave });
  } catch (cause) {
    if (!(cause instanceof SnapshotError)) throw cause;
    throw new AgentStartError(
      startText(`Failed to setup snapshot: ${cause.message}`),
      { cause },
    );
  }
}
