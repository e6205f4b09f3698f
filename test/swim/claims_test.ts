/** What becomes of claims about members, each shown on a few engines in virtual time. */

import assert from "node:assert/strict";
import { encodeCompound } from "../../lib/wire/compound.ts";
import { encodeMessage } from "../../lib/wire/message_codec.ts";
import { type Alive, MessageType } from "../../lib/wire/messages.ts";
import { Random } from "../../lib/kit/random.ts";
import { Claims } from "../../lib/swim/claims.ts";
import { SwimCore } from "../../lib/swim/core.ts";
import { mergePushPull } from "../../lib/swim/push_pull.ts";
import { suspicionTimeoutMs } from "../../lib/swim/suspicion.ts";
import { aliveOf, Arena, feed, type Node } from "./arena.ts";

Deno.test("confirmations by others shorten a suspicion", () => {
  const arena = new Arena();
  const [a] = arena.cluster(["a", "b", "c", "d", "e", "f"]) as [Node];
  arena.block = () => true;
  const startedMs = arena.nowMs;
  for (const from of ["x", "y", "z"]) {
    feed(arena, a, { kind: "suspect", incarnation: 1, node: "b", from });
  }
  arena.runUntil(() => a.stateOf("b") === "dead", 60_000);
  const shortestMs = suspicionTimeoutMs(4, 6, 1_000);
  assert.equal(arena.nowMs - startedMs, shortestMs);
});

Deno.test("who missed a refutation asks before it calls a member dead", () => {
  const arena = new Arena();
  const [a, b] = arena.cluster(["a", "b", "c", "d", "e", "f"]) as [Node, Node];
  const alone = (isAlone: boolean) => {
    arena.block = ({ from, to }) =>
      isAlone && (from === a.address || to === a.address);
  };
  arena.runUntil(() => a.engine.queueDepth === 0, 10_000);
  // Everybody but a hears that b refutes.
  alone(true);
  feed(arena, b, { kind: "suspect", incarnation: 1, node: "b", from: "c" });
  arena.advance(700);
  assert.equal(b.engine.local?.incarnation, 2);
  alone(false);
  feed(arena, a, { kind: "suspect", incarnation: 1, node: "b", from: "c" });
  arena.block = ({ from, to, kind }) =>
    kind === "stream" || (from !== b.address && to === a.address);
  arena.runUntil(() => a.stateOf("b") === "alive", 24_000);
  assert.ok(!a.story.includes("memberLeave b"));
});

Deno.test("a suspicion of a newer incarnation starts anew", () => {
  const arena = new Arena();
  const [a] = arena.cluster(["a", "b", "c", "d", "e", "f"]) as [Node];
  arena.block = () => true;
  const suspect = (incarnation: number, from: string) =>
    feed(arena, a, { kind: "suspect", incarnation, node: "b", from });
  suspect(1, "c");
  arena.advance(suspicionTimeoutMs(4, 6, 1_000) + 500);
  suspect(2, "d");
  suspect(2, "e");
  suspect(2, "f");
  assert.equal(a.stateOf("b"), "suspect", "old accusers do not count");
  arena.advance(suspicionTimeoutMs(4, 6, 1_000) - 1);
  assert.equal(a.stateOf("b"), "suspect");
  arena.advance(2);
  assert.equal(a.stateOf("b"), "dead");
});

Deno.test("a member that passes on a refuted accusation is shown the proof", () => {
  const arena = new Arena();
  const [a, b] = arena.cluster(["a", "b"]) as [Node, Node];
  feed(arena, b, { kind: "suspect", incarnation: 1, node: "b", from: "x" });
  arena.runUntil(() => a.engine.member("b")?.incarnation === 2, 5_000);
  arena.runUntil(() => b.engine.queueDepth === 0, 5_000);
  const answersTo = (from: string) => {
    const accusation = encodeMessage({
      kind: "dead",
      ...{ incarnation: 1, node: "b", from: "x" },
    });
    const both = encodeCompound([accusation, accusation]);
    b.engine.handlePacket(from, both, arena.nowMs);
    return b.engine.drain().filter((output) => output.kind === "packet");
  };
  const [packet, ...more] = answersTo(a.address);
  assert.equal(packet?.to, a.address);
  assert.equal(packet.bytes[0], MessageType.alive);
  assert.deepEqual(more, [], "once for each packet");
  assert.deepEqual(answersTo("10.9.9.9:7946"), [], "a stranger");
});

Deno.test("a suspected member refutes with a higher incarnation", () => {
  const arena = new Arena();
  const [a, b] = arena.cluster(["a", "b", "c"]) as [Node, Node];
  feed(arena, a, { kind: "suspect", incarnation: 1, node: "b", from: "c" });
  assert.equal(a.stateOf("b"), "suspect");
  arena.runUntil(() => a.stateOf("b") === "alive", 5_000);
  assert.equal(a.engine.member("b")?.incarnation, 2);
  assert.equal(b.engine.local?.incarnation, 2);
  assert.deepEqual(a.story.filter((line) => line.endsWith("b")), [
    "memberJoin b",
  ]);
});

Deno.test("a member called dead refutes, and joins again for those who believed it", () => {
  const arena = new Arena();
  const [a, b] = arena.cluster(["a", "b", "c"]) as [Node, Node];
  feed(arena, a, { kind: "dead", incarnation: 1, node: "b", from: "c" });
  assert.equal(a.stateOf("b"), "dead");
  arena.runUntil(() => a.stateOf("b") === "alive", 5_000);
  assert.equal(b.stateOf("b"), "alive");
  assert.deepEqual(a.story.filter((line) => line.endsWith("b")), [
    "memberJoin b",
    "memberLeave b",
    "memberJoin b",
  ]);
});

Deno.test("refutation goes above whatever incarnation the accuser names", () => {
  const arena = new Arena();
  const a = arena.add("a");
  feed(arena, a, { kind: "suspect", incarnation: 40, node: "a", from: "x" });
  assert.equal(a.engine.local?.incarnation, 41);
  assert.equal(a.engine.healthScore, 1);
});

Deno.test("an incarnation far ahead is refused, and nothing changes", () => {
  const arena = new Arena();
  const [a, b] = arena.cluster(["a", "b"]) as [Node, Node];
  for (const node of ["a", "b"]) {
    for (const incarnation of [2 ** 31 + 1_026, 2 ** 32 - 1]) {
      feed(arena, a, { kind: "suspect", incarnation, node, from: "x" });
      feed(arena, a, { kind: "dead", incarnation, node, from: "x" });
    }
  }
  feed(arena, a, aliveOf("b", 2 ** 31 + 1_026, [10, 0, 0, 2]));
  feed(arena, a, aliveOf("new", 2 ** 32 - 1, [10, 0, 0, 99]));
  assert.equal(a.engine.metrics.incarnationsRefused.value, 10);
  assert.equal(a.engine.local?.incarnation, 1);
  assert.equal(a.engine.member("b")?.incarnation, 1);
  assert.equal(a.engine.member("new"), undefined);
  // Below that, and a little above what is known, it is believed.
  feed(arena, b, {
    kind: "suspect",
    incarnation: 2 ** 31 - 1,
    node: "b",
    from: "x",
  });
  feed(arena, b, {
    kind: "suspect",
    incarnation: 2 ** 31 + 1_024,
    node: "b",
    from: "x",
  });
  assert.equal(b.engine.local?.incarnation, 2 ** 31 + 1_025);
});

Deno.test("Claims.suspect() and the last incarnation: nothing is newer", () => {
  const host = new Arena().add("host");
  const core = new SwimCore(host.config, host, {
    random: new Random(1),
    nextNonce: () => new Uint8Array(12),
  });
  const claims = new Claims(core);
  const last = 2 ** 32 - 1;
  const accuse = (incarnation: number) =>
    claims.suspect(
      { kind: "suspect", incarnation, node: "host", from: "x" },
      0,
    );
  claims.announce(0);
  accuse(6);
  assert.equal(core.incarnation, 7);
  accuse(last);
  assert.equal(
    core.incarnation,
    7,
    "those who do not believe it know us by ours",
  );
  accuse(last - 1);
  assert.equal(core.incarnation, last);
  accuse(last);
  assert.equal(core.incarnation, 1, "never 0, of which nobody is made");
  assert.equal(core.self?.incarnation, 1);
  core.incarnation = last;
  claims.announce(0);
  assert.equal(core.incarnation, 1);
});

Deno.test("an exchange that we began is believed, whatever its incarnations", () => {
  const arena = new Arena();
  const a = arena.add("a");
  const core = new SwimCore(a.config, a, {
    random: new Random(1),
    nextNonce: () => new Uint8Array(12),
  });
  const claims = new Claims(core);
  claims.announce(0);
  const node = {
    ...aliveOf("b", 1, [10, 0, 0, 2]).node,
    vsn: core.describeSelf().vsn,
  };
  const state = { node, incarnation: 2 ** 31 + 5_000, state: "alive" } as const;
  const exchange = {
    kind: "pushPull",
    join: false,
    states: [state],
    userState: new Uint8Array(0),
  } as const;
  mergePushPull(core, claims, exchange, 0);
  assert.equal(core.members.get("b"), undefined);
  mergePushPull(core, claims, exchange, 0, 1, true);
  assert.equal(core.members.get("b")?.incarnation, state.incarnation);
});

Deno.test("a name at another address is a conflict while its owner lives", () => {
  const arena = new Arena();
  const [a] = arena.cluster(["a", "b"]) as [Node];
  feed(arena, a, aliveOf("b", 9, [10, 0, 0, 99]));
  assert.equal(a.engine.member("b")?.address, "10.0.0.2:7946");
  assert.equal(a.story.at(-1), "conflict");
});

Deno.test("a name may be taken over from a member that left, at any incarnation", () => {
  const arena = new Arena();
  const [a, b] = arena.cluster(["a", "b"]) as [Node, Node];
  b.engine.leave(5_000, arena.nowMs);
  arena.perform(b);
  arena.runUntil(() => a.stateOf("b") === "left", 5_000);
  arena.crash(b);
  feed(arena, a, aliveOf("b", 1, [10, 0, 0, 99]));
  assert.equal(a.engine.member("b")?.address, "10.0.0.99:7946");
  assert.equal(a.stateOf("b"), "alive");
});

Deno.test("a dead name is taken over only after deadNodeReclaimMs", () => {
  const arena = new Arena();
  const [a, b] = arena.cluster(["a", "b"], { deadNodeReclaimMs: 10_000 }) as [
    Node,
    Node,
  ];
  arena.crash(b);
  feed(arena, a, { kind: "dead", incarnation: 1, node: "b", from: "x" });
  feed(arena, a, aliveOf("b", 9, [10, 0, 0, 99]));
  assert.equal(a.stateOf("b"), "dead");
  arena.advance(10_001);
  feed(arena, a, aliveOf("b", 9, [10, 0, 0, 99]));
  assert.equal(a.engine.member("b")?.address, "10.0.0.99:7946");
});

Deno.test("both spellings of an IPv4 address are one address", () => {
  const arena = new Arena();
  const a = arena.add("a");
  feed(arena, a, aliveOf("b", 1, [10, 0, 0, 2]));
  feed(
    arena,
    a,
    aliveOf("b", 2, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 0, 0, 2]),
  );
  assert.equal(a.engine.member("b")?.incarnation, 2);
  assert.ok(!a.story.includes("conflict"));
});

Deno.test("alive messages that make no sense change nothing", () => {
  const arena = new Arena();
  const a = arena.add("a");
  const good = aliveOf("b", 1, [10, 0, 0, 2]);
  const bad: Partial<Alive["node"]>[] = [
    { addr: new Uint8Array(3) },
    { addr: new Uint8Array(0) },
    { vsn: Uint8Array.of(1, 5, 2) },
    { vsn: Uint8Array.of(0, 5, 2, 2, 5, 5) },
    { vsn: Uint8Array.of(5, 1, 2, 2, 5, 5) },
    { meta: new Uint8Array(513) },
    { name: "n".repeat(513) },
  ];
  for (const change of bad) {
    feed(arena, a, { ...good, node: { ...good.node, ...change } });
  }
  feed(arena, a, { ...good, incarnation: 0 });
  assert.equal(a.engine.members().length, 1);
  assert.equal(a.engine.metrics.refused.value, bad.length);
  feed(arena, a, good);
  assert.equal(a.engine.members().length, 2);
});

Deno.test("the member table stops at membersMax", () => {
  const arena = new Arena();
  const a = arena.add("a", { membersMax: 3 });
  for (let i = 0; i < 10; i++) {
    feed(arena, a, aliveOf(`n${i}`, 1, [10, 0, 1, i]));
  }
  assert.equal(a.engine.members().length, 3);
  assert.ok(
    a.logs.some((line) => line.includes("the member table is full (3)")),
  );
});

Deno.test("the recently dead are told, the long dead are forgotten", () => {
  const arena = new Arena();
  const [a, b] = arena.cluster(["a", "b", "c"]) as [Node, Node];
  arena.crash(b);
  arena.runUntil(() => a.stateOf("b") === "dead", 60_000);
  arena.advance(40_000);
  assert.equal(a.stateOf("b"), undefined);
});

Deno.test("a flood of accusations is no flood of log lines", () => {
  const arena = new Arena();
  const [a] = arena.cluster(["a", "b"]) as [Node];
  a.logs.length = 0;
  const { node } = aliveOf("a", 1, [10, 0, 0, 1]);
  for (let i = 1; i <= 300; i++) {
    const about = { incarnation: 3 * i, node: "a", from: "x" };
    feed(arena, a, { kind: "suspect", ...about });
    feed(arena, a, { kind: "dead", ...about, incarnation: 3 * i + 1 });
    const incarnation = 3 * i + 2;
    const meta = Uint8Array.of(i);
    feed(arena, a, { kind: "alive", incarnation, node: { ...node, meta } });
  }
  assert.equal(a.engine.local?.incarnation, 903, "each is refuted");
  const lines = a.logs.filter((line) => line.includes("Refuting"));
  assert.equal(lines.length, 10);
  assert.equal(a.engine.metrics.refused.value, 0);
});
