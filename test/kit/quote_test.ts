import assert from "node:assert/strict";
import { quoteText } from "../../lib/kit/quote.ts";

Deno.test("quoteText() writes as Go's strconv.Quote does", () => {
  // Left: the text. Right: what Go prints for it.
  const cases: [text: string, quoted: string][] = [
    ["", '""'],
    ["plain text", '"plain text"'],
    ['a"b\\c', '"a\\"b\\\\c"'],
    ["\x07\b\f\n\r\t\v", '"\\a\\b\\f\\n\\r\\t\\v"'],
    ["\0\x1f\x7f", '"\\x00\\x1f\\x7f"'],
    ["ünï 日本 😀", '"ünï 日本 😀"'],
    ["\u00a0\u2028\ufeff", '"\\u00a0\\u2028\\ufeff"'],
    ["\u{e0001}", '"\\U000e0001"'],
    ["\u00ad", '"\\u00ad"'],
    ["\ufffd", '"\ufffd"'],
    ["a\ud800b", '"a\\ufffdb"'],
  ];
  for (const [text, quoted] of cases) assert.equal(quoteText(text), quoted);
});
