import type { Join } from "./join.ts";
import type { SuspicionTimer } from "./member.ts";
import type { StreamId } from "./output.ts";

/** What a row of the engine's deadline table stands for. */
export type Timer =
  /** Time to probe the next member. */
  | { readonly kind: "probeTick" }
  /** No direct ack in time: ask others. */
  | { readonly kind: "probeTimeout" }
  /** The round is over. */
  | { readonly kind: "probeEnd" }
  /** A relayed ping went unanswered: tell the asker. */
  | { readonly kind: "relayTimeout"; readonly seqNo: number }
  | { readonly kind: "gossip" }
  | { readonly kind: "pushPull" }
  | SuspicionTimer
  | { readonly kind: "stream"; readonly streamId: StreamId }
  /** The first exchange of a join has had its time to go ahead. */
  | { readonly kind: "joinLead"; readonly join: Join }
  /** No ack for a message that needs one: send it again. */
  | { readonly kind: "receipt" }
  /** A leave or update was not gossiped in time. */
  | { readonly kind: "broadcast"; readonly operation: number }
  /** The end of a second in which log lines about bad input were counted. */
  | { readonly kind: "refusals" };
