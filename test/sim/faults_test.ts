import assert from "node:assert/strict";
import type { Action, Step } from "../../lib/sim/actions.ts";
import { drawCircumstances, drawFaultPlan } from "../../lib/sim/fault_plan.ts";
import { ALL_FAULTS, type FaultMask, NO_FAULTS } from "../../lib/sim/faults.ts";

function plan(seed: number, mask: FaultMask = ALL_FAULTS) {
  return drawFaultPlan({ seed, nodes: 5, fromMs: 1_000, toMs: 181_000, mask });
}

Deno.test("drawFaultPlan() is a function of its seed", () => {
  assert.deepEqual(plan(1), plan(1));
  assert.notDeepEqual(plan(1), plan(2));
});

Deno.test("drawFaultPlan() keeps its steps in the order of time and within its time", () => {
  for (let seed = 0; seed < 50; seed++) {
    let lastMs = 1_000;
    for (const { atMs } of plan(seed)) {
      assert.ok(atMs >= lastMs && atMs <= 181_000);
      lastMs = atMs;
    }
  }
});

Deno.test("drawFaultPlan() never touches the process of node 0", () => {
  const kinds: Action["kind"][] = [
    "crash",
    "pause",
    "leave",
    "restart",
    "relocate",
  ];
  for (let seed = 0; seed < 50; seed++) {
    for (const { action } of plan(seed)) {
      if (kinds.includes(action.kind)) {
        assert.ok("node" in action && action.node > 0);
      }
    }
  }
});

Deno.test("drawFaultPlan() with a class switched off leaves all other steps as they were", () => {
  for (let seed = 0; seed < 50; seed++) {
    const mask = new Set(ALL_FAULTS);
    mask.delete("pause");
    const isOther = ({ action }: Step) =>
      action.kind !== "pause" && action.kind !== "resume";
    const kept = plan(seed).filter(isOther);
    const drawn = plan(seed, mask).filter(isOther);
    assert.ok(kept.length > 0);
    assert.deepEqual(drawn, kept);
  }
});

Deno.test("drawFaultPlan() with nothing switched on only asks for what users ask for", () => {
  const kinds = new Set<string>();
  for (let seed = 0; seed < 50; seed++) {
    for (const { atMs, action } of plan(seed, NO_FAULTS)) {
      if (atMs < 181_000) kinds.add(action.kind);
    }
  }
  assert.deepEqual([...kinds].sort(), [
    "leave",
    "noise",
    "setTags",
    "userEvent",
  ]);
});

Deno.test("drawFaultPlan() draws every kind of step over a few seeds", () => {
  const kinds = new Set<string>();
  for (let seed = 0; seed < 50; seed++) {
    for (const { action } of plan(seed)) kinds.add(action.kind);
  }
  assert.deepEqual(
    [...kinds].sort(),
    [
      "block",
      "crash",
      "heal",
      "jumpClock",
      "leave",
      "noise",
      "partition",
      "pause",
      "relocate",
      "restart",
      "resume",
      "rotateKeys",
      "setTags",
      "slow",
      "userEvent",
    ],
  );
});

Deno.test("drawFaultPlan() asks for more faults in larger clusters", () => {
  const cuts = (nodes: number) =>
    drawFaultPlan({
      ...{ seed: 1, nodes, fromMs: 0, toMs: 600_000, mask: ALL_FAULTS },
    }).filter(({ action }) => action.kind === "partition").length;
  assert.ok(cuts(100) > 2 * cuts(10), `${cuts(100)}, ${cuts(10)}`);
});

Deno.test("drawCircumstances() has runs with and without keys and early reuse of names", () => {
  const drawn = Array.from(
    { length: 40 },
    (_, seed) => drawCircumstances(seed),
  );
  const count = (isWanted: (one: typeof drawn[number]) => boolean) =>
    drawn.filter(isWanted).length;
  const counts = [
    count(({ keys }) => keys !== undefined),
    count(({ settings }) => settings.swim?.deadNodeReclaimMs === 0),
    count(({ snapshots }) => snapshots?.rejoinAfterLeave === true),
  ];
  for (const of of counts) assert.ok(of > 8 && of < 32, counts.join());
});
