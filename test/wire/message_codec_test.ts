import assert from "node:assert/strict";
import fc from "fast-check";
import { bytesOfHex, concatBytes, hexOf } from "../../lib/kit/bytes.ts";
import { decodeMessage, encodeMessage } from "../../lib/wire/message_codec.ts";
import type { Message } from "../../lib/wire/messages.ts";
import { WireError } from "../../lib/wire/wire_error.ts";
import { messages } from "./arbitraries.ts";
import {
  bytesIn,
  comparable,
  goFields,
  type Vector,
  vectorsOf,
  withTrailing,
} from "./vectors.ts";

/** Types that only streams carry, and the rows of a push/pull, are tested there. */
const STREAM_TYPES: unknown[] = [6, 8, 13, undefined];

function isPacketMessage(vector: Vector): boolean {
  return !STREAM_TYPES.includes(vector["type"]);
}

/** What tells nil from empty is lost in decoding; we always write nil. */
const EMPTY_NOT_NIL = ["ack-empty-payload", "alive-full-v6"];

Deno.test("decodeMessage() reads what both generations of memberlist wrote", () => {
  for (const vector of vectorsOf("message", 29, isPacketMessage)) {
    for (
      const bytes of [
        bytesIn(vector, "hex"),
        withTrailing(bytesIn(vector, "hex")),
      ]
    ) {
      const fields = comparable(goFields(decodeMessage(bytes)));
      assert.deepEqual(fields, comparable(vector["decoded"]), vector.name);
    }
  }
});

Deno.test("encodeMessage() writes the bytes that memberlist writes", () => {
  for (const vector of vectorsOf("message", 29, isPacketMessage)) {
    if (EMPTY_NOT_NIL.includes(vector.name)) continue;
    const message = decodeMessage(bytesIn(vector, "hex"));
    assert.equal(hexOf(encodeMessage(message)), vector.hex, vector.name);
  }
});

Deno.test("decodeMessage() refuses every message that is cut short", () => {
  for (const vector of vectorsOf("message", 29, isPacketMessage)) {
    const bytes = bytesIn(vector, "hex");
    for (let length = 1; length < bytes.length; length++) {
      assert.throws(
        () => decodeMessage(bytes.subarray(0, length)),
        (error) => error instanceof WireError && error.code === "truncated",
        `${vector.name} at ${length}`,
      );
    }
  }
});

/** Accepted by old decoders alone, or by both although we want names in UTF-8. */
const STRICTER_THAN_PEERS: Record<string, RegExp> = {
  "msgpack-ping-nil-key": /invalid byte descriptor/,
  "msgpack-ping-bad-utf8": /not valid UTF-8/,
};

Deno.test("decodeMessage() is as tolerant as go-msgpack", () => {
  for (const vector of vectorsOf("msgpack", 38)) {
    const bytes = concatBytes([Uint8Array.of(0), bytesIn(vector, "hex")]);
    const { ok, decoded } = vector["new"] as {
      ok?: boolean;
      decoded?: unknown;
    };
    const stricter = STRICTER_THAN_PEERS[vector.name];
    if (ok !== true || stricter !== undefined) {
      assert.throws(() => decodeMessage(bytes), WireError, vector.name);
      if (stricter !== undefined) {
        assert.throws(() => decodeMessage(bytes), stricter);
      }
      continue;
    }
    const fields = comparable(goFields(decodeMessage(bytes)));
    assert.deepEqual(fields, comparable(decoded), vector.name);
  }
});

Deno.test("decodeMessage() words refusals as memberlist's log does", () => {
  const cases: [hex: string, detail: string][] = [
    ["", "missing message type byte"],
    ["06", "msg type (6) not supported"],
    ["c8", "msg type (200) not supported"],
    ["00", "Failed to decode ping request: EOF"],
    [
      "0305",
      "Failed to decode suspect message: msgpack decode error [pos 1]: " +
      "only encoded map or array can be decoded into a struct",
    ],
  ];
  for (const [hex, detail] of cases) {
    assert.throws(() => decodeMessage(bytesOfHex(hex)), {
      name: "WireError",
      detail,
    });
  }
});

Deno.test("decodeMessage() gives back what encodeMessage() was given", () => {
  fc.assert(
    fc.property(messages, (message: Message) => {
      assert.deepEqual(decodeMessage(encodeMessage(message)), message);
    }),
    { numRuns: 500 },
  );
});

Deno.test("decodeMessage() copies no byte field", () => {
  const part = encodeMessage({
    kind: "ack",
    seqNo: 1,
    payload: Uint8Array.of(7, 8),
  });
  const ack = decodeMessage(part);
  assert.equal(ack.kind === "ack" && ack.payload.buffer, part.buffer);
});
