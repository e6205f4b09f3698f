/**
 * The three queues of messages that we gossip: intents, queries, user events.
 *
 * A packet is filled from the intents first, then the queries, then the events,
 * each getting the room that the earlier ones left. Serf's broadcasts never
 * replace each other.
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
import type { SerfCore } from "./core.ts";

/** A queue at least this deep is worth a warning. */
const DEPTH_WARNING = 128;

export type QueueName = "Intent" | "Query" | "Event";

interface NamedQueue {
  readonly name: QueueName;
  readonly queue: BroadcastQueue;
  /** Messages pushed out by newer ones since the last check. */
  dropped: number;
}

export class Queues {
  readonly #core: SerfCore;
  /** In the order in which packets are filled. */
  readonly #queues: readonly NamedQueue[];

  /** @param messageBytesMax longest user message that any packet can carry */
  constructor(core: SerfCore, messageBytesMax: number) {
    this.#core = core;
    const { queueDepthMax, swim } = core.config;
    const names: QueueName[] = ["Intent", "Query", "Event"];
    this.#queues = names.map((name) => ({
      name,
      dropped: 0,
      queue: new BroadcastQueue({
        retransmitMult: swim.profile.retransmitMult,
        depthMax: queueDepthMax,
        messageBytesMax,
      }),
    }));
  }

  get isEmpty(): boolean {
    return this.#queues.every(({ queue }) => queue.size === 0);
  }

  depth(name: QueueName): number {
    return this.#named(name).queue.size;
  }

  /**
   * Queues a message. One too long for any packet is done at once.
   *
   * @param message a whole user message, as `userMessage` makes it; kept
   * @param operation who wants to know when it was gossiped
   */
  put(name: QueueName, message: Uint8Array, operation?: OperationId): void {
    const named = this.#named(name);
    const isFull = named.queue.size >= this.#core.config.queueDepthMax;
    if (isFull) named.dropped++;
    named.queue.queue(message, operation);
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
      }
    }
    return taken;
  }

  /** Operations whose message was gossiped or dropped since the last call. */
  drainFinished(): OperationId[] {
    // Only leave intents have somebody waiting for them.
    return this.#named("Intent").queue.drainFinished();
  }

  /** Says which queues are too deep. */
  check(): void {
    const core = this.#core;
    const depthMax = core.config.queueDepthMax;
    for (const named of this.#queues) {
      const { name, queue, dropped } = named;
      const depth = queue.size + dropped;
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

  #named(name: QueueName): NamedQueue {
    return this.#queues[QUEUE_PLACES[name]] as NamedQueue;
  }
}

/** A Serf message as members gossip it: a user message of the SWIM layer. */
export function userMessage(body: Uint8Array): Uint8Array {
  return encodeMessage({ kind: "user", body });
}

const QUEUE_PLACES: Readonly<Record<QueueName, number>> = {
  Intent: 0,
  Query: 1,
  Event: 2,
};
