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
 * altogether, some 300 ms of work at the worst; with more it matches nobody.
 * Upstream has no limit, and crashes on an element without a single byte.
 *
 * Source: serf `query.go` (shouldProcessQuery).
 */

import {
  type CompileExpression,
  EXPRESSION_SIZE_MAX,
  expressionSize,
  isPlainExpression,
} from "../kit/expression.ts";
import { decodeFilter, type Filter } from "../wire/serf_messages.ts";
import { WireError } from "../wire/wire_error.ts";

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
  | { readonly kind: "needsCompiler" };

const MATCH: FilterVerdict = { kind: "match" };
const NO_MATCH: FilterVerdict = { kind: "noMatch" };

/**
 * Whether a query is for us. Never throws because of the filters.
 *
 * @param encoded the filters of a query as they came
 * @param compile absent as long as there is none
 */
export function judgeFilters(
  encoded: readonly Uint8Array[],
  subject: FilterSubject,
  compile: CompileExpression | undefined,
): FilterVerdict {
  let tagFilters = 0;
  let size = 0;
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
    size += expressionSize(filter.expr);
    if (tagFilters > TAG_FILTERS_MAX || size > EXPRESSION_SIZE_MAX) {
      return { kind: "noMatch", complaint: "query has too many filters" };
    }
    const verdict = judgeTag(filter, subject, compile);
    if (verdict.kind !== "match") return verdict;
  }
  return MATCH;
}

function judgeTag(
  filter: Extract<Filter, { kind: "tag" }>,
  subject: FilterSubject,
  compile: CompileExpression | undefined,
): FilterVerdict {
  const { tag, expr } = filter;
  const value = subject.tags.get(tag) ?? "";
  if (isPlainExpression(expr)) return value.includes(expr) ? MATCH : NO_MATCH;
  if (compile === undefined) return { kind: "needsCompiler" };
  try {
    return compile(expr)(value) ? MATCH : NO_MATCH;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return {
      kind: "noMatch",
      complaint: `failed to compile filter regex (${expr}): ${error.message}`,
    };
  }
}
