import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeBase64 } from "../../lib/kit/base64.ts";
import { equalBytes } from "../../lib/kit/bytes.ts";

// Byte positions as reported by `serf agent -encrypt=TEXT` of serf 0.9.4.
Deno.test("decodeBase64() names the byte that is wrong", () => {
  const cases: [string, number][] = [
    ["@@@", 0],
    ["AA=", 3],
    ["AA=A", 2],
    ["A===", 1],
    ["AAAA=", 4],
    ["AAA=AAAA", 4],
    ["AAAAA", 4],
    ["AAA", 0],
    ["AA==AA==", 4],
    ["AAAA\nAAAA@", 9],
    ["AA\n=\n=\nA", 7],
    ["A", 0],
    ["====", 0],
    ["AA-_", 2],
    ["AAAAAAAAAAAAAAA@", 15],
    ["AAAAAAAA=AAA", 8],
    ["AAAAAAAAAAAA AAAA", 12],
    ["ÄAAA", 0],
    ["AAAAAAAAAA\n@A", 11],
  ];
  for (const [text, at] of cases) {
    assert.throws(() => decodeBase64(text), {
      name: "SyntaxError",
      message: `illegal base64 data at input byte ${at}`,
    }, JSON.stringify(text));
  }
});

Deno.test("decodeBase64() skips line breaks and ignores spare bits", () => {
  assert.deepEqual(decodeBase64("AB\r\n=="), Uint8Array.of(0));
  assert.deepEqual(decodeBase64(""), new Uint8Array(0));
});

Deno.test("decodeBase64() undoes the platform's encoder", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
    const text = btoa(String.fromCharCode(...bytes));
    assert.ok(equalBytes(decodeBase64(text), bytes));
  }));
});
