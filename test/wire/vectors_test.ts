/** Every vector of the wire is used by a test; here is the account. */

import assert from "node:assert/strict";
import { groupSizes, serfEntries } from "./vectors.ts";

/** Tests name how many vectors of a group they take; these are the sums. */
const HANDLED: Readonly<Record<string, number>> = {
  message: 29 + 6 + 6 + 18 + 2, // message_codec, stream_body
  msgpack: 38, // message_codec
  compound: 7,
  lzw: 28 + 5,
  compress: 14,
  crc: 8,
  encrypt: 31, // aead
  pipeline: 4, // packet
  badpacket: 54, // packet
  capture: 33 + 17, // packet, stream_frame
  stream: 25, // stream_frame
  badstream: 31, // stream_frame
};

/** These are about rules, not bytes: test/swim. */
const RULES: readonly string[] = ["queue", "formula"];

Deno.test("every vector of memberlist.json has a test", () => {
  const sizes = groupSizes();
  for (const group of RULES) {
    assert.ok(group in sizes, group);
    delete sizes[group];
  }
  assert.deepEqual(sizes, HANDLED);
});

Deno.test("every entry of serf.json has a test or is no message", () => {
  const tested = 97 + 8 + 13 + 5 + 4 + 4 + 3 + 8;
  serfEntries(/^(?!snapshot_)/, tested);
});
