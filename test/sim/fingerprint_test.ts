import assert from "node:assert/strict";
import fc from "fast-check";
import { deriveSeed, Fingerprint } from "../../lib/sim/fingerprint.ts";

function textOf(fill: (fingerprint: Fingerprint) => void): string {
  const fingerprint = new Fingerprint();
  fill(fingerprint);
  return fingerprint.text();
}

Deno.test("text() is the same for the same additions", () => {
  fc.assert(
    fc.property(
      fc.uint8Array(),
      fc.double(),
      fc.string(),
      (bytes, number, text) => {
        const fill = (fingerprint: Fingerprint) => {
          fingerprint.addBytes(bytes);
          fingerprint.addNumber(number);
          fingerprint.addText(text);
        };
        assert.equal(textOf(fill), textOf(fill));
      },
    ),
  );
});

Deno.test("addBytes() notices each single bit", () => {
  const bytes = new Uint8Array(11).fill(0xa5);
  const seen = new Set([textOf((fingerprint) => fingerprint.addBytes(bytes))]);
  for (let i = 0; i < bytes.length * 8; i++) {
    const flipped = bytes.slice();
    flipped[i >> 3] = (flipped[i >> 3] as number) ^ (1 << (i & 7));
    seen.add(textOf((fingerprint) => fingerprint.addBytes(flipped)));
  }
  assert.equal(seen.size, 1 + bytes.length * 8);
});

Deno.test("addWord() notices the order of additions", () => {
  const there = textOf((fingerprint) =>
    [1, 2].forEach((word) => fingerprint.addWord(word))
  );
  const back = textOf((fingerprint) =>
    [2, 1].forEach((word) => fingerprint.addWord(word))
  );
  assert.notEqual(there, back);
});

Deno.test("text() has 16 digits and does not disturb what follows", () => {
  const looked = new Fingerprint();
  looked.addWord(1);
  assert.match(looked.text(), /^[0-9a-f]{16}$/);
  looked.addWord(2);
  assert.equal(
    looked.text(),
    textOf((fingerprint) =>
      [1, 2].forEach((word) => fingerprint.addWord(word))
    ),
  );
});

Deno.test("deriveSeed() gives safe integers, different for neighbouring parts", () => {
  const seeds = new Set<number>();
  for (let seed = 0; seed < 50; seed++) {
    for (let node = 0; node < 50; node++) {
      const derived = deriveSeed(seed, node);
      assert.ok(Number.isSafeInteger(derived) && derived >= 0);
      seeds.add(derived);
    }
  }
  assert.equal(seeds.size, 2_500);
});
