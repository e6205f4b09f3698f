/** The `serf` program: hands the arguments over and ends with the exit code. */

import { keepDebuggerShut } from "./cmd/debugger_guard.ts";

keepDebuggerShut();
// Loaded only now, since all that is imported above would come before that call.
const { dispatch } = await import("./cmd/mod.ts");
const { ProcessTerminal } = await import("./cmd/terminal.ts");
const { visibleText } = await import("./lib/kit/visible.ts");

const terminal = new ProcessTerminal();
try {
  Deno.exitCode = await dispatch(Deno.args, terminal);
} catch (error) {
  const text = visibleText(`${(error as Error).stack ?? error}`);
  terminal.err(`Error executing CLI: ${text}\n`);
  Deno.exitCode = 1;
}
await terminal.flush();
Deno.exit();
