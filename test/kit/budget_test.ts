import assert from "node:assert/strict";
import fc from "fast-check";
import { Budget, SourceBudgets } from "../../lib/kit/budget.ts";

Deno.test("Budget holds its burst at first, and no more", () => {
  const budget = new Budget({ perSecond: 1, burst: 3 });
  assert.equal(budget.take(2, 0), true);
  assert.equal(budget.take(2, 0), false);
  assert.equal(budget.take(1, 0), true);
  assert.equal(budget.take(1, 999), false);
  assert.equal(budget.take(1, 1_000), true);
});

Deno.test("Budget refuses what exceeds the burst, at no cost", () => {
  const budget = new Budget({ perSecond: 10, burst: 3 });
  assert.equal(budget.take(4, 0), false);
  assert.equal(budget.take(3, 0), true);
  assert.equal(budget.take(4, 60_000), false);
});

Deno.test("Budget without a limit never refuses", () => {
  const budget = new Budget({ perSecond: Infinity, burst: Infinity });
  assert.equal(budget.take(1e12, 0), true);
  assert.equal(budget.take(1e12, 0), true);
});

Deno.test("Budget never lets more pass than its rate and its burst", () => {
  const requests = fc.array(fc.record({
    waitMs: fc.nat(2_000),
    amount: fc.nat(20),
  }));
  fc.assert(fc.property(requests, (all) => {
    const budget = new Budget({ perSecond: 5, burst: 12 });
    let nowMs = 0;
    let spent = 0;
    for (const { waitMs, amount } of all) {
      nowMs += waitMs;
      if (budget.take(amount, nowMs)) spent += amount;
      assert.ok(spent <= 12 + 5 * nowMs / 1_000 + 1e-6);
    }
  }));
});

Deno.test("Budget has what is left, and gains it back", () => {
  const budget = new Budget({ perSecond: 2, burst: 4 });
  assert.equal(budget.has(4, 0), true);
  budget.take(4, 0);
  assert.equal(budget.has(4, 1_999), false);
  assert.equal(budget.has(4, 2_000), true);
});

Deno.test("SourceBudgets keeps sources apart", () => {
  const budgets = new SourceBudgets({ perSecond: 1, burst: 1 }, {
    sourcesMax: 2,
  });
  assert.equal(budgets.take("a", 1, 0), true);
  assert.equal(budgets.take("a", 1, 0), false);
  assert.equal(budgets.take("b", 1, 0), true);
});

Deno.test("SourceBudgets forgets the source that spent longest ago", () => {
  const budgets = new SourceBudgets({ perSecond: 0, burst: 1 }, {
    sourcesMax: 2,
  });
  for (const source of ["a", "b", "a", "c"]) budgets.take(source, 1, 0);
  assert.equal(budgets.size, 2);
  assert.equal(budgets.take("a", 1, 0), false);
  assert.equal(budgets.take("b", 1, 0), true);
});
