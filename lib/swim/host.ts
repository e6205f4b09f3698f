/**
 * What the SWIM engine asks of the layer above.
 *
 * All of it is synchronous, and none of it may call back into the engine: these
 * are questions, not notifications. What happened is told through outputs.
 */

import type { NodeDescriptor } from "../wire/messages.ts";

export interface SwimHost {
  /** Our opaque bytes (Serf: encoded tags); at most 512. */
  nodeMeta(): Uint8Array;

  /** Whether `takeBroadcasts` or `takeUrgent` might return something. */
  hasBroadcasts(): boolean;

  /**
   * User messages to be gossiped along, type byte included, each already counted
   * as transmitted `copies` times.
   *
   * @param overheadBytes what each message costs on top of its own length
   * @param roomBytes how much all of them, overhead included, may take
   * @param copies to how many members the packet goes
   */
  takeBroadcasts(
    overheadBytes: number,
    roomBytes: number,
    copies: number,
  ): Uint8Array[];

  /**
   * Like `takeBroadcasts`, which see, for what must not wait behind broadcasts of
   * the SWIM layer. Asked first, while `hasBroadcasts` holds.
   */
  takeUrgent(
    overheadBytes: number,
    roomBytes: number,
    copies: number,
  ): Uint8Array[];

  /** State of the layer above for a push/pull. */
  localState(isJoin: boolean): Uint8Array;

  /** Payload of an ack to a direct ping; empty for none. */
  ackPayload(): Uint8Array;

  /** Why a member may not come in, `undefined` when it may. */
  refuseMember(node: NodeDescriptor): string | undefined;
}
