import assert from "node:assert/strict";
import fc from "fast-check";
import { bytesOfHex, hexOf } from "../../lib/kit/bytes.ts";
import {
  type CoordinateRecord,
  decodeConflictResponse,
  decodeKeyRequest,
  decodeKeyResponse,
  decodePingPayload,
  encodeConflictResponse,
  encodeKeyRequest,
  encodeKeyResponse,
  encodePingPayload,
  type MemberRecord,
} from "../../lib/wire/serf_payloads.ts";
import { comparable, serfEntries, withTrailing } from "./vectors.ts";

Deno.test("decodeKeyRequest() and encodeKeyRequest() agree with serf to the byte", () => {
  for (const entry of serfEntries(/^key_request_/, 4)) {
    const key = decodeKeyRequest(bytesOfHex(entry.hex));
    assert.deepEqual(
      comparable(key),
      comparable(entry.decoded["Key"]),
      entry.name,
    );
    assert.equal(hexOf(encodeKeyRequest(key)), entry.hex, entry.name);
    assert.equal(
      hexOf(decodeKeyRequest(withTrailing(bytesOfHex(entry.hex)))),
      hexOf(key),
    );
  }
});

Deno.test("decodeKeyResponse() and encodeKeyResponse() agree with serf to the byte", () => {
  for (const entry of serfEntries(/^key_response_/, 4)) {
    const response = decodeKeyResponse(bytesOfHex(entry.hex));
    const fields = {
      type: 8,
      Keys: response.keys.length === 0 ? null : response.keys,
      Message: response.message,
      PrimaryKey: response.primaryKey,
      Result: response.result,
    };
    assert.deepEqual(comparable(fields), comparable(entry.decoded), entry.name);
    assert.equal(hexOf(encodeKeyResponse(response)), entry.hex, entry.name);
  }
});

function goMember(member: MemberRecord): Record<string, unknown> {
  return {
    type: 6,
    Addr: member.addr,
    DelegateCur: member.delegateCur,
    DelegateMax: member.delegateMax,
    DelegateMin: member.delegateMin,
    Name: member.name,
    Port: member.port,
    ProtocolCur: member.protocolCur,
    ProtocolMax: member.protocolMax,
    ProtocolMin: member.protocolMin,
    Status: member.status,
    Tags: member.tags,
  };
}

Deno.test("decodeConflictResponse() and encodeConflictResponse() agree with serf to the byte", () => {
  for (const entry of serfEntries(/^conflict_response_/, 3)) {
    const member = decodeConflictResponse(bytesOfHex(entry.hex));
    const expected = entry.decoded["member"] === null
      ? undefined
      : entry.decoded;
    assert.deepEqual(
      member && comparable(goMember(member)),
      expected && comparable(expected),
      entry.name,
    );
    assert.equal(hexOf(encodeConflictResponse(member)), entry.hex, entry.name);
  }
});

Deno.test("payloads of captured queries and responses decode", () => {
  const decoders: Record<number, (payload: Uint8Array) => unknown> = {
    6: (payload) => decodeConflictResponse(payload)?.name,
    7: (payload) => decodeKeyRequest(payload),
    8: (payload) => decodeKeyResponse(payload).message,
  };
  const field: Record<number, string> = { 6: "Name", 7: "Key", 8: "Message" };
  let count = 0;
  for (const entry of serfEntries(/^capture_(query|response)_/, 28)) {
    const expected = entry.decoded["Payload_decoded"] as
      | Record<string, unknown>
      | undefined;
    if (expected === undefined) continue;
    const type = expected["type"] as number;
    const { $bytes } = entry.decoded["Payload"] as { $bytes: string };
    const actual = decoders[type]?.(bytesOfHex($bytes));
    assert.deepEqual(
      comparable(actual),
      comparable(expected[field[type] as string]),
      entry.name,
    );
    count++;
  }
  assert.equal(count, 14);
});

Deno.test("decodePingPayload() and encodePingPayload() agree with serf to the byte", () => {
  for (const entry of serfEntries(/^(capture_)?ping_/, 8)) {
    const coordinate = decodePingPayload(bytesOfHex(entry.hex));
    assert.deepEqual(
      {
        version: 1,
        Adjustment: coordinate.adjustment,
        Error: coordinate.error,
        Height: coordinate.height,
        Vec: coordinate.vec,
      },
      entry.decoded,
      entry.name,
    );
    assert.equal(hexOf(encodePingPayload(coordinate)), entry.hex, entry.name);
  }
});

Deno.test("decodePingPayload() gives back any numbers", () => {
  const coordinates: fc.Arbitrary<CoordinateRecord> = fc.record({
    vec: fc.array(fc.double(), { maxLength: 20 }),
    error: fc.double(),
    adjustment: fc.double(),
    height: fc.double(),
  }, { noNullPrototype: true });
  fc.assert(fc.property(coordinates, (coordinate) => {
    assert.deepEqual(
      decodePingPayload(encodePingPayload(coordinate)),
      coordinate,
    );
  }));
});

Deno.test("decodePingPayload() takes integers and single floats for numbers", () => {
  // {"Error": 2, "Height": 1.5 in 32 bits, "Vec": [1, nil]}
  const payload = bytesOfHex(
    "0183a54572726f7202a6486569676874ca3fc00000a35665639201c0",
  );
  assert.deepEqual(decodePingPayload(payload), {
    vec: [1, 0],
    error: 2,
    adjustment: 0,
    height: 1.5,
  });
});

Deno.test("payload decoders refuse other payloads", () => {
  const empty = new Uint8Array(0);
  assert.throws(() => decodeKeyResponse(empty), {
    code: "badType",
    detail: "Invalid key query response type: []",
  });
  assert.throws(() => decodeKeyResponse(Uint8Array.of(7, 128)), {
    detail: "Invalid key query response type: [7 128]",
  });
  // A stream may bring 20 MiB, whose numbers would be a text of 80.
  assert.throws(() => decodeKeyResponse(new Uint8Array(100_000)), {
    detail: `Invalid key query response type: [${"0 ".repeat(1_024)}...]`,
  });
  assert.throws(() => decodeConflictResponse(empty), { code: "badType" });
  assert.throws(() => decodePingPayload(Uint8Array.of(2)), {
    detail: "Unsupported ping version: 2",
  });
  assert.throws(() => decodePingPayload(Uint8Array.of(1, 5)), {
    detail: /^Failed to decode coordinate from ping: /,
  });
  assert.throws(() => decodeKeyRequest(empty), {
    detail: "Failed to decode key request: EOF",
  });
});
