import assert from "node:assert/strict";
import { renderJson } from "../../lib/kit/json_writer.ts";

Deno.test("renderJson() sorts the keys of maps by their bytes", () => {
  const map = new Map([["10", "a"], ["2", "<"], ["\u{1F600}", ""], [
    "\uFFFD",
    "",
  ]]);
  assert.equal(
    renderJson(map),
    '{\n  "10": "a",\n  "2": "\\u003c",\n  "\uFFFD": "",\n  "\u{1F600}": ""\n}',
  );
  assert.equal(renderJson(new Map()), "{}");
});
