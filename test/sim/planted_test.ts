/**
 * Every checker must be able to fail: a mistake planted in the engines is found,
 * by the rule that is meant for it, within a few seeds. The wrapper alone, without
 * a mistake, is found innocent.
 */

import assert from "node:assert/strict";
import {
  faultStory,
  lossStory,
  nodesOfSeed,
  type StoryReport,
} from "../../lib/sim/stories.ts";
import { type Mistake, planted } from "./planted_engine.ts";

const SEEDS_MAX = 20;

/** Rules that a mistake breaks, over as many seeds as it takes to break the given one. */
function brokenRules(makeMistake: () => Mistake, wanted?: string): Set<string> {
  const rules = new Set<string>();
  for (let seed = 1; seed <= SEEDS_MAX; seed++) {
    const report = faultStory({
      seed,
      nodes: nodesOfSeed(seed),
      minutes: 2,
      makeEngine: planted(makeMistake),
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
  assert.deepEqual(brokenRules(() => ({})), new Set());
});

Deno.test("an engine that never takes back a death is caught: live nodes stay dead", () => {
  const rules = brokenRules(() => {
    const dead = new Set<string>();
    return {
      output: (output) => {
        if (output.kind === "event" && output.event.type === "member-failed") {
          for (const { name } of output.event.members) dead.add(name);
        }
        return [output];
      },
      message: (message) =>
        message.kind === "alive" && dead.has(message.node.name)
          ? undefined
          : message,
      pushPull: (exchange) => ({
        ...exchange,
        states: exchange.states.filter(({ node }) => !dead.has(node.name)),
      }),
    };
  }, "agreement");
  assert.ok(rules.has("not called dead"), [...rules].join());
  assert.ok(rules.has("agreement"), [...rules].join());
});

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

Deno.test("an engine that accepts lower incarnations is caught", () => {
  const rules = brokenRules(() => ({ believesLastWord: true }), "never back");
  assert.ok(rules.has("never back"), [...rules].join());
});

Deno.test("an engine that raises the incarnations of others is caught", () => {
  const rules = brokenRules(() => ({
    message: (message) =>
      message.kind === "suspect"
        ? { ...message, incarnation: message.incarnation + 1 }
        : message,
  }), "owner raises");
  assert.ok(rules.has("owner raises"), [...rules].join());
});

Deno.test("an engine that delivers user events twice is caught", () => {
  const rules = brokenRules(() => ({
    output: (output) =>
      output.kind === "event" && output.event.type === "user"
        ? [output, output]
        : [output],
  }), "at most once");
  assert.ok(rules.has("at most once"), [...rules].join());
});

Deno.test("an engine that tells of failures twice is caught", () => {
  const rules = brokenRules(() => ({
    output: (output) =>
      output.kind === "event" && output.event.type === "member-failed"
        ? [output, output]
        : [output],
  }), "event order");
  assert.ok(rules.has("event order"), [...rules].join());
});

Deno.test("an engine that never closes its streams is caught", () => {
  const rules = brokenRules(() => ({
    output: (output) => output.kind === "close" ? [] : [output],
  }), "streams end");
  assert.ok(rules.has("streams end"), [...rules].join());
});

Deno.test("an engine that keeps failures to itself is caught: the dead stay listed", () => {
  const rules = brokenRules(() => ({
    output: (output) =>
      output.kind === "event" && output.event.type === "member-failed"
        ? []
        : [output],
  }), "agreement");
  assert.ok(rules.has("agreement"), [...rules].join());
});
