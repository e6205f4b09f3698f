import assert from "node:assert/strict";
import process from "node:process";
import { pause } from "../../lib/agent/pause.ts";

Deno.test("pause() waits, unless it is told to stop", async () => {
  const abort = new AbortController();
  assert.equal(await pause(1, abort.signal), true);
  const long = pause(3_600_000, abort.signal);
  abort.abort();
  assert.equal(await long, false);
  assert.equal(await pause(3_600_000, abort.signal), false);
});

Deno.test("pause() of a time that is over prints no warning", async () => {
  const warnings: string[] = [];
  const take = ({ name }: Error) => warnings.push(name);
  process.on("warning", take);
  const { signal } = new AbortController();
  assert.equal(await pause(-0.2, signal), true);
  assert.equal(await pause(0, signal), true);
  process.off("warning", take);
  assert.deepEqual(warnings, []);
});

Deno.test("pause() of more than the platform's timers take does not end at once", async () => {
  const abort = new AbortController();
  const year = pause(365 * 24 * 3_600_000, abort.signal);
  // A timer that overflows fires within a millisecond.
  await pause(20, new AbortController().signal);
  abort.abort();
  assert.equal(await year, false);
});
