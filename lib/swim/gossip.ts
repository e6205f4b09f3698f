/**
 * The periodic sending of queued broadcasts to a few random members.
 *
 * All targets of a round get the same packet, which is packed, compressed and
 * sealed once. (memberlist packs one for each; while everything queued fits one
 * packet, the two do the same.)
 *
 * A round happens one interval after the last one, as in memberlist, but only
 * while something is queued: an idle node sets no gossip timer at all, and the
 * first broadcast after a quiet time leaves at once instead of waiting for the
 * next tick. The load while busy is memberlist's; the first hop is faster.
 *
 * Source: memberlist `state.go` (gossip).
 */

import type { Deadline } from "../kit/deadlines.ts";
import type { SwimCore } from "./core.ts";
import type { Timer } from "./timer.ts";

export class Gossiper {
  readonly #core: SwimCore;
  #row: Deadline<Timer> | undefined;
  #lastRoundMs = Number.NEGATIVE_INFINITY;

  constructor(core: SwimCore) {
    this.#core = core;
  }

  /** Plans the next round if there is something to say and somebody to tell. */
  wake(nowMs: number): void {
    const core = this.#core;
    if (this.#row !== undefined || core.members.size < 2) return;
    if (!core.hasBroadcasts) return;
    const { gossipIntervalMs, gossipNodes } = core.config.profile;
    if (gossipIntervalMs <= 0 || gossipNodes < 1) return;
    const atMs = Math.max(nowMs, this.#lastRoundMs + gossipIntervalMs);
    this.#row = core.deadlines.add(atMs, { kind: "gossip" });
  }

  /** One round. The engine wakes us again if broadcasts are left. */
  round(nowMs: number): void {
    const core = this.#core;
    const { gossipNodes, gossipToTheDeadMs } = core.config.profile;
    this.#row = undefined;
    this.#lastRoundMs = nowMs;
    // The recently dead are told too, so that they can refute their death.
    const targets = core.members.pick(
      gossipNodes,
      (member) =>
        !core.isSelf(member.name) &&
        (member.isLive ||
          (member.state === "dead" &&
            nowMs - member.stateChangedMs <= gossipToTheDeadMs)),
    );
    if (targets.length === 0) return;
    const parts = core.takeBroadcasts(core.gossipRoomBytes, targets.length);
    if (parts.length === 0) return;
    // Our clock stands still during a round; that it happened is what counts.
    core.metrics.gossip.record(0);
    // All targets understand checksums, but for those of very old releases.
    const crc = targets.every((target) => core.wantsCrc(target));
    const packets = core.pack(parts, { crc });
    for (const { address } of targets) {
      for (const bytes of packets) core.sendPacket(address, bytes);
    }
  }
}
