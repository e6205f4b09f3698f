/** Captured connections, played as their client: what it wrote and read. */

import assert from "node:assert/strict";
import { hexOf } from "../../lib/kit/bytes.ts";
import {
  encodeAuth,
  encodeEvent,
  encodeForceLeave,
  encodeGetCoordinate,
  encodeHandshake,
  encodeJoin,
  encodeKey,
  encodeMemberFilter,
  encodeMonitor,
  encodeQuery,
  encodeStop,
  encodeStream,
  encodeTagChanges,
} from "../../lib/rpc/client_bodies.ts";
import {
  type AnswerForm,
  ClientSession,
} from "../../lib/rpc/client_session.ts";
import {
  bytesOf,
  type Capture,
  captureOf,
  headerField,
  plain,
  PORTIONS,
  seqOf,
} from "./captures.ts";

/** What a client of ours has to be asked for to send what Go's client sent. */
type Call = readonly [command: string, form: AnswerForm, body?: Uint8Array];

const HANDSHAKE: Call = ["handshake", "none", encodeHandshake()];
const ALL_MEMBERS: Call = [
  "members-filtered",
  "onSuccess",
  encodeMemberFilter({ tags: new Map(), status: "", name: "" }),
];

const LIST_KEYS: Call = ["list-keys", "always"];
const OLD_KEY = "HvY8ubRZMgafUOWvrOadwOckVa1wN3QWAo46FVKbVN8=";
const NEW_KEY = "T9jncgl9mbLus+baTTa7q7nPSUrXwbDi2dhbtqir37s=";

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
  "go-query": [[
    "query",
    "stream",
    encodeQuery({
      name: "load",
      payload: new TextEncoder().encode("hello"),
      filterTags: new Map(),
      requestAck: true,
      timeoutMs: 1_500,
    }),
  ]],
  "go-query-filters": [[
    "query",
    "stream",
    encodeQuery({
      name: "load",
      filterNodes: ["m2"],
      filterTags: new Map([["role", "web"]]),
      relayFactor: 1,
      timeoutMs: 1_000,
    }),
  ]],
  "go-query-err": [[
    "query",
    "stream",
    encodeQuery({
      name: "_serf_x",
      filterTags: new Map(),
      requestAck: true,
    }),
  ]],
  "go-reachability": [
    ["members", "onSuccess"],
    [
      "query",
      "stream",
      encodeQuery({ name: "_serf_ping", requestAck: true }),
    ],
  ],
  "go-rtt": [coordinateCall("m1"), coordinateCall("m2")],
  "go-rtt-one": [
    ["stats", "onSuccess"],
    coordinateCall("m2"),
    coordinateCall("m1"),
  ],
  "go-rtt-unknown": [coordinateCall("zz")],
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
  "go-tags": [[
    "tags",
    "none",
    encodeTagChanges({
      set: new Map([["color", "blue"]]),
      delete: ["nosuch"],
    }),
  ]],
  "go-tags-err": [[
    "tags",
    "none",
    encodeTagChanges({ set: new Map([["k", "x".repeat(520)]]), delete: [] }),
  ]],
  "go-auth-ok": [["auth", "none", encodeAuth("s3cret")], ALL_MEMBERS],
  "go-auth-bad": [["auth", "none", encodeAuth("nope")]],
  "go-auth-none": [ALL_MEMBERS],
  "go-auth-none-stats": [["stats", "onSuccess"]],
  "go-keys-list-noenc": [LIST_KEYS],
  "go-keys-list": [LIST_KEYS],
  "go-keys-list2": [LIST_KEYS],
  "go-keys-install": [keyCall("install-key", NEW_KEY)],
  "go-keys-use": [keyCall("use-key", NEW_KEY)],
  "go-keys-remove": [keyCall("remove-key", OLD_KEY)],
  "go-keys-remove-primary": [keyCall("remove-key", OLD_KEY)],
  "go-keys-use-missing": [keyCall("use-key", OLD_KEY)],
  "go-keys-badlen": [keyCall("install-key", "AAAA")],
  "go-keys-badb64": [keyCall("install-key", "@@")],
  "go-leave": [["leave", "none"]],
  "go-monitor": [
    ["stream", "stream", encodeStream("*")],
    ["monitor", "stream", encodeMonitor("info")],
    ["stop", "none", encodeStop(3n)],
    ["stop", "none", encodeStop(2n)],
  ],
};

function keyCall(command: string, key: string): Call {
  return [command, "always", encodeKey(key)];
}

function coordinateCall(node: string): Call {
  return ["get-coordinate", "onSuccess", encodeGetCoordinate(node)];
}

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
    assert.deepEqual(body, withoutMarks(message.body), capture.id);
  }
  assert.equal(remaining.length, 0, capture.id);
}

/** A value of a capture, with its floats as plain numbers. */
function withoutMarks(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutMarks);
  if (value === null || typeof value !== "object") return value;
  if ("$f64" in value) return value.$f64;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, withoutMarks(item)]),
  );
}
