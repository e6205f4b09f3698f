/**
 * The rules that clients of others rely on, for every command alike: numbers come
 * back exactly, an answer leaves in one piece, what is left out or unknown does no
 * harm. What the captured clients do of this is in captures_test.ts.
 */

import assert from "node:assert/strict";
import { concatBytes, utf8Bytes } from "../../lib/kit/bytes.ts";
import { isSameSecret } from "../../lib/rpc/auth.ts";
import {
  encodeAuth,
  encodeHandshake,
  encodeMonitor,
  encodeStop,
  encodeStream,
} from "../../lib/rpc/client_bodies.ts";
import {
  REQUEST_LIMITS,
  RESPONSE_LIMITS,
  STRANGER_LIMITS,
  ValueCutter,
} from "../../lib/rpc/protocol.ts";
import { commandFormat, decodeRequestBody } from "../../lib/rpc/request.ts";
import { ServerSession } from "../../lib/rpc/server_session.ts";
import { RpcWriter } from "../../lib/rpc/writer.ts";
import type { UserEvent } from "../../lib/serf/event.ts";
import {
  decodeValue,
  type MsgpackValue,
} from "../../lib/wire/msgpack_value.ts";

const PEER = "127.0.0.1:40000";

/** What a field of a request is. */
type Field = "text" | "texts" | "textMap" | "bytes" | "bool" | "int";

/** Every command with a body, with Go's order of the fields. */
const BODIES: Readonly<Record<string, readonly (readonly [string, Field])[]>> =
  {
    "handshake": [["Version", "int"]],
    "auth": [["AuthKey", "text"]],
    "event": [["Name", "text"], ["Payload", "bytes"], ["Coalesce", "bool"]],
    "force-leave": [["Node", "text"], ["Prune", "bool"]],
    "join": [["Existing", "texts"], ["Replay", "bool"]],
    "members-filtered": [
      ["Tags", "textMap"],
      ["Status", "text"],
      ["Name", "text"],
    ],
    "stream": [["Type", "text"]],
    "monitor": [["LogLevel", "text"]],
    "stop": [["Stop", "int"]],
    "query": [
      ["FilterNodes", "texts"],
      ["FilterTags", "textMap"],
      ["RequestAck", "bool"],
      ["RelayFactor", "int"],
      ["Timeout", "int"],
      ["Name", "text"],
      ["Payload", "bytes"],
    ],
    "respond": [["ID", "int"], ["Payload", "bytes"]],
    "install-key": [["Key", "text"]],
    "use-key": [["Key", "text"]],
    "remove-key": [["Key", "text"]],
    "get-coordinate": [["Node", "text"]],
  };

/** How the texts and byte strings of a body are written. */
type Form = "plain" | "swapped" | "wide";

function writeText(writer: RpcWriter, value: string, form: Form): void {
  const bytes = utf8Bytes(value);
  if (form === "plain") writer.text(value);
  else if (form === "swapped") writer.bytes(bytes);
  else writer.byte(0xdb).append(wideLength(bytes)).append(bytes);
}

function writeBytes(writer: RpcWriter, value: Uint8Array, form: Form): void {
  if (form === "plain") writer.bytes(value);
  else if (form === "swapped") writer.text("pay");
  else writer.byte(0xc6).append(wideLength(value)).append(value);
}

function wideLength(value: Uint8Array): Uint8Array {
  return Uint8Array.of(0, 0, 0, value.length);
}

/** Some value for a field; equal in every form. */
function writeField(writer: RpcWriter, field: Field, form: Form): void {
  switch (field) {
    case "text":
      return writeText(writer, "héllo", form);
    case "texts":
      writer.array(2);
      writeText(writer, "a", form);
      return writeText(writer, "b", form);
    case "textMap":
      writer.map(1);
      writeText(writer, "role", form);
      return writeText(writer, "web", form);
    case "bytes":
      return writeBytes(writer, utf8Bytes("pay"), form);
    case "bool":
      writer.bool(true);
      return;
    case "int":
      if (form === "wide") writer.append(Uint8Array.of(0xd3, ...[0, 0, 0, 0]));
      if (form === "wide") writer.append(Uint8Array.of(0, 0, 0, 7));
      else writer.uint(7);
  }
}

function eachCommand(
  check: (
    command: string,
    fields: readonly (readonly [string, Field])[],
    read: (body: RpcWriter) => unknown,
  ) => void,
): void {
  for (const [command, fields] of Object.entries(BODIES)) {
    const format = commandFormat(command);
    assert.ok(format?.hasBody, command);
    check(
      command,
      fields,
      (body) => decodeRequestBody(format, body.finish()),
    );
  }
}

/** Fails unless all that a request says is empty, save what it is. */
function assertZero(value: unknown, where: string): void {
  if (value instanceof Map || value instanceof Uint8Array) {
    value = [...value];
  }
  if (Array.isArray(value)) assert.deepEqual(value, [], where);
  else if (typeof value === "object" && value !== null) {
    for (const [key, item] of Object.entries(value)) {
      const isKind = key === "kind" && item !== "";
      if (!isKind) assertZero(item, `${where}.${key}`);
    }
  } else {
    assert.ok(["", 0, 0n, false].includes(value as never), where);
  }
}

Deno.test("nil, missing and empty mean the zero value, in every field of every command", () => {
  eachCommand((command, fields, read) => {
    const nothing = read(new RpcWriter().map(0));
    assertZero(nothing, command);
    assert.deepEqual(read(new RpcWriter().nil()), nothing, command);
    assert.deepEqual(read(new RpcWriter().array(0)), nothing, command);
    const nils = new RpcWriter().map(fields.length);
    for (const [name] of fields) nils.text(name).nil();
    assert.deepEqual(read(nils), nothing, command);
    const full = new RpcWriter().map(fields.length);
    for (const [name, field] of fields) {
      writeField(full.text(name), field, "plain");
    }
    assert.notDeepEqual(read(full), nothing, `${command}: and others do not`);
  });
});

Deno.test("texts and byte strings are read in either form and any width, in every command", () => {
  eachCommand((command, fields, read) => {
    const body = (form: Form) => {
      const writer = new RpcWriter().map(fields.length);
      for (const [name, field] of fields) {
        writeField(writer.text(name), field, form);
      }
      return read(writer);
    };
    assert.deepEqual(body("swapped"), body("plain"), command);
    assert.deepEqual(body("wide"), body("plain"), command);
    const inOrder = new RpcWriter().array(fields.length);
    for (const [, field] of fields) writeField(inOrder, field, "plain");
    assert.deepEqual(read(inOrder), body("plain"), `${command} as an array`);
  });
});

Deno.test("unknown keys are ignored with all that they hold, in every command", () => {
  eachCommand((command, fields, read) => {
    const writer = new RpcWriter().map(fields.length + 4);
    // A map in a list, an extension, a float, and a key that differs in case.
    writer.text("Zz").array(1).map(1).text("Seq").uint(1);
    writer.text("Ext").append(Uint8Array.of(0xd4, 1, 2));
    for (const [name, field] of fields) {
      writeField(writer.text(name), field, "plain");
    }
    writer.text("F").float64(0.5).text("name").uint(1);
    const plain = new RpcWriter().map(fields.length);
    for (const [name, field] of fields) {
      writeField(plain.text(name), field, "plain");
    }
    assert.deepEqual(read(writer), read(plain), command);
  });
});

function request(command: string, seq: bigint, body?: Uint8Array): Uint8Array {
  const writer = new RpcWriter().map(2).text("Command").text(command)
    .text("Seq").uint64(seq);
  return body === undefined ? writer.finish() : writer.append(body).finish();
}

function openSession(authKey = ""): ServerSession {
  const session = new ServerSession({ authKey, peer: PEER });
  session.handleBytes(request("handshake", 1n, encodeHandshake()));
  session.takeWrite();
  return session;
}

/** The values of one write, which must be whole. */
function valuesOf(bytes: Uint8Array): MsgpackValue[] {
  const cutter = new ValueCutter(RESPONSE_LIMITS);
  cutter.push(bytes);
  const values: MsgpackValue[] = [];
  for (let value; (value = cutter.next()) !== undefined;) {
    values.push(decodeValue(value));
  }
  assert.equal(cutter.hasBytes, false, "a write ends with a value");
  return values;
}

function seqsOf(session: ServerSession): unknown[] {
  const seqs: unknown[] = [];
  for (let write; (write = session.takeWrite()) !== undefined;) {
    for (const value of valuesOf(write.bytes)) {
      if (value instanceof Map && value.has("Seq")) seqs.push(value.get("Seq"));
    }
  }
  return seqs;
}

const EVENT: UserEvent = {
  type: "user",
  ltime: 1n,
  name: "e",
  payload: new Uint8Array(300),
  coalesce: false,
};

Deno.test("Seq comes back exactly, in answers, refusals and records, whatever it is", () => {
  const numbers = [
    0n,
    127n,
    0x1_0000_0000n,
    2n ** 53n + 1n,
    2n ** 63n + 1n,
    2n ** 64n - 1n,
  ];
  for (const seq of numbers) {
    const decoded = seq <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(seq) : seq;
    const stranger = openSession("s3cret");
    stranger.handleBytes(request("stats", seq));
    stranger.handleBytes(request("auth", seq, encodeAuth("s3cret")));
    assert.deepEqual(seqsOf(stranger), [decoded, decoded]);

    const session = openSession();
    session.handleBytes(request("stats", seq));
    session.drain();
    session.answer({ error: "", body: new RpcWriter().map(0).finish() });
    session.handleBytes(request("stream", seq, encodeStream("*")));
    session.handleBytes(request("monitor", seq, encodeMonitor("info")));
    assert.deepEqual(seqsOf(session), [decoded, decoded, decoded]);
    session.drain();
    session.startMonitor(["line"]);
    session.offerEvent(EVENT);
    assert.deepEqual(seqsOf(session), [decoded, decoded]);
    // The number in the body of a stop is as exact.
    session.handleBytes(request("stop", 3n, encodeStop(seq)));
    assert.deepEqual(session.drain(), [{ kind: "closeMonitor" }]);
    session.offerEvent(EVENT);
    assert.deepEqual(seqsOf(session), [3]);
  }
});

Deno.test("an answer's header and body leave in one write, before and between records", () => {
  const session = openSession();
  session.handleBytes(request("stream", 2n, encodeStream("*")));
  session.takeWrite();
  session.handleBytes(request("members", 3n));
  session.drain();
  session.offerEvent(EVENT);
  const body = new RpcWriter().map(1).text("Members").bytes(
    new Uint8Array(200_000),
  ).finish();
  session.answer({ error: "", body });
  session.offerEvent(EVENT);
  const answer = session.takeWrite();
  assert.equal(answer?.of, "answer");
  const [header, ...rest] = valuesOf(answer.bytes);
  assert.ok(header instanceof Map && header.get("Seq") === 3);
  assert.equal(rest.length, 1);
  const records = session.takeWrite();
  assert.equal(records?.of, "event");
  assert.equal(valuesOf(records.bytes).length, 4, "two records, each a pair");
  assert.equal(session.takeWrite(), undefined);
});

Deno.test("isSameSecret() looks at the same bytes whatever is right in a guess", () => {
  // Goal: nobody finds the token byte by byte. Method: bytes that count how often
  // they are looked at; a comparison that stops early looks at fewer of them.
  const { encode } = TextEncoder.prototype;
  const secret = "0123456789abcdef";
  const looks = (guess: string) => {
    let count = 0;
    TextEncoder.prototype.encode = function (text) {
      return new Proxy(encode.call(this, text), {
        get(target, key) {
          if (typeof key === "string" && /^\d+$/.test(key)) count++;
          return Reflect.get(target, key, target);
        },
      });
    };
    try {
      assert.equal(isSameSecret(guess, secret), guess === secret);
    } finally {
      TextEncoder.prototype.encode = encode;
    }
    return count;
  };
  const all = looks(secret);
  assert.ok(all >= 2 * secret.length);
  for (let right = 0; right < secret.length; right++) {
    const guess = secret.slice(0, right).padEnd(secret.length, "x");
    assert.equal(looks(guess), all, guess);
  }
  for (const guess of ["", "0", "0123456789abcde", `${secret}x`]) {
    assert.equal(looks(guess), all, guess);
  }
});

/** A request whose body has so many bytes. */
function largeRequest(bytes: number): Uint8Array {
  const event = (payload: number) =>
    new RpcWriter().map(1).text("Payload").bytes(new Uint8Array(payload))
      .finish();
  const around = event(70_000).length - 70_000;
  const body = event(bytes - around);
  assert.equal(body.length, bytes);
  return request("event", 5n, body);
}

Deno.test("ServerSession reads little of a client that has no access yet", () => {
  for (const authKey of ["s3cret", ""]) {
    const length = STRANGER_LIMITS.bytesMax + 1;
    const stranger = new ServerSession({ authKey, peer: PEER });
    stranger.handleBytes(Uint8Array.of(0xc6, 0, 0, length >> 8, length & 255));
    assert.ok(stranger.isClosed, "before the handshake");
  }
  const shaken = openSession("s3cret");
  shaken.handleBytes(largeRequest(70_000));
  assert.ok(shaken.isClosed, "before auth");
});

Deno.test("ServerSession reads a request up to the limit of whoever has access", () => {
  const { bytesMax } = REQUEST_LIMITS;
  const sessions = [openSession(), openSession("s3cret")];
  // The token and what follows come in one piece: the limit changes between them.
  const auth = request("auth", 2n, encodeAuth("s3cret"));
  for (const session of sessions) {
    session.handleBytes(
      concatBytes([
        session === sessions[1] ? auth : new Uint8Array(0),
        largeRequest(bytesMax),
      ]),
    );
    assert.deepEqual(session.drain().map(({ kind }) => kind), ["request"]);
    session.answer({ error: "" });
    session.handleBytes(largeRequest(bytesMax + 1));
    assert.ok(session.isClosed);
    const [log] = session.drain();
    assert.ok(log?.kind === "log");
    assert.match(log.text, /value is larger than limit \(1048576\)/);
  }
});

Deno.test("ServerSession answers the first request of a client that it is to refuse, and ends", () => {
  const session = new ServerSession({
    authKey: "s3cret",
    peer: PEER,
    refusal: "Too many clients of this agent",
  });
  session.handleBytes(request("handshake", 2n ** 64n - 1n).subarray(0, 8));
  assert.equal(session.takeWrite(), undefined);
  session.handleBytes(
    request("handshake", 2n ** 64n - 1n, encodeHandshake()).subarray(8),
  );
  const [header, ...rest] = valuesOf(
    session.takeWrite()?.bytes ?? new Uint8Array(0),
  );
  assert.ok(header instanceof Map);
  assert.equal(String(header.get("Error")), "Too many clients of this agent");
  assert.equal(header.get("Seq"), 2n ** 64n - 1n);
  assert.equal(rest.length, 0);
  assert.deepEqual(session.drain(), [{ kind: "close" }]);
});
