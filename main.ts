/** The `serf` program: hands the arguments over and ends with the exit code. */

import { dispatch } from "./cmd/mod.ts";
import { ProcessTerminal } from "./cmd/terminal.ts";

const terminal = new ProcessTerminal();
try {
  Deno.exitCode = await dispatch(Deno.args, terminal);
} catch (error) {
  terminal.err(`Error executing CLI: ${(error as Error).stack ?? error}\n`);
  Deno.exitCode = 1;
}
Deno.exit();
