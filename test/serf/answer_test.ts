import assert from "node:assert/strict";
import { utf8Bytes } from "../../lib/kit/bytes.ts";
import type { QueryEvent } from "../../lib/serf/event.ts";
import type { QueryMessage } from "../../lib/wire/serf_messages.ts";
import { decodeSerfMessage } from "../../lib/wire/serf_messages.ts";
import { nodeOf, Parts, SELF } from "./parts.ts";
import { ASKER, query } from "./queries.ts";

const PREFIX = "failed to respond to key query: ";

/** A query as the application gets it. */
function asked(parts: Parts, changes: Partial<QueryMessage> = {}): QueryEvent {
  parts.queries.arrived(query(5n, 7, changes), 0);
  const [event] = parts.take("event").map((output) => output.event);
  assert.equal(event?.type, "query");
  return event as QueryEvent;
}

/** Parts that know themselves and so many others. */
function knowing(others: number): Parts {
  const parts = new Parts();
  parts.roster.joined(nodeOf(SELF, 0), 0);
  for (let i = 1; i <= others; i++) parts.roster.joined(nodeOf(`n${i}`, i), 0);
  parts.takeEvents();
  return parts;
}

Deno.test("Answers.respond() sends the answer to the asker", () => {
  const parts = new Parts();
  parts.queries.respond(asked(parts), utf8Bytes("up 3 days"), 1_000);
  assert.equal(parts.answersSent.length, 1);
  assert.equal(parts.answersSent[0]?.to, ASKER);
  const answer = decodeSerfMessage(parts.answersSent[0]?.body as Uint8Array);
  assert.deepEqual(answer, {
    kind: "queryResponse",
    ltime: 5n,
    id: 7,
    from: SELF,
    flags: 0,
    payload: utf8Bytes("up 3 days"),
  });
});

Deno.test("Answers.respond() answers once, in time, and not at length", () => {
  const parts = new Parts();
  const event = asked(parts);
  const respond = (bytes: number, nowMs: number) =>
    parts.queries.respond(event, new Uint8Array(bytes), nowMs);
  // 39 bytes are spent on the names of the fields and their values.
  assert.throws(() => respond(1_000, 0), {
    name: "RangeError",
    message: `${PREFIX}response exceeds limit of 1024 bytes`,
  });
  assert.throws(() => respond(1, 1_001), {
    name: "StateError",
    message: `${PREFIX}response is past the deadline`,
  });
  assert.equal(parts.answersSent.length, 0);
  respond(1, 1_000);
  assert.throws(() => respond(1, 1_000), {
    message: `${PREFIX}response already sent`,
  });
  assert.throws(() => respond(1_000, 2_000), {
    message: `${PREFIX}response exceeds limit of 1024 bytes`,
  }, "the length is looked at first");
  assert.equal(parts.answersSent.length, 1);
});

Deno.test("Answers.respond() takes an answer of exactly the limit", () => {
  const parts = new Parts();
  const event = asked(parts);
  let longest = 1_024;
  for (;; longest--) {
    try {
      parts.queries.respond(event, new Uint8Array(longest), 0);
      break;
    } catch {
      assert.ok(longest > 900);
    }
  }
  assert.equal(parts.answersSent[0]?.body.length, 1_024);
});

Deno.test("Answers sends copies through as many others as asked", () => {
  const parts = knowing(5);
  const event = asked(parts, { flags: 1, relayFactor: 3 });
  assert.equal(parts.answersSent.length, 4, "the ack, straight and relayed");
  parts.answersSent.length = 0;
  parts.queries.respond(event, utf8Bytes("x"), 0);
  const [straight, ...relayed] = parts.answersSent;
  assert.equal(straight?.to, ASKER);
  assert.equal(relayed.length, 3);
  assert.equal(new Set(relayed.map(({ to }) => to)).size, 3, "all different");
  for (const { to, body } of relayed) {
    assert.match(to, /^10\.0\.0\.[1-5]:7946$/);
    const frame = decodeSerfMessage(body);
    assert.ok(frame.kind === "relay");
    assert.equal(frame.destName, "asker");
    assert.deepEqual([...frame.destAddr], [10, 0, 0, 9]);
    assert.equal(frame.destPort, 7946);
    assert.deepEqual(frame.body, straight?.body);
  }
});

Deno.test("Answers relays through nobody when too few are known", () => {
  const parts = knowing(2);
  const event = asked(parts, { relayFactor: 3 });
  parts.queries.respond(event, utf8Bytes("x"), 0);
  assert.equal(parts.answersSent.length, 1);
});

Deno.test("Answers relays only through members that are alive and know how", () => {
  const parts = knowing(4);
  parts.roster.gone("n1", 0);
  const old = { ...nodeOf("n2", 2), vsn: Uint8Array.of(1, 4, 2, 2, 4, 4) };
  parts.roster.updated(old, 0);
  parts.takeEvents();
  const event = asked(parts, { relayFactor: 4 });
  parts.queries.respond(event, utf8Bytes("x"), 0);
  const relays = parts.answersSent.slice(1).map(({ to }) => to).sort();
  assert.deepEqual(relays, ["10.0.0.3:7946", "10.0.0.4:7946"]);
});

Deno.test("Answers.respond() may be tried again when the relayed copy is too long", () => {
  const parts = knowing(3);
  const event = asked(parts, { relayFactor: 1 });
  assert.throws(
    () => parts.queries.respond(event, new Uint8Array(960), 0),
    { message: `${PREFIX}relayed response exceeds limit of 1024 bytes` },
  );
  assert.equal(parts.answersSent.length, 1, "the straight one has left");
  parts.queries.respond(event, utf8Bytes("less"), 0);
  assert.equal(parts.answersSent.length, 3);
});

Deno.test("Answers sends nothing to addresses that are none", () => {
  const parts = new Parts();
  for (
    const [id, changes] of [
      { addr: new Uint8Array(0) },
      { addr: new Uint8Array(5) },
      { port: 0 },
    ].entries()
  ) {
    parts.queries.arrived(query(5n, id, { ...changes, flags: 1 }), 0);
    const [event] = parts.take("event").map((output) => output.event);
    assert.throws(
      () => parts.queries.respond(event as QueryEvent, utf8Bytes("x"), 0),
      { message: `${PREFIX}no such address` },
    );
  }
  assert.deepEqual(parts.answersSent, []);
  const line = "[ERR] serf: failed to send ack: no such address";
  assert.deepEqual(parts.takeLog(), [line, line, line]);
});

Deno.test("Answers understands the longer form of an IPv4 address", () => {
  const parts = new Parts();
  const addr = new Uint8Array(16);
  addr.set([0xff, 0xff, 10, 0, 0, 9], 10);
  parts.queries.arrived(query(5n, 1, { addr, flags: 1 }), 0);
  assert.equal(parts.answersSent[0]?.to, ASKER);
});

Deno.test("Answers sends no more than the budgets allow", () => {
  const parts = knowing(5);
  const changes = { flags: 1, relayFactor: 3 };
  parts.refusedReplies.add("queryCopies");
  const event = asked(parts, changes);
  parts.queries.respond(event, utf8Bytes("x"), 0);
  assert.equal(parts.answersSent.length, 2, "ack and answer, straight");
  parts.refusedReplies.add("queryReplies");
  parts.takeLog();
  parts.queries.arrived(query(6n, 8, changes), 0);
  assert.deepEqual(parts.takeLog(), [
    `[ERR] serf: failed to send ack: too many go to ${ASKER}`,
  ]);
  const [next] = parts.take("event").map((output) => output.event);
  const respond = () =>
    parts.queries.respond(next as QueryEvent, utf8Bytes("x"), 0);
  assert.throws(respond, {
    name: "StateError",
    message: `${PREFIX}too many go to ${ASKER}`,
  });
  parts.refusedReplies.clear();
  respond();
  assert.equal(parts.answersSent.length, 6, "it was not answered yet");
});
