import assert from "node:assert/strict";
import fc from "fast-check";
import { Deadlines } from "../../lib/kit/deadlines.ts";
import {
  EventPipeline,
  MemberCoalescer,
  UserEventCoalescer,
} from "../../lib/serf/coalesce.ts";
import { serfConfig } from "../../lib/serf/config.ts";
import type {
  MemberEvent,
  MemberEventType,
  SerfEvent,
  UserEvent,
} from "../../lib/serf/event.ts";
import { memberOf } from "../../lib/serf/member.ts";
import type { Timer } from "../../lib/serf/timer.ts";
import { eventLine } from "./cluster.ts";
import { nodeOf, type SerfOptions } from "./parts.ts";

const BOTH_ON: SerfOptions = {
  coalescePeriodMs: 3_000,
  quiescentPeriodMs: 1_000,
  userCoalescePeriodMs: 3_000,
  userQuiescentPeriodMs: 1_000,
};

function memberEvent(type: MemberEventType, name: string): MemberEvent {
  return { type, members: [memberOf(nodeOf(name), "alive")] };
}

function userEvent(
  name: string,
  ltime: bigint,
  text: string,
  coalesce = true,
): UserEvent {
  const payload = new TextEncoder().encode(text);
  return { type: "user", name, ltime, payload, coalesce };
}

/** Types and names of events, without the statuses that do not matter here. */
function linesOf(events: readonly SerfEvent[]): string[] {
  return events.map((event) => eventLine(event).replaceAll("(alive)", ""));
}

/** A pipeline with its own time. */
class Bench {
  readonly deadlines = new Deadlines<Timer>();
  readonly pipeline: EventPipeline;
  #told: SerfEvent[] = [];

  constructor(options: SerfOptions) {
    const config = serfConfig({
      swim: {
        name: "self",
        advertiseAddr: Uint8Array.of(10, 0, 0, 1),
        advertisePort: 7946,
      },
      ...options,
    });
    this.pipeline = new EventPipeline(config, this.deadlines, (event) => {
      this.#told.push(event);
    });
  }

  /** Lines told since the last call, once everything due by `nowMs` was done. */
  takeTold(nowMs: number): string[] {
    for (
      let timer = this.deadlines.takeDue(nowMs);
      timer !== undefined;
      timer = this.deadlines.takeDue(nowMs)
    ) {
      if (timer.kind === "flushMembers") this.pipeline.flushMembers();
      if (timer.kind === "flushUserEvents") this.pipeline.flushUserEvents();
    }
    const lines = linesOf(this.#told);
    this.#told = [];
    return lines;
  }
}

// Expectations of sequences run against serf 0.9.4 (`member_coalesce_sequence`
// and `user_coalesce_sequence`); the repeated update of the original is left out.
Deno.test("MemberCoalescer tells what changed since it last told", () => {
  const windows: [string[], string[]][] = [
    [["join a", "join b"], ["member-join: a,b"]],
    [["failed a", "join a"], []],
    [["update a"], ["member-update: a"]],
    [["join c"], ["member-join: c"]],
    [["leave a"], ["member-leave: a"]],
    [["join d"], ["member-join: d"]],
    [["failed d"], ["member-failed: d"]],
  ];
  const coalescer = new MemberCoalescer();
  for (const [steps, expected] of windows) {
    for (const step of steps) {
      const [type, name] = step.split(" ") as [string, string];
      coalescer.add(memberEvent(`member-${type}` as MemberEventType, name));
    }
    assert.deepEqual(linesOf(coalescer.flush()), expected, steps.join(", "));
  }
});

Deno.test("UserEventCoalescer keeps the newest time of each name", () => {
  const coalescer = new UserEventCoalescer();
  coalescer.add(userEvent("x", 1n, "a"));
  coalescer.add(userEvent("x", 2n, "b"));
  coalescer.add(userEvent("x", 2n, "c"));
  coalescer.add(userEvent("x", 1n, "d"));
  coalescer.add(userEvent("y", 1n, "e"));
  assert.equal(coalescer.size, 3);
  const told = linesOf(coalescer.flush());
  assert.deepEqual(told, ["user: x@2=b", "user: x@2=c", "user: y@1=e"]);
  assert.equal(coalescer.size, 0);
  assert.deepEqual(coalescer.flush(), []);
});

Deno.test("MemberCoalescer never drops the last state of a member", () => {
  const type = fc.constantFrom<MemberEventType>(
    "member-join",
    "member-leave",
    "member-failed",
    "member-update",
    "member-reap",
  );
  const step = fc.record({ type, name: fc.constantFrom("a", "b", "c") });
  fc.assert(fc.property(fc.array(fc.array(step)), (windows) => {
    const coalescer = new MemberCoalescer();
    const told = new Map<string, MemberEventType>();
    for (const steps of windows) {
      const last = new Map<string, MemberEventType>();
      for (const { type, name } of steps) {
        last.set(name, type);
        coalescer.add(memberEvent(type, name));
      }
      const toldNow = new Set<string>();
      for (const { type, members } of coalescer.flush()) {
        for (const { name } of members) {
          assert(!toldNow.has(name), `${name} is told of twice in one window`);
          toldNow.add(name);
          assert(last.has(name), `${name} is told of though nothing happened`);
          const mayRepeat = type === "member-update" || type === "member-reap";
          assert(mayRepeat || told.get(name) !== type, `${name} ${type} again`);
          told.set(name, type);
        }
      }
      for (const [name, type] of last) assert.equal(told.get(name), type);
    }
  }));
});

Deno.test("EventPipeline passes everything at once without periods", () => {
  const bench = new Bench({ coalescePeriodMs: 3_000, userCoalescePeriodMs: 0 });
  bench.pipeline.deliver(memberEvent("member-join", "a"), 0);
  bench.pipeline.deliver(userEvent("x", 1n, "v"), 0);
  assert.deepEqual(bench.takeTold(0), ["member-join: a", "user: x@1=v"]);
  assert.equal(bench.deadlines.size, 0);
});

Deno.test("EventPipeline ends a window after a quiet time", () => {
  const bench = new Bench(BOTH_ON);
  bench.pipeline.deliver(memberEvent("member-join", "a"), 0);
  bench.pipeline.deliver(memberEvent("member-join", "b"), 900);
  assert.deepEqual(bench.takeTold(1_899), []);
  assert.deepEqual(bench.takeTold(1_900), ["member-join: a,b"]);
  assert.equal(bench.deadlines.size, 0);
});

Deno.test("EventPipeline ends a window after the coalesce period, quiet or not", () => {
  const bench = new Bench(BOTH_ON);
  for (let nowMs = 0; nowMs < 3_000; nowMs += 500) {
    bench.pipeline.deliver(memberEvent("member-join", `n${nowMs}`), nowMs);
    assert.deepEqual(bench.takeTold(nowMs), []);
  }
  assert.deepEqual(bench.takeTold(2_999), []);
  assert.equal(bench.takeTold(3_000).length, 1);
  // The next event opens a window of its own.
  bench.pipeline.deliver(memberEvent("member-join", "late"), 3_100);
  assert.deepEqual(bench.takeTold(4_099), []);
  assert.deepEqual(bench.takeTold(4_100), ["member-join: late"]);
});

Deno.test("EventPipeline lets other events overtake those it holds", () => {
  const bench = new Bench({ ...BOTH_ON, userCoalescePeriodMs: 0 });
  bench.pipeline.deliver(memberEvent("member-failed", "d"), 0);
  bench.pipeline.deliver(userEvent("x", 1n, "v"), 10);
  assert.deepEqual(bench.takeTold(10), ["user: x@1=v"]);
  assert.deepEqual(bench.takeTold(1_000), ["member-failed: d"]);
});

Deno.test("EventPipeline holds only user events that allow it", () => {
  const bench = new Bench(BOTH_ON);
  bench.pipeline.deliver(userEvent("x", 1n, "a"), 0);
  bench.pipeline.deliver(userEvent("n", 1n, "e", false), 0);
  assert.deepEqual(bench.takeTold(0), ["user: n@1=e"]);
  assert.deepEqual(bench.takeTold(1_000), ["user: x@1=a"]);
});

Deno.test("EventPipeline ends a window early when it holds very much", () => {
  const bench = new Bench(BOTH_ON);
  for (let i = 0; i < 8_192; i++) {
    bench.pipeline.deliver(userEvent(`name ${i}`, 1n, ""), 0);
  }
  assert.equal(bench.takeTold(0).length, 8_192);
  assert.equal(bench.deadlines.size, 0);
});
