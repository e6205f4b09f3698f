/**
 * Every checker must be able to fail: a mistake planted in the engines is found,
 * by the rule that is meant for it, within a few seeds. The wrapper alone, without
 * a mistake, is found innocent, under each of the settings used.
 */

import assert from "node:assert/strict";
import {
  faultStory,
  lossStory,
  nodesOfSeed,
  type StoryReport,
} from "../../lib/sim/stories.ts";
import { type Mistake, planted } from "./planted_engine.ts";
import { PLANTED_MISTAKES, type PlantedMistake } from "./planted_mistakes.ts";

const SEEDS_MAX = 30;

/** Rules that a mistake breaks, over as many seeds as it takes to break the given one. */
function brokenRules(
  { make, settings }: Pick<PlantedMistake, "make" | "settings">,
  wanted?: string,
): Set<string> {
  const rules = new Set<string>();
  for (let seed = 1; seed <= SEEDS_MAX; seed++) {
    const report = faultStory({
      seed,
      nodes: nodesOfSeed(seed),
      minutes: 2,
      makeEngine: planted(make),
      ...(settings && { settings }),
    });
    for (const { rule } of report.violations) rules.add(rule);
    if (wanted !== undefined && rules.has(wanted)) break;
  }
  return rules;
}

/** Live, reachable nodes that were called failed. */
function deaths({ chapters }: StoryReport): number {
  return chapters.reduce((sum, { falseFailures }) => sum + falseFailures, 0);
}

Deno.test("the wrapper itself breaks no rule", () => {
  const innocent = { make: () => ({}) };
  assert.deepEqual(brokenRules(innocent), new Set());
  for (const { settings } of PLANTED_MISTAKES) {
    if (settings === undefined) continue;
    assert.deepEqual(brokenRules({ ...innocent, settings }), new Set());
  }
});

for (const mistake of PLANTED_MISTAKES) {
  const { what, rule } = mistake;
  Deno.test(`an engine that ${what} is caught by "${rule}"`, () => {
    const rules = brokenRules(mistake, rule);
    assert.ok(rules.has(rule), `only ${[...rules].join()}`);
  });
}

Deno.test("an engine that does not refute is caught: on a bad network live nodes die", () => {
  const mistake: Mistake = {
    message: (message, self) =>
      (message.kind === "suspect" || message.kind === "dead") &&
        message.node === self
        ? undefined
        : message,
    pushPull: (exchange, self) => ({
      ...exchange,
      states: exchange.states.filter(({ node }) => node.name !== self),
    }),
  };
  const options = { seed: 1, nodes: 20, loss: 0.2, minutes: 3 };
  assert.equal(deaths(lossStory(options)), 0);
  assert.ok(
    deaths(lossStory({ ...options, makeEngine: planted(() => mistake) })) > 10,
  );
});
