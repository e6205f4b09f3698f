/**
 * Captured connections, played against our sessions.
 *
 * Goal: to answer each client byte for byte as HashiCorp's agent did. Method: the
 * client's messages go into a `ServerSession`, whole and byte by byte; what the agent
 * had to say is taken from the capture, decoded, handed in as a typed answer
 * and must come out as the same bytes. The other way round is played in
 * `client_captures_test.ts`.
 */

import assert from "node:assert/strict";
import { bytesOfHex, concatBytes, hexOf } from "../../lib/kit/bytes.ts";
import {
  type EventRecord,
  readCoordinateBody,
  readEventRecord,
  readJoinBody,
  readKeysBody,
  readMembersBody,
  readQueryRecord,
  readStatsBody,
} from "../../lib/rpc/client_bodies.ts";
import {
  RESPONSE_LIMITS,
  type RpcKeyRequest,
  type RpcMember,
  type RpcQuery,
  ValueCutter,
} from "../../lib/rpc/protocol.ts";
import type { QueryStream } from "../../lib/rpc/record_streams.ts";
import {
  encodeCoordinateBody,
  encodeJoinBody,
  encodeKeysBody,
  encodeMembersBody,
  encodeStatsBody,
} from "../../lib/rpc/response.ts";
import {
  type AgentRequest,
  ServerSession,
} from "../../lib/rpc/server_session.ts";
import type { SerfEvent } from "../../lib/serf/event.ts";
import type { Member } from "../../lib/serf/member.ts";
import {
  decodeValue,
  type MsgpackValue,
} from "../../lib/wire/msgpack_value.ts";
import {
  bytesOf,
  type Capture,
  type CapturedMessage,
  captureOf,
  CAPTURES,
  headerField,
  plain,
  PORTIONS,
  seqOf,
} from "./captures.ts";
import { queryEvent } from "./fake_target.ts";

/** The agent ended these by itself, after a leave. */
const ENDED_BY_AGENT = ["raw-leave", "go-leave"];
/**
 * Here we follow the newer of the two versions: a command word sent as a byte
 * string is understood, while the captured agent closed the connection.
 */
const NEWER_BEHAVIOUR = ["raw-bin-command"];

/** Records of several streams come in another order here; played below. */
const APART = ["raw-stream-all"];

const COVERED = CAPTURES.filter(({ id }) => !APART.includes(id));

Deno.test("every captured session is played", () => {
  assert.equal(CAPTURES.length, 67);
  assert.equal(COVERED.length, 66);
});

for (const [how, portionsOf] of Object.entries(PORTIONS)) {
  Deno.test(`ServerSession answers as the captured agents did, fed ${how}`, () => {
    for (const capture of COVERED) playServer(capture, portionsOf);
  });
}

Deno.test("ServerSession refuses once what the captured agents refused twice", () => {
  const doubled = COVERED.filter((capture) =>
    playServer(capture, (bytes) => [bytes]).doubledRefusals > 0
  );
  assert.deepEqual(doubled.map(({ id }) => id), [
    "go-auth-none",
    "raw-auth-required-body",
  ]);
});

Deno.test("records without a sender are the only ones left out of the sessions played", () => {
  const skipped = COVERED.filter((capture) =>
    playServer(capture, (bytes) => [bytes]).skippedRecords > 0
  );
  assert.deepEqual(skipped.map(({ id }) => id), ["raw-seq-shared"]);
});

Deno.test("ServerSession streams events, numbers queries and knows the numbers again", () => {
  const [capture] = APART.map(captureOf);
  const session = new ServerSession({ authKey: "", peer: "127.0.0.1:40000" });
  const asked: CapturedMessage[] = [];
  const offered = new Set<string>();
  const expected: string[] = [];
  const pending: boolean[] = [];
  const cutter = new ValueCutter(RESPONSE_LIMITS);
  const collect = () => {
    for (let write; (write = session.takeWrite()) !== undefined;) {
      cutter.push(write.bytes);
    }
  };
  for (const message of capture?.messages ?? []) {
    collect();
    const seq = seqOf(message) as bigint;
    if (message.dir === "c>s") {
      session.handleBytes(bytesOf(message));
      asked.push(message);
      for (const output of session.drain()) {
        assert.ok(output.kind === "request");
        assert.ok(output.request.kind === "respond");
        pending.push(session.pendingQuery(output.request.id) !== undefined);
      }
      continue;
    }
    expected.push(`${seq} ${recordText(message.body)}`);
    const place = asked.findIndex((each) => seqOf(each) === seq);
    if (place >= 0) {
      const [request] = asked.splice(place, 1);
      if (headerField(request as CapturedMessage, "Command") === "respond") {
        session.answer({ error: headerField(message, "Error") as string });
      }
      continue;
    }
    // Every stream's copy is in the capture; the session makes them of one event.
    const key = recordText(message.body);
    const occurrence = expected.filter((each) => each === `${seq} ${key}`);
    const offer = `${occurrence.length} ${key}`;
    if (!offered.has(offer)) offerRecord(session, new Map(), message);
    offered.add(offer);
  }
  collect();
  const values: unknown[] = [];
  for (let bytes; (bytes = cutter.next()) !== undefined;) {
    values.push(plain(decodeValue(bytes)));
  }
  const written: string[] = [];
  const ids: unknown[] = [];
  for (const [i, value] of values.entries()) {
    const header = value as Record<string, unknown>;
    if (header.Seq === undefined) continue;
    const next = values[i + 1] as Record<string, unknown> | undefined;
    const body = next?.Seq === undefined ? next : undefined;
    if (body?.ID !== undefined) ids.push(body.ID);
    written.push(`${header.Seq} ${recordText(body)}`);
  }
  // Answers overtake records, and the streams take turns.
  assert.deepEqual(written.toSorted(), expected.toSorted());
  assert.deepEqual(ids.toSorted(), [1, 2, 3], "each copy has its own number");
  assert.deepEqual(pending, [true, true, false, true]);
});

/** A body but for the number of a query, which depends on the order of streams. */
function recordText(body: unknown): string {
  if (body === undefined) return "-";
  return JSON.stringify(body, (key, value) => key === "ID" ? 0 : value);
}

/** Plays one capture and checks every byte that comes out. */
function playServer(
  capture: Capture,
  portionsOf: (bytes: Uint8Array) => Uint8Array[],
): { doubledRefusals: number; skippedRecords: number } {
  const session = new ServerSession({
    authKey: /auth/.test(capture.id) && !/not-configured/.test(capture.id)
      ? "s3cret"
      : "",
    peer: "127.0.0.1:40000",
  });
  const result = { doubledRefusals: 0, skippedRecords: 0 };
  const unanswered: CapturedMessage[] = [];
  let performing: { request: AgentRequest; of: CapturedMessage } | undefined;
  const queries: Queries = new Map();
  let written = new Uint8Array(0);
  const collect = () => {
    for (let write; (write = session.takeWrite()) !== undefined;) {
      written = concatBytes([written, write.bytes]) as Uint8Array<ArrayBuffer>;
    }
  };
  /** Takes in what the session wants because of a message. */
  const drain = (message: CapturedMessage) => {
    for (const output of session.drain()) {
      if (output.kind === "openMonitor") session.startMonitor([]);
      if (output.kind !== "request") continue;
      checkRequest(output.request, message);
      performing = { request: output.request, of: message };
    }
  };
  const expect = (message: CapturedMessage) => {
    const bytes = bytesOf(message);
    const where = `${capture.id}: ${JSON.stringify(message.header)}`;
    assert.equal(hexOf(written.subarray(0, bytes.length)), hexOf(bytes), where);
    written = written.subarray(bytes.length);
  };
  for (const message of capture.messages) {
    if (message.dir === "c>s") {
      if (seqOf(message) !== undefined) unanswered.push(message);
      for (const portion of portionsOf(bytesOf(message))) {
        session.handleBytes(portion);
        drain(message);
        collect();
      }
      continue;
    }
    const seq = seqOf(message) as bigint;
    const place = unanswered.findIndex((each) => seqOf(each) === seq);
    if (place >= 0) {
      const [asked] = unanswered.splice(place, 1);
      if (performing !== undefined && performing.of === asked) {
        const { request } = performing;
        performing = undefined;
        answerAs(session, queries, request, message);
        // A request that the client sent ahead is read only now.
        drain(unanswered[0] ?? message);
      }
      collect();
      expect(message);
    } else if (message.body === undefined) {
      assert.equal(headerField(message, "Error"), "Authentication required");
      result.doubledRefusals++;
    } else if (offerRecord(session, queries, message)) {
      collect();
      expect(message);
    } else {
      result.skippedRecords++;
    }
  }
  // The one case without an answer: the expression of a filter is bad.
  if (performing?.request.kind === "membersFiltered") {
    session.refuse("as captured");
  }
  assert.equal(written.length, 0, `${capture.id}: nothing else was written`);
  if (
    !ENDED_BY_AGENT.includes(capture.id) &&
    !NEWER_BEHAVIOUR.includes(capture.id)
  ) {
    assert.equal(
      session.isClosed,
      capture.server_closed_connection,
      capture.id,
    );
  }
  return result;
}

/** Where what comes back to running queries goes, by their numbers. */
type Queries = Map<bigint, QueryStream>;

/** Answers a request with what the captured agent answered. */
function answerAs(
  session: ServerSession,
  queries: Queries,
  request: AgentRequest,
  answer: CapturedMessage,
): void {
  const error = headerField(answer, "Error") as string;
  if (request.kind === "query" && error === "") {
    const stream = session.openQuery();
    queries.set(stream.seq, stream);
    return session.answerQuery(stream);
  }
  if (answer.body_hex === undefined) return session.answer({ error });
  const body = decodeValue(bytesOfHex(answer.body_hex));
  session.answer({ error, body: reencode(request, body) });
}

function reencode(request: AgentRequest, body: MsgpackValue): Uint8Array {
  switch (request.kind) {
    case "join":
      return encodeJoinBody(readJoinBody(body));
    case "changeKeys":
      return encodeKeysBody(readKeysBody(body));
    case "stats":
      return encodeStatsBody(readStatsBody(body));
    case "getCoordinate":
      return encodeCoordinateBody(readCoordinateBody(body));
    case "members":
    case "membersFiltered":
      return encodeMembersBody(readMembersBody(body));
    default:
      throw new Error(`${request.kind} has no body`);
  }
}

/** Compares a typed request with the decoded view in the capture. */
function checkRequest(request: AgentRequest, message: CapturedMessage): void {
  const body = (message.body ?? {}) as Record<string, unknown>;
  switch (request.kind) {
    case "event":
      assert.equal(request.name, body.Name ?? "");
      assert.equal(hexOf(request.payload), payloadHex(body.Payload));
      assert.equal(request.coalesce, body.Coalesce ?? false);
      break;
    case "join":
      assert.deepEqual(request.addresses, body.Existing);
      assert.equal(request.replay, body.Replay);
      break;
    case "changeKeys":
      checkKeyRequest(request.request, message);
      break;
    case "forceLeave":
      assert.equal(request.node, body.Node);
      assert.equal(request.prune, body.Prune);
      break;
    case "membersFiltered":
      assert.equal(request.filter.name, body.Name ?? "");
      assert.equal(request.filter.status, body.Status ?? "");
      assert.deepEqual(
        Object.fromEntries(request.filter.tags),
        body.Tags ?? {},
      );
      break;
    case "getCoordinate":
      assert.equal(request.node, body.Node);
      break;
    case "query":
      checkQuery(request.query, body);
      break;
    case "tags":
      assert.deepEqual(Object.fromEntries(request.changes.set), body.Tags);
      assert.deepEqual(request.changes.delete, body.DeleteTags ?? []);
      break;
    case "respond":
      assert.equal(request.id, BigInt(body.ID as number));
      assert.equal(hexOf(request.payload), payloadHex(body.Payload));
      break;
    case "members":
    case "leave":
    case "stats":
      assert.equal(message.body, undefined);
  }
}

function checkKeyRequest(
  request: RpcKeyRequest,
  message: CapturedMessage,
): void {
  const command = headerField(message, "Command");
  if (request.kind === "list") {
    assert.equal(command, "list-keys");
    assert.equal(message.body, undefined);
  } else {
    assert.equal(command, `${request.kind}-key`);
    assert.deepEqual(message.body, { Key: request.key });
  }
}

function checkQuery(query: RpcQuery, body: Record<string, unknown>): void {
  assert.equal(query.name, body.Name);
  assert.equal(hexOf(query.payload), payloadHex(body.Payload));
  assert.deepEqual(query.filterNodes, body.FilterNodes ?? []);
  assert.deepEqual(
    Object.fromEntries(query.filterTags),
    body.FilterTags ?? {},
  );
  assert.equal(query.requestAck, body.RequestAck ?? false);
  assert.equal(query.relayFactor, body.RelayFactor ?? 0);
  assert.equal(query.timeoutMs, (body.Timeout as number ?? 0) / 1e6);
}

function payloadHex(payload: unknown): string {
  if (typeof payload === "string") {
    return hexOf(new TextEncoder().encode(payload));
  }
  return (payload as { $bin: string } | null | undefined)?.$bin ?? "";
}

/** @returns false for replies without a sender, which are never sent here */
function offerRecord(
  session: ServerSession,
  queries: Queries,
  message: CapturedMessage,
): boolean {
  const body = decodeValue(bytesOfHex(message.body_hex as string));
  assert.ok(body instanceof Map);
  const line = body.get("Log");
  if (line !== undefined) {
    session.offerLog(String(line));
    return true;
  }
  if (body.has("Type")) {
    const stream = queries.get(seqOf(message) as bigint);
    const record = readQueryRecord(body);
    assert.ok(stream !== undefined && record !== undefined);
    if (record.kind === "done") stream.end();
    else if (record.from === "") return false;
    else session.offerReply(stream, record);
    return true;
  }
  const record = readEventRecord(body);
  assert.ok(record !== undefined);
  session.offerEvent(eventOf(record));
  return true;
}

function eventOf(record: EventRecord): SerfEvent {
  switch (record.type) {
    case "user":
      return record;
    case "query": {
      const { id: _, ...rest } = record;
      return queryEvent(rest);
    }
    default:
      return { ...record, members: record.members.map(asMember) };
  }
}

function asMember(member: RpcMember): Member {
  return { ...member, ip: "", tags: member.tags ?? new Map() } as Member;
}
