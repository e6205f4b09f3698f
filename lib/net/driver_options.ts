/** What a driver is told at its start, whom it tells, and how it fails. */

import type { HostPort } from "../kit/address.ts";
import type { LogLevel } from "../kit/log.ts";
import type { Metrics } from "../kit/metrics.ts";
import type { serfConfig } from "../serf/config.ts";
import type { KeyReport, QueryReply, SerfEvent } from "../serf/event.ts";
import { joinErrorText } from "../serf/join.ts";
import type { SnapshotStore } from "./snapshot_store.ts";

type GivenSerf = Parameters<typeof serfConfig>[0];
type GivenSwim = GivenSerf["swim"];
type AddressKey = "advertiseAddr" | "advertisePort" | "bindPort";

/**
 * Settings of an engine without its addresses, which the sockets decide, and
 * without its past, which comes with `DriverOptions.snapshot`.
 */
export type DriverConfig = Omit<GivenSerf, "swim" | "snapshot"> & {
  readonly swim: Omit<GivenSwim, AddressKey>;
};

export interface DriverOptions {
  /** IP address and port to bind to; port 0 for one of the system's choice. */
  readonly bind: HostPort;
  /** What to tell others instead, an IP address; port 0 for the bound one. */
  readonly advertise?: HostPort;
  readonly config: DriverConfig;
  /**
   * Where the engine goes on and what it writes to. Once the driver has started it
   * is the driver's, and `shutdown` closes it.
   */
  readonly snapshot?: SnapshotStore;
  /** Where to count; absent, in one of its own. */
  readonly metrics?: Metrics;
  /** Called in the order of the engine's events. */
  onEvent(event: SerfEvent): void;
  /** `text` begins with its component: `memberlist: ...`, `serf: ...`. */
  onLog(level: LogLevel, text: string): void;
  /** The cluster gave our name to another node, and we have shut down. */
  onNameLost?(): void;
  /**
   * Keeps the keys of `config.swim.keyring` after each change, the primary first.
   * One call at a time, in the order of the changes. Without it, changes last as
   * long as the node.
   *
   * @throws {Error} whose message the asker of the change is told
   */
  saveKeyring?(keys: readonly Uint8Array[]): Promise<void>;
}

/** Who hears what comes back to a query. */
export interface QueryListener {
  onReply(reply: QueryReply): void;
  /** Called once, and last. */
  onDone(): void;
}

/** No address could be joined. The message is Go's list of what went wrong. */
export class JoinError extends Error {
  override name = "JoinError";
  /** @param errors one text for each address that failed */
  constructor(readonly errors: readonly string[]) {
    super(joinErrorText(errors));
  }
}

/** A key request failed, entirely or at some members. */
export class KeyError extends Error {
  override name = "KeyError";
  /** @param report what the members said */
  constructor(message: string, readonly report: KeyReport) {
    super(message);
  }
}
