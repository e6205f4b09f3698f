import assert from "node:assert/strict";
import fc from "fast-check";
import type { MemberEventType } from "../../lib/serf/event.ts";
import type { Member } from "../../lib/serf/member.ts";
import { Cluster } from "../../lib/sim/cluster.ts";
import type { SimNode } from "../../lib/sim/node.ts";
import { type Belief, Views } from "../../lib/sim/views.ts";
import { FakeEngine } from "./fake_engine.ts";

const COUNT = 4;

/** A cluster of nodes that believe what a test tells them. */
function fixture() {
  const cluster = new Cluster({
    seed: 1,
    makeEngine: (config) => new FakeEngine(config),
  });
  const nodes = cluster.addNodes(COUNT);
  const views = new Views(cluster);
  const tell = (observer: SimNode, type: MemberEventType, subject: SimNode) =>
    views.onEvent(observer, {
      type,
      members: [{ name: subject.name } as Member],
    });
  const startAll = () => {
    for (const node of nodes) cluster.start(node);
    for (const observer of nodes) {
      for (const subject of nodes) tell(observer, "member-join", subject);
    }
  };
  return { cluster, nodes, views, tell, startAll };
}

Deno.test("wrong counts what is believed and not true", () => {
  const { cluster, nodes, views, tell, startAll } = fixture();
  const [a, b] = nodes as [SimNode, SimNode];
  assert.equal(views.wrong, 0);
  cluster.start(a);
  assert.equal(views.wrong, 1, "a does not know itself yet");
  startAll();
  assert.equal(views.wrong, 0);
  cluster.crash(b);
  assert.equal(views.wrong, COUNT - 1);
  tell(a, "member-failed", b);
  assert.equal(views.wrong, COUNT - 2);
  assert.equal(views.belief(a, b), "failed");
});

Deno.test("wrong takes nodes across a cut for gone, and forgives what one deaf direction does", () => {
  const { cluster, nodes, views, tell, startAll } = fixture();
  const [a, b] = nodes as [SimNode, SimNode];
  startAll();
  cluster.partition([0, 1, 1, 1]);
  assert.equal(views.wrong, 2 * (COUNT - 1));
  tell(a, "member-failed", b);
  assert.equal(views.wrong, 2 * (COUNT - 1) - 1);
  cluster.heal();
  assert.equal(views.wrong, 1);
  cluster.block(a, b);
  assert.equal(views.wrong, 0);
});

Deno.test("a false failure is one of a node that is up and reachable", () => {
  const { cluster, nodes, views, tell, startAll } = fixture();
  const [a, b, c, d] = nodes as [SimNode, SimNode, SimNode, SimNode];
  startAll();
  cluster.crash(b);
  tell(a, "member-failed", b);
  cluster.pause(c);
  tell(a, "member-failed", c);
  cluster.partition([0, 0, 0, 1]);
  tell(a, "member-failed", d);
  assert.equal(views.falseFailureCount, 0);
  cluster.heal();
  tell(a, "member-join", d);
  tell(a, "member-failed", d);
  assert.deepEqual(
    views.falseFailures.map((
      { observer, subject },
    ) => [observer.name, subject.name]),
    [["n0", "n3"]],
  );
});

Deno.test("allBelieve() and delivered() look at all nodes", () => {
  const { cluster, nodes, views, tell, startAll } = fixture();
  const [a, b, c, d] = nodes as [SimNode, SimNode, SimNode, SimNode];
  startAll();
  cluster.crash(d);
  tell(a, "member-failed", d);
  tell(b, "member-failed", d);
  assert.equal(views.allBelieve(d, "failed"), false);
  tell(c, "member-failed", d);
  assert.equal(views.allBelieve(d, "failed"), true);
  for (const node of [a, b]) {
    cluster.call(node, (engine, nowMs) => {
      engine.userEvent("deploy", new Uint8Array(0), { coalesce: false }, nowMs);
    });
  }
  assert.equal(views.delivered("deploy"), 2);
});

Deno.test("wrong always equals a count from scratch", () => {
  const pair = fc.tuple(fc.nat(COUNT - 1), fc.nat(COUNT - 1));
  const types: MemberEventType[] = [
    "member-join",
    "member-failed",
    "member-leave",
    "member-reap",
  ];
  const step = fc.oneof(
    fc.record({
      kind: fc.constant("event" as const),
      pair,
      type: fc.constantFrom(...types),
    }),
    fc.record({
      kind: fc.constantFrom(
        "start",
        "crash",
        "pause",
        "resume",
        "leave",
        "block",
        "split",
        "heal",
      ),
      pair,
    }),
  );
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const { cluster, nodes, views, tell } = fixture();
    for (const { kind, pair, ...rest } of steps) {
      const [a, b] = pair.map((index) => nodes[index]) as [SimNode, SimNode];
      if (kind === "event" && "type" in rest) tell(a, rest.type, b);
      else if (kind === "start") cluster.start(a);
      else if (kind === "crash") cluster.crash(a);
      else if (kind === "pause") cluster.pause(a);
      else if (kind === "resume") cluster.resume(a);
      else if (kind === "leave") cluster.leave(a);
      else if (kind === "block") cluster.block(a, b);
      else if (kind === "split") {
        cluster.partition(nodes.map(({ index }) => index > b.index ? 1 : 0));
      } else cluster.heal();
      assert.equal(views.wrong, countWrong(cluster, views));
    }
  }));
});

/** The definition, pair by pair. */
function countWrong(cluster: Cluster, views: Views): number {
  let wrong = 0;
  for (const observer of cluster.nodes) {
    for (const subject of cluster.nodes) {
      const hears = !cluster.network.isCut(subject.index, observer.index);
      const isHeard = !cluster.network.isCut(observer.index, subject.index);
      const isJudged = observer.isServing && subject.life > 0 &&
        !subject.isPaused && hears === isHeard;
      const truth: Belief[] = subject.isServing && hears
        ? ["alive"]
        : ["unknown", "failed", "left"];
      if (isJudged && !truth.includes(views.belief(observer, subject))) wrong++;
    }
  }
  return wrong;
}
