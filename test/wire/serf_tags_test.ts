import assert from "node:assert/strict";
import fc from "fast-check";
import { bytesOfHex, hexOf } from "../../lib/kit/bytes.ts";
import {
  decodeFilter,
  decodeTags,
  encodeFilter,
  encodeTags,
  type Filter,
} from "../../lib/wire/serf_tags.ts";
import { texts } from "./arbitraries.ts";
import { serfEntries, withTrailing } from "./vectors.ts";

Deno.test("decodeTags() reads what serf wrote", () => {
  for (const entry of serfEntries(/^(tags|capture_meta)_/, 13)) {
    for (const hex of [entry.hex, entry.hex_v2 ?? entry.hex]) {
      const { tags, error } = decodeTags(bytesOfHex(hex));
      assert.deepEqual(
        Object.fromEntries(tags),
        entry.decoded["tags"],
        entry.name,
      );
      assert.equal(error, undefined, entry.name);
    }
  }
});

Deno.test("encodeTags() writes the bytes that serf writes", () => {
  for (const entry of serfEntries(/^(tags|capture_meta)_/, 13)) {
    const bytes = bytesOfHex(entry.hex);
    const protocolVersion = bytes[0] === 0xff ? 5 : 2;
    const { tags } = decodeTags(bytes);
    assert.equal(
      hexOf(encodeTags(tags, protocolVersion)),
      entry.hex,
      entry.name,
    );
  }
});

Deno.test("encodeTags() announces the role alone to protocol 2", () => {
  const tags = new Map([["dc", "east"], ["role", "web"]]);
  assert.equal(hexOf(encodeTags(tags, 2)), "776562");
  assert.equal(hexOf(encodeTags(new Map([["dc", "east"]]), 2)), "");
  assert.deepEqual(decodeTags(encodeTags(tags, 3)).tags, tags);
});

Deno.test("decodeTags() gives back what encodeTags() was given", () => {
  const tagSets = fc.array(fc.tuple(texts, texts), { maxLength: 20 })
    .map((entries) => new Map(entries));
  fc.assert(fc.property(tagSets, (tags) => {
    const bytes = encodeTags(tags, 5);
    assert.deepEqual(decodeTags(bytes), { tags });
    assert.deepEqual(decodeTags(withTrailing(bytes)), { tags });
  }));
});

Deno.test("decodeTags() keeps what came before an error", () => {
  const whole = encodeTags(new Map([["dc", "east"], ["role", "web"]]), 5);
  const { tags, error } = decodeTags(whole.subarray(0, whole.length - 1));
  assert.deepEqual(tags, new Map([["dc", "east"]]));
  assert.equal(error?.detail, "Failed to decode tags: EOF");
});

Deno.test("decodeTags() refuses what is no map of texts", () => {
  for (
    const hex of [
      "ff",
      "ff05",
      "ff91a0",
      "ff81a16b05",
      "ff8105a0",
      "ff81a16ba1ff",
      "ffc1",
    ]
  ) {
    const { tags, error } = decodeTags(bytesOfHex(hex));
    assert.deepEqual(tags, new Map(), hex);
    assert.equal(error?.name, "WireError", hex);
  }
  assert.deepEqual(decodeTags(bytesOfHex("ffc0")), { tags: new Map() });
});

function filterOfEntry(decoded: Record<string, unknown>): Filter {
  return decoded["filter"] === 0
    ? { kind: "node", nodes: decoded["nodes"] as string[] }
    : {
      kind: "tag",
      tag: decoded["Tag"] as string,
      expr: decoded["Expr"] as string,
    };
}

Deno.test("decodeFilter() and encodeFilter() agree with serf to the byte", () => {
  for (const entry of serfEntries(/^filter_/, 5)) {
    const filter = filterOfEntry(entry.decoded);
    assert.deepEqual(decodeFilter(bytesOfHex(entry.hex)), filter, entry.name);
    assert.deepEqual(decodeFilter(withTrailing(bytesOfHex(entry.hex))), filter);
    assert.equal(hexOf(encodeFilter(filter)), entry.hex, entry.name);
  }
});

Deno.test("decodeFilter() gives back what encodeFilter() was given", () => {
  const filters: fc.Arbitrary<Filter> = fc.oneof(
    fc.array(texts, { maxLength: 20 })
      .map((nodes) => ({ kind: "node" as const, nodes })),
    fc.tuple(texts, texts)
      .map(([tag, expr]) => ({ kind: "tag" as const, tag, expr })),
  );
  fc.assert(fc.property(filters, (filter) => {
    assert.deepEqual(decodeFilter(encodeFilter(filter)), filter);
  }));
});

Deno.test("decodeFilter() words refusals as Serf's log does", () => {
  const cases: [hex: string, detail: string][] = [
    ["", "query has an empty filter"],
    ["0780", "query has unrecognized filter type: 7"],
    ["00", "failed to decode filterNodeType: EOF"],
    ["0182", "failed to decode filterTagType: EOF"],
  ];
  for (const [hex, detail] of cases) {
    assert.throws(() => decodeFilter(bytesOfHex(hex)), {
      name: "WireError",
      detail,
    });
  }
});
