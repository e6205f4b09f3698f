/**
 * The three queues of messages that we gossip: intents, queries, user events.
 *
 * A packet is filled from the intents first, then the queries, then the events,
 * each getting the room that the earlier ones left. Serf's broadcasts never
 * replace each other.
 *
 * Among the intents, leaves are in a hurry: who leaves waits for its own, and one
 * that arrives after the member is gone finds it called failed. They have queues
 * of their own, from which packets are filled even before the broadcasts of the
 * SWIM layer. First come our own leaves, forced ones included; then those of
 * others, in a share of the room, so that when very many leave at once the SWIM
 * layer can still say that they are gone. In all figures they count as intents.
 * (Upstream sends them with all others, and after everything of the SWIM layer.)
 *
 * Each queue is bounded when something is put in: beyond `queueDepthMax` the
 * most-sent message is dropped, and its sender is told that it is done. Upstream
 * bounds them only every 30 seconds; at that rate we still complain about their
 * depth, and about what was dropped since.
 *
 * Source: serf `delegate.go` (GetBroadcasts), `serf.go` (checkQueueDepth).
 */

import type { OperationId } from "../swim/output.ts";
import { BroadcastQueue } from "../swim/broadcast_queue.ts";
import { encodeMessage } from "../wire/message_codec.ts";
import { COMPOUND_PART_BYTES } from "../wire/compound.ts";
import type { SerfCore } from "./core.ts";

/** What makes a Serf message a user message of the SWIM layer, bytes. */
const TYPE_BYTES = 1;
/** A queue at least this deep is worth a warning. */
const DEPTH_WARNING = 128;

export type QueueName = "Intent" | "Query" | "Event";

/** Of a packet's room, what leaves of others may take before the SWIM layer. */
const OTHERS_SHARE = 0.25;

/** Whose leave intent: one that starts with us, or one that we pass on. */
export type LeaveOrigin = "own" | "others";

interface NamedQueue {
  readonly name: QueueName;
  readonly queue: BroadcastQueue;
  /** The metrics of its depth and of what it dropped. */
  readonly depths: `queue${QueueName}`;
  readonly drops: `queueDropped${QueueName}`;
  /** Messages pushed out by newer ones since the last check. */
  dropped: number;
}

export class Queues {
  readonly #core: SerfCore;
  readonly #leaves: Readonly<Record<LeaveOrigin, BroadcastQueue>>;
  /** Longest message that fits the share of the leaves of others, bytes. */
  readonly #sharedBytesMax: number;
  /** In the order in which packets are filled. */
  readonly #queues: readonly NamedQueue[];

  /** @param messageBytesMax longest user message that any packet can carry */
  constructor(core: SerfCore, messageBytesMax: number) {
    this.#core = core;
    const { queueDepthMax, swim } = core.config;
    const makeQueue = () =>
      new BroadcastQueue({
        retransmitMult: swim.profile.retransmitMult,
        depthMax: queueDepthMax,
        messageBytesMax,
      });
    const names: QueueName[] = ["Intent", "Query", "Event"];
    this.#sharedBytesMax = messageBytesMax * OTHERS_SHARE -
      COMPOUND_PART_BYTES;
    this.#leaves = { own: makeQueue(), others: makeQueue() };
    this.#queues = names.map((name) => ({
      name,
      depths: `queue${name}`,
      drops: `queueDropped${name}`,
      dropped: 0,
      queue: makeQueue(),
    }));
  }

  get isEmpty(): boolean {
    return this.#leaveCount === 0 &&
      this.#queues.every(({ queue }) => queue.size === 0);
  }

  depth(name: QueueName): number {
    const { size } = this.#named(name).queue;
    return name === "Intent" ? size + this.#leaveCount : size;
  }

  /**
   * Queues a message. One too long for any packet is done at once.
   *
   * @param message a whole user message, as `userMessage` makes it; kept
   */
  put(name: QueueName, message: Uint8Array): void {
    const named = this.#named(name);
    this.#countDrop(named, named.queue);
    named.queue.queue(message);
  }

  /**
   * Queues a leave intent, as `put` does. One of others that is too long for their
   * share is in no hurry.
   *
   * @param operation who wants to know when it was gossiped
   */
  putLeave(
    origin: LeaveOrigin,
    message: Uint8Array,
    operation?: OperationId,
  ): void {
    if (origin === "others" && message.length > this.#sharedBytesMax) {
      return this.put("Intent", message);
    }
    const queue = this.#leaves[origin];
    this.#countDrop(this.#named("Intent"), queue);
    queue.queue(message, operation);
  }

  /** Leave intents for one packet; see `SwimHost.takeUrgent`. */
  takeUrgent(
    overheadBytes: number,
    roomBytes: number,
    members: number,
    copies = 1,
  ): Uint8Array[] {
    if (this.#leaveCount === 0) return NOTHING;
    const { own, others } = this.#leaves;
    const taken = own.take(overheadBytes, roomBytes, members, copies);
    let freeBytes = roomBytes;
    for (const bytes of taken) freeBytes -= bytes.length + overheadBytes;
    const sharedBytes = Math.min(freeBytes, roomBytes * OTHERS_SHARE);
    taken.push(...others.take(overheadBytes, sharedBytes, members, copies));
    for (const bytes of taken) {
      this.#countSent(bytes.length - TYPE_BYTES, copies);
    }
    return taken;
  }

  /** Messages for one packet; see `SwimHost.takeBroadcasts`. */
  take(
    overheadBytes: number,
    roomBytes: number,
    members: number,
    copies = 1,
  ): Uint8Array[] {
    const taken: Uint8Array[] = [];
    let freeBytes = roomBytes;
    for (const { queue } of this.#queues) {
      for (
        const bytes of queue.take(overheadBytes, freeBytes, members, copies)
      ) {
        freeBytes -= bytes.length + overheadBytes;
        taken.push(bytes);
        this.#countSent(bytes.length - TYPE_BYTES, copies);
      }
    }
    return taken;
  }

  /** Each packet with the message counts, as if it had been packed by itself. */
  #countSent(messageBytes: number, copies: number): void {
    const { msgsSent } = this.#core.metrics;
    for (let i = 0; i < copies; i++) msgsSent.record(messageBytes);
  }

  /** Operations whose leave was gossiped or dropped since the last call. */
  drainFinished(): OperationId[] {
    return this.#leaves.own.drainFinished();
  }

  /** Records how deep the queues are, and says which are too deep. */
  check(): void {
    const core = this.#core;
    const depthMax = core.config.queueDepthMax;
    for (const named of this.#queues) {
      const { name, dropped } = named;
      const depth = this.depth(name) + dropped;
      core.metrics[named.depths].record(depth);
      if (depth >= DEPTH_WARNING) {
        core.log("WARN", `${name} queue depth: ${depth}`);
      }
      if (dropped > 0) {
        core.log(
          "WARN",
          `${name} queue depth (${depth}) exceeds limit (${depthMax}), dropping messages!`,
        );
      }
      named.dropped = 0;
    }
  }

  get #leaveCount(): number {
    return this.#leaves.own.size + this.#leaves.others.size;
  }

  #countDrop(named: NamedQueue, queue: BroadcastQueue): void {
    if (queue.size < this.#core.config.queueDepthMax) return;
    named.dropped++;
    this.#core.metrics[named.drops].add();
  }

  #named(name: QueueName): NamedQueue {
    return this.#queues[QUEUE_PLACES[name]] as NamedQueue;
  }
}

const NOTHING: Uint8Array[] = [];

/** A Serf message as members gossip it: a user message of the SWIM layer. */
export function userMessage(body: Uint8Array): Uint8Array {
  return encodeMessage({ kind: "user", body });
}

const QUEUE_PLACES: Readonly<Record<QueueName, number>> = {
  Intent: 0,
  Query: 1,
  Event: 2,
};
