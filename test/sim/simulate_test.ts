import assert from "node:assert/strict";
import { simulate, startPlan } from "../../lib/sim/simulate.ts";

Deno.test("startPlan() starts the first node alone and the others through it", () => {
  assert.deepEqual(startPlan(3, { overMs: 300 }), [
    { atMs: 0, action: { kind: "start", node: 0, via: [] } },
    { atMs: 100, action: { kind: "start", node: 1, via: [0] } },
    { atMs: 200, action: { kind: "start", node: 2, via: [0] } },
  ]);
});

Deno.test("simulate() reports what was sent, and how soon all agreed", () => {
  const report = simulate({
    seed: 1,
    nodes: 4,
    plan: startPlan(4, { overMs: 100 }),
    untilMs: 100,
    demandsAgreement: true,
  });
  assert.deepEqual(report.violations, []);
  assert.ok(report.packets > 0 && report.packetBytes > report.packets);
  assert.ok(report.agreedAfterMs !== undefined && report.agreedAfterMs < 5_000);
  assert.equal(report.virtualMs, 100 + report.agreedAfterMs);
});

Deno.test("simulate() takes a missing agreement for a violation", () => {
  const report = simulate({
    seed: 1,
    nodes: 4,
    plan: [
      ...startPlan(4, { overMs: 100 }),
      // Never healed, and in one direction only, so nobody is sure to be gone.
      ...[1, 2, 3].map((to) => ({
        atMs: 5_000,
        action: { kind: "block" as const, from: 0, to },
      })),
      {
        atMs: 6_000,
        action: {
          kind: "setTags" as const,
          node: 0,
          tags: new Map([["a", "b"]]),
        },
      },
    ],
    untilMs: 10_000,
    demandsAgreement: true,
  });
  assert.equal(report.agreedAfterMs, undefined);
  assert.deepEqual(report.violations.map(({ rule }) => rule), ["agreement"]);
});

Deno.test("simulate() without a demand ends with its plan", () => {
  const report = simulate({
    seed: 1,
    nodes: 2,
    plan: startPlan(2, { overMs: 100 }),
    untilMs: 1_000,
    demandsAgreement: false,
  });
  assert.equal(report.virtualMs, 1_000);
  assert.equal(report.agreedAfterMs, undefined);
});
