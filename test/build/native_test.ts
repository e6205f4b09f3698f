/**
 * What of `deno compile` can be seen without its run-time: that it takes the
 * program and the flags, and how its failure is told. The run-time is the running
 * Deno here, in its place: the result is a whole file, but does not start as ours.
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import { bundle } from "../../build/bundle.ts";
import { LIBC_PATHS } from "../../lib/net/libc.ts";
import { compile, downloadProblem } from "../../build/native.ts";

const ROOT = join(import.meta.dirname ?? "", "../..");

Deno.test("compile() puts the bundle behind the run-time", async () => {
  const folder = Deno.makeTempDirSync();
  const before = Deno.env.get("DENORT_BIN");
  try {
    Deno.env.set("DENORT_BIN", Deno.execPath());
    const program = await bundle({
      entry: "main.ts",
      into: join(folder, "bundle"),
      root: ROOT,
      commit: "c0ffee0",
    });
    const output = join(folder, "serf");
    await compile({ program, output });
    const runtime = Deno.readFileSync(Deno.execPath());
    const built = Deno.readFileSync(output);
    const extra = built.length - runtime.length;
    assert.ok(extra > 500_000 && extra < 5_000_000, `${extra} bytes`);
    const text = new TextDecoder("latin1").decode(built);
    assert.ok(text.includes("c0ffee0"), "the commit");
    assert.ok(text.includes("Starting Serf agent..."), "the agent");
    const libraries = JSON.stringify(LIBC_PATHS);
    assert.ok(text.includes(`"allow_ffi":${libraries}`), "the permissions");
  } finally {
    if (before === undefined) Deno.env.delete("DENORT_BIN");
    else Deno.env.set("DENORT_BIN", before);
    Deno.removeSync(folder, { recursive: true });
  }
});

Deno.test("compile() passes on what is wrong with the program", async () => {
  await assert.rejects(
    compile({ program: "/proc/none.js", output: "/proc/none" }),
    { name: "Error", message: /^Cannot compile the program:\n/ },
  );
});

Deno.test("downloadProblem() tells a download that failed from all else", () => {
  const said = `Download https://dl.deno.land/x.zip
error: Writing deno compile executable to temporary file '/tmp/x'

Caused by:
    0: Setting up base binary.
    1: error sending request for url (https://dl.deno.land/x.zip): dns error
    2: client error (Connect)
`;
  assert.equal(downloadProblem(said), "https://dl.deno.land/x.zip: dns error");
  assert.equal(
    downloadProblem("0: Setting up base binary.\n 1: HTTP 404"),
    "its download failed",
  );
  assert.equal(downloadProblem("error: No such file"), undefined);
});
