/** What comes back to a query, as it comes or all at once. */

import {
  type QueryResult,
  queryResult,
  type ReceivedReply,
} from "./received.ts";
import { Subscription } from "./subscription.ts";

/**
 * The acks and answers to one query, as an async iterable.
 *
 * The query is under way already, whether or not somebody reads. The iteration
 * ends when everybody who may answer has done so, and at the latest when the time
 * of the query is over. To leave the loop early gives the query up. What comes
 * back waits to be read; there is no more of it than one ack and one answer from
 * each member, and the engine limits how many members may say something.
 *
 * ```ts
 * import { SerfNode } from "@serf/serf";
 * import assert from "node:assert/strict";
 *
 * await using node = await SerfNode.start({ name: "a", bind: "127.0.0.1:0" });
 * node.respondTo("load", () => "0.31");
 * for await (const reply of node.query("load")) {
 *   if (reply.kind === "response") assert.equal(reply.text, "0.31");
 * }
 * ```
 */
export class QueryReplies extends Subscription<ReceivedReply> {
  /** @param onEnd called once: at the end, or when it is given up */
  constructor(signal: AbortSignal | undefined, onEnd: () => void) {
    super({
      bufferMax: Infinity,
      lostNotice: () => {
        throw new RangeError("No reply is ever dropped");
      },
      signal,
      onEnd,
    });
  }

  /**
   * Waits for the end of the query.
   *
   * @returns what had not been read before
   */
  async collect(): Promise<QueryResult> {
    const replies: ReceivedReply[] = [];
    for await (const reply of this) replies.push(reply);
    return queryResult(replies);
  }
}
