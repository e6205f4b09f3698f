/** What the SWIM engine hands to the layer above, in one ordered list. */

import type { LogLevel } from "../kit/log.ts";
import type { NodeDescriptor } from "../wire/messages.ts";
import type { MemberView } from "./member.ts";

/** Number of one running request to the engine; never reused by one engine. */
export type OperationId = number;

/** Number of one stream, inbound or outbound; never reused by one engine. */
export type StreamId = number;

/** Something the layer above must know, in the order it happened. */
export type SwimEvent =
  | { readonly type: "memberJoin"; readonly member: MemberView }
  | {
    readonly type: "memberLeave";
    readonly member: MemberView;
    /** Whether the member itself has said that it goes. */
    readonly hasLeft: boolean;
  }
  | { readonly type: "memberUpdate"; readonly member: MemberView }
  | {
    readonly type: "conflict";
    readonly existing: MemberView;
    readonly other: NodeDescriptor;
  }
  | {
    readonly type: "userMessage";
    readonly body: Uint8Array;
    /** `ip:port` that the packet or stream came from. */
    readonly from: string;
  }
  | {
    readonly type: "remoteState";
    readonly body: Uint8Array;
    readonly isJoin: boolean;
    /** Whether we have asked for it, and chosen whom to ask. */
    readonly isReply: boolean;
  }
  | {
    readonly type: "pingCompleted";
    readonly member: MemberView;
    readonly rttMs: number;
    readonly payload: Uint8Array;
  }
  | {
    readonly type: "joinFinished";
    readonly operation: OperationId;
    /** Addresses with which a push/pull succeeded. */
    readonly contacted: number;
    /** One text per address that failed, in the order of the addresses. */
    readonly errors: readonly string[];
  }
  /** A member has acknowledged the message that `seekReceipt` sent. */
  | { readonly type: "receipt" }
  | {
    /** A leave or update was gossiped, or timed out (`error`). */
    readonly type: "broadcastFinished";
    readonly operation: OperationId;
    readonly error?: string;
  };

/** What a driver performs for any engine. */
export type DriverOutput =
  | { readonly kind: "packet"; readonly to: string; readonly bytes: Uint8Array }
  | { readonly kind: "dial"; readonly streamId: StreamId; readonly to: string }
  | {
    readonly kind: "write";
    readonly streamId: StreamId;
    readonly bytes: Uint8Array;
  }
  /**
   * Ends a stream after everything written was sent, or at once when `isAbrupt`:
   * then nothing is owed to the other side. Also ends a dial.
   */
  | {
    readonly kind: "close";
    readonly streamId: StreamId;
    readonly isAbrupt?: true;
  }
  /** `text` starts with its component, as in `memberlist: Suspect ...`. */
  | { readonly kind: "log"; readonly level: LogLevel; readonly text: string };

export type SwimOutput =
  | DriverOutput
  | { readonly kind: "event"; readonly event: SwimEvent };
