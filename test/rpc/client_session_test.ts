/**
 * The client's side of a connection, rule by rule. What it sends to real agents
 * and reads from them is in captures_test.ts.
 */

import assert from "node:assert/strict";
import { concatBytes } from "../../lib/kit/bytes.ts";
import {
  readCoordinateBody,
  readEventRecord,
  readJoinBody,
  readLogBody,
  readMembersBody,
  readQueryRecord,
  readStatsBody,
} from "../../lib/rpc/client_bodies.ts";
import { ClientSession } from "../../lib/rpc/client_session.ts";
import {
  encodeCoordinateBody,
  encodeMembersBody,
  encodeResponse,
} from "../../lib/rpc/response.ts";
import { RpcWriter } from "../../lib/rpc/writer.ts";
import { decodeValue } from "../../lib/wire/msgpack_value.ts";
import { WireError } from "../../lib/wire/wire_error.ts";
import { member } from "./fake_target.ts";

/** A record of a monitor. */
function record(seq: bigint, line: string): Uint8Array {
  const body = new RpcWriter().map(1).text("Log").text(line).finish();
  return encodeResponse(seq, { error: "", body });
}

/** Outputs as `KIND SEQ ERROR-OR-LINE`. */
function drained(session: ClientSession): string[] {
  return session.drain().map((output) =>
    output.kind === "record"
      ? `record ${output.seq} ${readLogBody(output.body)}`
      : `response ${output.seq} ${output.error}`
  );
}

Deno.test("ClientSession tells responses from records, also in one portion", () => {
  const session = new ClientSession();
  session.startRequest("monitor", "stream");
  session.startRequest("stop", "none");
  session.handleBytes(concatBytes([
    encodeResponse(1n, { error: "" }),
    record(1n, "first"),
    encodeResponse(2n, { error: "" }),
    record(1n, "second"),
  ]));
  assert.deepEqual(drained(session), [
    "response 1 ",
    "record 1 first",
    "response 2 ",
    "record 1 second",
  ]);
});

Deno.test("ClientSession skips what nobody waits for, bodies included", () => {
  const session = new ClientSession();
  session.startRequest("monitor", "stream");
  session.handleBytes(encodeResponse(1n, { error: "" }));
  session.forgetStream(1n);
  session.startRequest("stats", "onSuccess");
  session.handleBytes(concatBytes([
    record(1n, "after the stop"),
    record(77n, "of another world"),
    encodeResponse(2n, { error: "no" }),
  ]));
  assert.deepEqual(drained(session), ["response 1 ", "response 2 no"]);
});

Deno.test("ClientSession opens no stream after an error", () => {
  const session = new ClientSession();
  session.startRequest("stream", "stream");
  session.startRequest("leave", "none");
  session.handleBytes(concatBytes([
    encodeResponse(1n, { error: "Invalid event filter" }),
    encodeResponse(2n, { error: "" }),
  ]));
  assert.deepEqual(drained(session), [
    "response 1 Invalid event filter",
    "response 2 ",
  ]);
});

Deno.test("ClientSession expects a body beside a join's own error alone", () => {
  const body = new RpcWriter().map(1).text("Num").uint(0).finish();
  const cases: [error: string, hasBody: boolean][] = [
    ["1 error occurred", true],
    ["Authentication required", false],
    ["Handshake required", false],
    ["Unsupported command", false],
  ];
  for (const [error, hasBody] of cases) {
    const session = new ClientSession();
    session.startRequest("join", "always");
    session.startRequest("leave", "none");
    session.handleBytes(
      encodeResponse(1n, hasBody ? { error, body } : { error }),
    );
    session.handleBytes(encodeResponse(2n, { error: "" }));
    assert.deepEqual(drained(session), [`response 1 ${error}`, "response 2 "]);
  }
});

Deno.test("ClientSession refuses headers that are none", () => {
  const cases: Uint8Array[] = [
    Uint8Array.of(0x05),
    Uint8Array.of(0xc1),
    new RpcWriter().map(1).text("Seq").text("1").finish(),
    new RpcWriter().map(1).text("Seq").int64(-1n).finish(),
    new RpcWriter().map(2).text("Seq").uint(1).text("Error").uint(1).finish(),
  ];
  for (const bytes of cases) {
    const session = new ClientSession();
    session.startRequest("leave", "none");
    assert.throws(() => session.handleBytes(bytes), WireError);
  }
});

Deno.test("readMembersBody() takes odd texts, missing fields and nil as they are", () => {
  assert.deepEqual(readMembersBody(null), []);
  assert.deepEqual(readMembersBody(decodeValue(Uint8Array.of(0x80))), []);
  const writer = new RpcWriter().map(1).text("Members").array(1).map(4)
    .text("Name").byte(0xa2).append(Uint8Array.of(0x61, 0xff))
    .text("Addr").nil()
    .text("Unknown").array(0)
    .text("Tags").map(1).text("__proto__").text("x");
  const [read] = readMembersBody(decodeValue(writer.finish()));
  assert.equal(read?.name, "a\ufffd");
  assert.equal(read?.addr.length, 0);
  assert.equal(read?.port, 0);
  assert.equal(read?.tags?.get("__proto__"), "x");
});

Deno.test("readMembersBody() reads what encodeMembersBody() wrote", () => {
  const members = [
    member("n1", { tags: { role: "lb", "10": "a", "9": "b" } }),
    member("näme", { ip: "::1", port: 65_535, status: "left" }),
  ];
  const read = readMembersBody(decodeValue(encodeMembersBody(members)));
  assert.deepEqual(read, members.map(({ ip: _, ...sent }) => sent));
});

Deno.test("bodies of the wrong type are refused", () => {
  const wrong = decodeValue(Uint8Array.of(0x05));
  for (
    const read of [readMembersBody, readJoinBody, readStatsBody, readLogBody]
  ) {
    assert.throws(() => read(wrong), WireError);
  }
  const stats = new RpcWriter().map(1).text("agent").text("x").finish();
  assert.throws(() => readStatsBody(decodeValue(stats)), /agent is not a map/);
});

Deno.test("readQueryRecord() knows three kinds of records and passes over others", () => {
  const read = (type: string, from = "n1") =>
    readQueryRecord(decodeValue(
      new RpcWriter().map(3).text("From").text(from).text("Payload")
        .bytes(Uint8Array.of(1)).text("Type").text(type).finish(),
    ));
  assert.deepEqual(read("ack"), { kind: "ack", from: "n1" });
  assert.deepEqual(read("response"), {
    kind: "response",
    from: "n1",
    payload: Uint8Array.of(1),
  });
  assert.deepEqual(read("done", ""), { kind: "done" });
  assert.equal(read("later"), undefined);
  assert.equal(readQueryRecord(null), undefined);
  assert.throws(() => readQueryRecord(5), WireError);
});

Deno.test("readEventRecord() takes missing fields, and passes over strange events", () => {
  const read = (write: (writer: RpcWriter) => RpcWriter) =>
    readEventRecord(decodeValue(write(new RpcWriter()).finish()));
  assert.deepEqual(read((body) => body.map(1).text("Event").text("user")), {
    type: "user",
    ltime: 0n,
    name: "",
    payload: new Uint8Array(0),
    coalesce: false,
  });
  assert.equal(
    read((body) => body.map(1).text("Event").text("member-promote")),
    undefined,
  );
  assert.equal(readEventRecord(null), undefined);
  assert.throws(
    () =>
      read((body) =>
        body.map(2).text("Event").text("query").text("ID").int64(-1n)
      ),
    { message: /ID is not a natural number/ },
  );
  assert.throws(() => readEventRecord(5), WireError);
});

Deno.test("readCoordinateBody() reads what encodeCoordinateBody() wrote", () => {
  const place = {
    vec: [0.25, -1e-9, 0],
    error: 1.5,
    adjustment: -0.125,
    height: 1e-5,
  };
  const roundTrip = (given: typeof place | undefined) =>
    readCoordinateBody(decodeValue(encodeCoordinateBody(given)));
  assert.deepEqual(roundTrip(place), place);
  assert.equal(roundTrip(undefined), undefined);
});

Deno.test("readCoordinateBody() takes missing fields, nil and integers as they are", () => {
  const read = (writer: RpcWriter) =>
    readCoordinateBody(decodeValue(writer.finish()));
  assert.equal(readCoordinateBody(null), undefined);
  assert.equal(read(new RpcWriter().map(1).text("Coord").nil()), undefined);
  const sparse = new RpcWriter().map(2).text("Ok").bool(true)
    .text("Coord").map(2).text("Error").uint(1).text("Vec").nil();
  assert.deepEqual(read(sparse), {
    vec: [],
    error: 1,
    adjustment: 0,
    height: 0,
  });
  const wrong: RpcWriter[] = [
    new RpcWriter().map(1).text("Ok").uint(1),
    new RpcWriter().map(2).text("Ok").bool(true).text("Coord").array(0),
    new RpcWriter().map(2).text("Ok").bool(true).text("Coord").map(1)
      .text("Vec").text("x"),
    new RpcWriter().map(2).text("Ok").bool(true).text("Coord").map(1)
      .text("Vec").array(1).text("x"),
    new RpcWriter().map(2).text("Ok").bool(true).text("Coord").map(1)
      .text("Height").bool(true),
  ];
  for (const writer of wrong) assert.throws(() => read(writer), WireError);
});
