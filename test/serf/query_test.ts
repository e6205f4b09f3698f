/**
 * Queries in whole clusters, in virtual time. The rules one by one are in
 * query_filter_test.ts, query_arrival_test.ts, answer_test.ts and
 * running_query_test.ts.
 */

import assert from "node:assert/strict";
import type { QueryParams } from "../../lib/serf/engine.ts";
import type { QueryEvent } from "../../lib/serf/event.ts";
import { type Cluster, joined, type Node } from "./cluster.ts";

const NAMES = ["a", "b", "c", "d"];
const ROLES: Readonly<Record<string, string>> = {
  a: "lb",
  b: "web",
  c: "web",
  d: "db",
};

/** A cluster of four with roles; each answers `load` with its name. */
function answering(): { cluster: Cluster; nodes: [Node, Node, Node, Node] } {
  const { cluster, nodes } = joined(
    NAMES,
    (name) => ({ tags: new Map([["role", ROLES[name] as string]]) }),
  );
  for (const node of nodes) {
    node.answer = ({ name }) => name === "load" ? node.name : undefined;
  }
  return { cluster, nodes: nodes as [Node, Node, Node, Node] };
}

function ask(
  cluster: Cluster,
  node: Node,
  params: Partial<QueryParams> = {},
): number {
  return cluster.call(
    node,
    (engine, nowMs) => engine.query({ name: "load", ...params }, nowMs),
  );
}

/** Asks, waits for the end, and says who acked, who answered, and how long it took. */
function outcome(
  cluster: Cluster,
  node: Node,
  params: Partial<QueryParams> = {},
): { acks: string; answers: string; tookMs: number } {
  node.replies.length = 0;
  const startMs = cluster.nowMs;
  cluster.finish(node, ask(cluster, node, params));
  const acks = node.replies.filter((line) => line.startsWith("ack "))
    .map((line) => line.slice(4));
  const answers = node.replies.filter((line) => line.includes(": "));
  return {
    acks: acks.sort().join(" "),
    answers: answers.sort().join(", "),
    tookMs: cluster.nowMs - startMs,
  };
}

Deno.test("a query reaches everybody, once, and its answers come back", () => {
  const { cluster, nodes } = answering();
  const { acks, answers, tookMs } = outcome(cluster, nodes[0], {
    requestAck: true,
  });
  assert.equal(acks, "a b c d");
  assert.equal(answers, "a: a, b: b, c: c, d: d");
  assert.ok(tookMs < 3_200, `ended after ${tookMs} ms`);
  cluster.settle();
  for (const { events } of nodes) {
    assert.deepEqual(events, ["query: load@1="]);
  }
});

Deno.test("a query takes its whole time when somebody does not answer", () => {
  const { cluster, nodes } = answering();
  nodes[2].answer = undefined;
  const { acks, answers, tookMs } = outcome(cluster, nodes[0], {
    requestAck: true,
  });
  assert.equal(acks, "a b c d");
  assert.equal(answers, "a: a, b: b, d: d");
  assert.equal(tookMs, 3_200);
});

Deno.test("a query is answered by those whom its filters match", () => {
  const { cluster, nodes: [a] } = answering();
  const byTag = outcome(cluster, a, {
    requestAck: true,
    filterTags: new Map([["role", "^w.b$"]]),
  });
  assert.equal(byTag.acks, "b c");
  assert.equal(byTag.answers, "b: b, c: c");
  assert.equal(byTag.tookMs, 3_200, "others might have changed their tags");
  const byName = outcome(cluster, a, { filterNodes: ["b", "d"] });
  assert.equal(byName.answers, "b: b, d: d");
  assert.ok(byName.tookMs < 3_200);
  const both = outcome(cluster, a, {
    filterNodes: ["b", "d"],
    filterTags: new Map([["role", "e"]]),
  });
  assert.equal(both.answers, "b: b");
  const nobody = outcome(cluster, a, {
    requestAck: true,
    filterTags: new Map([["role", "("]]),
  });
  assert.deepEqual(nobody, { acks: "", answers: "", tookMs: 3_200 });
  assert.ok(a.log.some((line) => line.includes("failed to compile filter")));
});

Deno.test("a ping is over when everybody has acked", () => {
  const { cluster, nodes } = answering();
  const { acks, answers, tookMs } = outcome(cluster, nodes[0], {
    name: "_serf_ping",
    requestAck: true,
  });
  assert.equal(acks, "a b c d");
  assert.equal(answers, "");
  assert.ok(tookMs < 3_200);
  for (const { events } of nodes) assert.deepEqual(events, []);
});

Deno.test("relayed copies are recognised, and keep no query open", () => {
  const { cluster, nodes: [a, b] } = answering();
  const { acks, answers } = outcome(cluster, a, {
    requestAck: true,
    relayFactor: 2,
  });
  cluster.run(3_000);
  assert.equal(acks, "a b c d");
  assert.equal(answers, "a: a, b: b, c: c, d: d");
  assert.ok(b.log.some((line) => line.includes("Relaying response to addr")));
  assert.deepEqual(a.log.filter((line) => /WARN|ERR/.test(line)), []);
});

Deno.test("relaying brings an answer home where the straight way is blocked", () => {
  const { cluster, nodes: [a, b] } = answering();
  // Nothing comes to a from b itself; what others pass on does.
  cluster.block(b, a);
  const straight = outcome(cluster, a, { filterNodes: ["b"] });
  assert.equal(straight.answers, "");
  cluster.runUntil(
    () => b.engine.members().every(({ status }) => status === "alive"),
    60_000,
    "all are alive",
  );
  const relayed = outcome(cluster, a, { filterNodes: ["b"], relayFactor: 3 });
  assert.equal(relayed.answers, "b: b");
});

Deno.test("an answer that comes too late counts nowhere", () => {
  const { cluster, nodes: [a, b] } = answering();
  let late: QueryEvent | undefined;
  b.answer = (query) => {
    late = query;
    return undefined;
  };
  const { answers, tookMs } = outcome(cluster, a, { timeoutMs: 500 });
  assert.equal(answers, "a: a, c: c, d: d");
  assert.equal(tookMs, 500);
  cluster.run(500);
  assert.throws(
    () =>
      b.engine.respond(late as QueryEvent, new Uint8Array(0), cluster.nowMs),
    {
      message: "failed to respond to key query: response is past the deadline",
    },
  );
});

Deno.test("a query of a node that is alone ends with its own answer", () => {
  const { cluster, nodes: [only] } = joined(["a"]);
  (only as Node).answer = () => "1";
  const { acks, answers, tookMs } = outcome(cluster, only as Node, {
    requestAck: true,
  });
  assert.deepEqual({ acks, answers, tookMs }, {
    acks: "a",
    answers: "a: 1",
    tookMs: 1,
  });
});

Deno.test("SerfEngine.query() and respond() are refused after a shutdown", () => {
  const { cluster, nodes: [a] } = answering();
  const operation = ask(cluster, a, { name: "later" });
  cluster.call(a, (engine, nowMs) => engine.shutdown(nowMs));
  assert.equal(a.results.get(operation)?.error, "Serf was shut down");
  assert.throws(() => a.engine.query({ name: "q" }, cluster.nowMs), {
    name: "StateError",
    message: "Cannot send a query after Shutdown",
  });
});

Deno.test("equal seeds give equal queries", () => {
  const run = () => {
    const { cluster, nodes: [a] } = answering();
    const { tookMs } = outcome(cluster, a, {
      requestAck: true,
      relayFactor: 2,
    });
    return [tookMs, ...a.replies];
  };
  assert.deepEqual(run(), run());
});
