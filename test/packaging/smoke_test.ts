import assert from "node:assert/strict";
import { VERSION } from "../../lib/kit/version.ts";
import { type Outcome, run, scratch } from "./tools.ts";

function smoke(...program: readonly string[]): Promise<Outcome> {
  return run([
    Deno.execPath(),
    "run",
    "--quiet",
    "-A",
    "build/smoke.ts",
    ...program,
  ]);
}

Deno.test("build/smoke.ts is content with our program", async () => {
  const outcome = await smoke(
    Deno.execPath(),
    "run",
    "--quiet",
    "-A",
    "main.ts",
  );
  assert.deepEqual([outcome.code, outcome.stdout], [0, "It works\n"]);
});

Deno.test("build/smoke.ts refuses other versions, and agents that fail", async () => {
  using folder = scratch();
  const program = `${folder.path}/serf`;
  const write = (script: string) =>
    Deno.writeTextFileSync(program, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  write("echo 9.9.9");
  const other = await smoke(program);
  assert.equal(other.code, 1);
  assert.match(other.stderr, /^It is not version /);
  write(
    `[ "$1" != version ] || { echo ${VERSION}; exit; }; echo sorry; exit 3`,
  );
  const failing = await smoke(program);
  assert.equal(failing.code, 1);
  assert.match(failing.stderr, /The agent does not list itself: exit code 3/);
  assert.match(failing.stderr, /The agent says:\nsorry/);
});
