import assert from "node:assert/strict";
import { nonceSource, seededRandom } from "../../lib/net/entropy.ts";
import { hexOf } from "../../lib/kit/bytes.ts";

Deno.test("nonceSource() gives 12 bytes, never the same, and never takes them back", () => {
  const next = nonceSource();
  const nonces = Array.from({ length: 1_000 }, () => next());
  assert.ok(nonces.every((nonce) => nonce.length === 12));
  assert.equal(new Set(nonces.map(hexOf)).size, 1_000);
  const first = hexOf(nonces[0]!);
  for (let i = 0; i < 1_000; i++) next();
  assert.equal(hexOf(nonces[0]!), first);
});

Deno.test("seededRandom() gives each node its own choices", () => {
  const draws = Array.from({ length: 50 }, () => seededRandom().uint32());
  assert.ok(new Set(draws).size > 45);
});
