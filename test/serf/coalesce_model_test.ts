/**
 * Coalescing against a model, in time.
 *
 * Goal: whatever happens to a few members, and whatever is sent, the application
 * is told in the end how each member stands and of every user event that counts;
 * nothing is invented, told twice, or told at another time than the windows say.
 * Method: the model keeps all that ever happened, with the instant, and cuts it
 * into windows afterwards; it works on lists alone.
 *
 * One repetition is told: of a member that was reaped, came back and was reaped
 * again within one window. (Upstream is silent.) One loss is accepted, as upstream
 * has it: a member that is gone and back within one window is not mentioned, not
 * even if its tags have changed meanwhile.
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { utf8Text } from "../../lib/kit/bytes.ts";
import { Deadlines } from "../../lib/kit/deadlines.ts";
import { EventPipeline } from "../../lib/serf/coalesce.ts";
import { serfConfig } from "../../lib/serf/config.ts";
import {
  isMemberEvent,
  type MemberEventType,
  type QueryEvent,
  type SerfEvent,
} from "../../lib/serf/event.ts";
import { memberOf } from "../../lib/serf/member.ts";
import type { Timer } from "../../lib/serf/timer.ts";
import { nodeOf } from "./parts.ts";

/** Something that happens. Its number tells it from all others. */
type Step =
  & { readonly atMs: number; readonly number: number }
  & (
    | {
      readonly kind: "member";
      readonly type: MemberEventType;
      readonly name: string;
    }
    | {
      readonly kind: "user";
      readonly name: string;
      readonly ltime: bigint;
      readonly coalesce: boolean;
    }
    | { readonly kind: "query"; readonly name: string }
  );

/** Something that was told, of one member at a time. */
interface Told {
  readonly atMs: number;
  readonly text: string;
}

interface Periods {
  readonly coalesceMs: number;
  readonly quiescentMs: number;
}

// --- What the code does -------------------------------------------------------

function eventOf(step: Step): SerfEvent {
  const payload = new TextEncoder().encode(`${step.number}`);
  switch (step.kind) {
    case "member": {
      const node = nodeOf(step.name, step.number);
      return { type: step.type, members: [memberOf(node, "alive")] };
    }
    case "user": {
      const { name, ltime, coalesce } = step;
      return { type: "user", name, ltime, payload, coalesce };
    }
    case "query":
      return { type: "query", name: step.name, payload } as QueryEvent;
  }
}

/** What the application hears, one entry for each member. */
function run(steps: readonly Step[], periods: Periods): Told[] {
  const { coalesceMs, quiescentMs } = periods;
  const told: Told[] = [];
  let nowMs = 0;
  const deadlines = new Deadlines<Timer>();
  const config = serfConfig({
    swim: {
      name: "self",
      advertiseAddr: Uint8Array.of(10, 0, 0, 1),
      advertisePort: 7946,
    },
    coalescePeriodMs: coalesceMs,
    quiescentPeriodMs: quiescentMs,
    userCoalescePeriodMs: coalesceMs,
    userQuiescentPeriodMs: quiescentMs,
  });
  const pipeline = new EventPipeline(config, deadlines, (event) => {
    const texts = isMemberEvent(event)
      ? event.members.map(({ name, addr }) =>
        `${event.type} ${name} #${addr[3]}`
      )
      : [`${event.type} ${event.name} #${utf8Text(event.payload)}`];
    for (const text of texts) told.push({ atMs: nowMs, text });
  });
  const wait = (untilMs: number) => {
    for (let atMs = 0; (atMs = deadlines.nextMs() ?? Infinity) <= untilMs;) {
      nowMs = atMs;
      const timer = deadlines.takeDue(atMs) as Timer;
      if (timer.kind === "flushMembers") pipeline.flushMembers();
      else pipeline.flushUserEvents();
    }
    nowMs = untilMs;
  };
  for (const step of steps) {
    wait(step.atMs);
    pipeline.deliver(eventOf(step), nowMs);
  }
  wait(Number.MAX_SAFE_INTEGER);
  return told;
}

// --- What the model does ------------------------------------------------------

/** Cuts steps into windows, each with the instant of its end. */
function windowsOf<S extends Step>(
  steps: readonly S[],
  { coalesceMs, quiescentMs }: Periods,
): { endMs: number; steps: S[] }[] {
  const windows: { endMs: number; latestMs: number; steps: S[] }[] = [];
  for (const step of steps) {
    let window = windows.at(-1);
    if (window === undefined || window.endMs <= step.atMs) {
      const latestMs = step.atMs + coalesceMs;
      window = { endMs: latestMs, latestMs, steps: [] };
      windows.push(window);
    }
    window.steps.push(step);
    window.endMs = Math.min(window.latestMs, step.atMs + quiescentMs);
  }
  return windows;
}

/** What the application is to hear, in no order within one instant. */
function expected(steps: readonly Step[], periods: Periods): Told[] {
  const told: Told[] = [];
  const tell = (atMs: number, what: string, step: Step & { name: string }) =>
    told.push({ atMs, text: `${what} ${step.name} #${step.number}` });

  const lastTold = new Map<string, MemberEventType>();
  const memberSteps = steps.filter((step) => step.kind === "member");
  for (const window of windowsOf(memberSteps, periods)) {
    for (const step of window.steps) {
      const { name, type } = step;
      const isLast = step === window.steps.findLast((other) =>
        other.name === name
      );
      if (!isLast) continue;
      const isRepeat = lastTold.get(name) === type;
      const mayRepeat = type === "member-update" || type === "member-reap";
      if (!isRepeat || mayRepeat) tell(window.endMs, type, step);
      lastTold.set(name, type);
    }
  }
  const held = steps.filter((step) => step.kind === "user" && step.coalesce);
  for (const window of windowsOf(held, periods)) {
    for (const step of window.steps) {
      const isNewest = window.steps.every((other) =>
        step.kind === "user" && other.kind === "user" &&
        (other.name !== step.name || other.ltime <= step.ltime)
      );
      if (isNewest) tell(window.endMs, "user", step);
    }
  }
  for (const step of steps) {
    if (step.kind === "query" || (step.kind === "user" && !step.coalesce)) {
      tell(step.atMs, step.kind, step);
    }
  }
  return told;
}

// --- Properties ---------------------------------------------------------------

const names = fc.constantFrom("a", "b", "c");
const things = fc.oneof(
  fc.record({
    kind: fc.constant("member" as const),
    type: fc.constantFrom<MemberEventType>(
      "member-join",
      "member-leave",
      "member-failed",
      "member-update",
      "member-reap",
    ),
    name: names,
  }),
  fc.record({
    kind: fc.constant("user" as const),
    name: names,
    ltime: fc.bigInt({ min: 1n, max: 4n }),
    coalesce: fc.boolean(),
  }),
  fc.record({ kind: fc.constant("query" as const), name: names }),
);
/** Waits around the periods, so that ends of windows are met exactly. */
const waits = fc.constantFrom(0, 0, 1, 20, 40, 59, 60, 61, 100, 200, 300);
const stepLists: fc.Arbitrary<Step[]> = fc.array(fc.tuple(waits, things), {
  maxLength: 60,
}).map((entries) => {
  let atMs = 0;
  return entries.map(([waitMs, thing], number) => {
    atMs += waitMs;
    return { ...thing, atMs, number };
  });
});
const periodPairs = fc.record({
  coalesceMs: fc.constantFrom(60, 200, 300),
  quiescentMs: fc.constantFrom(20, 60, 100),
});
const RUNS = { numRuns: 500 };

function sorted(told: readonly Told[]): string[] {
  return told.map(({ atMs, text }) => `${String(atMs).padStart(8)} ${text}`)
    .sort();
}

Deno.test("EventPipeline tells what the model tells, when the model tells it", () => {
  fc.assert(
    fc.property(stepLists, periodPairs, (steps, periods) => {
      assert.deepEqual(
        sorted(run(steps, periods)),
        sorted(expected(steps, periods)),
      );
    }),
    RUNS,
  );
});

Deno.test("EventPipeline keeps the order within a name and a kind", () => {
  fc.assert(
    fc.property(stepLists, periodPairs, (steps, periods) => {
      const told = run(steps, periods);
      for (
        const isOfKind of [
          (step: Step) => step.kind === "user" && step.coalesce,
          (step: Step) => step.kind === "user" && !step.coalesce,
          (step: Step) => step.kind === "query",
          (step: Step) => step.kind === "member",
        ]
      ) {
        for (const name of ["a", "b", "c"]) {
          const ours = steps.filter((step) =>
            isOfKind(step) && step.name === name
          )
            .map(({ number }) => number);
          const heard = told.map(({ text }) => Number(text.split("#")[1]))
            .filter((number) => ours.includes(number));
          assert.deepEqual(heard, heard.toSorted((a, b) => a - b));
        }
      }
    }),
    RUNS,
  );
});

Deno.test("EventPipeline leaves the application with the last state of every member", () => {
  fc.assert(
    fc.property(stepLists, periodPairs, (steps, periods) => {
      const told = run(steps, periods);
      for (const name of ["a", "b", "c"]) {
        const ofName = steps.filter((step) =>
          step.kind === "member" && step.name === name
        );
        const last = ofName.at(-1);
        const heard = told.findLast(({ text }) =>
          text.startsWith("member-") && text.split(" ")[1] === name
        );
        assert.equal(
          heard?.text.split(" ")[0],
          last?.kind === "member" ? last.type : undefined,
        );
      }
    }),
    RUNS,
  );
});

Deno.test("EventPipeline holds every event back for at most the coalesce period", () => {
  fc.assert(
    fc.property(stepLists, periodPairs, (steps, periods) => {
      for (const { atMs, text } of run(steps, periods)) {
        const step = steps[Number(text.split("#")[1])] as Step;
        assert.ok(atMs >= step.atMs && atMs <= step.atMs + periods.coalesceMs);
      }
    }),
    RUNS,
  );
});
