import assert from "node:assert/strict";
import { expressionSize } from "../../lib/kit/expression.ts";
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
    [".{1000}".repeat(5), "expression too large"],
    ["((a{10}){10}){50}", "expression too large"],
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

Deno.test("compileExpression() takes no memory to speak of for what repeats much", () => {
  // Each of these took 10 s and more, and up to a gigabyte.
  const expressions = [
    "(.){1000}".repeat(450) + "x",
    "\\w{0,1000}".repeat(360) + "!",
    "(\\pL{1000})|".repeat(300) + "x",
  ];
  for (const expression of expressions) {
    assert.throws(() => compileExpression(expression), SyntaxError);
  }
});

Deno.test("expressionSize() counts what repetitions are short for", () => {
  const cases: [expression: string, size: number][] = [
    ["", 0],
    ["web.*", 5],
    ["^[a-z0-9-]{1,63}$", 65],
    ["(ab){10}", 30],
    ["((a{10}){10}){10}", 1_110],
    [".{1000}".repeat(3), 3_000],
    ["(a|b{10}){10}", 130],
    ["[a-c]{100}", 100],
    // Classes of Unicode have hundreds of ranges.
    ["\\pL{100}", 416],
    ["\\p{Greek}{100}", 416],
    ["[^\\PL_]{100}", 516],
    ["(?i)\\pL{100}", 467],
    // Each character of a range is folded, as far as there are other cases.
    ["(?i)[a-c]{100}", 104],
    ["(?i)[!-\uff9f]{100}", 614],
    ["(?i:[\\x{41}-\\x{10ffff}])", 984],
    ["[!-\uff9f]{100}", 100],
    [`[${"\u0101".repeat(300)}]{100}`, 307],
    ["[[:alpha:]]{100}", 100],
    ["[]{9}]{100}", 100],
    // What only looks like a repetition is as long as it is written.
    ["\\{500}", 6],
    ["\\x{500}", 7],
    ["\\Qa{500}\\E", 10],
    ["[.{500}]", 8],
    // What is no expression has a size all the same.
    ["(((a{99}", 99],
    ["))a{99}", 101],
    ["[a", 2],
    ["\\", 1],
  ];
  for (const [expression, size] of cases) {
    assert.equal(expressionSize(expression), size, expression);
  }
});
