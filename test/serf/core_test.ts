import assert from "node:assert/strict";
import { Random } from "../../lib/kit/random.ts";
import { serfConfig } from "../../lib/serf/config.ts";
import { SerfCore } from "../../lib/serf/core.ts";
import type { LogLevel } from "../../lib/kit/log.ts";
import { Parts } from "./parts.ts";

function coreAt(logLevel: LogLevel): SerfCore {
  const config = serfConfig({
    swim: {
      name: "self",
      advertiseAddr: Uint8Array.of(10, 0, 0, 0),
      advertisePort: 7946,
      logLevel,
    },
  });
  return new SerfCore(config, new Random(1));
}

Deno.test("SerfCore begins with all clocks at 1 (`initial_clocks`)", () => {
  const core = coreAt("INFO");
  const times = [core.clock, core.eventClock, core.queryClock].map((c) =>
    c.time
  );
  assert.deepEqual(times, [1n, 1n, 1n]);
});

Deno.test("SerfCore.log() keeps lines below the level to itself", () => {
  const core = coreAt("WARN");
  assert.equal(core.logs("INFO"), false);
  assert.equal(core.logs("WARN"), true);
  core.log("INFO", "quiet");
  core.log("ERR", "loud");
  assert.deepEqual(core.drain(), [
    { kind: "log", level: "ERR", text: "serf: loud" },
  ]);
  assert.deepEqual(core.drain(), []);
});

Deno.test("SerfCore.refuse() logs a few lines a second and counts the rest", () => {
  const parts = new Parts();
  const { core } = parts;
  for (let i = 0; i < 25; i++) core.refuse("WARN", `line ${i}`, 0);
  assert.equal(parts.takeLog().length, 10);
  assert.equal(core.metrics.refused.value, 25);
  assert.equal(core.deadlines.nextMs(), 1_000);
  assert.deepEqual(core.deadlines.takeDue(1_000), { kind: "refusals" });
  core.summarizeRefusals();
  assert.deepEqual(parts.takeLog(), [
    "[WARN] serf: 15 more messages were refused in the last second",
  ]);
  core.refuse("WARN", "again", 1_000);
  assert.deepEqual(parts.takeLog(), ["[WARN] serf: again"]);
});

Deno.test("SerfCore.finish() ends an operation with its result", () => {
  const core = coreAt("INFO");
  const operation = core.nextOperation();
  assert.notEqual(core.nextOperation(), operation);
  core.finish(operation, { error: "no" });
  assert.deepEqual(core.drain(), [{ kind: "done", operation, error: "no" }]);
});
