/**
 * Proof that somebody hears us: pings that carry a message, until the first of
 * them is acknowledged.
 *
 *     start --ping + message to a few members--> awaiting --ack--> receipt
 *                      ^                            |
 *                      +------ gossip interval -----+--giveUp--> over
 *
 * Gossip counts how often something was sent; it cannot tell whether any of it
 * arrived. Ping and message travel in one datagram, so whoever acknowledges the
 * one has been given the other. Once we are leaving, the packet also says so.
 *
 * This is not a probe: nobody is suspected for not answering, and the rounds of
 * `probe.ts` go on beside it. It asks nothing of others that any member of any
 * version does not do. Source: our own; memberlist has nothing like it.
 */

import type { Deadline } from "../kit/deadlines.ts";
import { encodeMessage } from "../wire/message_codec.ts";
import type { SwimCore } from "./core.ts";
import type { Timer } from "./timer.ts";

/** Members asked at one time. */
const PINGS_AT_ONCE = 3;
/** Pings whose ack would still count; older ones are forgotten. */
const PINGS_MAX = 256;

export class Receipts {
  readonly #core: SwimCore;
  /** Sequence numbers of our pings, oldest first. */
  readonly #pings = new Set<number>();
  #message: Uint8Array | undefined;
  #row: Deadline<Timer> | undefined;

  constructor(core: SwimCore) {
    this.#core = core;
  }

  /**
   * Sends the message until one member has acknowledged it, which is told by one
   * `receipt` event. Takes the place of a message that still waits for its own.
   *
   * @param message whole, type byte included; kept
   */
  start(message: Uint8Array, nowMs: number): void {
    this.giveUp();
    this.#message = message;
    this.ask(nowMs);
  }

  /** Asks a few members, and again after a while. */
  ask(nowMs: number): void {
    const core = this.#core;
    const message = this.#message;
    if (message === undefined) return;
    const { gossipIntervalMs, probeTimeoutMs } = core.config.profile;
    const waitMs = gossipIntervalMs > 0 ? gossipIntervalMs : probeTimeoutMs;
    this.#row = core.deadlines.add(nowMs + waitMs, { kind: "receipt" });
    const { self, isLeaving } = core;
    const parts = [message];
    if (isLeaving && self !== undefined) {
      const { name: node, incarnation } = self;
      parts.push(
        encodeMessage({ kind: "dead", node, from: node, incarnation }),
      );
    }
    const targets = core.members.pick(
      PINGS_AT_ONCE,
      (member) => member.isLive && !core.isSelf(member.name),
    );
    for (const target of targets) {
      const seqNo = core.nextSeqNo();
      this.#remember(seqNo);
      const ping = encodeMessage(core.pingTo(target.name, seqNo));
      core.sendParts(target.address, [ping, ...parts], {
        crc: core.wantsCrc(target),
      });
    }
  }

  /** @returns whether the ack was for one of our pings */
  acked(seqNo: number): boolean {
    if (!this.#pings.has(seqNo)) return false;
    this.giveUp();
    this.#core.emitEvent({ type: "receipt" });
    return true;
  }

  /** No receipt is awaited any more. */
  giveUp(): void {
    if (this.#row !== undefined) this.#core.deadlines.delete(this.#row);
    this.#row = undefined;
    this.#message = undefined;
    this.#pings.clear();
  }

  #remember(seqNo: number): void {
    if (this.#pings.size >= PINGS_MAX) {
      for (const oldest of this.#pings) {
        this.#pings.delete(oldest);
        break;
      }
    }
    this.#pings.add(seqNo);
  }
}
