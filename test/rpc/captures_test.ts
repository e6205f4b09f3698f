/**
 * Captured connections, played against our sessions.
 *
 * Goal: to answer each client byte for byte as HashiCorp's agent did, and to
 * write and read what HashiCorp's client wrote and read. Method: the client's
 * messages go into a `ServerSession`, whole and byte by byte; what the agent
 * had to say is taken from the capture, decoded, handed in as a typed answer
 * and must come out as the same bytes. Then the other way round, with a
 * `ClientSession`.
 */

import assert from "node:assert/strict";
import {
  bytesOfHex,
  concatBytes,
  hexOf,
  utf8Text,
} from "../../lib/kit/bytes.ts";
import {
  encodeAuth,
  encodeEvent,
  encodeForceLeave,
  encodeHandshake,
  encodeJoin,
  encodeMemberFilter,
  encodeMonitor,
  encodeStop,
  encodeStream,
  readJoinBody,
  readMembersBody,
  readStatsBody,
} from "../../lib/rpc/client_bodies.ts";
import {
  type AnswerForm,
  ClientSession,
} from "../../lib/rpc/client_session.ts";
import type { RpcMember } from "../../lib/rpc/protocol.ts";
import { commandFormat } from "../../lib/rpc/request.ts";
import {
  encodeJoinBody,
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
} from "./captures.ts";

/** Sessions that use commands which do not exist here yet, and which ones. */
const WAITING: Readonly<Record<string, readonly string[]>> = {
  "go-query": ["query"],
  "go-query-filters": ["query"],
  "go-query-err": ["query"],
  "go-reachability": ["query"],
  "go-rtt": ["get-coordinate"],
  "go-rtt-one": ["get-coordinate"],
  "go-rtt-unknown": ["get-coordinate"],
  "go-tags": ["tags"],
  "go-tags-err": ["tags"],
  "go-keys-list-noenc": ["list-keys"],
  "go-keys-list": ["list-keys"],
  "go-keys-install": ["install-key"],
  "go-keys-list2": ["list-keys"],
  "go-keys-remove-primary": ["remove-key"],
  "go-keys-use": ["use-key"],
  "go-keys-remove": ["remove-key"],
  "go-keys-use-missing": ["use-key"],
  "go-keys-badlen": ["install-key"],
  "go-keys-badb64": ["install-key"],
  "raw-pipelined": ["get-coordinate"],
  "raw-stream-all": ["respond"],
  "raw-respond-toobig": ["respond"],
  "raw-query": ["query"],
  "raw-query-edge": ["query"],
  "raw-respond-late": ["query", "respond"],
  "raw-seq-shared": ["query"],
};

/** The agent ended these by itself, after a leave. */
const ENDED_BY_AGENT = ["raw-leave", "go-leave"];
/**
 * Here we follow the newer of the two versions: a command word sent as a byte
 * string is understood, while the captured agent closed the connection.
 */
const NEWER_BEHAVIOUR = ["raw-bin-command"];

const COVERED = CAPTURES.filter(({ id }) => WAITING[id] === undefined);

Deno.test("every captured session is played, or waits for a command that we lack", () => {
  assert.equal(CAPTURES.length, 67);
  assert.equal(COVERED.length, 41);
  for (const [id, commands] of Object.entries(WAITING)) {
    const sent = captureOf(id).messages.map((each) =>
      headerField(each, "Command")
    );
    for (const command of commands) {
      assert.ok(sent.includes(command), `${id} sends ${command}`);
      assert.equal(commandFormat(command), undefined, `${command} has come`);
    }
  }
});

const PORTIONS: Readonly<Record<string, (bytes: Uint8Array) => Uint8Array[]>> =
  {
    "whole messages": (bytes) => [bytes],
    "single bytes": (bytes) => Array.from(bytes, (byte) => Uint8Array.of(byte)),
    "odd pieces": (bytes) => {
      const pieces: Uint8Array[] = [];
      for (let at = 0; at < bytes.length; at += 7) {
        pieces.push(bytes.subarray(at, at + 7));
      }
      return pieces;
    },
  };

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

Deno.test("query records are the only ones left out of the sessions played", () => {
  const skipped = COVERED.map((capture) =>
    playServer(capture, (bytes) => [bytes]).skippedRecords
  );
  assert.equal(skipped.reduce((sum, each) => sum + each), 1);
});

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
  const unanswered: bigint[] = [];
  let performing: AgentRequest | undefined;
  let written = new Uint8Array(0);
  const collect = () => {
    for (let write; (write = session.takeWrite()) !== undefined;) {
      written = concatBytes([written, write.bytes]) as Uint8Array<ArrayBuffer>;
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
      const seq = seqOf(message);
      if (seq !== undefined) unanswered.push(seq);
      for (const portion of portionsOf(bytesOf(message))) {
        session.handleBytes(portion);
        for (const output of session.drain()) {
          if (output.kind === "openMonitor") session.startMonitor([]);
          if (output.kind !== "request") continue;
          checkRequest(output.request, message);
          performing = output.request;
        }
        collect();
      }
      continue;
    }
    const seq = seqOf(message) as bigint;
    const place = unanswered.indexOf(seq);
    if (place >= 0) {
      unanswered.splice(place, 1);
      if (performing !== undefined) answerAs(session, performing, message);
      performing = undefined;
      collect();
      expect(message);
    } else if (message.body === undefined) {
      assert.equal(headerField(message, "Error"), "Authentication required");
      result.doubledRefusals++;
    } else if (offerRecord(session, message)) {
      collect();
      expect(message);
    } else {
      result.skippedRecords++;
    }
  }
  // The one case without an answer: the expression of a filter is bad.
  if (performing?.kind === "membersFiltered") session.refuse("as captured");
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

/** Answers a request with what the captured agent answered. */
function answerAs(
  session: ServerSession,
  request: AgentRequest,
  answer: CapturedMessage,
): void {
  const error = headerField(answer, "Error") as string;
  if (answer.body_hex === undefined) return session.answer({ error });
  const body = decodeValue(bytesOfHex(answer.body_hex));
  session.answer({ error, body: reencode(request, body) });
}

function reencode(request: AgentRequest, body: MsgpackValue): Uint8Array {
  switch (request.kind) {
    case "join":
      return encodeJoinBody(readJoinBody(body));
    case "stats":
      return encodeStatsBody(readStatsBody(body));
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
    case "members":
    case "leave":
    case "stats":
      assert.equal(message.body, undefined);
  }
}

function payloadHex(payload: unknown): string {
  if (typeof payload === "string") {
    return hexOf(new TextEncoder().encode(payload));
  }
  return (payload as { $bin: string } | null | undefined)?.$bin ?? "";
}

/** @returns false for records of queries, which there are none of here */
function offerRecord(
  session: ServerSession,
  message: CapturedMessage,
): boolean {
  const body = decodeValue(bytesOfHex(message.body_hex as string));
  assert.ok(body instanceof Map);
  const line = body.get("Log");
  if (line !== undefined) {
    session.offerLog(String(line));
    return true;
  }
  const type = String(body.get("Event"));
  if (type === "query") return false;
  session.offerEvent(eventOf(type, body));
  return true;
}

function eventOf(
  type: string,
  body: ReadonlyMap<string, MsgpackValue>,
): SerfEvent {
  if (type !== "user") {
    const members = readMembersBody(body);
    return { type: type as "member-join", members: members.map(asMember) };
  }
  const payload = body.get("Payload");
  return {
    type: "user",
    ltime: BigInt(body.get("LTime") as number),
    name: String(body.get("Name")),
    payload: payload === null ? new Uint8Array(0) : payload as Uint8Array,
    coalesce: body.get("Coalesce") as boolean,
  };
}

function asMember(member: RpcMember): Member {
  return { ...member, ip: "", tags: member.tags ?? new Map() } as Member;
}

/** The number in a header, exact; `undefined` for what is no full header. */
function seqOf(message: CapturedMessage): bigint | undefined {
  const header = decodeValue(bytesOfHex(message.header_hex));
  if (Array.isArray(header)) {
    return header.length === 2 ? BigInt(header[1] as number) : undefined;
  }
  const seq = (header as ReadonlyMap<string, MsgpackValue>).get("Seq");
  return seq === undefined ? undefined : BigInt(seq as number | bigint);
}

/** What a client of ours has to be asked for to send what Go's client sent. */
type Call = readonly [command: string, form: AnswerForm, body?: Uint8Array];

const HANDSHAKE: Call = ["handshake", "none", encodeHandshake()];
const ALL_MEMBERS: Call = [
  "members-filtered",
  "onSuccess",
  encodeMemberFilter({ tags: new Map(), status: "", name: "" }),
];

const CALLS: Readonly<Record<string, readonly Call[]>> = {
  "go-members": [ALL_MEMBERS],
  "go-members-filter": [[
    "members-filtered",
    "onSuccess",
    encodeMemberFilter({
      tags: new Map([["role", "w.*"]]),
      status: "alive",
      name: "m.",
    }),
  ]],
  "go-event": [[
    "event",
    "none",
    encodeEvent({
      name: "deploy",
      payload: new TextEncoder().encode("v1"),
      coalesce: true,
    }),
  ]],
  "go-event-nil": [[
    "event",
    "none",
    encodeEvent({ name: "deploy", coalesce: false }),
  ]],
  "go-info": [["stats", "onSuccess"]],
  "go-join": [["join", "always", encodeJoin(["127.0.0.32:28946"], false)]],
  "go-join-fail": [["join", "always", encodeJoin(["127.0.0.99:1"], true)]],
  "go-force-leave": [[
    "force-leave",
    "none",
    encodeForceLeave("nosuch", false),
  ]],
  "go-force-leave-prune": [[
    "force-leave",
    "none",
    encodeForceLeave("nosuch", true),
  ]],
  "go-auth-ok": [["auth", "none", encodeAuth("s3cret")], ALL_MEMBERS],
  "go-auth-bad": [["auth", "none", encodeAuth("nope")]],
  "go-auth-none": [ALL_MEMBERS],
  "go-auth-none-stats": [["stats", "onSuccess"]],
  "go-leave": [["leave", "none"]],
  "go-monitor": [
    ["stream", "stream", encodeStream("*")],
    ["monitor", "stream", encodeMonitor("info")],
    ["stop", "none", encodeStop(3n)],
    ["stop", "none", encodeStop(2n)],
  ],
};

Deno.test("ClientSession sends what Go's client sent, and understands the answers", () => {
  for (const [id, calls] of Object.entries(CALLS)) {
    const capture = captureOf(id);
    for (const portionsOf of Object.values(PORTIONS)) {
      playClient(capture, [HANDSHAKE, ...calls], portionsOf);
    }
  }
});

function playClient(
  capture: Capture,
  calls: readonly Call[],
  portionsOf: (bytes: Uint8Array) => Uint8Array[],
): void {
  const session = new ClientSession();
  const remaining = [...calls];
  const answered = new Set<bigint>();
  for (const message of capture.messages) {
    if (message.dir === "c>s") {
      const [command, form, body] = remaining.shift() as Call;
      const { bytes } = session.startRequest(command, form, body);
      assert.equal(hexOf(bytes), hexOf(bytesOf(message)), capture.id);
      continue;
    }
    for (const portion of portionsOf(bytesOf(message))) {
      session.handleBytes(portion);
    }
    const seq = seqOf(message) as bigint;
    const outputs = session.drain();
    if (answered.has(seq) && message.body === undefined) {
      assert.deepEqual(
        outputs,
        [],
        `${capture.id}: a repeated refusal is ignored`,
      );
      continue;
    }
    const kind = answered.has(seq) ? "record" : "response";
    answered.add(seq);
    assert.equal(outputs.length, 1, capture.id);
    const [output] = outputs;
    assert.equal(output?.kind, kind, capture.id);
    assert.equal(output?.seq, seq);
    if (output?.kind === "response") {
      assert.equal(output.error, headerField(message, "Error"));
    }
    const body = output?.body === undefined ? undefined : plain(output.body);
    assert.deepEqual(body, message.body, capture.id);
  }
  assert.equal(remaining.length, 0, capture.id);
}

/** A decoded value as the captures show it. */
function plain(value: MsgpackValue): unknown {
  if (value === null || typeof value !== "object") return value;
  if (value instanceof Uint8Array) return { $bin: hexOf(value) };
  if (value instanceof Map) {
    return Object.fromEntries(
      [...value].map(([key, item]) => [key, plain(item as MsgpackValue)]),
    );
  }
  if (Array.isArray(value)) return value.map(plain);
  return utf8Text((value as { bytes: Uint8Array }).bytes);
}
