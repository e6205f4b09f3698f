/** Events that reach the application: handler scripts, RPC streams, embedders. */

import type { DriverOutput, OperationId } from "../swim/output.ts";
import type { Member } from "./member.ts";

/** What can happen to members. */
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

/**
 * A question of a member, ourselves included, to be answered with `respond`.
 *
 * It holds all that an answer needs, so the engine remembers none of them: a
 * query that nobody holds any more cannot be answered, and costs nothing.
 */
export interface QueryEvent {
  readonly type: "query";
  /** Lamport time of the query clock; unsigned 64 bits. */
  readonly ltime: bigint;
  /** Tells queries of one time apart; unsigned 32 bits. */
  readonly id: number;
  readonly name: string;
  readonly payload: Uint8Array;
  /** Name of who asks; empty from very old members. */
  readonly sourceNode: string;
  /** Where answers go: address bytes as they came, and a port. */
  readonly sourceAddr: Uint8Array;
  readonly sourcePort: number;
  /** Through how many others each answer is sent as well, 0 to 255. */
  readonly relayFactor: number;
  /** Until when an answer is of use, ms on the clock of the engine. */
  readonly deadlineMs: number;
}

/** Everything that reaches the application. */
export type SerfEvent = MemberEvent | UserEvent | QueryEvent;

/** Whether an event is about members. */
export function isMemberEvent(event: SerfEvent): event is MemberEvent {
  return event.type !== "user" && event.type !== "query";
}

/** How a request to the engine ended. */
export interface OperationResult {
  readonly kind: "done";
  readonly operation: OperationId;
  /** Join only: how many addresses were contacted. */
  readonly contacted?: number;
  /** Join only: one text per address that failed, also when others succeeded. */
  readonly errors?: readonly string[];
  /** Key requests only, failed ones too: what the members said. */
  readonly keys?: KeyReport;
  /** Why it failed; absent on success. */
  readonly error?: string;
}

/** What came of a key request: the answers of the members, taken together. */
export interface KeyReport {
  /** By member: why it failed, or a note of one that succeeded. */
  readonly messages: ReadonlyMap<string, string>;
  /** By key in base64, how many members have it; of a list only. */
  readonly keyCounts: ReadonlyMap<string, number>;
  /**
   * By key in base64, how many members seal with it. All but a list count their
   * members under the empty text.
   */
  readonly primaryCounts: ReadonlyMap<string, number>;
  /** Members alive when the request began, ourselves included. */
  readonly nodes: number;
  readonly responses: number;
  /** Responses that tell of a failure, or could not be read. */
  readonly errors: number;
}

/** What comes back to a query of ours. It ends with the operation. */
export type QueryReply =
  /** `from` has received the query, and its filters match. */
  | { readonly kind: "ack"; readonly from: string }
  | {
    readonly kind: "response";
    readonly from: string;
    readonly payload: Uint8Array;
  };

/**
 * Text for the snapshot file. Those of one engine are written in their order;
 * see `snapshot.ts`.
 */
export interface PersistOutput {
  readonly kind: "persist";
  /** At the end of the file, or in place of everything that is in it. */
  readonly write: "append" | "replace";
  /** Whole lines. */
  readonly text: string;
  /** Whether it must be on the disk before we are gone. */
  readonly sync: boolean;
}

/** Everything the Serf engine asks of the world, in the order it asked. */
export type Output =
  | DriverOutput
  | { readonly kind: "event"; readonly event: SerfEvent }
  | {
    readonly kind: "queryReply";
    readonly operation: OperationId;
    readonly reply: QueryReply;
  }
  | PersistOutput
  /** A query has a filter that needs a compiler: see `provideCompiler`. */
  | { readonly kind: "compilerWanted" }
  /**
   * Keep these keys, the primary first, in place of those before; then call
   * `keyringSaved`. Only where `savesKeyring` is set. Saves must not overtake
   * each other.
   */
  | {
    readonly kind: "saveKeyring";
    readonly saveId: number;
    readonly keys: readonly Uint8Array[];
  }
  /** The engine has shut itself down, after a lost vote about our name. */
  | { readonly kind: "stopped" }
  | OperationResult;
