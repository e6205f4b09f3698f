import assert from "node:assert/strict";
import { compileExpression } from "../../lib/kit/re2.ts";

Deno.test("compileExpression() understands Go's syntax where JavaScript's differs", () => {
  const cases: [expression: string, text: string, isMatch: boolean][] = [
    ["^n1|x3$", "n1-and-more", true],
    ["^n1|x3$", "more-x3", true],
    ["^n1|x3$", "x3-n1", false],
    ["(?i)^WEB$", "web", true],
    ["(?i:W)eb", "wEB", false],
    ["(?P<name>a)b", "ab", true],
    [`\\Aab\\z`, "ab\n", false],
    ["^a$", "a\n", false],
    [`^\\Qa.b\\E$`, "a.b", true],
    [`^\\Qa.b\\E$`, "axb", false],
    [`^\\pL+$`, "üñ", true],
    ["^[[:digit:]]+$", "42", true],
    ["^.$", "😀", true],
    ["(?s)^a.b$", "a\nb", true],
    ["^a.b$", "a\nb", false],
    ["^*$", "anything", true],
    ["", "anything", true],
  ];
  for (const [expression, text, isMatch] of cases) {
    assert.equal(
      compileExpression(expression)(text),
      isMatch,
      `${expression} ${text}`,
    );
  }
});

Deno.test("compileExpression() refuses what Go refuses, in its words", () => {
  const cases: [expression: string, reason: string][] = [
    ["^n[$", "missing closing ]: `[$`"],
    ["^($", "missing closing ): `^($`"],
    ["*", "missing argument to repetition operator: `*`"],
    ["a(?=b)", "invalid or unsupported Perl syntax: `(?=`"],
    ["(a)\\1", "invalid escape sequence: `\\1`"],
    ["a{1001}", "invalid repeat count: `{1001}`"],
    ["a**", "invalid nested repetition operator: `**`"],
    ["a".repeat(5_000), "expression too large"],
  ];
  for (const [expression, reason] of cases) {
    assert.throws(() => compileExpression(expression), {
      name: "SyntaxError",
      message: `error parsing regexp: ${reason}`,
    });
  }
});

Deno.test("compileExpression() cannot be made to hang", () => {
  // With backtracking this would take longer than the universe has.
  const matches = compileExpression("^(a+)+(a*)*$");
  assert.equal(matches("a".repeat(5_000) + "b"), false);
});
