import assert from "node:assert/strict";
import { Expressions } from "../../lib/serf/expressions.ts";
import { NO_SERF_LIMITS } from "../../lib/serf/limits.ts";

Deno.test("the addresses of one IPv6 network share a budget, those of others do not", () => {
  const limits = {
    ...NO_SERF_LIMITS,
    filterWorkPerSource: { perSecond: 0, burst: 100 },
  };
  const expressions = new Expressions(limits, () => () => true);
  const ask = (source: string, expression: string) =>
    expressions.forQuery(source, 0)(expression, "web");
  assert.equal(ask("[2001:db8::1]:7946", "a{0,80}"), "match");
  assert.equal(ask("[2001:db8::2]:7946", "b{0,80}"), "overBudget");
  assert.equal(ask("[2001:db8:0:1::2]:7946", "b{0,80}"), "match");
  assert.equal(ask("10.0.0.1:1", "c{0,80}"), "match");
  assert.equal(ask("10.0.0.1:2", "d{0,80}"), "overBudget");
  assert.equal(ask("10.0.0.2:1", "d{0,80}"), "match");
});
