/**
 * `serf help`: the overview of commands, or the help of one.
 *
 * HashiCorp's program knows no such command and answers with the overview and
 * exit code 127. Here it prints on standard output and succeeds, so that it can
 * be piped into a pager; an unknown name ends as an unknown command does.
 */

import type { Command } from "./command.ts";
import {
  type CommandTable,
  UNKNOWN_COMMAND_EXIT_CODE,
} from "./command_table.ts";

/** @param commands what there is help about */
export function helpCommand(commands: CommandTable): Command {
  return {
    help: () => commands.overview().trimEnd(),

    async run(args, terminal) {
      const [name] = args;
      if (name === undefined) {
        terminal.out(commands.overview());
        return 0;
      }
      const described = await commands.load(name);
      if (described === undefined) {
        terminal.err(commands.overview() + commands.unknownText(name));
        return UNKNOWN_COMMAND_EXIT_CODE;
      }
      terminal.out(`${described.help(terminal)}\n`);
      return 0;
    },
  };
}
