/**
 * What RPC reads from its peers. A server session must not throw at all: what it
 * cannot read ends the connection. Whether it accepts is told by that end.
 */

import { assert } from "../../lib/kit/assert.ts";
import { concatBytes, utf8Bytes } from "../../lib/kit/bytes.ts";
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
  encodeStop,
  encodeStream,
  readCoordinateBody,
  readEventRecord,
  readJoinBody,
  readKeysBody,
  readLogBody,
  readMembersBody,
  readStatsBody,
} from "../../lib/rpc/client_bodies.ts";
import {
  type AnswerForm,
  ClientSession,
} from "../../lib/rpc/client_session.ts";
import {
  encodeCoordinateBody,
  encodeEventRecord,
  encodeJoinBody,
  encodeKeysBody,
  encodeLogRecord,
  encodeMembersBody,
  encodeResponse,
  encodeStatsBody,
} from "../../lib/rpc/response.ts";
import { ServerSession } from "../../lib/rpc/server_session.ts";
import { RpcWriter } from "../../lib/rpc/writer.ts";
import {
  decodeValue,
  type MsgpackValue,
} from "../../lib/wire/msgpack_value.ts";
import { WireError } from "../../lib/wire/wire_error.ts";
import { member } from "../rpc/fake_target.ts";
import type { FuzzTarget } from "./target.ts";

const MEMBERS = [
  member("n1", { tags: { role: "lb" } }),
  member("n2", { ip: "::1" }),
];

const PLACE = { vec: [0.25, -0.5], error: 1, adjustment: 0, height: 1e-5 };

/** Requests of a client as one stream of bytes. */
function requests(
  ...calls: readonly (readonly [command: string, body?: Uint8Array])[]
): Uint8Array {
  const session = new ClientSession();
  return concatBytes(
    calls.map(([command, body]) =>
      session.startRequest(command, "none", body).bytes
    ),
  );
}

function serverSeeds(): Uint8Array[] {
  const filter = {
    tags: new Map([["role", "w.*"]]),
    status: "alive",
    name: "n",
  };
  const calls = [
    ["auth", encodeAuth("s3cret")],
    [
      "event",
      encodeEvent({ name: "e", payload: utf8Bytes("p"), coalesce: true }),
    ],
    ["force-leave", encodeForceLeave("n1", true)],
    ["join", encodeJoin(["127.0.0.1", "n2/[::1]:7946"], false)],
    ["members"],
    ["members-filtered", encodeMemberFilter(filter)],
    ["stream", encodeStream("user:a,member-join")],
    ["monitor", encodeMonitor("debug")],
    ["stop", encodeStop(3n)],
    ["leave"],
    ["install-key", encodeKey("AAECAwQFBgcICQoLDA0ODw==")],
    ["list-keys"],
    ["stats"],
    ["get-coordinate", encodeGetCoordinate("n1")],
    ["query", encodeStream("*")],
  ] as const;
  const each = calls.map((call) =>
    requests(["handshake", encodeHandshake()], call)
  );
  return [...each, requests(["handshake", encodeHandshake()], ...calls)];
}

/** Plays a client that sends `bytes`, with an agent that refuses everything. */
function serve(bytes: Uint8Array, authKey: string): void {
  const session = new ServerSession({ authKey, peer: "127.0.0.1:40000" });
  session.handleBytes(bytes);
  for (let outputs; (outputs = session.drain()).length > 0;) {
    for (const { kind } of outputs) {
      if (kind === "openMonitor") session.startMonitor(["a line"]);
      if (kind === "request") session.answer({ error: "no" });
    }
  }
  session.offerEvent({ type: "member-join", members: MEMBERS });
  session.offerLog("another line");
  while (session.takeWrite() !== undefined);
  const wasRefused = session.isClosed;
  session.handleEnd();
  assert(session.isClosed, "the end of a connection closes the session");
  if (wasRefused) throw new WireError("badValue", "the session ended");
}

function clientSeeds(): Uint8Array[] {
  const stats = new Map([["agent", new Map([["name", "n1"]])], [
    "tags",
    new Map(),
  ]]);
  const ok = { error: "" };
  return [
    encodeResponse(1n, ok),
    encodeResponse(1n, { error: "Authentication required" }),
    encodeResponse(2n, { error: "1 error occurred", body: encodeJoinBody(0) }),
    encodeResponse(3n, { error: "", body: encodeMembersBody(MEMBERS) }),
    encodeResponse(4n, { error: "", body: encodeStatsBody(stats) }),
    concatBytes([
      encodeResponse(5n, ok),
      encodeLogRecord(5n, "2026/11/20 [INFO] x"),
    ]),
    concatBytes([
      encodeResponse(5n, ok),
      encodeEventRecord(5n, { type: "member-leave", members: MEMBERS }),
      encodeEventRecord(5n, {
        type: "user",
        ltime: 2n ** 64n - 1n,
        name: "deploy",
        payload: utf8Bytes("v1"),
        coalesce: false,
      }),
    ]),
    encodeResponse(6n, { error: "", body: encodeCoordinateBody(PLACE) }),
    encodeResponse(6n, { error: "", body: encodeCoordinateBody(undefined) }),
    encodeResponse(7n, {
      error: "1/2 nodes reported failure",
      body: encodeKeysBody({
        messages: new Map([["n1", "no"]]),
        keys: new Map([["AAECAwQFBgcICQoLDA0ODw==", 1]]),
        nodes: 2,
        responses: 2,
        errors: 1,
      }),
    }),
  ];
}

/** What each of the client's pending requests expects. */
const FORMS: readonly AnswerForm[] = [
  "none",
  "always",
  "onSuccess",
  "onSuccess",
  "stream",
  "onSuccess",
  "always",
];
/** How the body of the answer under each number is read. */
const READERS = [
  undefined,
  undefined,
  readJoinBody,
  readMembersBody,
  readStatsBody,
  (body: MsgpackValue | undefined) => {
    readEventRecord(body);
    readLogBody(body);
  },
  readCoordinateBody,
  readKeysBody,
];

export const RPC_TARGETS: readonly FuzzTarget[] = [
  {
    name: "rpc/ServerSession",
    seeds: serverSeeds,
    run: (bytes) => serve(bytes, ""),
  },
  {
    name: "rpc/ServerSession with a token",
    seeds: serverSeeds,
    run: (bytes) => serve(bytes, "s3cret"),
  },
  {
    name: "rpc/ClientSession",
    seeds: clientSeeds,
    run(bytes) {
      const session = new ClientSession();
      for (const form of FORMS) session.startRequest("x", form);
      session.handleBytes(bytes);
      for (const { seq, body } of session.drain()) READERS[Number(seq)]?.(body);
    },
  },
  {
    name: "wire/decodeValue",
    seeds: () => [
      ...clientSeeds(),
      new RpcWriter().array(5).nil().bool(true).float64(1.5).int64(-1n)
        .bytes(utf8Bytes("b")).finish(),
    ],
    run: (bytes) => void decodeValue(bytes),
  },
];
