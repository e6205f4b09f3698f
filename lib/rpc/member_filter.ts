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
 * A filter is tried on every member while nothing else goes on, so its work is
 * bounded: each different text is looked at once, and an expression that is too
 * large for so many texts is refused. Upstream has no limit.
 *
 * Source: serf, `cmd/serf/command/agent/ipc.go`, `filterMembers`.
 */

import { defined } from "../kit/assert.ts";
import {
  type CompileExpression,
  EXPRESSION_SIZE_MAX,
  expressionSize,
  isPlainExpression,
  type Matcher,
  matchWork,
} from "../kit/expression.ts";
import type { MemberFilter, RpcMember } from "./protocol.ts";

const TOO_LARGE = "error parsing regexp: expression too large";

/**
 * Most work of one filter, in units of `expressionSize`: a few seconds at the very
 * worst, and mostly a twentieth of that. Names of 20 characters of 65,536 members
 * can be compared with `^web-[0-9]{1,3}-(a|b|c)[0-9]{1,20}$`.
 */
const WORK_MAX = 524_288;

/**
 * Most that is compiled for one filter, in the same units: as much as for the
 * filters of a query, a third of a second at the worst. A request has room for
 * thousands of expressions, and while they are compiled nothing else is done.
 */
const COMPILED_MAX = EXPRESSION_SIZE_MAX;

/** Whether `filterMembers` will have expressions to compile. */
export function needsCompiler(filter: MemberFilter): boolean {
  return ![filter.name, filter.status, ...filter.tags.values()]
    .every(isPlainExpression);
}

/**
 * The members that pass all of the filters, in their order.
 *
 * @param compile may be absent unless `needsCompiler`
 * @throws {SyntaxError} when an expression is malformed, or too much work
 */
export function filterMembers<T extends RpcMember>(
  members: readonly T[],
  filter: MemberFilter,
  compile: CompileExpression | undefined,
): T[] {
  let workLeft = WORK_MAX;
  let compilableLeft = COMPILED_MAX;
  const spend = (work: number) => {
    workLeft -= work;
    if (workLeft < 0) {
      throw new SyntaxError(`${TOO_LARGE} for so many members`);
    }
  };
  const matcherOf = (expression: string): Matcher => {
    if (isPlainExpression(expression)) return (text) => text === expression;
    const anchored = `^${expression}$`;
    const size = expressionSize(anchored);
    // What is too large is refused by the compiler, in its words.
    if (size <= EXPRESSION_SIZE_MAX) {
      compilableLeft -= size;
      if (compilableLeft < 0) throw new SyntaxError(TOO_LARGE);
      spend(size);
    }
    const matches = defined(compile, "compiler of expressions")(anchored);
    return rememberEach((text) => {
      spend(matchWork(size, text.length));
      return matches(text);
    });
  };
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

/** The same matcher, which looks at each text only once. */
function rememberEach(matches: Matcher): Matcher {
  const known = new Map<string, boolean>();
  return (text) => {
    let isMatch = known.get(text);
    if (isMatch === undefined) {
      isMatch = matches(text);
      known.set(text, isMatch);
    }
    return isMatch;
  };
}
