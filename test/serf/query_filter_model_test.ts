/**
 * Filters of queries against an obvious model.
 *
 * Method: filters are made as values: names, and expressions as small trees. Each
 * tree is written down in the syntax of RE2 for the code, and matched by the model
 * directly: a tree, a text and a place give the set of places behind a match.
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { compileExpression } from "../../lib/kit/re2.ts";
import { judgeFilters } from "../../lib/serf/query_filter.ts";
import {
  decodeFilter,
  encodeFilter,
  type Filter,
} from "../../lib/wire/serf_messages.ts";
import { testWith } from "./queries.ts";

/** An expression, as far as filters are likely to hold it. */
type Tree =
  | { readonly kind: "letter"; readonly letter: string }
  | { readonly kind: "any" | "start" | "end" }
  | { readonly kind: "sequence" | "either"; readonly parts: readonly Tree[] }
  | { readonly kind: "maybe" | "many"; readonly part: Tree };

/** Characters of names, values and expressions; few, so that they often match. */
const LETTERS = ["a", "b", "-", "ß", "🦀"] as const;

const { tree: trees } = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.constantFrom(...LETTERS).map((letter): Tree => ({
      kind: "letter",
      letter,
    })),
    fc.constantFrom("any" as const, "start" as const, "end" as const)
      .map((kind): Tree => ({ kind })),
    fc.tuple(
      fc.constantFrom("sequence" as const, "either" as const),
      fc.array(tie("tree"), { maxLength: 3 }),
    ).map(([kind, parts]): Tree => ({ kind, parts })),
    fc.tuple(fc.constantFrom("maybe" as const, "many" as const), tie("tree"))
      .map(([kind, part]): Tree => ({ kind, part })),
  ),
}));

/** The tree in the syntax of RE2. */
function written(tree: Tree): string {
  switch (tree.kind) {
    case "letter":
      return tree.letter;
    case "any":
      return ".";
    case "start":
      return "^";
    case "end":
      return "$";
    case "sequence":
      return `(${tree.parts.map(written).join("")})`;
    case "either":
      return `(?:${tree.parts.map(written).join("|")})`;
    case "maybe":
      return `(?:${written(tree.part)})?`;
    case "many":
      return `(?:${written(tree.part)})*`;
  }
}

/** Places behind the matches of a tree that begin at one of the given places. */
function matched(
  tree: Tree,
  text: readonly string[],
  from: ReadonlySet<number>,
): Set<number> {
  switch (tree.kind) {
    case "letter":
    case "any": {
      const isMatch = (at: number) =>
        at < text.length &&
        (tree.kind !== "letter" || text[at] === tree.letter);
      return new Set([...from].filter(isMatch).map((at) => at + 1));
    }
    case "start":
      return new Set([...from].filter((at) => at === 0));
    case "end":
      return new Set([...from].filter((at) => at === text.length));
    case "sequence":
      return tree.parts.reduce(
        (places, part) => matched(part, text, places),
        new Set(from),
      );
    case "either": {
      // An alternation of nothing is an empty text.
      if (tree.parts.length === 0) return new Set(from);
      return new Set(
        tree.parts.flatMap((part) => [...matched(part, text, from)]),
      );
    }
    case "maybe":
      return new Set([...from, ...matched(tree.part, text, from)]);
    case "many": {
      const places = new Set(from);
      for (let size = -1; size !== places.size;) {
        size = places.size;
        for (const place of matched(tree.part, text, places)) places.add(place);
      }
      return places;
    }
  }
}

/** Whether the text contains a match. */
function contains(tree: Tree, value: string): boolean {
  const text = [...value];
  const everywhere = new Set(text.map((_, at) => at)).add(text.length);
  return matched(tree, text, everywhere).size > 0;
}

/** A filter, for the code and for the model. */
interface Wanted {
  readonly filter: Filter;
  readonly accepts: (
    name: string,
    tags: ReadonlyMap<string, string>,
  ) => boolean;
}

const values = fc.array(fc.constantFrom(...LETTERS), { maxLength: 6 })
  .map((letters) => letters.join(""));
const tagNames = fc.constantFrom("role", "dc", "");
const nodeNames = fc.constantFrom("a", "b", "ab", "");

const nodeFilters = fc.array(nodeNames, { maxLength: 3 })
  .map((nodes): Wanted => ({
    filter: { kind: "node", nodes },
    accepts: (name) => nodes.some((node) => node === name),
  }));
const tagFilters = fc.tuple(tagNames, trees)
  .map(([tag, tree]): Wanted => ({
    filter: { kind: "tag", tag, expr: written(tree) },
    accepts: (_, tags) => contains(tree, tags.get(tag) ?? ""),
  }));

Deno.test("decodeFilter() gives back every filter that encodeFilter() was given", () => {
  const filters = fc.oneof(nodeFilters, tagFilters);
  fc.assert(fc.property(filters, ({ filter }) => {
    assert.deepEqual(decodeFilter(encodeFilter(filter)), filter);
  }));
});

Deno.test("judgeFilters() accepts what the model accepts", () => {
  const seen = { match: 0, noMatch: 0, needsCompiler: 0 };
  fc.assert(
    fc.property(
      fc.array(fc.oneof(nodeFilters, tagFilters, tagFilters), { maxLength: 3 }),
      nodeNames,
      fc.array(fc.tuple(tagNames, values), { maxLength: 3 }),
      (wanted, name, entries) => {
        const tags = new Map(entries);
        const isWanted = wanted.every(({ accepts }) => accepts(name, tags));
        const encoded = wanted.map(({ filter }) => encodeFilter(filter));
        const verdict = judgeFilters(
          encoded,
          { name, tags },
          testWith(compileExpression),
        );
        assert.notEqual(verdict.kind, "overBudget");
        seen[verdict.kind as keyof typeof seen]++;
        assert.deepEqual(
          verdict,
          { kind: isWanted ? "match" : "noMatch" },
          wanted.map(({ filter }) => JSON.stringify(filter)).join(),
        );
        // Without a compiler it says so, or it is right all the same.
        const early = judgeFilters(
          encoded,
          { name, tags },
          testWith(undefined),
        );
        if (early.kind === "needsCompiler") seen.needsCompiler++;
        else assert.deepEqual(early, verdict);
      },
    ),
    { numRuns: 2_000 },
  );
  for (const [kind, times] of Object.entries(seen)) {
    assert.ok(times > 100, `${kind} ${times} times`);
  }
});
