import assert from "node:assert/strict";
import { utf8Bytes } from "../../lib/kit/bytes.ts";
import type { MemberView } from "../../lib/swim/member.ts";
import {
  decodeConflictResponse,
  decodeSerfMessage,
  encodeConflictResponse,
} from "../../lib/wire/serf_messages.ts";
import { joined, type Node } from "./cluster.ts";
import { bodyOf, nodeOf, Parts, SELF } from "./parts.ts";
import { query } from "./queries.ts";

const SELF_VIEW = { name: SELF, address: "10.0.0.0:7946" } as MemberView;

/** A node that holds so many others for members, `n0` and so on. */
function knowing(others: number): Parts {
  const parts = new Parts();
  parts.roster.joined(nodeOf(SELF, 0), 0);
  for (let i = 0; i < others; i++) {
    parts.roster.joined(nodeOf(`n${i}`, 10 + i), 0);
  }
  parts.takeLog();
  return parts;
}

/** Finds a conflict about our name, and returns how to vote on it. */
function voting(parts: Parts): (from: string, payload: Uint8Array) => void {
  parts.queries.conflictFound(SELF_VIEW, nodeOf(SELF, 9), 0);
  const [body] = parts.queues.take(3, 1_400, 1).map(bodyOf);
  const message = decodeSerfMessage(body as Uint8Array);
  assert.ok(message.kind === "query");
  assert.equal(message.name, "_serf_conflict");
  assert.deepEqual(message.payload, utf8Bytes(SELF));
  assert.equal(message.flags, 0);
  const { ltime, id } = message;
  return (from, payload) =>
    parts.queries.responseArrived(
      { kind: "queryResponse", ltime, id, from, flags: 0, payload },
      1,
    );
}

/** What a member says that holds the node with this last byte for the owner. */
function recordOf(lastByte: number): Uint8Array {
  const { name, addr, port } = nodeOf(SELF, lastByte);
  return encodeConflictResponse({
    name,
    addr,
    port,
    tags: new Map(),
    status: 1,
    protocolMin: 1,
    protocolMax: 5,
    protocolCur: 2,
    delegateMin: 2,
    delegateMax: 5,
    delegateCur: 5,
  });
}

const US = recordOf(0);
const THEM = recordOf(9);
const NOBODY = encodeConflictResponse(undefined);

Deno.test("NameConflicts goes by the majority of those who answer", () => {
  const cases: [votes: Uint8Array[], stays: boolean, score: string][] = [
    [[US], true, "[1 / 1]"],
    [[THEM], false, "[0 / 1]"],
    [[US, THEM], false, "[1 / 2]"],
    [[US, US, THEM], true, "[2 / 3]"],
    [[US, NOBODY], false, "[1 / 2]"],
    [[US, US, NOBODY], true, "[2 / 3]"],
  ];
  for (const [votes, stays, score] of cases) {
    const parts = knowing(votes.length);
    const vote = voting(parts);
    for (const [i, payload] of votes.entries()) vote(`n${i}`, payload);
    parts.fireTimers(3_199);
    assert.deepEqual(parts.lostAtMs, [], "the vote takes its time");
    parts.fireTimers(3_200);
    assert.deepEqual(parts.lostAtMs, stays ? [] : [3_200], score);
    const line = stays
      ? `[INFO] serf: majority in name conflict resolution ${score}`
      : `[WARN] serf: minority in name conflict resolution, quiting ${score}`;
    assert.equal(parts.takeLog().at(-1), line);
  }
});

Deno.test("NameConflicts takes no answers, or those of a few, for no verdict", () => {
  const cases: [members: number, votes: Uint8Array[], verdict: string][] = [
    [0, [], "no verdict"],
    [3, [], "no verdict"],
    [3, [THEM], "no verdict"],
    [3, [THEM, THEM], "minority"],
    [4, [THEM, THEM], "minority"],
    [5, [THEM, THEM], "no verdict"],
    // Those who name us are enough, however few they are.
    [5, [US], "majority"],
    [5, [US, THEM], "no verdict"],
  ];
  for (const [members, votes, verdict] of cases) {
    const parts = knowing(members);
    const vote = voting(parts);
    for (const [i, payload] of votes.entries()) vote(`n${i}`, payload);
    parts.fireTimers(3_200);
    const stays = verdict !== "minority";
    assert.deepEqual(parts.lostAtMs, stays ? [] : [3_200]);
    const line = parts.takeLog().at(-1) ?? "";
    assert.ok(line.includes(`: ${verdict} in name conflict resolution`), line);
    assert.equal(parts.core.state, "alive");
  }
  const parts = knowing(3);
  voting(parts)("n1", THEM);
  parts.fireTimers(3_200);
  assert.equal(
    parts.takeLog().at(-1),
    "[WARN] serf: no verdict in name conflict resolution, going on [0 / 1], of 3 members asked",
  );
});

Deno.test("NameConflicts counts members alone, each of them once", () => {
  const parts = knowing(3);
  const vote = voting(parts);
  parts.roster.gone("n2", 0);
  for (const name of ["x", "y", "z", SELF, "n2"]) vote(name, THEM);
  for (let i = 0; i < 3; i++) vote("n0", i === 0 ? US : THEM);
  parts.fireTimers(3_200);
  assert.deepEqual(parts.lostAtMs, []);
  assert.equal(
    parts.takeLog().at(-1),
    "[INFO] serf: majority in name conflict resolution [1 / 1]",
  );
});

Deno.test("NameConflicts ends nobody that is on its way out", () => {
  const parts = knowing(1);
  voting(parts)("n0", THEM);
  parts.core.become("leaving");
  parts.fireTimers(3_200);
  assert.deepEqual(parts.lostAtMs, []);
});

Deno.test("NameConflicts counts no votes that it cannot read", () => {
  const parts = knowing(4);
  const vote = voting(parts);
  parts.takeLog();
  vote("n0", new Uint8Array(0));
  vote("n1", Uint8Array.of(5, 0xc0));
  vote("n2", Uint8Array.of(6, 0x81));
  vote("n3", US);
  parts.fireTimers(3_200);
  const log = parts.takeLog();
  assert.equal(log[0], "[ERR] serf: Invalid conflict query response type: []");
  assert.equal(
    log[1],
    "[ERR] serf: Invalid conflict query response type: [5 192]",
  );
  assert.match(
    log[2] ?? "",
    /^\[ERR\] serf: Failed to decode conflict query response: /,
  );
  assert.equal(
    log[3],
    "[INFO] serf: majority in name conflict resolution [1 / 1]",
  );
});

Deno.test("NameConflicts takes both forms of an address for one", () => {
  const parts = knowing(1);
  const vote = voting(parts);
  const addr = new Uint8Array(16);
  addr.set([0xff, 0xff, 10, 0, 0, 0], 10);
  const ours = decodeConflictResponse(US);
  assert.ok(ours !== undefined);
  vote("n0", encodeConflictResponse({ ...ours, addr }));
  parts.fireTimers(3_200);
  assert.deepEqual(parts.lostAtMs, []);
  assert.match(parts.takeLog().at(-1) ?? "", /: majority .* \[1 \/ 1\]$/);
});

Deno.test("NameConflicts holds one vote at a time, and pauses after it", () => {
  const parts = knowing(1);
  const vote = voting(parts);
  parts.queries.conflictFound(SELF_VIEW, nodeOf(SELF, 9), 10);
  assert.equal(parts.queues.depth("Query"), 1);
  const line =
    "[ERR] serf: Node name conflicts with another node at 10.0.0.9:7946. Names must be unique! (Resolution enabled: true)";
  assert.deepEqual(parts.takeLog(), [line, line]);
  vote("n0", US);
  parts.fireTimers(3_200);
  parts.queries.conflictFound(SELF_VIEW, nodeOf(SELF, 9), 33_199);
  assert.equal(parts.queues.depth("Query"), 1);
  parts.queries.conflictFound(SELF_VIEW, nodeOf(SELF, 9), 33_200);
  assert.equal(parts.queues.depth("Query"), 2);
});

Deno.test("NameConflicts makes no flood of log lines of a flood of conflicts", () => {
  const parts = new Parts();
  const other = { name: "b", address: "10.0.0.2:7946" } as MemberView;
  for (let i = 0; i < 500; i++) {
    parts.queries.conflictFound(SELF_VIEW, nodeOf(SELF, 9), i);
    parts.queries.conflictFound(other, nodeOf("b", 9), i);
  }
  assert.equal(parts.takeLog().length, 10);
});

Deno.test("NameConflicts leaves it at a log line when it is told to", () => {
  const parts = new Parts({ enableNameConflictResolution: false });
  parts.queries.conflictFound(SELF_VIEW, nodeOf(SELF, 9), 0);
  assert.deepEqual(parts.takeLog(), [
    "[ERR] serf: Node name conflicts with another node at 10.0.0.9:7946. Names must be unique! (Resolution enabled: false)",
  ]);
  assert.equal(parts.queues.depth("Query"), 0);
});

Deno.test("NameConflicts says so when our protocol version has no votes", () => {
  const parts = new Parts({ protocolVersion: 3 });
  parts.queries.conflictFound(SELF_VIEW, nodeOf(SELF, 9), 0);
  assert.equal(
    parts.takeLog().at(-1),
    "[ERR] serf: Failed to start name resolution query: Feature not supported",
  );
});

Deno.test("NameConflicts answers whom it holds a name for, but not its own", () => {
  const parts = new Parts();
  parts.roster.joined(nodeOf("b", 2), 0);
  const name = "_serf_conflict";
  const answersTo = (about: string, id: number) => {
    parts.answersSent.length = 0;
    const payload = utf8Bytes(about);
    parts.queries.arrived(query(5n, id, { name, payload }), 0);
    return parts.answersSent.map(({ body }) => {
      const message = decodeSerfMessage(body);
      assert.ok(message.kind === "queryResponse");
      return decodeConflictResponse(message.payload);
    });
  };
  const [record] = answersTo("b", 1);
  assert.equal(record?.name, "b");
  assert.deepEqual([...record?.addr ?? []], [10, 0, 0, 2]);
  assert.equal(record?.port, 7946);
  assert.equal(record?.status, 1);
  assert.equal(record?.delegateCur, 5);
  assert.deepEqual(answersTo("stranger", 2), [undefined]);
  assert.deepEqual(answersTo(SELF, 3), []);
});

Deno.test("a node whose name is another's shuts down, and only that one", () => {
  const { cluster, nodes } = joined(["a", "b", "c"]);
  const [a, b, c] = nodes as [Node, Node, Node];
  const impostor = cluster.start("b");
  cluster.finish(impostor, cluster.join(impostor, a));
  const operation = cluster.call(
    impostor,
    (engine, nowMs) => engine.query({ name: "q", timeoutMs: 60_000 }, nowMs),
  );
  cluster.runUntil(() => impostor.hasStopped, 10_000, "the impostor goes");
  assert.equal(impostor.engine.state, "shutdown");
  assert.equal(impostor.results.get(operation)?.error, "Serf was shut down");
  const log = impostor.log.join("\n");
  assert.ok(log.includes(
    "[ERR] serf: Node name conflicts with another node at 10.0.0.2:7946. Names must be unique! (Resolution enabled: true)",
  ));
  assert.ok(log.endsWith(
    "[WARN] serf: minority in name conflict resolution, quiting [0 / 2]\n" +
      "[WARN] serf: Shutdown without a Leave",
  ));
  assert.ok(a.log.includes(
    "[WARN] serf: Name conflict for 'b' both 10.0.0.2:7946 and 10.0.0.4:7946 are claiming",
  ));
  cluster.run(10_000);
  for (const node of [a, b, c]) {
    assert.equal(node.hasStopped, false);
    assert.deepEqual(node.statuses(), ["a: alive", "b: alive", "c: alive"]);
  }
});

Deno.test("two nodes of one name that are alone both go on, until somebody knows better", () => {
  const { cluster, nodes: [first] } = joined(["a"]);
  const a = first as Node;
  const second = cluster.start("a");
  cluster.finish(second, cluster.join(second, a));
  const line =
    "[WARN] serf: no verdict in name conflict resolution, going on [0 / 0], of 0 members asked";
  cluster.runUntil(
    () => [a, second].every(({ log }) => log.includes(line)),
    10_000,
    "no verdict",
  );
  const voter = cluster.start("b");
  cluster.finish(voter, cluster.join(voter, a));
  cluster.run(30_000);
  cluster.finish(second, cluster.join(second, voter));
  cluster.runUntil(() => second.hasStopped, 60_000, "the second one goes");
  cluster.run(10_000);
  assert.equal(a.hasStopped, false);
  assert.deepEqual(a.statuses(), ["a: alive", "b: alive"]);
});
