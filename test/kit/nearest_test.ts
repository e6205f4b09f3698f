import assert from "node:assert/strict";
import { nearest } from "../../lib/kit/nearest.ts";

const COMMANDS = ["agent", "event", "join", "keygen", "keys", "members"];

Deno.test("nearest() finds what was meant", () => {
  const meant: readonly (readonly [string, string | undefined])[] = [
    ["member", "members"],
    ["memebrs", "members"],
    ["Members", "members"],
    ["jion", "join"],
    ["key", "keys"],
    ["evnt", "event"],
    ["agnet", "agent"],
    ["status", undefined],
    ["x", undefined],
    ["", undefined],
  ];
  for (const [word, expected] of meant) {
    assert.equal(nearest(word, COMMANDS), expected, word);
  }
});

Deno.test("nearest() prefers the first of equals, and what needs fewer edits", () => {
  assert.equal(nearest("tagx", ["taga", "tagb"]), "taga");
  assert.equal(nearest("retry-joi", ["retry-max", "retry-join"]), "retry-join");
});

Deno.test("nearest() does not spend time on monsters", () => {
  assert.equal(nearest("a".repeat(1e6), ["a".repeat(1e6)]), undefined);
});
