import assert from "node:assert/strict";
import fc from "fast-check";
import { Inbox } from "../../lib/serf/inbox.ts";
import type { SwimEngine } from "../../lib/swim/engine.ts";
import {
  decodeSerfMessage,
  encodeSerfMessage,
  type SerfMessage,
} from "../../lib/wire/serf_messages.ts";
import { bodyOf, nodeOf, Parts, SELF } from "./parts.ts";

const NO_BYTES = new Uint8Array(0);

/** An inbox, and what it asked the SWIM layer to send. */
class Bench extends Parts {
  readonly sent: [string, Uint8Array][] = [];
  /** Whose state was asked for, since what it said cannot be right. */
  readonly doubted: string[] = [];
  readonly inbox: Inbox;

  constructor() {
    super();
    const swim: Pick<
      SwimEngine,
      "sendUserMessage" | "mayReply" | "exchangeWith"
    > = {
      mayReply: (kind) => !this.refusedReplies.has(kind),
      exchangeWith: (address) => this.doubted.push(address),
      sendUserMessage: (address, body) => this.sent.push([address, body]),
    };
    const { core, roster, queues, userEvents, queries, intents } = this;
    this.inbox = new Inbox({
      core,
      roster,
      queues,
      userEvents,
      queries,
      intents,
      swim,
    });
    this.roster.joined(nodeOf(SELF), 0);
    this.takeEvents();
    this.takeLog();
  }

  handle(message: SerfMessage): Uint8Array {
    const body = encodeSerfMessage(message);
    this.inbox.handle(body, 0);
    return body;
  }

  queued(): Uint8Array[] {
    const { queues } = this;
    return [...queues.takeUrgent(2, 10_000, 1), ...queues.take(2, 10_000, 1)]
      .map(bodyOf);
  }
}

const JOIN: SerfMessage = { kind: "join", ltime: 5n, node: "b" };
const LEAVE: SerfMessage = {
  kind: "leave",
  ltime: 5n,
  node: "b",
  prune: false,
};
const EVENT: SerfMessage = {
  kind: "userEvent",
  ltime: 5n,
  name: "deploy",
  payload: Uint8Array.of(1),
  coalesce: true,
};

Deno.test("Inbox passes on a copy of a new message, and a known one not at all", () => {
  for (const message of [JOIN, LEAVE, EVENT]) {
    const bench = new Bench();
    const body = bench.handle(message);
    const original = body.slice();
    body.fill(0);
    assert.deepEqual(bench.queued(), [original]);
    bench.inbox.handle(original, 0);
    assert.equal(bench.queued().length, 1, "it is still the first one");
    assert.equal(bench.queues.depth("Intent") + bench.queues.depth("Event"), 1);
  }
});

Deno.test("Inbox passes a leave on ahead of all else", () => {
  const bench = new Bench();
  const leave = { ...LEAVE, ltime: 6n } as SerfMessage;
  for (const message of [EVENT, JOIN, leave]) bench.handle(message);
  const urgent = bench.queues.takeUrgent(2, 1_000, 1);
  assert.deepEqual(
    urgent.map((bytes) => decodeSerfMessage(bodyOf(bytes))),
    [leave],
  );
});

Deno.test("Inbox passes on the bytes received, not an encoding of its own", () => {
  const bench = new Bench();
  const usual = encodeSerfMessage(JOIN);
  // A map of three: a field that we do not know comes last.
  const body = Uint8Array.of(...usual, 0xa1, 0x78, 0x01);
  body[1] = 0x83;
  bench.inbox.handle(body, 0);
  assert.deepEqual(bench.queued(), [body]);
  assert.deepEqual(bench.recent.get("b")?.ltime, 5n);
});

Deno.test("Inbox refutes a leave intent about ourselves and passes it no further", () => {
  const bench = new Bench();
  bench.handle({ kind: "leave", ltime: 40n, node: SELF, prune: false });
  const refutation = encodeSerfMessage({
    kind: "join",
    ltime: 41n,
    node: SELF,
  });
  assert.deepEqual(bench.queued(), [refutation]);
});

Deno.test("Inbox logs what it is told, repeats too", () => {
  const bench = new Bench();
  bench.handle(JOIN);
  bench.handle({ kind: "leave", ltime: 6n, node: "b", prune: false });
  bench.handle(EVENT);
  bench.handle(EVENT);
  assert.deepEqual(bench.takeLog(), [
    "[DEBUG] serf: messageJoinType: b",
    "[DEBUG] serf: messageLeaveType: b",
    "[DEBUG] serf: messageUserEventType: deploy",
    "[DEBUG] serf: messageUserEventType: deploy",
  ]);
  assert.deepEqual(bench.takeEvents(), ["user: deploy@5=\u0001"]);
});

Deno.test("Inbox passes queries on byte for byte, and delivers them", () => {
  const bench = new Bench();
  const body = bench.handle({
    kind: "query",
    ltime: 9n,
    id: 77,
    addr: Uint8Array.of(10, 0, 0, 9),
    port: 7946,
    sourceNode: "asker",
    filters: [],
    flags: 1,
    relayFactor: 0,
    timeoutNs: 3_200_000_000n,
    name: "load",
    payload: NO_BYTES,
  });
  assert.deepEqual(bench.queued(), [body]);
  assert.equal(bench.queues.depth("Query"), 1);
  assert.deepEqual(bench.takeEvents(), ["query: load@9="]);
  assert.equal(bench.core.queryClock.time, 10n);
});

Deno.test("Inbox sends a relayed message on unread", () => {
  const bench = new Bench();
  const body = Uint8Array.of(5, 1, 2, 3);
  bench.handle({
    kind: "relay",
    destAddr: Uint8Array.of(10, 0, 0, 9),
    destPort: 7000,
    destZone: "",
    destName: "asker",
    body,
  });
  assert.deepEqual(bench.sent.map(([to, body]) => [to, Array.from(body)]), [
    ["10.0.0.9:7000", [5, 1, 2, 3]],
  ]);
  assert.deepEqual(bench.takeLog(), [
    "[DEBUG] serf: Relaying response to addr: 10.0.0.9:7000",
  ]);
});

Deno.test("Inbox relays answers alone, and not more than the budgets allow", () => {
  const bench = new Bench();
  const relay = (first: number) =>
    bench.handle({
      kind: "relay",
      destAddr: Uint8Array.of(10, 0, 0, 9),
      destPort: 7946,
      destZone: "",
      destName: "asker",
      body: Uint8Array.of(first, 0x80),
    });
  // A user event, a relayed message, and an answer.
  for (const type of [3, 9, 5]) relay(type);
  assert.equal(bench.sent.length, 1);
  bench.refusedReplies.add("forwards");
  relay(5);
  assert.equal(bench.sent.length, 1);
  const start = "[WARN] serf: Not forwarding message to 10.0.0.9:7946: ";
  assert.deepEqual(
    bench.takeLog().filter((line) => line.startsWith("[WARN]")),
    [
      `${start}no query response`,
      `${start}no query response`,
      `${start}too many go there`,
    ],
  );
});

Deno.test("Inbox does not relay to where nothing can be sent", () => {
  const bench = new Bench();
  bench.handle({
    kind: "relay",
    destAddr: NO_BYTES,
    destPort: 7000,
    destZone: "",
    destName: "asker",
    body: Uint8Array.of(5),
  });
  assert.deepEqual(bench.sent, []);
  assert.match(
    bench.takeLog()[0] ?? "",
    /^\[ERR\] serf: Error forwarding message/,
  );
});

Deno.test("Inbox drops what it cannot read, at the level of the fault", () => {
  const bench = new Bench();
  bench.inbox.handle(NO_BYTES, 0);
  assert.deepEqual(bench.takeLog(), []);
  for (const body of [[2, 0x80], [6], [200, 1], [0, 0xc1], [3], [9, 0xa1]]) {
    bench.inbox.handle(Uint8Array.from(body), 0);
  }
  const log = bench.takeLog().map((line) =>
    line.replace(/message: .*/, "message")
  );
  assert.deepEqual(log.slice(0, 5), [
    "[WARN] serf: Received message of unknown type: 2",
    "[WARN] serf: Received message of unknown type: 6",
    "[WARN] serf: Received message of unknown type: 200",
    "[ERR] serf: Error decoding leave message",
    "[ERR] serf: Error decoding user event message",
  ]);
  assert.match(log[5] ?? "", /^\[ERR\] serf: Error decoding relay header: /);
  assert.deepEqual(bench.queued(), []);
  assert.equal(bench.core.metrics.refused.value, 6);
});

Deno.test("Inbox survives any bytes", () => {
  const bench = new Bench();
  const type = fc.integer({ min: 0, max: 10 });
  const body = fc.tuple(type, fc.uint8Array({ maxLength: 60 }));
  fc.assert(
    fc.property(body, ([type, rest]) => {
      bench.inbox.handle(Uint8Array.of(type, ...rest), 0);
    }),
    { numRuns: 2_000 },
  );
  assert(bench.core.metrics.refused.value > 100);
});
