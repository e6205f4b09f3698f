/**
 * The server's side of a connection, rule by rule. What real clients sent and
 * were answered is in captures_test.ts.
 */

import assert from "node:assert/strict";
import { concatBytes } from "../../lib/kit/bytes.ts";
import {
  encodeAuth,
  encodeEvent,
  encodeHandshake,
  encodeMonitor,
  encodeQuery,
  encodeStop,
  encodeStream,
} from "../../lib/rpc/client_bodies.ts";
import { PENDING_QUERIES_MAX } from "../../lib/rpc/pending_queries.ts";
import {
  QUERIES_MAX,
  STREAMS_MAX,
  WAITING_RECORDS_MAX,
} from "../../lib/rpc/protocol.ts";
import type { QueryStream } from "../../lib/rpc/record_streams.ts";
import {
  ServerSession,
  type SessionOutput,
} from "../../lib/rpc/server_session.ts";
import { RpcWriter } from "../../lib/rpc/writer.ts";
import type { UserEvent } from "../../lib/serf/event.ts";
import {
  decodeValue,
  type MsgpackValue,
} from "../../lib/wire/msgpack_value.ts";
import { ValueCutter } from "../../lib/rpc/protocol.ts";
import { queryEvent } from "./fake_target.ts";

const PEER = "127.0.0.1:40000";

function request(command: string, seq: number, body?: Uint8Array): Uint8Array {
  const writer = new RpcWriter().map(2).text("Command").text(command)
    .text("Seq").uint(seq);
  return body === undefined ? writer.finish() : writer.append(body).finish();
}

const HANDSHAKE = request("handshake", 1, encodeHandshake());

/** A session whose handshake is done. */
function shaken(authKey = ""): ServerSession {
  const session = new ServerSession({ authKey, peer: PEER });
  session.handleBytes(HANDSHAKE);
  assert.deepEqual(written(session), ["1 ok"]);
  return session;
}

/** Everything that waits to be written: headers as `SEQ ERROR`, bodies as such. */
function written(session: ServerSession): (string | MsgpackValue)[] {
  const cutter = new ValueCutter({ bytesMax: 1e9, valuesMax: 1e9 });
  for (let write; (write = session.takeWrite()) !== undefined;) {
    cutter.push(write.bytes);
  }
  const values: (string | MsgpackValue)[] = [];
  for (let bytes; (bytes = cutter.next()) !== undefined;) {
    const value = decodeValue(bytes);
    const isHeader = value instanceof Map && value.has("Seq") &&
      value.has("Error");
    values.push(
      isHeader
        ? `${value.get("Seq")} ${String(value.get("Error")) || "ok"}`
        : value,
    );
  }
  return values;
}

function logOf(outputs: readonly SessionOutput[]): string[] {
  return outputs.flatMap((output) =>
    output.kind === "log" ? [`[${output.level}] ${output.text}`] : []
  );
}

function userEvent(name: string, ltime = 1n): UserEvent {
  return {
    type: "user",
    ltime,
    name,
    payload: new Uint8Array(0),
    coalesce: false,
  };
}

Deno.test("ServerSession lets nobody in who has not shaken hands", () => {
  const session = new ServerSession({ authKey: "", peer: PEER });
  session.handleBytes(request("members", 7));
  assert.deepEqual(written(session), ["7 Handshake required"]);
  const outputs = session.drain();
  assert.deepEqual(logOf(outputs), [
    "[ERR] agent.ipc: Failed to evaluate request: Handshake required",
  ]);
  assert.equal(outputs.at(-1)?.kind, "close");
  assert.ok(session.isClosed);
  session.handleBytes(HANDSHAKE);
  assert.deepEqual(written(session), [], "a closed session says nothing more");
});

Deno.test("ServerSession refuses commands before auth once, and drops their bodies", () => {
  const session = shaken("s3cret");
  const event = encodeEvent({ name: "x", coalesce: false });
  session.handleBytes(concatBytes([
    request("event", 2, event),
    request("stats", 3),
    request("auth", 4, encodeAuth("s3cre")),
    request("auth", 5, encodeAuth("s3cret")),
    request("stats", 6),
  ]));
  assert.deepEqual(written(session), [
    "2 Authentication required",
    "3 Authentication required",
    "4 Invalid authentication token",
    "5 ok",
  ]);
  const outputs = session.drain();
  const complaint = "[WARN] agent.ipc: Client sending commands before auth";
  assert.deepEqual(logOf(outputs), [
    complaint,
    complaint,
    `[WARN] agent.ipc: Wrong token of ${PEER}`,
  ]);
  assert.deepEqual(outputs.at(-1), {
    kind: "request",
    request: { kind: "stats" },
  });
});

Deno.test("ServerSession takes a header without known keys for the one before", () => {
  // An unknown command may have a body that we cannot know of. Like the
  // original, we then read it as a header that repeats the command.
  const session = shaken("s3cret");
  session.handleBytes(request("no-such-command", 2, encodeStream("*")));
  assert.deepEqual(written(session), [
    "2 Authentication required",
    "2 Authentication required",
  ]);
});

Deno.test("ServerSession performs pipelined requests one at a time, in order", () => {
  const session = shaken();
  session.handleBytes(concatBytes([
    request("members", 2),
    request("stats", 3),
    request("stop", 4, encodeStop(99n)),
  ]));
  assert.deepEqual(session.drain(), [{
    kind: "request",
    request: { kind: "members" },
  }]);
  assert.equal(session.wantsBytes, false);
  session.answer({ error: "", body: Uint8Array.of(0x80) });
  assert.deepEqual(session.drain(), [{
    kind: "request",
    request: { kind: "stats" },
  }]);
  session.answer({ error: "not now" });
  assert.deepEqual(session.drain(), []);
  assert.deepEqual(written(session), ["2 ok", new Map(), "3 not now", "4 ok"]);
  assert.ok(session.wantsBytes);
});

Deno.test("ServerSession says when a connection breaks off in the middle", () => {
  const cases: [sent: Uint8Array, reason: string | undefined, log: string[]][] =
    [
      [new Uint8Array(0), undefined, []],
      [Uint8Array.of(0x82), undefined, ["header: unexpected EOF"]],
      [new Uint8Array(0), "connection reset by peer", [
        "header: connection reset by peer",
      ]],
      [request("stop", 2), undefined, ["request: decode failed: EOF"]],
      [request("stop", 2).subarray(0, 5), undefined, [
        "header: unexpected EOF",
      ]],
    ];
  for (const [sent, reason, expected] of cases) {
    const session = shaken();
    session.handleBytes(sent);
    session.handleEnd(reason);
    const outputs = session.drain();
    const log = logOf(outputs).map((line) =>
      line.replace("[ERR] agent.ipc: failed to decode request ", "")
        .replace("[ERR] agent.ipc: Failed to evaluate ", "")
    );
    assert.deepEqual(log, expected);
    assert.equal(outputs.at(-1)?.kind, "close");
  }
});

Deno.test("ServerSession ends a connection whose bytes make no sense", () => {
  const cases: [bytes: number[], log: RegExp][] = [
    [[0xc1], /failed to decode request header: .*c1/],
    [[0x05], /failed to decode request header: /],
    [
      [0xc6, 0xff, 0xff, 0xff, 0xff],
      /failed to decode request header: .*larger than limit/,
    ],
    [
      [0xdf, 0x7f, 0xff, 0xff, 0xff],
      /failed to decode request header: .*larger than limit/,
    ],
    [
      new Array(2_000).fill(0x91),
      /failed to decode request header: .*too deep/,
    ],
  ];
  for (const [bytes, log] of cases) {
    const session = shaken();
    session.handleBytes(Uint8Array.from(bytes));
    assert.ok(session.isClosed);
    assert.match(logOf(session.drain()).join(), log);
    assert.deepEqual(written(session), []);
  }
});

Deno.test("ServerSession.refuse() ends the connection without an answer", () => {
  const session = shaken();
  session.handleBytes(request("members", 2));
  session.drain();
  session.refuse("Failed to compile regex: error parsing regexp: x");
  assert.deepEqual(logOf(session.drain()), [
    "[ERR] agent.ipc: Failed to evaluate request: Failed to compile regex: " +
    "error parsing regexp: x",
  ]);
  assert.deepEqual(written(session), []);
  assert.ok(session.isClosed);
});

Deno.test("ServerSession gives each stream its own copy of the events it wants", () => {
  const session = shaken();
  session.handleBytes(concatBytes([
    request("stream", 2, encodeStream("user:a,user")),
    request("stream", 3, encodeStream("user:b")),
    request("stream", 4, encodeStream("member-join")),
  ]));
  assert.deepEqual(written(session), ["2 ok", "3 ok", "4 ok"]);
  session.offerEvent(userEvent("a"));
  session.offerEvent(userEvent("b"));
  const headers = written(session).filter((value) => typeof value === "string");
  assert.deepEqual(headers.sort(), ["2 ok", "2 ok", "3 ok"]);
  session.handleBytes(request("stop", 5, encodeStop(2n)));
  session.offerEvent(userEvent("a"));
  assert.deepEqual(written(session), ["5 ok"]);
});

Deno.test("ServerSession writes responses before the records that wait", () => {
  const session = shaken();
  session.handleBytes(request("stream", 2, encodeStream("*")));
  session.offerEvent(userEvent("early"));
  session.handleBytes(request("stop", 3, encodeStop(99n)));
  const values = written(session);
  assert.deepEqual(values.slice(0, 3), ["2 ok", "3 ok", "2 ok"]);
  assert.equal(values.length, 4);
});

Deno.test("ServerSession limits the streams of one connection", () => {
  const session = shaken();
  for (let seq = 0; seq < STREAMS_MAX; seq++) {
    session.handleBytes(request("stream", 100 + seq, encodeStream("*")));
  }
  assert.ok(written(session).every((header) => String(header).endsWith(" ok")));
  session.handleBytes(request("stream", 99, encodeStream("*")));
  assert.deepEqual(written(session), [
    "99 Too many streams on this connection",
  ]);
});

Deno.test("ServerSession drops events that a reader leaves lying, and says so once", () => {
  const session = shaken();
  session.handleBytes(request("stream", 2, encodeStream("*")));
  written(session);
  for (let i = 0; i < WAITING_RECORDS_MAX + 100; i++) {
    session.offerEvent(userEvent("e", BigInt(i)));
  }
  assert.deepEqual(logOf(session.drain()), [
    `[WARN] agent.ipc: Dropping event to ipc.client: ${PEER}`,
  ]);
  const times = written(session).flatMap((value) =>
    value instanceof Map ? [value.get("LTime")] : []
  );
  assert.deepEqual(
    times,
    Array.from({ length: WAITING_RECORDS_MAX }, (_, i) => i),
  );
  for (let i = 0; i <= WAITING_RECORDS_MAX; i++) {
    session.offerEvent(userEvent("f"));
  }
  assert.equal(
    logOf(session.drain()).length,
    1,
    "a new episode is reported again",
  );
});

Deno.test("ServerSession never tells a monitor what it drops for that monitor", () => {
  // Goal: no storm. Every complaint that comes out goes back in as a line of the
  // log, as it does in an agent; it must not cause another one.
  const session = shaken();
  session.handleBytes(request("monitor", 2, encodeMonitor("warn")));
  session.drain();
  session.startMonitor([]);
  let lines = 0;
  const log = (text: string) => {
    lines++;
    session.offerLog(text);
    for (const line of logOf(session.drain())) {
      log(`2026/11/20 12:00:00 ${line}`);
    }
  };
  for (let i = 0; i < 2_000; i++) log(`2026/11/20 12:00:00 [WARN] agent: ${i}`);
  assert.equal(lines, 2_001);
  const shown = written(session).flatMap((value) =>
    value instanceof Map ? [String(value.get("Log"))] : []
  );
  assert.equal(shown.length, WAITING_RECORDS_MAX);
  assert.ok(shown.every((line) => line.includes("[WARN] agent: ")));
});

Deno.test("ServerSession sends a monitor the past first, beside the limit for what is new", () => {
  const session = shaken();
  session.handleBytes(request("monitor", 2, encodeMonitor("Info")));
  assert.deepEqual(session.drain(), [{ kind: "openMonitor", level: "INFO" }]);
  const backlog = Array.from({ length: 512 }, (_, i) => `old ${i}`);
  session.startMonitor(backlog);
  const fresh = Array.from(
    { length: WAITING_RECORDS_MAX },
    (_, i) => `new ${i}`,
  );
  for (const line of fresh) session.offerLog(line);
  assert.deepEqual(session.drain(), []);
  const lines = written(session).flatMap((value) =>
    value instanceof Map ? [String(value.get("Log"))] : []
  );
  assert.deepEqual(lines, [...backlog, ...fresh]);
});

Deno.test("ServerSession gives up its monitor when it is stopped or the client goes", () => {
  for (const isStopped of [true, false]) {
    const session = shaken();
    session.handleBytes(request("monitor", 2, encodeMonitor("info")));
    session.drain();
    if (isStopped) session.handleBytes(request("stop", 3, encodeStop(2n)));
    else session.handleEnd();
    const kinds = session.drain().map(({ kind }) => kind);
    assert.deepEqual(
      kinds,
      isStopped ? ["closeMonitor"] : ["closeMonitor", "close"],
    );
    session.offerLog("late");
    assert.deepEqual(
      written(session).filter((value) => value instanceof Map),
      [],
    );
  }
});

Deno.test("ServerSession takes turns between its streams", () => {
  const session = shaken();
  session.handleBytes(concatBytes([
    request("stream", 2, encodeStream("user:busy")),
    request("stream", 3, encodeStream("user:quiet")),
  ]));
  written(session);
  const large = { ...userEvent("busy"), payload: new Uint8Array(9_000) };
  for (let i = 0; i < 100; i++) session.offerEvent(large);
  session.offerEvent(userEvent("quiet"));
  const first = session.takeWrite();
  const second = session.takeWrite();
  assert.ok((first?.bytes.length ?? 0) > 9_000, "the busy stream writes first");
  assert.ok((second?.bytes.length ?? 0) < 200, "then the quiet one");
});

/** A session with a query that has begun, and its stream. */
function querying(
  seq: number,
): { session: ServerSession; stream: QueryStream } {
  const session = shaken();
  session.handleBytes(request("query", seq, encodeQuery({ name: "load" })));
  const stream = session.openQuery();
  session.drain();
  session.answerQuery(stream);
  return { session, stream };
}

/** Records of queries as `type from`, beside headers. */
function replies(session: ServerSession): string[] {
  return written(session).map((value) =>
    value instanceof Map
      ? `${value.get("Type")} ${value.get("From")}`
      : value as string
  );
}

Deno.test("ServerSession writes nothing of a query before its answer", () => {
  const session = shaken();
  session.handleBytes(request("query", 5, encodeQuery({ name: "load" })));
  const stream = session.openQuery();
  session.offerReply(stream, { kind: "ack", from: "a" });
  assert.deepEqual(written(session), []);
  session.answerQuery(stream);
  assert.deepEqual(replies(session), ["5 ok", "5 ok", "ack a"]);
  stream.end();
  stream.end();
  assert.deepEqual(replies(session), ["5 ok", "done "]);
  assert.deepEqual(replies(session), [], "it is over");
});

Deno.test("ServerSession drops replies that a reader leaves lying, but not the end", () => {
  const { session, stream } = querying(5);
  for (let i = 0; i < WAITING_RECORDS_MAX + 3; i++) {
    session.offerReply(stream, { kind: "ack", from: `n${i}` });
  }
  stream.end();
  assert.deepEqual(logOf(session.drain()), [
    `[WARN] agent.ipc: Dropping query replies to ipc.client: ${PEER}`,
  ]);
  const shown = replies(session).filter((each) => !each.endsWith(" ok"));
  assert.equal(shown.length, WAITING_RECORDS_MAX + 1);
  assert.equal(shown.at(-1), "done ");
});

Deno.test("ServerSession limits the queries of one connection", () => {
  const { session, stream } = querying(0);
  for (let seq = 1; seq < QUERIES_MAX; seq++) {
    session.handleBytes(request("query", seq, encodeQuery({ name: "load" })));
    session.answerQuery(session.openQuery());
  }
  written(session);
  const ask = () => {
    session.handleBytes(request("query", 999, encodeQuery({ name: "load" })));
  };
  ask();
  assert.deepEqual(written(session), [
    "999 Too many queries on this connection",
  ]);
  stream.end();
  ask();
  assert.deepEqual(
    written(session)[0],
    "999 Too many queries on this connection",
    "its end has yet to be read",
  );
  session.drain();
  ask();
  assert.deepEqual(session.drain().map(({ kind }) => kind), ["request"]);
});

Deno.test("ServerSession stops a stream, not the query that shares its number", () => {
  const { session, stream } = querying(5);
  session.handleBytes(request("stream", 5, encodeStream("*")));
  session.handleBytes(request("stop", 6, encodeStop(5n)));
  written(session);
  session.offerEvent(queryEvent());
  session.offerReply(stream, { kind: "ack", from: "a" });
  assert.deepEqual(replies(session), ["5 ok", "ack a"]);
});

Deno.test("ServerSession forgets the oldest queries that a client could answer", () => {
  const session = shaken();
  session.handleBytes(request("stream", 2, encodeStream("query")));
  for (let i = 0; i <= PENDING_QUERIES_MAX; i++) {
    session.offerEvent(queryEvent());
    written(session);
  }
  assert.equal(session.pendingQuery(1n), undefined);
  assert.ok(session.pendingQuery(2n) !== undefined);
  assert.ok(session.pendingQuery(BigInt(PENDING_QUERIES_MAX + 1)));
  assert.equal(session.pendingQuery(0n), undefined);
});

Deno.test("ServerSession gives no number to a query that it drops", () => {
  const session = shaken();
  session.handleBytes(request("stream", 2, encodeStream("query")));
  for (let i = 0; i < WAITING_RECORDS_MAX + 5; i++) {
    session.offerEvent(queryEvent());
  }
  assert.ok(session.pendingQuery(BigInt(WAITING_RECORDS_MAX)));
  assert.equal(
    session.pendingQuery(BigInt(WAITING_RECORDS_MAX + 1)),
    undefined,
  );
});
