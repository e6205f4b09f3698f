/**
 * Key requests from the side of the asker: one request against answers that a
 * test makes up, then whole clusters.
 */

import assert from "node:assert/strict";
import { bytesOfHex, utf8Bytes } from "../../lib/kit/bytes.ts";
import type { KeyRequestParams } from "../../lib/serf/engine.ts";
import type { KeyReport, OperationResult } from "../../lib/serf/event.ts";
import { Keyring } from "../../lib/wire/keyring.ts";
import {
  decodeKeyRequest,
  decodeSerfMessage,
  encodeKeyResponse,
  type QueryMessage,
} from "../../lib/wire/serf_messages.ts";
import { Cluster, type Node } from "./cluster.ts";
import { bodyOf, nodeOf, Parts, SELF } from "./parts.ts";

function key(byte: number, bytes = 16): Uint8Array {
  return new Uint8Array(bytes).fill(byte);
}

const [K1, K2] = [key(1), key(2)];
const [T1, T2] = [K1.toBase64(), K2.toBase64()];

/** What a member answers that did it, or that lists these keys. */
function yes(message = "", keys: string[] = []): Uint8Array {
  const primaryKey = keys[0] ?? "";
  return encodeKeyResponse({ result: true, message, keys, primaryKey });
}

function no(message: string): Uint8Array {
  return encodeKeyResponse({
    result: false,
    message,
    keys: [],
    primaryKey: "",
  });
}

/** An asker that knows the members a, b and c beside itself. */
class Asker {
  readonly parts: Parts;
  #lastLtime = 0n;

  constructor(readonly ring: Keyring | undefined = new Keyring([K1])) {
    this.parts = new Parts({}, ring && { keyring: ring });
    this.parts.liveCount = 4;
    this.parts.roster.joined(nodeOf(SELF, 0), 0);
    for (const [i, name] of ["a", "b", "c"].entries()) {
      this.parts.roster.joined(nodeOf(name, i + 1), 0);
    }
    this.parts.takeEvents();
  }

  start(params: KeyRequestParams): number {
    return this.parts.queries.changeKeys(params, 0);
  }

  /** The queries begun since the last call; older ones are still gossiped. */
  asked(): QueryMessage[] {
    const queries = this.parts.queues.take(3, 60_000, 1).map((bytes) => {
      const message = decodeSerfMessage(bodyOf(bytes));
      assert.ok(message.kind === "query");
      return message;
    });
    const fresh = queries.filter(({ ltime }) => ltime > this.#lastLtime)
      .sort((x, y) => Number(x.ltime - y.ltime));
    this.#lastLtime = fresh.at(-1)?.ltime ?? this.#lastLtime;
    return fresh;
  }

  reply(query: QueryMessage, from: string, payload: Uint8Array): void {
    const { ltime, id } = query;
    this.parts.queries.responseArrived(
      { kind: "queryResponse", ltime, id, from, flags: 0, payload },
      1,
    );
  }

  /** Ends since the last call, by operation. */
  ends(): Map<number, OperationResult> {
    return new Map(this.parts.take("done").map((end) => [end.operation, end]));
  }
}

function reportOf(end: OperationResult | undefined): KeyReport {
  assert.ok(end?.keys !== undefined);
  return end.keys;
}

Deno.test("KeyManager asks all members, with the raw key and the default timeout", () => {
  const asker = new Asker();
  const kinds = ["install", "use", "remove"] as const;
  for (const kind of kinds) {
    asker.start({ kind, key: K2, relayFactor: 3 });
    const [query, ...more] = asker.asked();
    assert.ok(query !== undefined && more.length === 0);
    assert.equal(
      query.name,
      {
        install: "_serf_install-key",
        use: "_serf_use-key",
        remove: "_serf_remove-key",
      }[kind],
    );
    assert.deepEqual(decodeKeyRequest(query.payload), K2);
    assert.equal(query.flags, 0, "no acks");
    assert.equal(query.relayFactor, 3);
    assert.equal(query.timeoutNs, 3_200_000_000n);
    assert.deepEqual(query.filters, []);
    for (const from of ["a", "b", "c"]) asker.reply(query, from, yes());
    assert.equal(asker.ends().size, 1);
  }
  asker.start({ kind: "list" });
  const [query] = asker.asked();
  assert.equal(query?.name, "_serf_list-keys");
  assert.deepEqual(query?.payload, bytesOfHex("0781a34b6579a0"));
  assert.equal(query?.relayFactor, 0);
});

Deno.test("KeyManager counts keys and ends with the last alive member", () => {
  const asker = new Asker(new Keyring([K1, K2]));
  const operation = asker.start({ kind: "list" });
  const [query] = asker.asked() as [QueryMessage];
  asker.reply(query, "a", yes("", [T2, T1]));
  asker.reply(query, "b", yes("", [T1]));
  asker.reply(query, "b", yes("", [T1]));
  assert.equal(asker.ends().size, 0);
  const note = "truncated key list response, showing first 1 of 9 keys";
  asker.parts.takeLog();
  asker.reply(query, "c", yes(note, [T1]));
  const end = asker.ends().get(operation);
  assert.deepEqual(end, {
    kind: "done",
    operation,
    keys: {
      messages: new Map([["c", note]]),
      keyCounts: new Map([[T1, 4], [T2, 2]]),
      primaryCounts: new Map([[T1, 3], [T2, 1]]),
      nodes: 4,
      responses: 4,
      errors: 0,
    },
  });
  assert.deepEqual(asker.parts.takeLog(), [`[WARN] serf: ${note}`]);
  asker.reply(query, "d", yes("", [T1]));
  asker.parts.fireTimers(60_000);
  assert.equal(asker.ends().size, 0, "it ends once");
});

Deno.test("KeyManager counts those who have done it under the empty key", () => {
  const asker = new Asker();
  asker.start({ kind: "install", key: K2 });
  const [query] = asker.asked() as [QueryMessage];
  for (const from of ["a", "b", "c"]) asker.reply(query, from, yes());
  const [end] = asker.ends().values();
  assert.equal(end?.error, undefined);
  assert.equal(reportOf(end).keyCounts.size, 0);
  assert.deepEqual(reportOf(end).primaryCounts, new Map([["", 4]]));
});

Deno.test("KeyManager reports who failed, and in which words", () => {
  const asker = new Asker();
  const operation = asker.start({ kind: "use", key: K2 });
  const [query] = asker.asked() as [QueryMessage];
  asker.reply(query, "a", yes());
  asker.reply(query, "b", no(""));
  asker.reply(query, "c", no("Requested key is not in the keyring"));
  const end = asker.ends().get(operation);
  assert.equal(end?.error, "3/4 nodes reported failure");
  assert.deepEqual(
    [...reportOf(end).messages].sort(),
    [
      ["b", ""],
      ["c", "Requested key is not in the keyring"],
      [SELF, "requested key is not in the keyring"],
    ],
  );
  assert.equal(reportOf(end).errors, 3);
  assert.equal(reportOf(end).responses, 4);
});

Deno.test("KeyManager counts what it cannot read as a failure, byte by byte", () => {
  const asker = new Asker();
  asker.start({ kind: "install", key: K2 });
  const [query] = asker.asked() as [QueryMessage];
  asker.reply(query, "a", new Uint8Array(0));
  asker.reply(query, "b", bytesOfHex("0780"));
  asker.reply(query, "c", bytesOfHex("0881a6526573756c74"));
  const [end] = asker.ends().values();
  assert.equal(end?.error, "3/4 nodes reported failure");
  assert.deepEqual(
    reportOf(end).messages,
    new Map([
      ["a", "Invalid key query response type: []"],
      ["b", "Invalid key query response type: [7 128]"],
      [
        "c",
        "Failed to decode key query response: [8 129 166 82 101 115 117 108 116]",
      ],
    ]),
  );
  const other = new Asker();
  other.start({ kind: "install", key: K2 });
  const [next] = other.asked() as [QueryMessage];
  other.reply(next, "a", new Uint8Array(40_000));
  for (const from of ["b", "c"]) other.reply(next, from, yes());
  const [long] = other.ends().values();
  assert.equal(
    reportOf(long).messages.get("a"),
    `Invalid key query response type: [${Array(1_024).fill(0).join(" ")} ...]`,
  );
});

Deno.test("KeyManager waits its whole time for a member that does not answer", () => {
  const asker = new Asker();
  const operation = asker.start({ kind: "install", key: K2 });
  const [query] = asker.asked() as [QueryMessage];
  for (const from of ["a", "b"]) asker.reply(query, from, yes());
  asker.parts.fireTimers(3_199);
  assert.equal(asker.ends().size, 0);
  asker.parts.fireTimers(3_200);
  const end = asker.ends().get(operation);
  assert.equal(end?.error, "3/4 nodes reported success");
  assert.equal(reportOf(end).errors, 0);
});

Deno.test("KeyManager ends when as many have answered as were alive, whoever they are", () => {
  const asker = new Asker();
  asker.parts.liveCount = 3;
  const operation = asker.start({ kind: "install", key: K2 });
  const [query] = asker.asked() as [QueryMessage];
  // Counted at the start: who comes later is not waited for.
  asker.parts.liveCount = 9;
  for (const from of ["a", "b"]) asker.reply(query, from, yes());
  const end = asker.ends().get(operation);
  assert.equal(end?.error, undefined);
  assert.equal(reportOf(end).nodes, 3);
  assert.equal(reportOf(end).responses, 3);
});

Deno.test("KeyManager ends when all members have answered, though more were alive", () => {
  const asker = new Asker();
  asker.parts.liveCount = 5;
  asker.start({ kind: "install", key: K2 });
  const [query] = asker.asked() as [QueryMessage];
  for (const from of ["a", "b", "c"]) asker.reply(query, from, yes());
  const [end] = asker.ends().values();
  assert.equal(end?.error, "4/5 nodes reported success");
});

Deno.test("KeyManager of a node that is alone hears itself", () => {
  const parts = new Parts({}, { keyring: new Keyring([K1]) });
  parts.roster.joined(nodeOf(SELF, 0), 0);
  for (const kind of ["install", "use", "remove"] as const) {
    const operation = parts.queries.changeKeys({ kind, key: K2 }, 0);
    const [end] = parts.take("done");
    assert.equal(end?.operation, operation);
    assert.equal(
      end?.error,
      kind === "remove" ? "1/1 nodes reported failure" : undefined,
    );
    assert.equal(end?.keys?.nodes, 1);
  }
});

Deno.test("KeyManager tells at the end why it could not ask", () => {
  const parts = new Parts({ protocolVersion: 3 });
  parts.queries.changeKeys({ kind: "list" }, 0);
  const asker = new Asker();
  asker.start({ kind: "install", key: new Uint8Array(2_000) });
  asker.start({ kind: "list", relayFactor: 256 });
  const ends = [...parts.take("done"), ...asker.ends().values()];
  assert.deepEqual(ends.map(({ error }) => error), [
    "Feature not supported",
    "query exceeds limit of 1024 bytes",
    "Relay factor must be between 0 and 255",
  ]);
  for (const end of ends) {
    assert.deepEqual(reportOf(end), {
      messages: new Map(),
      keyCounts: new Map(),
      primaryCounts: new Map(),
      nodes: 0,
      responses: 0,
      errors: 0,
    });
  }
  // The line moves on.
  asker.start({ kind: "use", key: K1 });
  assert.equal(asker.asked().length, 1);
});

// --- Order ------------------------------------------------------------------------

/** Which of these operations have been asked, by the names of their queries. */
function names(queries: QueryMessage[]): string[] {
  return queries.map(({ name }) => name.slice("_serf_".length));
}

function answerAll(asker: Asker, query: QueryMessage): void {
  for (const from of ["a", "b", "c"]) asker.reply(query, from, yes());
}

Deno.test("KeyManager makes one change at a time, in their order", () => {
  const asker = new Asker();
  const first = asker.start({ kind: "install", key: K2 });
  const second = asker.start({ kind: "use", key: K2 });
  const third = asker.start({ kind: "remove", key: K1 });
  const [query, ...more] = asker.asked() as [QueryMessage];
  assert.deepEqual(names([query, ...more]), ["install-key"]);
  answerAll(asker, query);
  assert.deepEqual([...asker.ends().keys()], [first]);
  const [next] = asker.asked() as [QueryMessage];
  assert.equal(next.name, "_serf_use-key");
  answerAll(asker, next);
  assert.deepEqual([...asker.ends().keys()], [second]);
  const [last] = asker.asked() as [QueryMessage];
  // It began at 1 ms.
  asker.parts.fireTimers(3_201);
  assert.equal(last.name, "_serf_remove-key");
  assert.deepEqual([...asker.ends().keys()], [third]);
});

Deno.test("KeyManager lists side by side, but not beside a change", () => {
  const asker = new Asker();
  asker.start({ kind: "list" });
  asker.start({ kind: "list" });
  asker.start({ kind: "install", key: K2 });
  asker.start({ kind: "list" });
  const lists = asker.asked() as [QueryMessage, QueryMessage];
  assert.deepEqual(names(lists), ["list-keys", "list-keys"]);
  answerAll(asker, lists[0]);
  assert.deepEqual(asker.asked(), [], "a list still runs");
  answerAll(asker, lists[1]);
  const changes = asker.asked() as [QueryMessage];
  assert.deepEqual(
    names(changes),
    ["install-key"],
    "and the list behind it waits",
  );
  answerAll(asker, changes[0]);
  assert.deepEqual(names(asker.asked()), ["list-keys"]);
  assert.equal(asker.ends().size, 3);
});

Deno.test("KeyManager sends the key that it was given, though it had to wait", () => {
  const asker = new Asker();
  asker.start({ kind: "install", key: K2 });
  const waiting = key(7);
  asker.start({ kind: "install", key: waiting });
  waiting.fill(0);
  const [query] = asker.asked() as [QueryMessage];
  answerAll(asker, query);
  const [next] = asker.asked() as [QueryMessage];
  assert.deepEqual(decodeKeyRequest(next.payload), key(7));
});

Deno.test("KeyManager lets 64 requests wait and refuses more", () => {
  const asker = new Asker();
  asker.start({ kind: "install", key: K2 });
  for (let i = 0; i < 64; i++) asker.start({ kind: "list" });
  assert.throws(() => asker.start({ kind: "list" }), {
    name: "StateError",
    message: "Too many key requests are waiting",
  });
  const [query] = asker.asked() as [QueryMessage];
  answerAll(asker, query);
  assert.equal(asker.asked().length, 64, "all of them lists");
  asker.start({ kind: "list" });
});

Deno.test("KeyManager ends everything with a shutdown, and starts nothing", () => {
  const asker = new Asker();
  const operations = [
    asker.start({ kind: "install", key: K2 }),
    asker.start({ kind: "use", key: K2 }),
    asker.start({ kind: "list" }),
  ];
  asker.asked();
  asker.parts.queries.abandon("Serf was shut down", 5);
  const ends = asker.ends();
  assert.deepEqual([...ends.keys()].sort(), operations);
  for (const { error } of ends.values()) {
    assert.equal(error, "Serf was shut down");
  }
  assert.equal(reportOf(ends.get(operations[0] as number)).responses, 1);
  assert.equal(reportOf(ends.get(operations[1] as number)).nodes, 0);
  assert.deepEqual(asker.asked(), []);
});

// --- Clusters ---------------------------------------------------------------------

/** Nodes with rings of their own, who know each other. */
function encrypted(
  names: readonly string[],
  keys: readonly Uint8Array[] = [K1],
  options: { readonly savesKeyring?: boolean } = {},
): { cluster: Cluster; nodes: Node[]; rings: Keyring[] } {
  const cluster = new Cluster();
  const rings = names.map(() => new Keyring(keys));
  const nodes = names.map((name, i) =>
    cluster.start(name, options, { keyring: rings[i] as Keyring })
  );
  for (const node of nodes.slice(1)) {
    cluster.finish(node, cluster.join(node, nodes[0] as Node));
  }
  cluster.runUntil(
    () => nodes.every(({ engine }) => engine.members().length === names.length),
    10_000,
    "all know each other",
  );
  cluster.settle();
  return { cluster, nodes, rings };
}

function change(
  cluster: Cluster,
  node: Node,
  params: KeyRequestParams,
): OperationResult {
  const operation = cluster.call(
    node,
    (engine, nowMs) => engine.changeKeys(params, nowMs),
  );
  return cluster.finish(node, operation);
}

Deno.test("changeKeys() replaces the key of a cluster while it talks", () => {
  const { cluster, nodes, rings } = encrypted(["a", "b", "c", "d"], [K1], {
    savesKeyring: true,
  });
  const [a, b, c, d] = nodes as [Node, Node, Node, Node];
  const steps: [Node, KeyRequestParams][] = [
    [a, { kind: "install", key: K2 }],
    [b, { kind: "use", key: K2 }],
    [c, { kind: "remove", key: K1 }],
  ];
  for (const [node, params] of steps) {
    const { error, keys } = change(cluster, node, params);
    assert.equal(error, undefined);
    assert.equal(keys?.responses, 4);
    cluster.call(d, (engine, nowMs) => {
      const payload = utf8Bytes("");
      engine.userEvent(params.kind, payload, { coalesce: false }, nowMs);
    });
    cluster.settle();
  }
  const { keys, error } = change(cluster, d, { kind: "list" });
  assert.equal(error, undefined);
  assert.deepEqual(keys?.keyCounts, new Map([[T2, 4]]));
  assert.deepEqual(keys?.primaryCounts, new Map([[T2, 4]]));
  for (const [i, node] of nodes.entries()) {
    assert.deepEqual(rings[i]?.keys(), [K2]);
    assert.deepEqual(node.saved, [`${T1} ${T2}`, `${T2} ${T1}`, T2]);
    assert.deepEqual(
      node.events.filter((line) => line.startsWith("user")),
      ["user: install@1=", "user: use@2=", "user: remove@3="],
    );
    assert.deepEqual(
      node.statuses(),
      ["a: alive", "b: alive", "c: alive", "d: alive"],
    );
  }
});

Deno.test("changeKeys() tells of a node that cannot keep its keys", () => {
  const { cluster, nodes, rings } = encrypted(["a", "b", "c"], [K1], {
    savesKeyring: true,
  });
  const [a, b] = nodes as [Node, Node];
  b.saveError = "open k.json: no space left on device";
  const { error, keys } = change(cluster, a, { kind: "install", key: K2 });
  assert.equal(error, "1/3 nodes reported failure");
  assert.deepEqual(
    keys?.messages,
    new Map([[
      "b",
      "Failed to write keyring file: open k.json: no space left on device",
    ]]),
  );
  assert.deepEqual(rings[1]?.keys(), [K1, K2]);
  b.saveError = undefined;
  const again = change(cluster, a, { kind: "install", key: K2 });
  assert.equal(again.error, undefined, "to ask again makes it good");
});

Deno.test("changeKeys() of a cluster that does not encrypt fails everywhere", () => {
  const { cluster, nodes } = encrypted(["a", "b"], []);
  const { error, keys } = change(cluster, nodes[0] as Node, { kind: "list" });
  assert.equal(error, "2/2 nodes reported failure");
  const why = "Keyring is empty (encryption not enabled)";
  assert.deepEqual([...keys?.messages ?? []].sort(), [["a", why], ["b", why]]);
});

Deno.test("changeKeys() to a key that one node lacks cuts it off, and is undone", () => {
  const { cluster, nodes, rings } = encrypted(["a", "b"]);
  const [a, b] = nodes as [Node, Node];
  rings[0]?.add(K2);
  const { error, keys } = change(cluster, a, { kind: "use", key: K2 });
  assert.equal(error, "1/2 nodes reported success");
  assert.equal(keys?.errors, 0);
  assert.equal(change(cluster, b, { kind: "use", key: K1 }).error, undefined);
  assert.deepEqual(rings.map(({ primary }) => primary), [K1, K1]);
});

Deno.test("changeKeys() is refused after a shutdown, and ended by one", () => {
  const { cluster, nodes } = encrypted(["a", "b"]);
  const [a] = nodes as [Node];
  const operations = [1, 2].map(() =>
    cluster.call(
      a,
      (engine, nowMs) => engine.changeKeys({ kind: "install", key: K2 }, nowMs),
    )
  );
  cluster.call(a, (engine, nowMs) => engine.shutdown(nowMs));
  for (const operation of operations) {
    assert.equal(a.results.get(operation)?.error, "Serf was shut down");
  }
  assert.throws(() => a.engine.changeKeys({ kind: "list" }, 0), {
    name: "StateError",
    message: "Cannot change keys after Shutdown",
  });
  a.engine.keyringSaved(1, undefined, cluster.nowMs);
  assert.deepEqual(a.engine.drain(), []);
});
