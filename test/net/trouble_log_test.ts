import assert from "node:assert/strict";
import { TroubleLog } from "../../lib/net/trouble_log.ts";

Deno.test("TroubleLog.log() lets one line of a kind through each second", () => {
  let nowMs = 0;
  const lines: string[] = [];
  const log = new TroubleLog((text) => lines.push(text), () => nowMs);
  log.log("send", "a");
  log.log("accept", "b");
  log.log("send", "c");
  nowMs = 999;
  log.log("send", "d");
  nowMs = 1_000;
  log.log("send", "e");
  nowMs = 2_500;
  log.log("send", "f");
  assert.deepEqual(lines, ["a", "b", "e (and 2 like it before)", "f"]);
});
