/** Settings of the Serf engine. Source of names and numbers: serf `config.go`. */

import {
  type RequiredSwimConfig,
  type SwimConfig,
  swimConfig,
} from "../swim/config.ts";
import { nameLengthProblem } from "../swim/name_limit.ts";
import type { SerfLimits } from "./limits.ts";
import { nodeNameProblem } from "./node_name.ts";
import type { RestoredSnapshot } from "./snapshot_file.ts";

/** What a node that keeps a snapshot is told about it. */
export interface SnapshotConfig {
  /** What the file said. */
  readonly restored: RestoredSnapshot;
  /**
   * No file is compacted below this size, bytes; 128 KiB unless given. Smaller
   * keeps the file short, larger saves rewriting it.
   */
  readonly compactBytesMin?: number;
}

/** Everything a Serf engine must be told. Make one with `serfConfig`. */
export interface SerfConfig {
  /** The layer below: name, address, timing. */
  readonly swim: SwimConfig;
  /** Spoken Serf protocol, 2 to 5. Version 2 sends the role alone, not tags. */
  readonly protocolVersion: number;
  /** What we say about ourselves at the start; at most 512 bytes encoded. */
  readonly tags: ReadonlyMap<string, string>;
  /**
   * Longest wait for one of our intents or updates to be gossiped, ms. Reached
   * only when the others do not listen. A leave waits up to twice this long.
   */
  readonly broadcastTimeoutMs: number;
  /**
   * Wait at the end of a leave, so that it spreads before we are gone, ms. Too
   * short, and members that missed the leave call us failed for a while.
   */
  readonly leavePropagateDelayMs: number;
  /**
   * Longest wait of a member event for others, ms. Coalescing takes both this and
   * the quiescent period above 0; otherwise each event is delivered at once.
   */
  readonly coalescePeriodMs: number;
  /** A quiet time of this length ends the wait earlier, ms. */
  readonly quiescentPeriodMs: number;
  /** The same for user events that allow it. */
  readonly userCoalescePeriodMs: number;
  /** As `quiescentPeriodMs`, for user events, ms. */
  readonly userQuiescentPeriodMs: number;
  /** Time between looks at who may be forgotten, ms; 0 for never. */
  readonly reapIntervalMs: number;
  /** Time between attempts to reach a failed member again, ms; 0 for never. */
  readonly reconnectIntervalMs: number;
  /** Failed members are forgotten after this, ms, and not tried any more. */
  readonly reconnectTimeoutMs: number;
  /** Left members are forgotten after this, ms. */
  readonly tombstoneTimeoutMs: number;
  /** A member that comes back within this time of failing has flapped, ms. */
  readonly flapTimeoutMs: number;
  /**
   * How long an intent waits for its member to show up, ms. Must exceed the time
   * in which gossip reaches everybody.
   */
  readonly recentIntentTimeoutMs: number;
  /**
   * Slots of the ring that recognises user events seen before, at least 1. More
   * let an event arrive later and give a joining node a longer past, at the price
   * of larger push/pulls. Should be the same in the whole cluster.
   */
  readonly eventBuffer: number;
  /** Slots of the ring that recognises queries seen before, at least 1. */
  readonly queryBuffer: number;
  /**
   * Largest name plus payload, and largest encoded event, bytes; at most 9216.
   * What does not fit a packet is not gossiped and spreads by push/pull alone.
   */
  readonly userEventBytesMax: number;
  /** Largest encoded query that we send, bytes. Receivers accept any size. */
  readonly queryBytesMax: number;
  /**
   * Largest encoded answer, and largest relayed answer, that we send, bytes. Both
   * travel in a single datagram.
   */
  readonly queryResponseBytesMax: number;
  /**
   * How long a query runs unless it says otherwise: this many gossip intervals,
   * times ceil(log10(members + 1)). Shorter, and answers come after the end;
   * longer, and who waits for a member that will not answer waits longer.
   */
  readonly queryTimeoutMult: number;
  /**
   * Whether the members vote when another node claims our name. The one that loses
   * shuts down; while fewer than half of the members answer, nobody does. Without a
   * vote both go on, and the others hold to whichever they met first.
   */
  readonly enableNameConflictResolution: boolean;
  /**
   * Whether we measure where we are in the network and tell others in our acks,
   * which makes each of them 130 bytes longer. Without it we know no coordinate.
   */
  readonly enableCoordinates: boolean;
  /**
   * Whether keys outlast us: each change of the keyring is then given out by
   * `saveKeyring`, and the asker is answered once it was kept. Without it a
   * change lasts as long as the engine. The ring itself is `swim.keyring`.
   */
  readonly savesKeyring: boolean;
  /**
   * Whether names with unusual characters are refused, our own at the start and
   * those of others whenever they come (see `node_name.ts`). Others may let them
   * in all the same, and the views of the cluster then differ; a join into a
   * cluster that has such a member fails.
   */
  readonly validateNodeNames: boolean;
  /** Most broadcasts that wait in each queue; beyond it the most-sent are dropped. */
  readonly queueDepthMax: number;
  /**
   * The snapshot of our earlier lives: its clocks go on, its members are how we
   * find back, and what happens is recorded in `persist` outputs. Absent, nothing
   * is recorded.
   */
  readonly snapshot?: SnapshotConfig;
  /** What peers can make us do; `SERF_LIMITS` unless given. */
  readonly limits?: SerfLimits;
}

/** Oldest and newest Serf protocol that we speak. */
export const SERF_PROTOCOL_MIN = 2;
export const SERF_PROTOCOL_MAX = 5;
/** Hard limit of `userEventBytesMax`. */
export const USER_EVENT_BYTES_LIMIT = 9_216;

/** What `serfConfig` must be told of the SWIM layer: a name and an address at least. */
export type GivenSwim = RequiredSwimConfig & Partial<SwimConfig>;

/**
 * Settings with Serf's library defaults.
 *
 * @throws {RangeError} when a setting is out of range; nothing was made
 */
export function serfConfig(
  given: Partial<Omit<SerfConfig, "swim">> & { readonly swim: GivenSwim },
): SerfConfig {
  const protocolVersion = given.protocolVersion ?? SERF_PROTOCOL_MAX;
  if (
    protocolVersion < SERF_PROTOCOL_MIN || protocolVersion > SERF_PROTOCOL_MAX
  ) {
    const side = protocolVersion < SERF_PROTOCOL_MIN ? "low" : "high";
    throw new RangeError(
      `Protocol version '${protocolVersion}' too ${side}. Must be in range: [${SERF_PROTOCOL_MIN}, ${SERF_PROTOCOL_MAX}]`,
    );
  }
  const userEventBytesMax = given.userEventBytesMax ?? 512;
  if (userEventBytesMax > USER_EVENT_BYTES_LIMIT) {
    throw new RangeError(
      `user event size limit exceeds limit of ${USER_EVENT_BYTES_LIMIT} bytes`,
    );
  }
  const { eventBuffer = 512, queryBuffer = 512 } = given;
  if (!(eventBuffer >= 1 && queryBuffer >= 1)) {
    throw new RangeError(
      `Event and query buffers need at least one slot, have ${eventBuffer} and ${queryBuffer}`,
    );
  }
  const { name } = given.swim;
  const nameProblem = nameLengthProblem(name) ??
    (given.validateNodeNames ? nodeNameProblem(name) : undefined);
  if (nameProblem !== undefined) throw new RangeError(nameProblem);
  return {
    tags: new Map(),
    broadcastTimeoutMs: 5_000,
    leavePropagateDelayMs: 1_000,
    coalescePeriodMs: 0,
    quiescentPeriodMs: 0,
    userCoalescePeriodMs: 0,
    userQuiescentPeriodMs: 0,
    reapIntervalMs: 15_000,
    reconnectIntervalMs: 30_000,
    reconnectTimeoutMs: 24 * 3_600_000,
    tombstoneTimeoutMs: 24 * 3_600_000,
    flapTimeoutMs: 60_000,
    recentIntentTimeoutMs: 5 * 60_000,
    queryBytesMax: 1_024,
    queryResponseBytesMax: 1_024,
    queryTimeoutMult: 16,
    enableNameConflictResolution: true,
    enableCoordinates: true,
    savesKeyring: false,
    validateNodeNames: false,
    queueDepthMax: 4_096,
    ...given,
    protocolVersion,
    userEventBytesMax,
    eventBuffer,
    queryBuffer,
    swim: swimConfig({
      ...given.swim,
      delegateVersion: {
        min: SERF_PROTOCOL_MIN,
        max: SERF_PROTOCOL_MAX,
        current: protocolVersion,
      },
    }),
  };
}
