import assert from "node:assert/strict";
import { Scenario } from "../../lib/sim/scenario.ts";

Deno.test("run() refuses commands, nodes, durations and conditions that make no sense", () => {
  const scenario = new Scenario(1);
  scenario.run("nodes a b");
  for (
    const command of [
      "fly a",
      "crash z",
      "advance 3",
      "advance soon",
      "until a dreams b",
      "ask a about z",
    ]
  ) {
    assert.throws(() => scenario.run(command), SyntaxError, command);
  }
});

Deno.test("until says never when its time is over", () => {
  const scenario = new Scenario(1);
  scenario.run("nodes a b");
  assert.deepEqual(scenario.run("until a lists b failed within 10s"), [
    "never: a lists b failed",
  ]);
});

Deno.test("events and log tell what happened since", () => {
  const scenario = new Scenario(1);
  scenario.run("nodes a b");
  assert.deepEqual(scenario.run("events a"), [
    "member-join a",
    "member-join b",
  ]);
  assert.deepEqual(scenario.run("events a"), []);
  assert.ok(scenario.run("log a EventMemberJoin").length > 0);
  scenario.run("mute");
  assert.deepEqual(scenario.run("log a EventMemberJoin"), []);
});

Deno.test("one seed makes one story", () => {
  const tell = (seed: number) => {
    const scenario = new Scenario(seed);
    return [
      "nodes a b c",
      "crash b",
      "until all list b failed",
      "log a memberlist",
    ]
      .flatMap((command) => scenario.run(command));
  };
  assert.deepEqual(tell(1), tell(1));
});
