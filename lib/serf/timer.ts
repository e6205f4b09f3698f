import type { OperationId } from "../swim/output.ts";

/** What a row of the engine's deadline table stands for. */
export type Timer =
  /** Time to forget members that failed or left long ago. */
  | { readonly kind: "reap" }
  /** Time to try a failed member again. */
  | { readonly kind: "reconnect" }
  /** Time to look again for the members of an earlier life. */
  | { readonly kind: "rejoin" }
  /** Time to look at the depth of the broadcast queues. */
  | { readonly kind: "queueCheck" }
  /** A leaving member has had time to go: erase it. */
  | { readonly kind: "prune"; readonly name: string }
  /** The end of a coalescing window. */
  | { readonly kind: "flushMembers" }
  | { readonly kind: "flushUserEvents" }
  /** A leave intent of ours was not gossiped in time. */
  | { readonly kind: "leaveIntent"; readonly operation: OperationId }
  /** Our leave has had time to spread. */
  | { readonly kind: "leavePropagated" }
  /** The time of a query of ours is over. */
  | { readonly kind: "queryEnd"; readonly ltime: bigint }
  /** The member clock has moved and is yet to be recorded in the snapshot. */
  | { readonly kind: "snapshotClock" }
  /** The end of a second in which log lines about bad input were counted. */
  | { readonly kind: "refusals" };
