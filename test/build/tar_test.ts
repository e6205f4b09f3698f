import assert from "node:assert/strict";
import { tar } from "../../build/tar.ts";
import { lacks } from "../programs.ts";

Deno.test("tar() makes an archive that tar reads", {
  ignore: lacks("tar"),
}, async () => {
  const folder = Deno.makeTempDirSync();
  try {
    const bytes = new TextEncoder().encode("x".repeat(513));
    const pieces = tar([
      { name: "a.js", bytes },
      { name: "empty", bytes: new Uint8Array(), isExecutable: true },
    ]);
    const archive = ReadableStream.from(pieces);
    await Deno.writeFile(`${folder}/all.tar`, archive);
    const { stdout, success } = await new Deno.Command("tar", {
      args: ["-xvof", "all.tar"],
      cwd: folder,
    }).output();
    assert.ok(success);
    // GNU tar lists what it unpacks on standard output, others on standard error.
    assert.match(new TextDecoder().decode(stdout), /^(a\.js\nempty\n)?$/);
    assert.deepEqual(Deno.readFileSync(`${folder}/a.js`), bytes);
    const mode = (name: string) =>
      (Deno.statSync(`${folder}/${name}`).mode ?? 0) & 0o777;
    assert.deepEqual([mode("a.js"), mode("empty")], [0o644, 0o755]);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});

Deno.test("tar() takes directories, but no way out of them", () => {
  const pack = (name: string) => [...tar([{ name, bytes: new Uint8Array() }])];
  assert.doesNotThrow(() => pack("a/b/c.d"));
  const bad = [
    "",
    "/a",
    "a/",
    "a//b",
    "../a",
    "a/..",
    "a/./b",
    "x".repeat(101),
  ];
  for (const name of bad) assert.throws(() => pack(name), RangeError, name);
});
