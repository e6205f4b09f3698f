/**
 * The filters of `members-filtered`.
 *
 * Each expression is set between `^` and `$` as it is, without a group, so
 * `n1|x3` means "begins with n1, or ends with x3": that is how the original
 * behaves and what scripts may rely on. A tag that a member lacks counts as the
 * empty text.
 *
 * Most calls filter by nothing or by a plain word, and for those no expression
 * has to be compiled; whoever calls may look first and load the library for
 * expressions only when it is needed.
 *
 * Source: serf, `cmd/serf/command/agent/ipc.go`, `filterMembers`.
 */

import { defined } from "../kit/assert.ts";
import {
  type CompileExpression,
  isPlainExpression,
  type Matcher,
} from "../kit/expression.ts";
import type { MemberFilter, RpcMember } from "./protocol.ts";

/** Whether `filterMembers` will have expressions to compile. */
export function needsCompiler(filter: MemberFilter): boolean {
  return ![filter.name, filter.status, ...filter.tags.values()]
    .every(isPlainExpression);
}

/**
 * The members that pass all of the filters, in their order.
 *
 * @param compile may be absent unless `needsCompiler`
 * @throws {SyntaxError} when an expression is malformed
 */
export function filterMembers<T extends RpcMember>(
  members: readonly T[],
  filter: MemberFilter,
  compile: CompileExpression | undefined,
): T[] {
  const matcherOf = (expression: string): Matcher =>
    isPlainExpression(expression)
      ? (text) => text === expression
      : defined(compile, "compiler of expressions")(`^${expression}$`);
  const passesTag = new Map(
    [...filter.tags].map(([tag, expression]) => [tag, matcherOf(expression)]),
  );
  // Compiled even when not applied: the original refuses a bad one either way.
  const passesStatus = matcherOf(filter.status);
  const passesName = matcherOf(filter.name);
  return members.filter((member) => {
    for (const [tag, passes] of passesTag) {
      if (!passes(member.tags?.get(tag) ?? "")) return false;
    }
    return (filter.status === "" || passesStatus(member.status)) &&
      (filter.name === "" || passesName(member.name));
  });
}
