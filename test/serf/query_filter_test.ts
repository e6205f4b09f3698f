import assert from "node:assert/strict";
import fc from "fast-check";
import { compileExpression } from "../../lib/kit/re2.ts";
import { judgeFilters } from "../../lib/serf/query_filter.ts";
import { encodeFilter } from "../../lib/wire/serf_messages.ts";
import { testWith } from "./queries.ts";

const SUBJECT = {
  name: "n1",
  tags: new Map([["role", "web"], ["dc", "east-1"]]),
};

const node = (...nodes: string[]) => encodeFilter({ kind: "node", nodes });
const tag = (tag: string, expr: string) =>
  encodeFilter({ kind: "tag", tag, expr });

/** What a subject makes of filters: yes, no, or the complaint about them. */
function judged(...filters: Uint8Array[]): string {
  const verdict = judgeFilters(filters, SUBJECT, testWith(compileExpression));
  if (verdict.kind !== "noMatch") return verdict.kind;
  return verdict.complaint ?? "noMatch";
}

Deno.test("judgeFilters() wants all filters to match", () => {
  assert.equal(judged(), "match");
  assert.equal(judged(node("n0", "n1")), "match");
  assert.equal(judged(node("n10")), "noMatch");
  assert.equal(judged(node()), "noMatch");
  assert.equal(judged(node("n1"), tag("role", "web")), "match");
  assert.equal(judged(node("n2"), tag("role", "web")), "noMatch");
  assert.equal(judged(tag("role", "web"), tag("dc", "west")), "noMatch");
});

Deno.test("judgeFilters() searches anywhere in the value, as RE2 does", () => {
  assert.equal(judged(tag("role", "e")), "match");
  assert.equal(judged(tag("role", "^e")), "noMatch");
  assert.equal(judged(tag("role", "(?i)WEB\\z")), "match");
  assert.equal(judged(tag("dc", "[[:digit:]]$")), "match");
});

Deno.test("judgeFilters() takes an absent tag for an empty one", () => {
  assert.equal(judged(tag("nope", "")), "match");
  assert.equal(judged(tag("nope", ".*")), "match");
  assert.equal(judged(tag("nope", "x")), "noMatch");
  assert.equal(judged(tag("nope", ".+")), "noMatch");
});

Deno.test("judgeFilters() says what is wrong with a filter, which matches nobody", () => {
  assert.equal(
    judged(tag("role", "(")),
    "failed to compile filter regex ((): error parsing regexp: missing closing ): `(`",
  );
  assert.equal(judged(new Uint8Array(0)), "query has an empty filter");
  assert.equal(
    judged(Uint8Array.of(7, 0xc0)),
    "query has unrecognized filter type: 7",
  );
  assert.match(
    judged(Uint8Array.of(0, 0x91)),
    /^failed to decode filterNodeType: /,
  );
  assert.match(
    judged(Uint8Array.of(1, 0x81)),
    /^failed to decode filterTagType: /,
  );
});

Deno.test("judgeFilters() bounds what it will compile", () => {
  const many = Array.from({ length: 65 }, () => tag("role", "w"));
  assert.equal(judged(...many.slice(1)), "match");
  assert.equal(judged(...many), "query has too many filters");
  const long = "w|".repeat(1_024);
  assert.equal(judged(tag("role", long), tag("role", long)), "match");
  assert.equal(
    judged(tag("role", long), tag("role", `${long}w`)),
    "query has too many filters",
  );
  const large = Array.from({ length: 5 }, () => tag("role", ".{999}|w"));
  assert.equal(judged(...large.slice(1)), "match");
  assert.equal(judged(...large), "query has too many filters");
});

Deno.test("judgeFilters() asks for a compiler only when it needs one", () => {
  const verdictOf = (...filters: Uint8Array[]) =>
    judgeFilters(filters, SUBJECT, testWith(undefined)).kind;
  assert.equal(verdictOf(tag("role", "web")), "match");
  assert.equal(verdictOf(tag("dc", "east-2")), "noMatch");
  assert.equal(verdictOf(tag("role", "w.b")), "needsCompiler");
  assert.equal(verdictOf(node("n2"), tag("role", "w.b")), "noMatch");
});

Deno.test("judgeFilters() never throws, whatever the bytes", () => {
  const bytes = fc.uint8Array({ maxLength: 64 });
  const filters = fc.array(
    fc.tuple(fc.nat(2), bytes).map(([type, rest]) =>
      Uint8Array.of(type, ...rest)
    ),
    { maxLength: 3 },
  );
  fc.assert(fc.property(filters, (encoded) => {
    judgeFilters(encoded, SUBJECT, testWith(compileExpression));
  }));
});

Deno.test("judgeFilters() agrees with a plain search for words", () => {
  const word = fc.stringMatching(/^[a-c-]{0,3}$/);
  fc.assert(fc.property(word, word, (value, expr) => {
    const subject = { name: "n", tags: new Map([["t", value]]) };
    const plain = judgeFilters([tag("t", expr)], subject, testWith(undefined));
    const compiled = compileExpression(expr)(value);
    assert.equal(plain.kind === "match", compiled);
  }));
});
