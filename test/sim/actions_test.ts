import assert from "node:assert/strict";
import type { Action } from "../../lib/sim/actions.ts";
import { pair } from "./pair.ts";

Deno.test("performAction() does what a plan says, at its time", () => {
  const { cluster, a, b, engineA } = pair();
  const seen: string[] = [];
  cluster.observers.push({
    onLifecycle: (node, change) =>
      seen.push(`${change} ${node.name} @${cluster.nowMs}`),
    onTopology: () => seen.push(`topology @${cluster.nowMs}`),
    onEvent: (node) => seen.push(`event ${node.name} @${cluster.nowMs}`),
  });
  const steps: [number, Action][] = [
    [1, { kind: "userEvent", node: 0, name: "deploy" }],
    [2, { kind: "pause", node: 1 }],
    [3, { kind: "resume", node: 1 }],
    [4, { kind: "partition", groups: [0, 1] }],
    [5, { kind: "heal" }],
    [6, { kind: "block", from: 0, to: 1 }],
    [7, { kind: "crash", node: 1 }],
    [8, { kind: "restart", node: 1 }],
    [9, { kind: "leave", node: 0 }],
  ];
  cluster.schedule(steps.map(([atMs, action]) => ({ atMs, action })));
  cluster.runUntil(20);
  assert.deepEqual(seen, [
    "event a @1",
    "paused b @2",
    "resumed b @3",
    "topology @4",
    "topology @5",
    "topology @6",
    "stopped b @7",
    "started b @8",
    "leaving a @9",
    "stopped a @9",
  ]);
  assert.equal(engineA.inputs.length, 1);
  assert.deepEqual([a.isUp, b.isUp], [false, true]);
});

Deno.test("performAction() skips what makes no sense", () => {
  const { cluster, b } = pair();
  const changes: string[] = [];
  cluster.observers.push({ onLifecycle: (_, change) => changes.push(change) });
  cluster.perform({ kind: "start", node: 1, via: [] });
  cluster.perform({ kind: "restart", node: 1 });
  cluster.perform({ kind: "resume", node: 1 });
  cluster.crash(b);
  for (const kind of ["crash", "pause", "resume", "leave"] as const) {
    cluster.perform({ kind, node: 1 });
  }
  cluster.perform({ kind: "userEvent", node: 1, name: "deploy" });
  cluster.perform({ kind: "setTags", node: 1, tags: new Map() });
  cluster.perform({ kind: "forceLeave", node: 1, target: 0, prune: false });
  assert.deepEqual(changes, ["stopped"]);
});
