/**
 * Our own tags, for every protocol version, up to the limit and beyond it.
 *
 * Method: the length of a meta is worked out by hand from the format (a byte, a
 * header for the map, a header and the bytes of each text); whatever fits must
 * come back from it as it was, and whatever does not must change nothing. The
 * bytes themselves are compared with Serf's in `test/wire/serf_tags_test.ts`.
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { utf8Bytes } from "../../lib/kit/bytes.ts";
import { OwnTags } from "../../lib/serf/tags.ts";
import type { SwimEngine } from "../../lib/swim/engine.ts";
import { decodeTags } from "../../lib/wire/serf_messages.ts";
import { Parts } from "./parts.ts";

type Tags = ReadonlyMap<string, string>;

const META_BYTES_MAX = 512;
/** A layer below that is told of everything and does nothing. */
const SWIM = { updateMeta: () => 1 } as unknown as SwimEngine;

/** Bytes of a text or, by number, of a map header, as msgpack has them. */
function textBytes(text: string): number {
  const { length } = utf8Bytes(text);
  return length < 32 ? 1 + length : 3 + length;
}
function mapBytes(entries: number): number {
  return entries < 16 ? 1 : 3;
}

function metaBytes(tags: Tags, protocolVersion: number): number {
  if (protocolVersion < 3) return utf8Bytes(tags.get("role") ?? "").length;
  let bytes = 1 + mapBytes(tags.size);
  for (const [name, value] of tags) bytes += textBytes(name) + textBytes(value);
  return bytes;
}

const versions = fc.integer({ min: 2, max: 5 });
/** Text of any code points, those of two UTF-16 units and none at all among them. */
const words = fc.oneof(
  fc.string({ unit: "binary", maxLength: 12 }),
  fc.constantFrom("", "role", "dc", "🦀🦀", "ß", "\0", "__proto__"),
  fc.integer({ min: 28, max: 36 }).map((length) => "x".repeat(length)),
);
const tagSets = fc.array(fc.tuple(words, words), { maxLength: 20 })
  .map((entries) => new Map(entries));
/** One long role, so that every version comes to its limit. */
const longRoles = fc.tuple(
  fc.integer({ min: 495, max: 515 }),
  fc.constantFrom("x", "ß", "🦀"),
).map(([bytes, unit]) => {
  const text = unit.repeat(Math.floor(bytes / utf8Bytes(unit).length));
  return new Map([["role", text.padEnd(text.length + bytes % 2, "y")]]);
});

Deno.test("OwnTags announces what fits, as it is, and refuses the rest", () => {
  const seen = { fits: 0, tooLong: 0 };
  fc.assert(
    fc.property(
      versions,
      fc.array(fc.oneof(tagSets, longRoles), { maxLength: 4 }),
      (protocolVersion, changes) => {
        const { core } = new Parts({ protocolVersion });
        const own = new OwnTags(core);
        for (const tags of changes) {
          const before = { current: own.current, meta: own.meta };
          const bytes = metaBytes(tags, protocolVersion);
          if (bytes > META_BYTES_MAX) {
            seen.tooLong++;
            assert.throws(() => own.set(tags, SWIM, 0), {
              name: "RangeError",
              message: "Encoded length of tags exceeds limit of 512 bytes",
            });
            assert.deepEqual({ current: own.current, meta: own.meta }, before);
            continue;
          }
          seen.fits++;
          own.set(tags, SWIM, 0);
          assert.deepEqual(own.current, tags);
          assert.equal(own.meta.length, bytes);
          const announced = protocolVersion < 3
            ? new Map([["role", tags.get("role") ?? ""]])
            : tags;
          assert.deepEqual(decodeTags(own.meta), { tags: announced });
        }
      },
    ),
    { numRuns: 500 },
  );
  assert.ok(seen.fits > 100 && seen.tooLong > 100, JSON.stringify(seen));
});
