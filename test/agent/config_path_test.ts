import assert from "node:assert/strict";
import { readConfigPaths } from "../../lib/agent/config_path.ts";

/** A directory that is gone after the test. */
class Directory implements AsyncDisposable {
  private constructor(readonly path: string) {}

  /** @param files contents by path; a path that ends in `/` is a directory */
  static async with(files: Record<string, string>): Promise<Directory> {
    const path = await Deno.makeTempDir({ prefix: "serf_paths_" });
    for (const [name, text] of Object.entries(files)) {
      if (name.endsWith("/")) await Deno.mkdir(`${path}/${name}`);
      else await Deno.writeTextFile(`${path}/${name}`, text);
    }
    return new Directory(path);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.path, { recursive: true });
  }
}

/** A file that says its own name. */
const named = (name: string) => JSON.stringify({ start_join: [name] });

async function order(paths: readonly string[]): Promise<string[]> {
  const layers = await readConfigPaths(paths);
  return layers.flatMap(({ startJoin }) => startJoin ?? []);
}

Deno.test("readConfigPaths() reads the files of a directory by the bytes of their names", async () => {
  await using directory = await Directory.with({
    "b.json": named("b"),
    "B.json": named("B"),
    "10.json": named("10"),
    "9.json": named("9"),
    "\u{ff5e}.json": named("full width"),
    "\u{1f600}.json": named("beyond 16 bits"),
    ".json": named("no name"),
    "c.JSON": "not read",
    "json": "not read",
    "d.json.bak": "not read",
    "x.json/": "",
    "x.json/y.json": "not read",
    "sub/": "",
  });
  assert.deepEqual(await order([directory.path]), [
    ...["no name", "10", "9", "B", "b", "full width", "beyond 16 bits"],
  ]);
});

Deno.test("readConfigPaths() follows links, but into no directory", async () => {
  await using elsewhere = await Directory.with({ "real": named("linked") });
  await using directory = await Directory.with({});
  await Deno.symlink(`${elsewhere.path}/real`, `${directory.path}/a.json`);
  await Deno.symlink(elsewhere.path, `${directory.path}/b.json`);
  assert.deepEqual(await order([directory.path]), ["linked"]);
});

Deno.test("readConfigPaths() keeps the order of paths, and says where each layer is from", async () => {
  await using directory = await Directory.with({
    "z.json": named("z"),
    "d/": "",
    "d/a.json": named("a"),
  });
  const { path } = directory;
  const layers = await readConfigPaths([`${path}/z.json`, `${path}/./d/`]);
  assert.deepEqual(layers, [
    { startJoin: ["z"], origin: `${path}/z.json` },
    { startJoin: ["a"], origin: `${path}/d/a.json` },
  ]);
});

Deno.test("readConfigPaths() says what cannot be read, in Serf's words", async () => {
  await using directory = await Directory.with({ "f": "{}", "d/": "" });
  const { path } = directory;
  await Deno.symlink("/nowhere/at/all", `${path}/d/x.json`);
  const complaints: readonly (readonly [string, string])[] = [
    [`${path}/no`, `open ${path}/no: no such file or directory`],
    [`${path}/f/x`, `open ${path}/f/x: not a directory`],
    [`${path}/d`, `open ${path}/d/x.json: no such file or directory`],
    ["", "open : no such file or directory"],
  ];
  for (const [given, reason] of complaints) {
    const shown = reason.slice("open ".length, reason.lastIndexOf(":"));
    await assert.rejects(readConfigPaths([given]), {
      name: "ConfigError",
      message: `Error reading '${shown}': ${reason}`,
    });
  }
});

Deno.test("readConfigPaths() stops at the first file that is wrong", async () => {
  await using directory = await Directory.with({
    "a.json": named("a"),
    "b.json": "{",
    "c.json": "[",
  });
  await assert.rejects(readConfigPaths([directory.path]), {
    message: `Error decoding '${directory.path}/b.json': unexpected EOF\n` +
      "    at line 1, column 2",
  });
});

Deno.test("readConfigPaths() reads no file without end", async () => {
  await assert.rejects(readConfigPaths(["/dev/zero"]), {
    message: "Error reading '/dev/zero': longer than 1048576 bytes",
  });
});

Deno.test("readConfigPaths() refuses what is no UTF-8, and says where it is", async () => {
  await using directory = await Directory.with({});
  const path = `${directory.path}/a.json`;
  const text = new TextEncoder().encode('{\n "tags": {"ü\ufffd": "?"}}');
  text[text.indexOf(0x3f)] = 0xff;
  await Deno.writeFile(path, text);
  await assert.rejects(readConfigPaths([path]), {
    message: `Error decoding '${path}': text that is not UTF-8\n` +
      "    at line 2, column 18",
  });
  await Deno.writeFile(path, Uint8Array.of(0x7b, 0x22, 0xc3));
  await assert.rejects(readConfigPaths([path]), /not UTF-8\n/);
});

Deno.test(
  "readConfigPaths() never waits for a pipe in a directory, nor at a reload",
  {
    ignore: Deno.build.os === "windows",
  },
  async () => {
    await using directory = await Directory.with({});
    const pipe = `${directory.path}/a.json`;
    await new Deno.Command("mkfifo", { args: [pipe] }).output();
    const refused = (paths: readonly string[], isReload: boolean) =>
      assert.rejects(readConfigPaths(paths, { isReload }), {
        message: `Error reading '${pipe}': not a regular file`,
      });
    await refused([directory.path], false);
    await refused([directory.path], true);
    await refused([pipe], true);
    // At the start a pipe that is named is read, as `<(command)` of a shell.
    const [layers] = await Promise.all([
      readConfigPaths([pipe]),
      Deno.writeTextFile(pipe, named("piped")),
    ]);
    assert.deepEqual(layers.map(({ startJoin }) => startJoin), [["piped"]]);
  },
);
