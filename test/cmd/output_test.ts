import fc from "fast-check";
import assert from "node:assert/strict";
import { fieldInGoSyntax } from "../../cmd/go_syntax.ts";
import {
  compareText,
  printAs,
  renderAs,
  renderColumns,
  renderJson,
} from "../../cmd/output.ts";
import { parsePairs } from "../../cmd/pairs.ts";
import { membersText } from "../../cmd/members.ts";
import { RecordText, type RecordValue } from "../../lib/rpc/client_session.ts";
import { utf8Bytes } from "../../lib/kit/bytes.ts";
import { member } from "../rpc/fake_target.ts";
import { FakeTerminal } from "./fake_terminal.ts";

Deno.test("renderColumns() aligns cells, counted in code points", () => {
  assert.equal(
    renderColumns(["a|bb|c", "ä😀|b|", " x |\u00a0y\t|z"]),
    "a   bb  c\n" +
      "ä😀  b   \n" +
      "x   y   z",
  );
  assert.equal(renderColumns([]), "");
  assert.equal(renderColumns(["a", "bb|c"]), "a\nbb  c");
  // The padding before an empty last cell stays, but for the last row of all.
  const rows = [member("n1"), member("longer-name")];
  const rendering = {
    text: () => membersText(rows, { isDetailed: false }),
    json: () => null,
  };
  assert.equal(
    renderAs("text", rendering),
    "n1           127.0.0.1:7946  alive  \n" +
      "longer-name  127.0.0.1:7946  alive\n",
  );
});

Deno.test("membersText() shows a member without an address or tags", () => {
  const odd = { ...member("n1"), addr: new Uint8Array(0), tags: undefined };
  assert.equal(membersText([odd], { isDetailed: false }), "n1  :7946  alive  ");
});

Deno.test("renderJson() is Go's JSON", () => {
  assert.equal(
    renderJson({
      b: '<&>\u2028\u2029"\\\n',
      a: new Map<string, RenderedValue>([["b", 1], ["10", null], ["9", true], [
        "a",
        [],
      ]]),
      none: new Map(),
      list: [{ x: [] }, "y"],
    }),
    `{
  "b": "\\u003c\\u0026\\u003e\\u2028\\u2029\\"\\\\\\n",
  "a": {
    "10": null,
    "9": true,
    "a": [],
    "b": 1
  },
  "none": {},
  "list": [
    {
      "x": []
    },
    "y"
  ]
}`,
  );
});

type RenderedValue = Parameters<typeof renderJson>[0];

Deno.test("renderJson() is read back by JSON.parse()", () => {
  fc.assert(fc.property(fc.jsonValue(), (value) => {
    const text = renderJson(value as RenderedValue);
    assert.deepEqual(JSON.parse(text), JSON.parse(JSON.stringify(value)));
  }));
});

Deno.test("compareText() orders as UTF-8 bytes do", () => {
  fc.assert(fc.property(
    fc.string({ unit: "binary" }),
    fc.string({ unit: "binary" }),
    (a, b) => {
      const [as, bs] = [utf8Bytes(a), utf8Bytes(b)];
      let expected = as.length - bs.length;
      for (let i = Math.min(as.length, bs.length) - 1; i >= 0; i--) {
        const difference = (as[i] as number) - (bs[i] as number);
        if (difference !== 0) expected = difference;
      }
      assert.equal(Math.sign(compareText(a, b)), Math.sign(expected));
    },
  ));
  assert.ok(compareText("\uffff", "\u{10000}") < 0);
});

Deno.test("printAs() refuses a form that there is not", () => {
  const terminal = new FakeTerminal();
  const rendering = { text: () => " x \n\n", json: () => ({ a: 1 }) };
  assert.equal(printAs("xml", terminal, rendering), 1);
  assert.equal(printAs("text", terminal, rendering), 0);
  assert.equal(
    terminal.stdout,
    'Encoding error: Invalid output format "xml"\nx\n',
  );
});

Deno.test("fieldInGoSyntax() prints as %#v does", () => {
  const text = (value: string) => new RecordText(utf8Bytes(value));
  const cases: [value: RecordValue, printed: string][] = [
    [null, "<nil>"],
    [true, "true"],
    [0, "0"],
    [127, "127"],
    [128, "0x80"],
    [-5, "-5"],
    [1.5, "1.5"],
    [18_446_744_073_709_551_615n, "0xffffffffffffffff"],
    [text('a"b\n'), '"a\\"b\\n"'],
    [Uint8Array.of(0x76, 0x0a), "[]byte{0x76, 0xa}"],
    [new Uint8Array(0), "[]byte{}"],
    [[], "[]interface {}{}"],
    [
      [new Map<string, RecordValue>([["b", null], ["a", Uint8Array.of(1)]])],
      '[]interface {}{map[interface {}]interface {}{"a":[]uint8{0x1}, "b":interface {}(nil)}}',
    ],
  ];
  for (const [value, printed] of cases) {
    assert.equal(fieldInGoSyntax(value), printed);
  }
});

Deno.test("parsePairs() splits at the first = and keeps the last of a key", () => {
  assert.deepEqual(
    [...parsePairs(["a=1", "b=", "c=x=y", "a=2"])],
    [["a", "2"], ["b", ""], ["c", "x=y"]],
  );
  for (const bad of ["role", "=x", ""]) {
    assert.throws(() => parsePairs([bad]), {
      message: `Invalid tag: '${bad}'`,
    });
  }
});
