/**
 * What needs no agent: choosing the command, help, `keygen` and `version`, with
 * both programs. Where ours means to differ, that is stated as such.
 */

import assert from "node:assert/strict";
import { compareAlone } from "./comparison.ts";
import { KINDS, runCli, testProgram } from "./harness.ts";

const COMMANDS = [
  "agent",
  "event",
  "force-leave",
  "info",
  "join",
  "keygen",
  "keys",
  "leave",
  "members",
  "monitor",
  "query",
  "reachability",
  "rtt",
  "tags",
];

const OVERVIEW = "Usage: serf [--version] ...\n";

testProgram(
  "help that was asked for goes to standard error, with exit code 0",
  async () => {
    for (const [i, name] of COMMANDS.entries()) {
      const flag = ["-h", "-help", "--help"][i % 3] as string;
      const expected = {
        code: 0,
        stdout: "",
        stderr: `Usage: serf ${name} ...\n`,
      };
      await compareAlone([name, flag], expected);
    }
    await compareAlone(["members", "-name", "-h"], {
      code: 0,
      stdout: "",
      stderr: "Usage: serf members ...\n",
    });
    for (const args of [["-h"], ["-help"], ["--help"]]) {
      await compareAlone(args, { code: 0, stdout: "", stderr: OVERVIEW });
    }
    await compareAlone(["version", "-h"], {
      code: 0,
      stdout: "",
      stderr: "\n",
    });
  },
  { needs: ["serf"] },
);

testProgram(
  "an unknown or missing command shows the overview, with exit code 127",
  async () => {
    for (
      const args of [[], ["bogus"], ["membe"], ["bogus", "-h"], ["-version"], [
        "--",
      ]]
    ) {
      await compareAlone(args, { code: 127, stdout: "", stderr: OVERVIEW });
    }
  },
  { needs: ["serf"] },
);

testProgram(
  "flags before the command are refused, with exit code 1",
  async () => {
    await compareAlone(["-rpc-addr=127.0.0.1:1", "members"], {
      code: 1,
      stdout: "",
      stderr: "Invalid flags before the subcommand. If these flags are for\n" +
        "the subcommand, please put them after the subcommand.\n\n" +
        "Usage: serf members ...\n",
    });
  },
  { needs: ["serf"] },
);

testProgram("keygen prints 32 fresh random bytes in base64", async () => {
  const keys = new Set<string>();
  for (const cli of KINDS) {
    for (const args of [["keygen"], ["keygen", "ignored"]]) {
      const { code, stdout, stderr } = await runCli(cli, args);
      assert.deepEqual([code, stderr], [0, ""]);
      assert.match(stdout, /^[A-Za-z0-9+/]{43}=\n$/);
      assert.equal(Uint8Array.fromBase64(stdout.trim()).length, 32);
      keys.add(stdout);
    }
  }
  assert.equal(keys.size, 4);
}, { needs: ["serf"] });

testProgram("version prints two lines, the second as in Serf", async () => {
  const calls = [["version"], ["version", "x"], ["-v"], ["--version"], [
    "members",
    "-v",
  ]];
  for (const cli of KINDS) {
    for (const args of calls) {
      const { code, stdout, stderr } = await runCli(cli, args);
      assert.deepEqual([code, stderr], [0, ""]);
      // The first line is our own version: the programs have one each.
      assert.match(
        stdout,
        /^\d+\.\d+\.\d+\S*( \(\w+(\+CHANGES)?\))?\nAgent Protocol: 5 \(Understands back to: 2\)\n$/,
      );
    }
  }
}, { needs: ["serf"] });

testProgram(
  "help is a command of ours: it prints on standard output and succeeds",
  async () => {
    assert.equal((await runCli("hashicorp", ["help"])).code, 127);
    const overview = await runCli("ours", ["help"]);
    assert.deepEqual([overview.code, overview.stderr], [0, ""]);
    assert.match(
      overview.stdout,
      /^Usage: serf \[--version\] \[--help\] <command> \[<args>\]\n/,
    );
    for (const name of COMMANDS) {
      assert.match(overview.stdout, new RegExp(`^ {4}${name} `, "m"));
    }
    const ofMembers = await runCli("ours", ["help", "members"]);
    assert.deepEqual([ofMembers.code, ofMembers.stderr], [0, ""]);
    assert.match(ofMembers.stdout, /^Usage: serf members /);
    assert.equal((await runCli("ours", ["help", "bogus"])).code, 127);
  },
  { needs: ["serf"] },
);
