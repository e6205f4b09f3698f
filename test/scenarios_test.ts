/**
 * Runs every transcript in `scenarios/` and compares its outputs.
 *
 * To rewrite them from what happens now, then read the difference as if it were
 * code:
 *
 *     deno test -A test/scenarios_test.ts -- --update
 */

import assert from "node:assert/strict";
import { Scenario } from "../lib/sim/scenario.ts";
import {
  commandsOf,
  parseTranscript,
  renderTranscript,
  rerunTranscript,
} from "../lib/sim/transcript.ts";

const FOLDER = new URL("scenarios/", import.meta.url);
const isUpdate = Deno.args.includes("--update");

/** All transcripts draw from this seed. */
const SEED = 1;

function rerun(text: string): string {
  const scenario = new Scenario(SEED);
  const blocks = parseTranscript(text);
  return renderTranscript(
    rerunTranscript(blocks, (command) => scenario.run(command)),
  );
}

const names = [...Deno.readDirSync(FOLDER)]
  .map(({ name }) => name)
  .filter((name) => name.endsWith(".txt"))
  .sort();

for (const name of names) {
  Deno.test(`scenario ${name.replace(".txt", "")}`, () => {
    const file = new URL(name, FOLDER);
    const written = Deno.readTextFileSync(file);
    const happened = rerun(written);
    if (isUpdate) Deno.writeTextFileSync(file, happened);
    else assert.equal(happened, written);
  });
}

Deno.test("there are transcripts, and all of them ask something", () => {
  assert.ok(names.length >= 12);
  for (const name of names) {
    const blocks = parseTranscript(
      Deno.readTextFileSync(new URL(name, FOLDER)),
    );
    const commands = blocks.flatMap(commandsOf).map((line) =>
      line.split(" ")[0]
    );
    assert.ok(
      commands.some((verb) =>
        ["ask", "list", "events", "log"].includes(verb ?? "")
      ),
      name,
    );
  }
});

Deno.test("a transcript that tells something else is noticed", () => {
  const written = "nodes a b\nask a about b\n----\ndead incarnation=7\n";
  assert.notEqual(rerun(written), written);
});
