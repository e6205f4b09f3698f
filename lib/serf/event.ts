/** Events that reach the application: handler scripts, RPC streams, embedders. */

import type { DriverOutput, OperationId } from "../swim/output.ts";
import type { Member } from "./member.ts";

export type MemberEventType =
  | "member-join"
  | "member-leave"
  | "member-failed"
  | "member-update"
  | "member-reap";

/** Something happened to members; more than one only after coalescing. */
export interface MemberEvent {
  readonly type: MemberEventType;
  readonly members: readonly Member[];
}

/** A custom event, ours or another member's. */
export interface UserEvent {
  readonly type: "user";
  /** Lamport time of the event clock; unsigned 64 bits. */
  readonly ltime: bigint;
  readonly name: string;
  readonly payload: Uint8Array;
  /** Whether receivers may keep only the newest of one name. */
  readonly coalesce: boolean;
}

export type SerfEvent = MemberEvent | UserEvent;

/** How a request to the engine ended. */
export interface OperationResult {
  readonly kind: "done";
  readonly operation: OperationId;
  /** Join only: how many addresses were contacted. */
  readonly contacted?: number;
  /** Join only: one text per address that failed, also when others succeeded. */
  readonly errors?: readonly string[];
  /** Why it failed; absent on success. */
  readonly error?: string;
}

/** Everything the Serf engine asks of the world, in the order it asked. */
export type Output =
  | DriverOutput
  | { readonly kind: "event"; readonly event: SerfEvent }
  | OperationResult;
