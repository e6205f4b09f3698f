/** The `serf` program: hands the arguments over and ends with the exit code. */

import { dispatch } from "./cmd/mod.ts";
import { ProcessTerminal } from "./cmd/terminal.ts";
import { visibleText } from "./lib/kit/visible.ts";

const terminal = new ProcessTerminal();
try {
  Deno.exitCode = await dispatch(Deno.args, terminal);
} catch (error) {
  const text = visibleText(`${(error as Error).stack ?? error}`);
  terminal.err(`Error executing CLI: ${text}\n`);
  Deno.exitCode = 1;
}
Deno.exit();
