import assert from "node:assert/strict";
import {
  bytesOfHex,
  concatBytes,
  equalBytes,
  hexOf,
} from "../../lib/kit/bytes.ts";
import type { PushPull, StreamMessage } from "../../lib/wire/messages.ts";
import {
  BodyScanner,
  decodeStreamBody,
  encodeStreamMessage,
} from "../../lib/wire/stream_body.ts";
import { WireError } from "../../lib/wire/wire_error.ts";
import {
  bytesIn,
  comparable,
  goFields,
  type Vector,
  vectorsOf,
  withTrailing,
} from "./vectors.ts";

/** A body that must be complete, with or without something behind it. */
function decodeWhole(bytes: Uint8Array): StreamMessage {
  const scanner = new BodyScanner();
  const end = scanner.scan(bytes, bytes.length);
  assert.ok(end !== undefined, "the body is complete");
  return decodeStreamBody(bytes.subarray(0, end));
}

function isWrittenByOld(vector: Vector): boolean {
  return (vector["encoders"] as string[]).some((name) =>
    name.startsWith("memberlist-0.2")
  );
}

Deno.test("decodeStreamBody() reads every form of the push/pull header", () => {
  const ofType6 = ({ type }: Vector) => type === 6;
  for (const vector of vectorsOf("message", 6, ofType6)) {
    const { Join, Nodes, UserStateLen } = vector["decoded"] as Record<
      string,
      number
    >;
    // Nil is a row of zeros, and the shortest one.
    const body = concatBytes([
      bytesIn(vector, "hex"),
      new Uint8Array(Nodes as number).fill(0xc0),
      new Uint8Array(UserStateLen as number),
    ]);
    const message = decodeWhole(body) as PushPull;
    assert.equal(message.join, Join, vector.name);
    assert.equal(message.states.length, Nodes, vector.name);
    assert.equal(message.userState.length, UserStateLen, vector.name);
    if (!isWrittenByOld(vector)) continue;
    const header = encodeStreamMessage(message).subarray(
      0,
      vector.hex.length / 2,
    );
    assert.equal(hexOf(header), vector.hex, vector.name);
  }
});

const PUSH_PULL_OF_ONE = bytesOfHex(
  "0683a44a6f696ec2a54e6f64657301ac5573657253746174654c656e00",
);

Deno.test("decodeStreamBody() reads every row of a push/pull", () => {
  const isRow = ({ name }: Vector) => name.startsWith("nodestate-");
  for (const vector of vectorsOf("message", 6, isRow)) {
    const body = concatBytes([PUSH_PULL_OF_ONE, bytesIn(vector, "hex")]);
    const message = decodeWhole(body);
    const { nodes } = goFields(message) as { nodes: unknown[] };
    assert.deepEqual(
      comparable(nodes[0]),
      comparable(vector["decoded"]),
      vector.name,
    );
    assert.equal(hexOf(encodeStreamMessage(message)), hexOf(body), vector.name);
  }
});

Deno.test("decodeStreamBody() reads every form of the user message header", () => {
  const ofType8 = ({ type }: Vector) => type === 8;
  for (const vector of vectorsOf("message", 18, ofType8)) {
    const { UserMsgLen } = vector["decoded"] as { UserMsgLen: number };
    const body = concatBytes([
      bytesIn(vector, "hex"),
      new Uint8Array(UserMsgLen),
    ]);
    const message = decodeWhole(body);
    assert.equal(
      message.kind === "user" && message.body.length,
      UserMsgLen,
      vector.name,
    );
    if (isWrittenByOld(vector)) {
      assert.ok(equalBytes(encodeStreamMessage(message), body), vector.name);
    }
  }
});

Deno.test("decodeStreamBody() reads errors", () => {
  const ofType13 = ({ type }: Vector) => type === 13;
  for (const vector of vectorsOf("message", 2, ofType13)) {
    for (
      const body of [
        bytesIn(vector, "hex"),
        withTrailing(bytesIn(vector, "hex")),
      ]
    ) {
      const message = decodeWhole(body);
      assert.deepEqual(
        comparable(goFields(message)),
        comparable(vector["decoded"]),
      );
      assert.equal(hexOf(encodeStreamMessage(message)), vector.hex);
    }
  }
});

Deno.test("decodeStreamBody() knows no state above left", () => {
  // A row as an array, with state 4.
  const body = concatBytes([
    PUSH_PULL_OF_ONE,
    bytesOfHex("97a178c000c00004c0"),
  ]);
  const message = decodeWhole(body) as PushPull;
  assert.equal(message.states[0]?.node.name, "x");
  assert.equal(message.states[0]?.state, undefined);
});

Deno.test("BodyScanner refuses counts and lengths beyond the limits at once", () => {
  const cases: [hex: string, detail: string][] = [
    ["0681a54e6f646573ff", "number of nodes in header (-1) exceeds limit"],
    [
      "0681a54e6f646573ce00020001",
      "number of nodes in header (131073) exceeds limit",
    ],
    [
      "0681ac5573657253746174654c656ece01400001",
      "user state length (20971521) exceeds limit",
    ],
    ["0881aa557365724d73674c656eff", "user message length (-1) exceeds limit"],
    [
      // 2^64 - 1 wraps to -1, as in Go.
      "0881aa557365724d73674c656ecfffffffffffffffff",
      "user message length (-1) exceeds limit",
    ],
  ];
  for (const [hex, detail] of cases) {
    const bytes = bytesOfHex(hex);
    assert.throws(() => new BodyScanner().scan(bytes, bytes.length), {
      name: "WireError",
      code: "oversized",
      detail,
    });
  }
});

Deno.test("BodyScanner allocates nothing by an announced size", () => {
  // 131,072 rows, 20 MiB of user state, and then a few bytes.
  const bytes = bytesOfHex(
    "0682a54e6f646573ce00020000ac5573657253746174654c656ece01400000c0c0c0",
  );
  const before = Deno.memoryUsage();
  const scanner = new BodyScanner();
  for (let i = 0; i < 1_000; i++) {
    assert.equal(scanner.scan(bytes, bytes.length), undefined);
  }
  const after = Deno.memoryUsage();
  assert.ok(after.external - before.external < 1_000_000);
  assert.ok(after.heapUsed - before.heapUsed < 4_000_000);
});

Deno.test("decodeStreamBody() refuses what no stream carries", () => {
  assert.throws(() => decodeStreamBody(bytesOfHex("0480")), WireError);
});
