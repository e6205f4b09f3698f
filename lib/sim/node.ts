/**
 * One simulated node: its identity, which outlives crashes, and the engine of
 * its present life.
 *
 *             start                    crash, or left and exited
 *     down -----------> up ------------------------------------------> down
 *                       | ^
 *                 pause | | resume: what arrived is handed over, in order
 *                       v |
 *                      paused
 *
 * A paused node is a stopped process on a healthy machine: the kernel goes on
 * taking connections and keeps a limited number of packets. A slow node handles
 * each message late, in order, while its timers are on time. A stalled one
 * neither takes nor sends messages up to an instant, and then all at once.
 *
 * Engines live on the monotonic clock of their machine, which never goes back.
 * It may leap: when a virtual machine goes on after a pause, its clock jumps to
 * where the time is now.
 *
 * What is on its way to a node is here too, as events and as connections: they
 * name their nodes, and nodes hold them.
 */

import type { Deadline } from "../kit/deadlines.ts";
import { utf8Bytes } from "../kit/bytes.ts";
import type { PersistOutput } from "../serf/event.ts";
import type { SnapshotConfig } from "../serf/config.ts";
import { readSnapshot } from "../serf/snapshot_file.ts";
import type { StreamId } from "../swim/output.ts";
import type { Keyring } from "../wire/keyring.ts";
import type { SimEngine } from "./sim_engine.ts";

/** A packet on its way. */
export interface PacketEvent {
  readonly kind: "packet";
  readonly node: SimNode;
  readonly from: string;
  /** Where it was sent to: a node that moved is there no more. */
  readonly to: string;
  readonly bytes: Uint8Array;
}

/** Something that happens to one end of a stream. */
export interface StreamEvent {
  readonly kind: "stream";
  readonly what: "syn" | "opened" | "dialed" | "dialFailed" | "data" | "closed";
  readonly connection: Connection;
  readonly toDialer: boolean;
  /** Bytes of `data`. */
  readonly bytes?: Uint8Array;
  /** Reason of `dialFailed`. */
  readonly why?: string;
}

/** A node's one timer. */
export interface TimerEvent {
  readonly kind: "timer";
  readonly node: SimNode;
}

/** Anything else: steps of a plan, joins tried again. */
export interface CallEvent {
  readonly kind: "call";
  readonly run: () => void;
}

/** Everything that waits in the virtual clock. */
export type SimEvent = PacketEvent | TimerEvent | StreamEvent | CallEvent;

/** What can wait for a paused node. */
export type NodeInput = PacketEvent | StreamEvent;

/** What a node sent and received since the run began, all its lives together. */
export interface Traffic {
  packetsOut: number;
  bytesOut: number;
  packetsIn: number;
  bytesIn: number;
  streamsOut: number;
  streamBytesOut: number;
}

/** One stream with its two ends. Only `Streams` (`streams.ts`) changes it. */
export class Connection {
  dialerId: StreamId;
  acceptorId: StreamId | undefined;
  isDialerOpen = true;
  isAcceptorOpen = false;
  /** Whether nothing passes any more, in either direction. */
  isSilent = false;
  /** When the dialer was told that it is connected, ms. */
  connectedMs: number | undefined;
  /** When the acceptor was told, ms. */
  openedMs = 0;
  /** Instants of the latest planned arrivals, ms, which keep bytes in order. */
  lastToDialerMs = 0;
  lastToAcceptorMs = 0;

  constructor(
    readonly dialer: SimNode,
    readonly acceptor: SimNode,
    dialerId: StreamId,
    readonly dialedMs: number,
    /** Bytes that still pass before it breaks. */
    public bytesLeft: number,
    /** Address that was dialed; the acceptor may have moved since. */
    readonly address: string,
  ) {
    this.dialerId = dialerId;
  }
}

/** Packets that the kernel keeps for a paused or slow process. */
const INBOX_PACKETS_MAX = 256;

/** A node of a simulated cluster. To be looked at; the `Cluster` changes it. */
export class SimNode {
  readonly traffic: Traffic = {
    packetsOut: 0,
    bytesOut: 0,
    packetsIn: 0,
    bytesIn: 0,
    streamsOut: 0,
    streamBytesOut: 0,
  };
  /** `undefined` while the node is down. */
  engine: SimEngine | undefined;
  /** Its keys in this life; `undefined` without encryption. */
  keyring: Keyring | undefined;
  /** Number of starts so far; tells this life from earlier ones. */
  life = 0;
  isPaused = false;
  /** Whether this life ends with a graceful leave. */
  isLeaving = false;
  /** Whether any life ended so. */
  hasLeft = false;
  /** The contents of its snapshot file, which outlive it. */
  disk = "";
  /** How far the clock of its machine is ahead of the virtual time, whole ms. */
  aheadMs = 0;
  /** Each message is handled so much later, ms. */
  slowMs = 0;
  /** Messages in both directions wait for this instant, virtual ms. */
  stalledUntilMs = 0;
  ip: string;
  addr: Uint8Array;
  /** `ip:port`. */
  address: string;
  /**
   * When the engine wants to be called.
   *
   * @internal
   */
  timer: Deadline<SimEvent> | undefined;
  /**
   * What that comes as.
   *
   * @internal
   */
  readonly timerEvent: TimerEvent = { kind: "timer", node: this };
  /** Streams of the present engine, by its numbers. */
  readonly streams = new Map<StreamId, Connection>();
  /** The same, with those that the engine has not been told of yet. */
  readonly connections = new Set<Connection>();
  /** What arrived during a pause, in order. */
  #inbox: NodeInput[] = [];
  #inboxPackets = 0;
  /** Messages that wait for a slow or stalled node, and the packets among them. */
  #late = 0;
  #latePackets = 0;
  #latestMs = 0;

  constructor(
    readonly index: number,
    readonly name: string,
    addr: Uint8Array,
    readonly port: number,
  ) {
    this.addr = addr;
    this.ip = addr.join(".");
    this.address = `${this.ip}:${port}`;
  }

  /** Gives it another address; only while it is down. */
  moveTo(addr: Uint8Array): void {
    this.addr = addr;
    this.ip = addr.join(".");
    this.address = `${this.ip}:${this.port}`;
  }

  /** What its own clock shows at a virtual instant, ms. */
  clockMs(nowMs: number): number {
    return nowMs + this.aheadMs;
  }

  get isUp(): boolean {
    return this.engine !== undefined;
  }

  /** Up, and neither paused nor on its way out. */
  get isServing(): boolean {
    return this.engine !== undefined && !this.isPaused && !this.isLeaving;
  }

  /** What the snapshot file says to a new life, if nodes have one. */
  restored(
    snapshots: { readonly rejoinAfterLeave: boolean } | undefined,
  ): SnapshotConfig | undefined {
    return snapshots &&
      { restored: readSnapshot(utf8Bytes(this.disk), snapshots) };
  }

  /** Writes to the snapshot file. */
  persist(output: PersistOutput): void {
    const { write, text } = output;
    this.disk = write === "append" ? this.disk + text : text;
  }

  /**
   * When it gets to handling a message that arrives now, virtual ms: never before
   * an earlier one. `undefined` means at once.
   */
  handlingMs(nowMs: number): number | undefined {
    const isPunctual = this.slowMs === 0 && this.stalledUntilMs <= nowMs &&
      this.#late === 0;
    if (isPunctual) return undefined;
    this.#latestMs = Math.max(
      nowMs + this.slowMs,
      this.stalledUntilMs,
      this.#latestMs,
    );
    return this.#latestMs;
  }

  /**
   * Counts a message that waits.
   *
   * @internal
   * @returns false for a packet beyond the kernel's buffer, which is lost
   */
  addLate(input: NodeInput): boolean {
    if (input.kind === "packet") {
      if (this.#latePackets >= INBOX_PACKETS_MAX) return false;
      this.#latePackets++;
    }
    this.#late++;
    return true;
  }

  /**
   * The same message waits no more.
   *
   * @internal
   */
  removeLate(input: NodeInput): void {
    this.#late--;
    if (input.kind === "packet") this.#latePackets--;
  }

  /**
   * Keeps an input for later; packets beyond the kernel's buffer are lost.
   *
   * @internal
   */
  keep(input: NodeInput): void {
    if (input.kind === "packet") {
      if (this.#inboxPackets >= INBOX_PACKETS_MAX) return;
      this.#inboxPackets++;
    }
    this.#inbox.push(input);
  }

  /**
   * Hands over and forgets what arrived during the pause.
   *
   * @internal
   */
  takeInbox(): NodeInput[] {
    const inbox = this.#inbox;
    this.#inbox = [];
    this.#inboxPackets = 0;
    return inbox;
  }
}
