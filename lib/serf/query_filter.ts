/**
 * Whom a query is for: its filters, judged against ourselves.
 *
 * All filters must match. One for nodes matches the names it lists. One for a tag
 * matches when the tag's value contains a match of the expression, which is not
 * anchored; a tag that we lack counts as the empty text, so that an expression
 * that matches nothing at all matches us. What cannot be understood matches
 * nobody.
 *
 * Filters come from peers. A query may hold at most `TAG_FILTERS_MAX` of them
 * with an expression, and expressions of a size of `EXPRESSION_SIZE_MAX`
 * altogether; with more it matches nobody. It also matches nobody when the queries
 * of late have asked for too much work; see `expressions.ts`. Upstream has no
 * limit, and crashes on an element without a single byte.
 *
 * Source: serf `query.go` (shouldProcessQuery).
 */

import { unreachable } from "../kit/assert.ts";
import { decodeFilter, type Filter } from "../wire/serf_messages.ts";
import { WireError } from "../wire/wire_error.ts";
import type { TestExpression } from "./expressions.ts";

/** Most filters for tags in one query. */
const TAG_FILTERS_MAX = 64;

/** Who is judged. */
export interface FilterSubject {
  readonly name: string;
  readonly tags: ReadonlyMap<string, string>;
}

export type FilterVerdict =
  | { readonly kind: "match" }
  /** `complaint` says what was wrong with the filters, if something was. */
  | { readonly kind: "noMatch"; readonly complaint?: string }
  /** There is an expression, and nothing to compile it with. */
  | { readonly kind: "needsCompiler" }
  /** The expressions are more work than may be spent now. */
  | { readonly kind: "overBudget" };

const TOO_MANY: FilterVerdict = {
  kind: "noMatch",
  complaint: "query has too many filters",
};
const MATCH: FilterVerdict = { kind: "match" };
const NO_MATCH: FilterVerdict = { kind: "noMatch" };

/**
 * Whether a query is for us. Never throws because of the filters.
 *
 * @param encoded the filters of a query as they came
 * @param test judges expressions; one for each query
 */
export function judgeFilters(
  encoded: readonly Uint8Array[],
  subject: FilterSubject,
  test: TestExpression,
): FilterVerdict {
  let tagFilters = 0;
  for (const bytes of encoded) {
    let filter: Filter;
    try {
      filter = decodeFilter(bytes);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      return { kind: "noMatch", complaint: error.detail };
    }
    if (filter.kind === "node") {
      if (!filter.nodes.includes(subject.name)) return NO_MATCH;
      continue;
    }
    tagFilters++;
    if (tagFilters > TAG_FILTERS_MAX) return TOO_MANY;
    const verdict = judgeTag(filter, subject, test);
    if (verdict.kind !== "match") return verdict;
  }
  return MATCH;
}

function judgeTag(
  { tag, expr }: Extract<Filter, { kind: "tag" }>,
  subject: FilterSubject,
  test: TestExpression,
): FilterVerdict {
  try {
    const outcome = test(expr, subject.tags.get(tag) ?? "");
    switch (outcome) {
      case "match":
        return MATCH;
      case "noMatch":
        return NO_MATCH;
      case "tooLarge":
        return TOO_MANY;
      case "needsCompiler":
      case "overBudget":
        return { kind: outcome };
      default:
        return unreachable(outcome);
    }
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return {
      kind: "noMatch",
      complaint: `failed to compile filter regex (${expr}): ${error.message}`,
    };
  }
}
