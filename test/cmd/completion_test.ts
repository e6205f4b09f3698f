import assert from "node:assert/strict";
import { flagsIn, knownCommands } from "../../cmd/completion.ts";
import { COMMANDS, dispatch } from "../../cmd/mod.ts";
import { lacks } from "../programs.ts";
import { FakeTerminal } from "./fake_terminal.ts";

async function scriptFor(shell: string): Promise<string> {
  const terminal = new FakeTerminal();
  assert.equal(await dispatch(["completion", shell], terminal), 0);
  return terminal.stdout;
}

/** What bash offers when the completion key is pressed behind the words. */
async function offered(words: readonly string[]): Promise<string[]> {
  const list = words.map((word) => `'${word}'`).join(" ");
  const probe = `${await scriptFor("bash")}
COMP_WORDS=(serf ${list})
COMP_CWORD=${words.length}
_serf
printf '%s\\n' "\${COMPREPLY[@]}"
`;
  const { stdout, stderr, success } = await new Deno.Command("bash", {
    args: ["--norc", "-c", probe],
  }).output();
  const complaint = new TextDecoder().decode(stderr);
  assert.ok(success && complaint === "", complaint);
  return new TextDecoder().decode(stdout).split("\n").filter((line) => line);
}

Deno.test("flagsIn() reads the flags of a help text", () => {
  const help = [
    "Usage: serf x",
    "",
    "  -not a flag, but it begins a line of the description",
    "",
    "Options:",
    "",
    "  -format=text              Either.",
    "  -prune                    Forget.",
    "  -tag <key>=<regexp>       Some.",
    "                            -inside a text",
  ].join("\n");
  assert.deepEqual(flagsIn(help), [
    { name: "format", takesValue: true },
    { name: "prune", takesValue: false },
    { name: "tag", takesValue: true },
  ]);
});

Deno.test("every flag of every command is completed", async () => {
  const commands = await knownCommands(COMMANDS, new FakeTerminal());
  const members = commands.find(({ name }) => name === "members");
  assert.deepEqual(members?.flags.map(({ name }) => name), [
    "detailed",
    "format",
    "name",
    "role",
    "status",
    "tag",
    "watch",
    "rpc-addr",
    "rpc-auth",
  ]);
  const tags = commands.find(({ name }) => name === "tags");
  assert.deepEqual(tags?.flags.map(({ name }) => name), [
    "delete",
    "format",
    "set",
    "rpc-addr",
    "rpc-auth",
  ]);
  for (const shell of ["bash", "zsh", "fish"]) {
    const script = await scriptFor(shell);
    for (const { name, flags } of commands) {
      assert.ok(script.includes(name), `${shell}: ${name}`);
      for (const flag of flags) {
        assert.ok(
          script.includes(flag.name),
          `${shell}: ${name} -${flag.name}`,
        );
      }
    }
  }
});

Deno.test({
  name: "the script for zsh works when it is read at the start (wants zsh)",
  ignore: lacks("zsh"),
  async fn() {
    const { stdout } = await new Deno.Command("zsh", {
      args: [
        "-fc",
        'autoload -U compinit; compinit -D -u; eval "$1"; print $_comps[serf]',
        "zsh",
        await scriptFor("zsh"),
      ],
    }).output();
    assert.equal(new TextDecoder().decode(stdout), "_serf\n");
  },
});

Deno.test("the script for bash completes commands, flags and values", {
  ignore: lacks("bash"),
}, async () => {
  assert.deepEqual(await offered(["me"]), ["members", "metrics"]);
  assert.deepEqual(await offered(["members", "-de"]), ["-detailed"]);
  assert.deepEqual(await offered(["members", "-fo"]), ["-format="]);
  assert.deepEqual(await offered(["members", "-format", "=", "j"]), ["json"]);
  assert.deepEqual(await offered(["members", "-format", "="]), [
    "text",
    "json",
  ]);
  assert.deepEqual(await offered(["completion", "z"]), ["zsh"]);
  assert.deepEqual(await offered(["nonsense", ""]), []);
});

Deno.test("completion wants one shell that it knows", async () => {
  const cases: readonly (readonly [readonly string[], string])[] = [
    [[], "A shell must be specified, one of: bash, zsh, fish."],
    [["tcsh"], "There is no script for 'tcsh', only for: bash, zsh, fish."],
    [["bash", "zsh"], "One shell must be specified, not 2."],
  ];
  for (const [args, complaint] of cases) {
    const terminal = new FakeTerminal();
    assert.equal(await dispatch(["completion", ...args], terminal), 1);
    assert.ok(terminal.stdout.startsWith(`${complaint}\n\nUsage: serf `));
  }
});

Deno.test("a command that does not exist brings the nearest one to mind", async () => {
  const terminal = new FakeTerminal();
  assert.equal(await dispatch(["memebrs"], terminal), 127);
  assert.ok(
    terminal.stderr.endsWith(
      "\n\nUnknown command 'memebrs'. Did you mean 'members'?\n",
    ),
  );
});
