import assert from "node:assert/strict";
import {
  bytesOfHex,
  EMPTY_BYTES,
  hexOf,
  utf8Bytes,
} from "../../lib/kit/bytes.ts";
import {
  addLabel,
  labelOverheadBytes,
  peelLabel,
  quoteLabel,
} from "../../lib/wire/label.ts";

Deno.test("addLabel() puts the header in front, and none for no label", () => {
  const body = Uint8Array.of(8);
  assert.equal(hexOf(addLabel(utf8Bytes("dc1"), body)), "f40364633108");
  assert.equal(addLabel(EMPTY_BYTES, body), body);
});

Deno.test("peelLabel() gives back what addLabel() was given", () => {
  const body = Uint8Array.of(8, 1);
  for (const length of [0, 1, 255]) {
    const label = utf8Bytes("l".repeat(length));
    const labelled = addLabel(label, body);
    assert.equal(labelled.length - body.length, labelOverheadBytes(length));
    assert.deepEqual(peelLabel(labelled), { label, rest: body });
  }
});

Deno.test("peelLabel() asks for more while the label is not all there", () => {
  for (const hex of ["", "f4", "f402", "f40261"]) {
    assert.equal(peelLabel(bytesOfHex(hex)), undefined, hex);
  }
});

Deno.test("peelLabel() refuses an empty label", () => {
  assert.throws(() => peelLabel(bytesOfHex("f40001")), {
    code: "badLabel",
    detail: "label header cannot be empty when present",
  });
});

Deno.test("quoteLabel() shows any bytes", () => {
  assert.equal(quoteLabel(utf8Bytes('a"b')), '"a\\"b"');
  assert.equal(quoteLabel(EMPTY_BYTES), '""');
});
