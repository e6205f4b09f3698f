import assert from "node:assert/strict";
import fc from "fast-check";
import { bytesOfHex, hexOf } from "../../lib/kit/bytes.ts";
import {
  decodeSerfMessage,
  encodeSerfMessage,
  type SerfMessage,
  SerfMessageType,
} from "../../lib/wire/serf_messages.ts";
import { WireError } from "../../lib/wire/wire_error.ts";
import { serfMessages } from "./arbitraries.ts";
import {
  comparable,
  serfEntries,
  type SerfEntry,
  withTrailing,
} from "./vectors.ts";

const NAMES = /^(capture_)?(leave|join|userevent|query|response|relay)_/;
const COUNT = 97;

/** What tells nil from empty is lost in decoding; we always write nil. */
const EMPTY_NOT_NIL = [
  "userevent_empty_payload",
  "query_addr16",
  "response_empty",
];

function goSerfFields(message: SerfMessage): Record<string, unknown> {
  switch (message.kind) {
    case "leave":
      return {
        type: SerfMessageType.leave,
        LTime: message.ltime,
        Node: message.node,
        Prune: message.prune,
      };
    case "join":
      return {
        type: SerfMessageType.join,
        LTime: message.ltime,
        Node: message.node,
      };
    case "userEvent":
      return {
        type: SerfMessageType.userEvent,
        CC: message.coalesce,
        LTime: message.ltime,
        Name: message.name,
        Payload: message.payload,
      };
    case "query":
      return {
        type: SerfMessageType.query,
        Addr: message.addr,
        Filters: message.filters.length === 0 ? null : message.filters,
        Flags: message.flags,
        ID: message.id,
        LTime: message.ltime,
        Name: message.name,
        Payload: message.payload,
        Port: message.port,
        RelayFactor: message.relayFactor,
        SourceNode: message.sourceNode,
        Timeout: message.timeoutNs,
      };
    case "queryResponse":
      return {
        type: SerfMessageType.queryResponse,
        Flags: message.flags,
        From: message.from,
        ID: message.id,
        LTime: message.ltime,
        Payload: message.payload,
      };
    case "relay":
      return {
        type: SerfMessageType.relay,
        header: {
          DestAddr: {
            IP: message.destAddr,
            Port: message.destPort,
            Zone: message.destZone,
          },
          DestName: message.destName,
        },
        inner: goSerfFields(decodeSerfMessage(message.body)),
      };
  }
}

/** Both generations' bytes, alone and with others behind; a relay owns what follows. */
function variantsOf(entry: SerfEntry): Uint8Array[] {
  const forms = [entry.hex, entry.hex_v2 ?? entry.hex].map(bytesOfHex);
  return entry.name.includes("relay_")
    ? forms
    : [...forms, ...forms.map(withTrailing)];
}

Deno.test("decodeSerfMessage() reads what both generations of serf wrote", () => {
  for (const entry of serfEntries(NAMES, COUNT)) {
    const { Payload_decoded: _, ...decoded } = entry.decoded;
    for (const bytes of variantsOf(entry)) {
      const fields = goSerfFields(decodeSerfMessage(bytes));
      assert.deepEqual(comparable(fields), comparable(decoded), entry.name);
    }
  }
});

Deno.test("encodeSerfMessage() writes the bytes that serf writes", () => {
  let different = 0;
  for (const entry of serfEntries(NAMES, COUNT)) {
    const hex = hexOf(
      encodeSerfMessage(decodeSerfMessage(bytesOfHex(entry.hex))),
    );
    if (EMPTY_NOT_NIL.includes(entry.name)) different++;
    else assert.equal(hex, entry.hex, entry.name);
  }
  assert.equal(different, EMPTY_NOT_NIL.length);
});

Deno.test("decodeSerfMessage() refuses every message that is cut short", () => {
  for (const entry of serfEntries(/^(leave|userevent|query|response)_/, 43)) {
    const bytes = bytesOfHex(entry.hex);
    for (let length = 1; length < bytes.length; length += 7) {
      assert.throws(
        () => decodeSerfMessage(bytes.subarray(0, length)),
        (error) => error instanceof WireError && error.code === "truncated",
        `${entry.name} at ${length}`,
      );
    }
  }
});

Deno.test("decodeSerfMessage() gives back what encodeSerfMessage() was given", () => {
  fc.assert(
    fc.property(serfMessages, (message) => {
      assert.deepEqual(decodeSerfMessage(encodeSerfMessage(message)), message);
    }),
    { numRuns: 500 },
  );
});

Deno.test("decodeSerfMessage() words refusals as Serf's log does", () => {
  const cases: [hex: string, detail: string][] = [
    ["", "missing message type byte"],
    ["0280", "Received message of unknown type: 2"],
    ["0ac0", "Received message of unknown type: 10"],
    ["00", "Error decoding leave message: EOF"],
    ["0481", "Error decoding query message: EOF"],
    // Port 65536.
    [
      "0481a4506f7274ce00010000",
      "Error decoding query message: msgpack decode error: uint64 overflow: 65536",
    ],
  ];
  for (const [hex, detail] of cases) {
    assert.throws(() => decodeSerfMessage(bytesOfHex(hex)), {
      name: "WireError",
      detail,
    });
  }
});

Deno.test("decodeSerfMessage() wraps a timeout above 2^63 - 1, as Go does", () => {
  const message = decodeSerfMessage(
    bytesOfHex("0481a754696d656f7574cfffffffffffffffff"),
  );
  assert.equal(message.kind === "query" && message.timeoutNs, -1n);
});

Deno.test("decodeSerfMessage() leaves the body of a relay as it is", () => {
  const message = decodeSerfMessage(bytesOfHex("0980c1ff00"));
  assert.equal(message.kind === "relay" && hexOf(message.body), "c1ff00");
});
