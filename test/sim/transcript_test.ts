import assert from "node:assert/strict";
import {
  commandsOf,
  parseTranscript,
  renderTranscript,
  rerunTranscript,
} from "../../lib/sim/transcript.ts";

const TEXT = `# A story.

# Its first part.
one
two three
----
ok

four
----
line
another line
`;

Deno.test("parseTranscript() tells comments, commands and outputs apart", () => {
  const blocks = parseTranscript(TEXT);
  assert.deepEqual(blocks.map(commandsOf), [[], ["one", "two three"], [
    "four",
  ]]);
  assert.deepEqual(blocks.map(({ output }) => output), [[], ["ok"], [
    "line",
    "another line",
  ]]);
  assert.deepEqual(blocks.map(({ lineNumber }) => lineNumber), [1, 3, 9]);
});

Deno.test("parseTranscript() refuses commands without an output", () => {
  assert.throws(() => parseTranscript("one\n\ntwo\n----\nok\n"), SyntaxError);
});

Deno.test("renderTranscript() gives back what was parsed", () => {
  assert.equal(renderTranscript(parseTranscript(TEXT)), TEXT);
});

Deno.test("rerunTranscript() replaces outputs only, with ok where nothing was said", () => {
  const run = (command: string) => command === "four" ? [] : [`did ${command}`];
  const rerun = renderTranscript(rerunTranscript(parseTranscript(TEXT), run));
  assert.equal(
    rerun,
    TEXT.replace("----\nok\n", "----\ndid one\ndid two three\n")
      .replace("----\nline\nanother line\n", "----\nok\n"),
  );
});
