import assert from "node:assert/strict";
import { bytesOfHex, hexOf } from "../../lib/kit/bytes.ts";
import { Random } from "../../lib/kit/random.ts";
import { bytesIn, vectorsOf } from "../wire/vectors.ts";
import {
  encodeMessage,
  parseMessage,
  withValuesChanged,
} from "./msgpack_tree.ts";

/** A message of type 3: {"A": 1, "B": [nil, "xyz"]}, and a byte behind it. */
const SMALL = bytesOfHex("0382a14101a14292c0a378797ac1");

Deno.test("encodeMessage() undoes parseMessage()", () => {
  const messages = [
    SMALL,
    ...vectorsOf("message", 61).map((vector) => bytesIn(vector, "hex")),
    ...vectorsOf("capture", 50).map((vector) => bytesIn(vector, "hex")),
  ];
  let parsed = 0;
  for (const bytes of messages) {
    const message = parseMessage(bytes);
    if (message === undefined) continue;
    parsed++;
    assert.equal(hexOf(encodeMessage(message)), hexOf(bytes));
  }
  assert.ok(parsed > 60, `${parsed} have a map in them`);
});

Deno.test("parseMessage() refuses what has no map or array in it", () => {
  for (const hex of ["", "03", "0301", "03a2", "0382a141", "c1c1c1c1c1"]) {
    assert.equal(parseMessage(bytesOfHex(hex)), undefined, hex);
  }
});

Deno.test("withValuesChanged() leaves a message that can be taken apart", () => {
  const random = new Random(1);
  const seen = new Set<string>();
  let whole = 0;
  for (let i = 0; i < 1_000; i++) {
    const changed = withValuesChanged(SMALL, SMALL, random);
    assert.ok(changed !== undefined);
    seen.add(hexOf(changed));
    assert.equal(changed[0], 3);
    assert.equal(changed.at(-1), 0xc1);
    const isEmpty = changed[1] === 0x80;
    const isDeep = hexOf(changed).includes("91".repeat(30));
    if (isEmpty || isDeep) continue;
    const behind = parseMessage(changed)?.behind;
    assert.equal(behind && hexOf(behind), "c1", hexOf(changed));
    whole++;
  }
  assert.ok(seen.size > 300, `${seen.size} different ones`);
  assert.ok(whole > 700, `${whole} are neither empty nor too deep`);
});
