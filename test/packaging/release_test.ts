import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { VERSION } from "../../lib/kit/version.ts";
import { lacks } from "../programs.ts";
import { filesBelow, type Outcome, run, scratch } from "./tools.ts";

const LINUX = `serf_${VERSION}_linux_x64`;
const WINDOWS = `serf_${VERSION}_windows_x64`;
const ALL = [
  ...["serf-linux-arm64", "serf-linux-x64"],
  ...["serf-macos-arm64", "serf-macos-x64", "serf-windows-x64.exe"],
];

/** The packages that the program imports, and theirs. */
const BUNDLED = [
  ...["@leichtgewicht/ip-codec", "@noble/ciphers", "dns-packet", "re2js"],
];

function release(...args: readonly string[]): Promise<Outcome> {
  return run([
    Deno.execPath(),
    "run",
    "--quiet",
    "-A",
    "build/release.ts",
    ...args,
  ]);
}

/** A directory with executables of those names. */
function executables(folder: string, names: readonly string[]): string {
  const path = `${folder}/executables`;
  Deno.mkdirSync(path);
  for (const name of names) {
    Deno.writeTextFileSync(`${path}/${name}`, `#!/bin/sh\necho ${name}\n`);
  }
  return path;
}

function sha256(path: string): string {
  return createHash("sha256").update(Deno.readFileSync(path)).digest("hex");
}

Deno.test("release packs all systems, twice the same, with sums", async () => {
  using folder = scratch();
  const from = executables(folder.path, ALL);
  const sums: string[] = [];
  for (const name of ["first", "second"]) {
    const output = `${folder.path}/${name}`;
    // Another time zone, and no trace of what was there before.
    Deno.mkdirSync(output);
    Deno.writeTextFileSync(`${output}/serf_0.0.1_linux_x64.tar.gz`, "old");
    const { code, stderr } = await run(
      [
        ...[Deno.execPath(), "run", "--quiet", "-A", "build/release.ts"],
        ...[`-executables=${from}`, `-output=${output}`, `-tag=v${VERSION}`],
      ],
      { env: { TZ: name === "first" ? "UTC" : "Asia/Tokyo" } },
    );
    assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
    sums.push(Deno.readTextFileSync(`${output}/SHA256SUMS`));
    const names = [...Deno.readDirSync(output)].map(({ name }) => name).sort();
    const expected = names.filter((name) => name !== "SHA256SUMS")
      .map((name) => `${sha256(`${output}/${name}`)}  ${name}\n`);
    assert.equal(sums.at(-1), expected.join(""));
    // The list of what is in them besides.
    assert.equal(expected.length, ALL.length + 1);
  }
  assert.equal(sums[0], sums[1]);
});

Deno.test({
  name: "the archive for Linux has all, in a directory (wants tar)",
  ignore: lacks("tar"),
  fn: async () => {
    using folder = scratch();
    const from = executables(folder.path, ["serf-linux-x64"]);
    await release(`-executables=${from}`, `-output=${folder.path}`);
    const { code, stdout } = await run(["tar", "-tzf", `${LINUX}.tar.gz`], {
      cwd: folder.path,
    });
    assert.equal(code, 0);
    const list = JSON.parse(
      Deno.readTextFileSync(`${folder.path}/serf_${VERSION}.cdx.json`),
    );
    const parts: { name: string; purl: string; hashes?: unknown[] }[] =
      list.components;
    assert.deepEqual(parts.map(({ name }) => name), ["deno", ...BUNDLED]);
    const purls = parts.map(({ purl }) => purl);
    assert.deepEqual(list.dependencies[0], {
      ref: `pkg:generic/serf@${VERSION}`,
      dependsOn: purls,
    });
    for (const { dependsOn } of list.dependencies.slice(1)) {
      for (const purl of dependsOn) assert.ok(purls.includes(purl), purl);
    }
    for (const { hashes } of parts.slice(1)) assert.equal(hashes?.length, 1);
    const listed = stdout.trim().split("\n");
    assert.deepEqual(listed, [...listed].sort());
    const packaging = filesBelow("packaging")
      .filter((path) => !path.startsWith("packaging/docker/"));
    for (
      const path of [
        ...[
          "serf",
          "LICENSE",
          "NOTICES.txt",
          "README.md",
          "CHANGELOG.md",
          "man/serf.1",
        ],
        ...["man/serf-agent.1", "man/serf-config.5", "completions/serf.bash"],
        ...["completions/_serf", "completions/serf.fish", "docs/service.md"],
        ...packaging,
      ]
    ) assert.ok(listed.includes(`${LINUX}/${path}`), path);
    await run(["tar", "-xzf", `${LINUX}.tar.gz`], { cwd: folder.path });
    const modes = ["serf", "LICENSE", "packaging/sysv/serf"].map((path) =>
      (Deno.statSync(`${folder.path}/${LINUX}/${path}`).mode ?? 0) & 0o777
    );
    assert.deepEqual(modes, [0o755, 0o644, 0o755]);
    const notices = Deno.readTextFileSync(
      `${folder.path}/${LINUX}/NOTICES.txt`,
    );
    const sections = notices.split(/^-{72}$/m);
    assert.deepEqual(
      sections.map((part) => /^\n*([^\s,]+)/.exec(part)?.[1]),
      ["serf", "Deno", ...BUNDLED],
    );
    for (const section of sections) {
      assert.match(section, /copyright/i);
      assert.match(section, /this (permission )?notice/i);
    }
    const { stdout: said } = await run([`${folder.path}/${LINUX}/serf`]);
    assert.equal(said, "serf-linux-x64\n");
  },
});

Deno.test({
  name: "the archive for Windows is a zip file (wants unzip)",
  ignore: lacks("unzip"),
  fn: async () => {
    using folder = scratch();
    const from = executables(folder.path, ["serf-windows-x64.exe"]);
    await release(`-executables=${from}`, `-output=${folder.path}`);
    const { code, stdout } = await run(["unzip", "-t", `${WINDOWS}.zip`], {
      cwd: folder.path,
    });
    assert.equal(code, 0, stdout);
    assert.match(stdout, new RegExp(`${WINDOWS}/serf\\.exe +OK`));
    assert.match(stdout, new RegExp(`${WINDOWS}/docs/service\\.md +OK`));
  },
});

Deno.test("release names what is missing, in one line, and fails", async () => {
  using folder = scratch();
  const from = executables(folder.path, ALL.slice(1));
  const { code, stderr } = await release(
    `-executables=${from}`,
    `-output=${folder.path}/out`,
  );
  assert.equal(code, 1);
  assert.equal(
    stderr,
    "Not in this release: linux-arm64 (there is no executable)\n",
  );
  const sums = Deno.readTextFileSync(`${folder.path}/out/SHA256SUMS`);
  // One archive less, and the list of what is in them.
  assert.equal(sums.trim().split("\n").length, ALL.length);
});

Deno.test("release refuses the tag of another version", async () => {
  const { code, stdout, stderr } = await release("-tag=v9.9.9");
  assert.deepEqual([code, stdout], [1, ""]);
  assert.match(stderr, /v9\.9\.9/);
});
