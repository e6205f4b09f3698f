/**
 * `serf help`: the overview of commands, or the help of one.
 *
 * HashiCorp's program knows no such command and answers with the overview and
 * exit code 127. Here it prints on standard output and succeeds, so that it can
 * be piped into a pager; an unknown name ends as an unknown command does.
 */

import type { Command } from "./command.ts";
import {
  loadCommand,
  overview,
  UNKNOWN_COMMAND_EXIT_CODE,
  unknownCommandText,
} from "./mod.ts";

export const command: Command = {
  help: () => overview().trimEnd(),

  async run(args, terminal) {
    const [name] = args;
    if (name === undefined) {
      terminal.out(overview());
      return 0;
    }
    const described = await loadCommand(name);
    if (described === undefined) {
      terminal.err(overview() + unknownCommandText(name));
      return UNKNOWN_COMMAND_EXIT_CODE;
    }
    terminal.out(`${described.help(terminal)}\n`);
    return 0;
  },
};
