/** Choosing a command, and the shape of help. Captured calls are played elsewhere. */

import assert from "node:assert/strict";
import { agentFlags } from "../../cmd/agent_call.ts";
import { renderHelp } from "../../cmd/command.ts";
import { booleanFlag, textFlag } from "../../cmd/flags.ts";
import { COMMANDS, dispatch, readInvocation } from "../../cmd/mod.ts";
import { renderVersion } from "../../cmd/version.ts";
import { SERF_PROTOCOL_MAX, SERF_PROTOCOL_MIN } from "../../lib/serf/config.ts";
import { FakeTerminal } from "./fake_terminal.ts";

const NAMES = COMMANDS.overview().split("\n").flatMap((line) =>
  /^ {4}(\S+)/.exec(line)?.[1] ?? []
);

Deno.test("readInvocation() finds the command as the original dispatcher does", () => {
  const cases: [line: string, name: string | undefined, flags: string][] = [
    ["", undefined, ""],
    ["members -name x", "members", ""],
    ["-h", undefined, "help"],
    ["-h members", "members", "help"],
    ["members x -help", "members", "help"],
    ["members -name -- -h", "members", ""],
    ["-- members", undefined, ""],
    ["-version members", "members", ""],
    ["-version", undefined, ""],
    ["-x members", "members", "misplaced"],
    ["-x members -h", "members", "misplaced help"],
    ["members -v", "version", ""],
    ["members --version -h", "version", "help"],
    ["-- -v", "version", ""],
    ["- members", "members", "misplaced"],
  ];
  for (const [line, name, flags] of cases) {
    const invocation = readInvocation(line === "" ? [] : line.split(" "));
    assert.equal(invocation.commandName, name, line);
    assert.equal(invocation.isHelpWanted, flags.includes("help"), line);
    assert.equal(
      invocation.hasMisplacedFlags,
      flags.includes("misplaced"),
      line,
    );
  }
  assert.deepEqual(readInvocation(["", "join", "a", "-b"]).commandArgs, [
    "a",
    "-b",
  ]);
});

Deno.test("overview() lists the commands in order, padded to the longest name", () => {
  assert.deepEqual(NAMES, [...NAMES].sort());
  assert.ok(NAMES.includes("agent") && NAMES.includes("version"));
  const longest = Math.max(...NAMES.map((name) => name.length));
  for (const name of NAMES) {
    const line = `    ${name.padEnd(longest)}    `;
    assert.ok(COMMANDS.overview().includes(`\n${line}`), name);
  }
  assert.ok(COMMANDS.overview().endsWith("\n\n"));
});

Deno.test("every command has a help of the common shape", async () => {
  const terminal = new FakeTerminal();
  for (const name of NAMES) {
    const help = (await COMMANDS.load(name))?.help(terminal);
    assert.ok(help !== undefined, name);
    if (name === "version" || name === "help") continue;
    assert.ok(help.startsWith(`Usage: serf ${name}`), name);
    assert.ok(!help.endsWith("\n"), name);
    const [, description, ...rest] = help.split(/\n\n/);
    assert.ok(description?.startsWith("  "), name);
    for (const line of help.split("\n")) {
      assert.ok(line.length <= 86, `${name}: ${line}`);
      assert.equal(line, line.trimEnd(), `${name}: ${line}`);
    }
    const flags = rest.at(-1)?.split("\n") ?? [];
    for (const line of flags) {
      if (name !== "completion") {
        assert.match(line, /^( {2}-\S.*| {28}\S.*)$/, name);
      }
    }
  }
});

Deno.test("renderHelp() puts the text of flags into column 28", () => {
  assert.equal(
    renderHelp({
      usage: "x [options]",
      description: ["One.", "", "Two."],
      flags: {
        "short": booleanFlag(true, { text: ["first", "second"] }),
        "longer-than-the-column": textFlag("value", { text: ["third"] }),
      },
    }),
    "Usage: serf x [options]\n\n  One.\n\n  Two.\n\nOptions:\n\n" +
      "  -short=true               first\n" +
      "                            second\n" +
      "  -longer-than-the-column=value\n" +
      "                            third",
  );
});

Deno.test("serf version names the protocols that the engine speaks", () => {
  assert.equal(
    renderVersion("1.2.3"),
    `1.2.3\nAgent Protocol: ${SERF_PROTOCOL_MAX} ` +
      `(Understands back to: ${SERF_PROTOCOL_MIN})\n`,
  );
  assert.match(
    renderVersion("1.2.3", "c0ffee0"),
    /^1\.2\.3 \(c0ffee0\)\nAgent /,
  );
});

Deno.test("agentFlags() take their defaults from the environment", () => {
  const flags = agentFlags(new FakeTerminal());
  assert.equal(flags["rpc-addr"].default, "127.0.0.1:7373");
  assert.equal(flags["rpc-auth"].default, "");
  const preset = agentFlags(
    new FakeTerminal({ SERF_RPC_ADDR: "a:1", SERF_RPC_AUTH: "t" }),
  );
  assert.equal(preset["rpc-addr"].default, "a:1");
  assert.equal(preset["rpc-auth"].default, "t");
  const empty = agentFlags(new FakeTerminal({ SERF_RPC_ADDR: "" }));
  assert.equal(empty["rpc-addr"].default, "127.0.0.1:7373");
});

Deno.test("serf help with an unknown name ends as an unknown command does", async () => {
  const terminal = new FakeTerminal();
  assert.equal(await dispatch(["help", "bogus"], terminal), 127);
  assert.equal(
    terminal.stderr,
    `${COMMANDS.overview()}Unknown command 'bogus'.\n`,
  );
  assert.equal(terminal.stdout, "");
});

Deno.test("an unknown command is named, and the nearest one too", async () => {
  const cases: readonly (readonly [readonly string[], string])[] = [
    [["bogus"], "Unknown command 'bogus'.\n"],
    [["membrs"], "Unknown command 'membrs'. Did you mean 'members'?\n"],
    [["help", "membrs"], "Unknown command 'membrs'. Did you mean 'members'?\n"],
    [[], ""],
  ];
  for (const [args, text] of cases) {
    const terminal = new FakeTerminal();
    assert.equal(await dispatch(args, terminal), 127);
    assert.equal(terminal.stderr, COMMANDS.overview() + text);
  }
});
