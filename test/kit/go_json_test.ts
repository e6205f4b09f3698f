import assert from "node:assert/strict";
import { jsonTypeName, parseJson, renderJson } from "../../lib/kit/go_json.ts";

/** What Go's json.Unmarshal says, from its source; e2e compares more with Go itself. */
const COMPLAINTS: Readonly<Record<string, string>> = {
  "": "unexpected end of JSON input",
  " \n": "unexpected end of JSON input",
  '{"a"': "unexpected end of JSON input",
  '"a': "unexpected end of JSON input",
  "[1,": "unexpected end of JSON input",
  "-": "unexpected end of JSON input",
  "nope": "invalid character 'o' in literal null (expecting 'u')",
  "trae": "invalid character 'a' in literal true (expecting 'u')",
  "x": "invalid character 'x' looking for beginning of value",
  "é": "invalid character 'Ã' looking for beginning of value",
  "'a'": "invalid character '\\'' looking for beginning of value",
  "{x": "invalid character 'x' looking for beginning of object key string",
  '{"a":1,}':
    "invalid character '}' looking for beginning of object key string",
  '{"a" 1}': "invalid character '1' after object key",
  '{"a":1 "b"': "invalid character '\"' after object key:value pair",
  "[1 2]": "invalid character '2' after array element",
  "[1,]": "invalid character ']' looking for beginning of value",
  "{} x": "invalid character 'x' after top-level value",
  '"a\nb"': "invalid character '\\n' in string literal",
  '"\\x"': "invalid character 'x' in string escape code",
  '"\\u12g4"': "invalid character 'g' in \\u hexadecimal character escape",
  "-a": "invalid character 'a' in numeric literal",
  "01": "invalid character '1' after top-level value",
  "1.x": "invalid character 'x' after decimal point in numeric literal",
  "1e+x": "invalid character 'x' in exponent of numeric literal",
};

Deno.test("parseJson() complains in Go's words", () => {
  for (const [text, message] of Object.entries(COMPLAINTS)) {
    assert.throws(() => parseJson(text), { name: "SyntaxError", message });
  }
});

Deno.test("parseJson() reads what is JSON", () => {
  const text = ' {"a": ["\\u0041\\n", -1.5e+3, true, null, {}, []]} ';
  assert.deepEqual(parseJson(text), {
    a: ["A\n", -1500, true, null, {}, []],
  });
});

Deno.test("jsonTypeName() names types as Go does", () => {
  const values = [[], {}, "", 1, true];
  assert.deepEqual(values.map(jsonTypeName), [
    "array",
    "object",
    "string",
    "number",
    "bool",
  ]);
});

Deno.test("renderJson() sorts the keys of maps by their bytes", () => {
  const map = new Map([["10", "a"], ["2", "<"], ["\u{1F600}", ""], [
    "\uFFFD",
    "",
  ]]);
  assert.equal(
    renderJson(map),
    '{\n  "10": "a",\n  "2": "\\u003c",\n  "\uFFFD": "",\n  "\u{1F600}": ""\n}',
  );
  assert.equal(renderJson(new Map()), "{}");
});
