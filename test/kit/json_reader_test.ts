import assert from "node:assert/strict";
import fc from "fast-check";
import {
  goValueText,
  type JsonRead,
  JsonSyntaxError,
  jsonTypeName,
  readFirstJson,
  readJson,
} from "../../lib/kit/json_reader.ts";

/** Text, what Go 1.22 says about it, and where. */
const COMPLAINTS: readonly (readonly [string, string, number, number])[] = [
  ["", "EOF", 1, 1],
  ["  \n ", "EOF", 2, 2],
  ['{"a":', "unexpected EOF", 1, 6],
  ['{"a":"x', "unexpected EOF", 1, 8],
  ['{"a":tru', "unexpected EOF", 1, 9],
  ["-", "unexpected EOF", 1, 2],
  ["\ufeff{}", "invalid character 'ï' looking for beginning of value", 1, 1],
  [
    "// x\n{}",
    "invalid character '/' looking for beginning of value",
    1,
    1,
  ],
  [
    '{\n  "a": 1,\n}',
    "invalid character '}' looking for beginning of object key string",
    3,
    1,
  ],
  ['["a",]', "invalid character ']' looking for beginning of value", 1, 6],
  [
    "{'a':1}",
    "invalid character '\\'' looking for beginning of object key string",
    1,
    2,
  ],
  ['{"a" 1}', "invalid character '1' after object key", 1, 6],
  [
    '{"a":1 "b":2}',
    "invalid character '\"' after object key:value pair",
    1,
    8,
  ],
  ['["a" "b"]', "invalid character '\"' after array element", 1, 6],
  ['{"a":"\\x"}', "invalid character 'x' in string escape code", 1, 8],
  ['{"a":"\n"}', "invalid character '\\n' in string literal", 1, 7],
  [
    '{"a":"\\u12g4"}',
    "invalid character 'g' in \\u hexadecimal character escape",
    1,
    11,
  ],
  ['{"a":01}', "invalid character '1' after object key:value pair", 1, 7],
  ['{"a":-x}', "invalid character 'x' in numeric literal", 1, 7],
  [
    '{"a":1.}',
    "invalid character '}' after decimal point in numeric literal",
    1,
    8,
  ],
  ['{"a":1e}', "invalid character '}' in exponent of numeric literal", 1, 8],
  [
    '{"a":tru}',
    "invalid character '}' in literal true (expecting 'e')",
    1,
    9,
  ],
  [
    '{"a":falze}',
    "invalid character 'z' in literal false (expecting 's')",
    1,
    9,
  ],
  [
    "{é:1}",
    "invalid character 'Ã' looking for beginning of object key string",
    1,
    2,
  ],
  [
    '{"a":\x7f}',
    "invalid character '\\x7f' looking for beginning of value",
    1,
    6,
  ],
  [
    '{"a":1e400}',
    "json: cannot unmarshal number 1e400 into Go value of type float64",
    1,
    11,
  ],
  ["[".repeat(1_001), "exceeded max depth", 1, 1_001],
];

Deno.test("readFirstJson() complains in Go's words, and says where", () => {
  for (const [text, message, line, column] of COMPLAINTS) {
    assert.throws(() => readFirstJson(text), (error) => {
      assert.ok(error instanceof JsonSyntaxError, text);
      assert.deepEqual(
        [error.message, error.line, error.column],
        [message, line, column],
      );
      return true;
    });
  }
});

Deno.test("readFirstJson() reads what JSON.parse() reads", () => {
  fc.assert(fc.property(fc.jsonValue({ depthSize: "medium" }), (value) => {
    const read = readFirstJson(JSON.stringify(value, undefined, 2));
    assert.deepEqual(plain(read.value), JSON.parse(JSON.stringify(value)));
  }));
});

/** Maps as objects. */
function plain(value: JsonRead): unknown {
  if (value instanceof Map) {
    const object = {};
    for (const [key, item] of value) {
      // Assigning would lose a key `__proto__`.
      Object.defineProperty(object, key, {
        value: plain(item),
        enumerable: true,
        configurable: true,
        writable: true,
      });
    }
    return object;
  }
  return Array.isArray(value) ? value.map(plain) : value;
}

Deno.test("readFirstJson() stops after the first value", () => {
  assert.deepEqual(readFirstJson('{"a":1} garbage').value, new Map([["a", 1]]));
  assert.equal(readFirstJson("5x").value, 5);
  assert.equal(readFirstJson(" null[").value, null);
});

Deno.test("readFirstJson() takes the last of equal keys, and mends broken texts", () => {
  const { value } = readFirstJson('{"a":1,"__proto__":2,"a":"\\ud800"}');
  assert.deepEqual([...value as Map<string, JsonRead>], [
    ["a", "\ufffd"],
    ["__proto__", 2],
  ]);
});

Deno.test("readFirstJson() remembers the lines of the outermost keys", () => {
  const { keyLines } = readFirstJson('{"a": {\n"in": 1},\n\n"b":\n2}');
  assert.deepEqual([...keyLines], [["a", 1], ["b", 4]]);
});

Deno.test("goValueText() prints as Go's %v", () => {
  const texts: readonly (readonly [JsonRead, string])[] = [
    [5, "5"],
    [1.5, "1.5"],
    [100_000, "100000"],
    [1e6, "1e+06"],
    [1234567.5, "1.2345675e+06"],
    [1e21, "1e+21"],
    [1e-7, "1e-07"],
    [0.0001, "0.0001"],
    [0, "0"],
    [null, "<nil>"],
    [true, "true"],
    ["x", "x"],
    [["a", 1, 1.5, null, true], "[a 1 1.5 <nil> true]"],
    [new Map<string, JsonRead>([["b", 1], ["a", "x"]]), "map[a:x b:1]"],
  ];
  for (const [value, text] of texts) assert.equal(goValueText(value), text);
});

/** What Go's json.Unmarshal says, from its source; e2e compares more with Go itself. */
const WHOLE_COMPLAINTS: Readonly<Record<string, string>> = {
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

Deno.test("readJson() complains in Go's words", () => {
  for (const [text, message] of Object.entries(WHOLE_COMPLAINTS)) {
    assert.throws(() => readJson(text), {
      name: "JsonSyntaxError",
      message,
    });
  }
});

Deno.test("readJson() reads what is JSON", () => {
  const text = ' {"a": ["\\u0041\\n", -1.5e+3, true, null, {}, []]} ';
  assert.deepEqual(
    readJson(text),
    new Map([["a", ["A\n", -1500, true, null, new Map(), []]]]),
  );
});

Deno.test("jsonTypeName() names types as Go does", () => {
  const values = [[], new Map(), "", 1, true];
  assert.deepEqual(values.map(jsonTypeName), [
    "array",
    "object",
    "string",
    "number",
    "bool",
  ]);
});
