/** What the test command makes of the output of tests, and of what they lack. */

import assert from "node:assert/strict";
import {
  describe,
  has,
  lacks,
  lacksAbility,
  listOfSkipped,
  missingPrograms,
  packagesOf,
  SKIPPED_FILE,
} from "./programs.ts";
import { countsOf, lastLine, sum } from "./run.ts";

Deno.test("countsOf() reads the last summary of Deno", () => {
  const cases: readonly (readonly [string, number[]])[] = [
    ["ok | 12 passed | 0 failed (1s)", [12, 0, 0]],
    ["ok | 12 passed (3 steps) | 0 failed | 2 ignored (1s)", [12, 0, 2]],
    ["FAILED | 1 passed | 2 failed (1 step) | 3 ignored (1 step) (1s)", [
      ...[1, 2, 3],
    ]],
    ["ok | 0 passed | 0 failed | 6 ignored | 4 filtered out (1ms)", [0, 0, 6]],
    ["ok | 9 passed | 0 failed (1s)\nok | 1 passed | 0 failed (1s)", [1, 0, 0]],
    ["\x1b[32mok\x1b[0m | 7 passed | 0 failed | 1 ignored (1s)", [7, 0, 1]],
    ["error: no such file", [0, 0, 0]],
  ];
  for (const [output, [passed, failed, skipped]] of cases) {
    assert.deepEqual(
      countsOf(`a test ... ok\n\n${output}\n\n`),
      { passed, failed, skipped },
      output,
    );
  }
});

Deno.test("the last line has the sum of all phases, and skipped tests if there are any", () => {
  assert.equal(
    lastLine(sum([
      { passed: 1, failed: 0, skipped: 0 },
      { passed: 20, failed: 2, skipped: 0 },
    ])),
    "21 passed, 2 failed",
  );
  assert.equal(
    lastLine(sum([
      { passed: 1, failed: 0, skipped: 3 },
      { passed: 0, failed: 0, skipped: 4 },
    ])),
    "1 passed, 0 failed, 7 skipped",
  );
});

Deno.test("listOfSkipped() counts tests for each program, most tests first", () => {
  assert.deepEqual(listOfSkipped(""), []);
  assert.deepEqual(
    listOfSkipped("zsh\nserf\nthe right to mount a disk\nserf\n"),
    [
      "Skipped for want of",
      `  ${describe("serf")}: 2 tests`,
      "  the right to mount a disk: 1 test",
      "  zsh (Debian package zsh), for completion in zsh: 1 test",
    ],
  );
});

Deno.test("packagesOf() names each package of Debian once", () => {
  assert.deepEqual(packagesOf(["serf", "nft", "unshare", "prlimit"]), [
    "serf",
    "nftables",
    "util-linux",
  ]);
});

/** Runs `body` with variables of the environment set; `undefined` removes one. */
function withEnv(
  variables: Readonly<Record<string, string | undefined>>,
  body: () => void,
): void {
  const set = (name: string, value: string | undefined) => {
    if (value === undefined) Deno.env.delete(name);
    else Deno.env.set(name, value);
  };
  const before = Object.keys(variables).map((name) =>
    [name, Deno.env.get(name)] as const
  );
  for (const [name, value] of Object.entries(variables)) set(name, value);
  try {
    body();
  } finally {
    for (const [name, value] of before) set(name, value);
  }
}

Deno.test(
  "lacks() finds programs on the PATH, and notes the first that is missing",
  {
    ignore: Deno.build.os === "windows",
  },
  () => {
    const folder = Deno.makeTempDirSync();
    const notes = `${folder}/notes`;
    const env = {
      PATH: `/nonexistent:${folder}`,
      SERF_ORACLE: undefined,
      [SKIPPED_FILE]: notes,
    };
    try {
      Deno.writeTextFileSync(notes, "");
      Deno.writeTextFileSync(`${folder}/zsh`, "");
      Deno.mkdirSync(`${folder}/tar`);
      withEnv(env, () => {
        assert.deepEqual([has("zsh"), has("serf"), has("tar")], [
          true,
          false,
          false,
        ]);
        assert.equal(lacks(), false);
        assert.equal(lacks("zsh"), false);
        assert.equal(lacks("zsh", "tar", "serf"), true);
        assert.equal(lacksAbility("the right to mount", true), false);
        assert.equal(lacksAbility("the right to mount", false), true);
        const missing = missingPrograms();
        assert.ok(missing.includes("serf") && !missing.includes("zsh"));
        // Part of every Debian.
        assert.ok(!missing.includes("tar"));
      });
      assert.equal(Deno.readTextFileSync(notes), "tar\nthe right to mount\n");
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  },
);

Deno.test("has() looks for HashiCorp's serf where SERF_ORACLE says", () => {
  withEnv({ SERF_ORACLE: Deno.execPath(), PATH: "" }, () => {
    assert.ok(has("serf"));
  });
  withEnv({ SERF_ORACLE: "/nonexistent/serf" }, () => assert.ok(!has("serf")));
});
