/** Queries and answers of other members, for tests. */

import { EMPTY_BYTES, utf8Bytes } from "../../lib/kit/bytes.ts";
import type { CompileExpression } from "../../lib/kit/expression.ts";
import {
  Expressions,
  type TestExpression,
} from "../../lib/serf/expressions.ts";
import { NO_SERF_LIMITS } from "../../lib/serf/limits.ts";
import type {
  QueryMessage,
  QueryResponse,
} from "../../lib/wire/serf_messages.ts";

/** Where the asker of `query` is. */
export const ASKER = "10.0.0.9:7946";

/** A query of a member at `ASKER`. */
export function query(
  ltime: bigint,
  id: number,
  changes: Partial<QueryMessage> = {},
): QueryMessage {
  return {
    kind: "query",
    ltime,
    id,
    addr: Uint8Array.of(10, 0, 0, 9),
    port: 7946,
    sourceNode: "asker",
    filters: [],
    flags: 0,
    relayFactor: 0,
    timeoutNs: 1_000_000_000n,
    name: "load",
    payload: EMPTY_BYTES,
    ...changes,
  };
}

/** An ack, or with a text an answer. */
export function reply(
  to: { readonly ltime: bigint; readonly id: number },
  from: string,
  text?: string,
): QueryResponse {
  return {
    kind: "queryResponse",
    ltime: to.ltime,
    id: to.id,
    from,
    flags: text === undefined ? 1 : 0,
    payload: text === undefined ? EMPTY_BYTES : utf8Bytes(text),
  };
}

/** The test for the expressions of one query, as if it were the only one. */
export function testWith(
  compile: CompileExpression | undefined,
): TestExpression {
  return new Expressions(NO_SERF_LIMITS, compile).forQuery("", 0);
}
