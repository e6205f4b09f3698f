import assert from "node:assert/strict";
import { refuseBrokenText } from "../../cmd/given_text.ts";
import { COMMANDS, dispatch } from "../../cmd/mod.ts";
import { FakeTerminal } from "./fake_terminal.ts";

const BROKEN = "caf\ufffd";
const RULE = "must be text in UTF-8, without U+FFFD";

Deno.test("refuseBrokenText() names the argument, and shows no value of a flag", () => {
  const cases: [args: string[], message: string | undefined][] = [
    [["members", "-name=café", "日本"], undefined],
    [["event", "deploy", BROKEN], `Argument 3 ("${BROKEN}") ${RULE}`],
    [["members", `-rpc-auth=${BROKEN}`], `Argument 2 (-rpc-auth) ${RULE}`],
    [
      ["members", "-rpc-auth", BROKEN],
      `Argument 3 (after -rpc-auth) ${RULE}`,
    ],
    [["query", "-tag=a=b", BROKEN], `Argument 3 ("${BROKEN}") ${RULE}`],
    [[`-${BROKEN}=x`], `Argument 1 ("-${BROKEN}=x") ${RULE}`],
    [["x".repeat(99) + BROKEN], `Argument 1 ("${"x".repeat(64)}") ${RULE}`],
  ];
  for (const [args, message] of cases) {
    if (message === undefined) refuseBrokenText(args);
    else assert.throws(() => refuseBrokenText(args), { message });
  }
});

Deno.test("every command refuses an argument that may not be what was typed", async () => {
  for (const name of [...COMMANDS.names, "nonesuch", "-version"]) {
    for (const arg of [BROKEN, `-tag=${BROKEN}`, `-node=${BROKEN}`]) {
      const terminal = new FakeTerminal();
      assert.equal(await dispatch([name, arg], terminal), 1, name);
      assert.match(terminal.stdout, /^Argument 2 \(.*\) must be text in UTF-8/);
      assert.equal(terminal.stderr, "");
    }
  }
});
