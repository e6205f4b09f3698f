import assert from "node:assert/strict";
import { pause } from "../../lib/agent/pause.ts";

Deno.test("pause() waits, unless it is told to stop", async () => {
  const abort = new AbortController();
  assert.equal(await pause(1, abort.signal), true);
  const long = pause(3_600_000, abort.signal);
  abort.abort();
  assert.equal(await long, false);
  assert.equal(await pause(3_600_000, abort.signal), false);
});
