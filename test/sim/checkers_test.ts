import assert from "node:assert/strict";
import { EMPTY_BYTES } from "../../lib/kit/bytes.ts";
import type { MemberEventType, SerfEvent } from "../../lib/serf/event.ts";
import type { Member } from "../../lib/serf/member.ts";
import { NumberChecker, TableChecker } from "../../lib/sim/checkers.ts";
import { EventChecker } from "../../lib/sim/event_checkers.ts";
import type { SimNode } from "../../lib/sim/node.ts";
import type { MemberView } from "../../lib/swim/member.ts";
import type { NodeStateName } from "../../lib/wire/messages.ts";

const NAMES = ["a", "b"];
const A = { index: 0, name: "a", isServing: true };

function indexOf(name: string): number | undefined {
  const index = NAMES.indexOf(name);
  return index < 0 ? undefined : index;
}

/** A checker and the rules that were broken so far. */
function tables() {
  const broken: string[] = [];
  const checker = new TableChecker(2, indexOf, (rule) => broken.push(rule));
  return { checker, broken };
}

/** A row of a member table that can be changed. */
function row(name: string, state: NodeStateName, incarnation: number) {
  return { name, state, incarnation } as {
    -readonly [K in keyof MemberView]: MemberView[K];
  };
}

/** What rules break when node a first holds b like this, then like that. */
function transition(
  before: [NodeStateName, number],
  after: [NodeStateName, number],
): string[] {
  const { checker, broken } = tables();
  const b = row("b", ...before);
  checker.noteOwn({ index: 1, name: "b", isServing: true }, {
    member: () => row("b", "alive", 9),
  });
  checker.check(A, { members: () => [b] });
  [b.state, b.incarnation] = after;
  checker.check(A, { members: () => [b] });
  return broken;
}

Deno.test("TableChecker allows a state to get worse, and anything at a newer incarnation", () => {
  assert.deepEqual(transition(["alive", 5], ["alive", 5]), []);
  assert.deepEqual(transition(["alive", 5], ["suspect", 5]), []);
  assert.deepEqual(transition(["alive", 5], ["left", 5]), []);
  assert.deepEqual(transition(["suspect", 5], ["dead", 5]), []);
  assert.deepEqual(transition(["dead", 5], ["alive", 6]), []);
  assert.deepEqual(transition(["left", 5], ["suspect", 6]), []);
});

Deno.test("TableChecker catches a step back", () => {
  const back = ["never back"];
  assert.deepEqual(transition(["suspect", 5], ["alive", 5]), back);
  assert.deepEqual(transition(["dead", 5], ["alive", 5]), back);
  assert.deepEqual(transition(["dead", 5], ["suspect", 5]), back);
  assert.deepEqual(transition(["dead", 5], ["left", 5]), back);
  assert.deepEqual(transition(["left", 5], ["dead", 5]), back);
  assert.deepEqual(transition(["alive", 5], ["alive", 4]), back);
  assert.deepEqual(transition(["alive", 5], ["dead", 4]), back);
});

Deno.test("TableChecker begins anew with a member that was forgotten, and after a restart", () => {
  const { checker, broken } = tables();
  checker.noteOwn({ index: 1, name: "b", isServing: true }, {
    member: () => row("b", "alive", 9),
  });
  checker.check(A, { members: () => [row("b", "dead", 5)] });
  checker.check(A, { members: () => [row("b", "alive", 1)] });
  const held = row("b", "dead", 5);
  checker.check(A, { members: () => [held] });
  checker.forget(0);
  held.state = "alive";
  checker.check(A, { members: () => [held] });
  assert.deepEqual(broken, []);
});

Deno.test("TableChecker catches an incarnation that its owner never took", () => {
  const { checker, broken } = tables();
  const b = { index: 1, name: "b", isServing: true };
  checker.noteOwn(b, { member: () => row("b", "alive", 2) });
  checker.check(A, { members: () => [row("b", "suspect", 2)] });
  assert.deepEqual(broken, []);
  checker.check(A, { members: () => [row("b", "suspect", 3)] });
  assert.deepEqual(broken, ["owner raises"]);
});

Deno.test("TableChecker catches a member that nobody ever started", () => {
  const { checker, broken } = tables();
  checker.check(A, { members: () => [row("ghost", "alive", 1)] });
  assert.deepEqual(broken, ["no inventions"]);
});

Deno.test("TableChecker catches a serving node that calls itself dead", () => {
  const { checker, broken } = tables();
  const self = row("a", "left", 1);
  checker.check({ ...A, isServing: false }, { members: () => [self] });
  assert.equal(broken.length, 0);
  checker.check(A, { members: () => [self] });
  assert.deepEqual(broken, ["self alive"]);
});

/** What rules break when node a is told these events of b. */
function eventsOf(...types: MemberEventType[]): string[] {
  const broken: string[] = [];
  const checker = new EventChecker(2, indexOf, (rule) => broken.push(rule));
  for (const type of types) {
    checker.check(A, { type, members: [{ name: "b" } as Member] });
  }
  return broken;
}

Deno.test("EventChecker allows the life of a member", () => {
  assert.deepEqual(
    eventsOf("member-join", "member-update", "member-failed", "member-join"),
    [],
  );
  assert.deepEqual(
    eventsOf(
      "member-join",
      "member-failed",
      "member-leave",
      "member-reap",
      "member-join",
    ),
    [],
  );
  assert.deepEqual(eventsOf("member-join", "member-leave", "member-reap"), []);
});

Deno.test("EventChecker catches events that cannot follow each other", () => {
  const broken = ["event order"];
  assert.deepEqual(eventsOf("member-failed"), broken);
  assert.deepEqual(eventsOf("member-join", "member-join"), broken);
  assert.deepEqual(
    eventsOf("member-join", "member-leave", "member-failed"),
    broken,
  );
  assert.deepEqual(
    eventsOf("member-join", "member-leave", "member-leave"),
    broken,
  );
  assert.deepEqual(
    eventsOf("member-join", "member-failed", "member-update"),
    broken,
  );
  assert.deepEqual(eventsOf("member-reap"), broken);
});

Deno.test("EventChecker catches a user event delivered twice in one life", () => {
  const broken: string[] = [];
  const checker = new EventChecker(2, indexOf, (rule) => broken.push(rule));
  const event = (ltime: bigint, payload = EMPTY_BYTES): SerfEvent => ({
    type: "user",
    name: "deploy",
    ltime,
    payload,
    coalesce: false,
  });
  checker.check(A, event(1n));
  checker.check(A, event(2n));
  checker.check(A, event(1n, Uint8Array.of(1)));
  checker.check({ index: 1, name: "b" }, event(1n));
  checker.forget(0);
  checker.check(A, event(1n));
  assert.deepEqual(broken, []);
  checker.check(A, event(1n));
  assert.deepEqual(broken, ["at most once"]);
});

/** A node with one stream of the given age and an engine with the given numbers. */
function numbers() {
  const broken: string[] = [];
  const limits = { nodes: 2, queueDepthMax: 10, streamTimeoutMs: 10_000 };
  const checker = new NumberChecker(limits, (rule) => broken.push(rule));
  const node = {
    index: 0,
    name: "a",
    streams: new Map([[1, { openedMs: 0 }]]),
  };
  const check = (stats: Record<string, number>, queueDepth = 0, nowMs = 0) =>
    checker.check(node as unknown as SimNode, {
      stats: () =>
        new Map(
          Object.entries({ intent_queue: 0, event_queue: 0, ...stats })
            .map(([key, value]) => [key, String(value)]),
        ),
      swim: { members: () => [], member: () => undefined, queueDepth },
    }, nowMs);
  return { checker, node: node as unknown as SimNode, broken, check };
}

Deno.test("NumberChecker catches a clock that goes back, but not one of a new life", () => {
  const { checker, node, broken, check } = numbers();
  check({ member_time: 5, event_time: 1 });
  check({ member_time: 5, event_time: 2 });
  checker.forget(node);
  check({ member_time: 1, event_time: 1 });
  assert.deepEqual(broken, []);
  check({ member_time: 2, event_time: 0 });
  assert.deepEqual(broken, ["clocks rise"]);
});

Deno.test("NumberChecker catches queues above their limits", () => {
  const { broken, check } = numbers();
  check({ intent_queue: 30, event_queue: 10 }, 2);
  assert.deepEqual(broken, []);
  check({ intent_queue: 31, event_queue: 0 }, 2);
  check({ intent_queue: 0, event_queue: 11 }, 2);
  check({}, 3);
  assert.deepEqual(broken, [
    "bounded queues",
    "bounded queues",
    "bounded queues",
  ]);
});

Deno.test("NumberChecker catches a stream that outlives its time, pauses not counted", () => {
  const { checker, node, broken, check } = numbers();
  check({}, 0, 11_000);
  checker.disturb(node, 5_000);
  check({}, 0, 16_000);
  assert.deepEqual(broken, []);
  check({}, 0, 16_001);
  assert.deepEqual(broken, ["streams end"]);
});

Deno.test("TableChecker lets another address take a free name, and no other", () => {
  const take = (state: NodeStateName, address: string) => {
    const { checker, broken } = tables();
    const b = { ...row("b", state, 4), address: "10.0.0.2:7946" };
    const owner = { index: 1, name: "b", isServing: true };
    checker.noteOwn(owner, { member: () => row("b", "alive", 9) });
    checker.check(A, { members: () => [b] });
    Object.assign(b, { state: "alive", incarnation: 1, address });
    checker.check(A, { members: () => [b] });
    return broken;
  };
  assert.deepEqual(take("left", "11.0.0.2:7946"), []);
  assert.deepEqual(take("dead", "11.0.0.2:7946"), []);
  assert.deepEqual(take("dead", "10.0.0.2:7946"), ["never back"]);
  assert.deepEqual(take("suspect", "11.0.0.2:7946"), ["never back"]);
});

Deno.test("EventChecker remembers deliveries over lives that share a disk", () => {
  const broken: string[] = [];
  const checker = new EventChecker(2, indexOf, (rule) => broken.push(rule));
  const event: SerfEvent = {
    type: "user",
    ltime: 1n,
    name: "deploy",
    payload: EMPTY_BYTES,
    coalesce: false,
  };
  checker.check(A, event);
  checker.forget(0);
  checker.check(A, event);
  assert.deepEqual(broken, []);
  checker.forget(0, true);
  checker.check(A, event);
  assert.deepEqual(broken, ["at most once"]);
});
