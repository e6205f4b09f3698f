import assert from "node:assert/strict";
import {
  unbroken,
  visibleEntry,
  visibleLine,
  visibleText,
} from "../../lib/kit/visible.ts";

/** Every character that must not reach a terminal. */
const HARMFUL = [
  ...Array.from({ length: 0x20 }, (_, code) => String.fromCharCode(code))
    .filter((char) => char !== "\t" && char !== "\n"),
  ...Array.from({ length: 0x21 }, (_, i) => String.fromCharCode(0x7f + i)),
  ..."\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069",
];

Deno.test("visibleText() spells control characters as Go does, and keeps lines and tabs", () => {
  const cases: [text: string, visible: string][] = [
    ["", ""],
    ["plain\ttext\n", "plain\ttext\n"],
    ["\x1b]0;owned\x07", "\\x1b]0;owned\\a"],
    ["\0\b\v\f\x1f", "\\x00\\b\\v\\f\\x1f"],
    ["a\rb\r\n", "a\\rb\r\n"],
    ["\x7f\x80\x9b\x9f\xa0", "\\u007f\\u0080\\u009b\\u009f\xa0"],
    ["a\u202eb\u2066\u2028", "a\\u202eb\\u2066\\u2028"],
    ["back\\slash \\x1b \\n", "back\\slash \\x1b \\n"],
  ];
  for (const [text, visible] of cases) {
    assert.equal(visibleText(text), visible);
    assert.equal(visibleText(visible), visible, "twice");
  }
});

Deno.test("visibleText() leaves what people write in any language", () => {
  const texts = [
    "Grüße, naïve façade",
    "日本語 한국어 中文 ไทย हिन्दी",
    "עברית\u200f (א) العربية\u200e",
    "می\u200cخواهم",
    "👩\u200d👩\u200d👧 🏳️\u200d🌈 🏴\u{e0067}\u{e0062}\u{e007f}",
    "e\u0301 \u00a0 \u00ad \ufeff \ufffd",
  ];
  for (const text of texts) {
    assert.equal(visibleText(text), text);
    assert.equal(visibleLine(text), text);
    assert.equal(visibleEntry(text), text);
  }
});

Deno.test("no harmful character comes through", () => {
  for (const char of HARMFUL) {
    const text = `a${char}b`;
    for (const shown of [visibleText(text), visibleLine(text)]) {
      assert.match(shown, /^a\\(x[0-9a-f]{2}|u[0-9a-f]{4}|[abfrv])b$/);
    }
  }
  assert.equal(visibleLine("a\r\nb\n"), "a\\r\\nb\\n");
  assert.equal(unbroken("a\r\nb\n\x1b"), "a\\r\\nb\\n\x1b");
});

Deno.test("visibleText() does not change what a JSON document says", () => {
  const value = { text: HARMFUL.join("\\"), "key\x7f\u202e": 1 };
  const document = visibleText(JSON.stringify(value, undefined, 2));
  assert.deepEqual(JSON.parse(document), value);
  for (const char of HARMFUL) assert.ok(!document.includes(char));
});

Deno.test("visibleEntry() keeps the lines of a list of errors, and no others", () => {
  const list = "agent: x: 2 errors occurred:\n\t* a\n\t* b\n";
  const retried = `${list}\n, retrying in 30s`;
  for (const text of [list, `${list}\n`, list.trimEnd(), retried]) {
    assert.equal(visibleEntry(text), text);
  }
  const cases: [text: string, visible: string][] = [
    ["a\nb", "a\\nb"],
    ["a\n", "a\\n"],
    ["a\n\t* b", "a\\n\t* b"],
    [`${list}\n, b\nc`, `${list}\n, b\\nc`],
    [`${list}\nb`, `${list}\nb`.replaceAll("\n", "\\n")],
    ["a\n1 error occurred:\n\t* b\n", "a\\n1 error occurred:\n\t* b\n"],
    [`${list}c`, `${list.replaceAll("\n", "\\n")}c`],
    [`${list}\n\n`, `${`${list}\n\n`.replaceAll("\n", "\\n")}`],
    ["1 error occurred:\n\t* a\x1b\n", "1 error occurred:\n\t* a\\x1b\n"],
  ];
  for (const [text, visible] of cases) {
    assert.equal(visibleEntry(text), visible);
    assert.equal(visibleEntry(visible), visible, "twice");
  }
});
