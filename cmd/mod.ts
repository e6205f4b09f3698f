/**
 * The subcommands, and the choice of one for a command line.
 *
 * Each command's file is loaded only when it is wanted, since a call should
 * start quickly and most commands need nothing of what the agent needs.
 *
 * The rules of choice are those of the dispatcher that Serf uses
 * (mitchellh/cli), with its exit codes: help on standard error with 0, an
 * unknown or missing command 127, misplaced flags 1. One difference is meant:
 * `serf help` and `serf help COMMAND` print help on standard output and succeed.
 * Source: `docs/protocol/cli.md` 1.2.
 */

import { CommandTable, UNKNOWN_COMMAND_EXIT_CODE } from "./command_table.ts";
import { NotTextError, refuseBrokenText } from "./given_text.ts";
import type { Terminal } from "./terminal.ts";
import { VisibleTerminal } from "./visible_terminal.ts";

/** In alphabetical order, which is the order of the overview. */
export const COMMANDS: CommandTable = new CommandTable({
  "agent": {
    synopsis: "Runs a Serf agent",
    load: async () => (await import("./agent.ts")).command,
  },
  "completion": {
    synopsis: "Prints a completion script for a shell",
    load: async () =>
      (await import("./completion.ts")).completionCommand(COMMANDS),
  },
  "event": {
    synopsis: "Sends a custom event through the cluster",
    load: async () => (await import("./event.ts")).command,
  },
  "force-leave": {
    synopsis: 'Moves a member of the cluster to the "left" state',
    load: async () => (await import("./force_leave.ts")).command,
  },
  "help": {
    synopsis: "Shows this overview, or the help of one command",
    load: async () => (await import("./help.ts")).helpCommand(COMMANDS),
  },
  "info": {
    synopsis: "Shows an agent's internal figures, for operators",
    load: async () => (await import("./info.ts")).command,
  },
  "join": {
    synopsis: "Tells the agent to join a cluster",
    load: async () => (await import("./join.ts")).command,
  },
  "keygen": {
    synopsis: "Makes a new encryption key",
    load: async () => (await import("./keygen.ts")).command,
  },
  "keys": {
    synopsis: "Changes or lists the encryption keys of the cluster",
    load: async () => (await import("./keys.ts")).command,
  },
  "leave": {
    synopsis: "Leaves the cluster gracefully and stops the agent",
    load: async () => (await import("./leave.ts")).command,
  },
  "members": {
    synopsis: "Lists the members of the cluster",
    load: async () => (await import("./members.ts")).command,
  },
  "metrics": {
    synopsis: "Shows what an agent counted in the last minute",
    load: async () => (await import("./metrics.ts")).command,
  },
  "monitor": {
    synopsis: "Follows the log and the events of an agent",
    load: async () => (await import("./monitor.ts")).command,
  },
  "query": {
    synopsis: "Asks the members something and collects answers",
    load: async () => (await import("./query.ts")).command,
  },
  "reachability": {
    synopsis: "Tests whether all live members can be reached",
    load: async () => (await import("./reachability.ts")).command,
  },
  "rtt": {
    synopsis: "Estimates the round trip time between two nodes",
    load: async () => (await import("./rtt.ts")).command,
  },
  "simulate": {
    synopsis: "Simulates a cluster: how fast it learns what happens",
    load: async () => (await import("./simulate.ts")).command,
  },
  "tags": {
    synopsis: "Changes the tags of a running agent",
    load: async () => (await import("./tags.ts")).command,
  },
  "version": {
    synopsis: "Prints the version",
    load: async () => (await import("./version.ts")).command,
  },
});

const MISPLACED_FLAGS =
  "Invalid flags before the subcommand. If these flags are for\n" +
  "the subcommand, please put them after the subcommand.\n\n";

/** What a command line asks for. */
export interface Invocation {
  /** Undefined when no argument names one. */
  readonly commandName: string | undefined;
  readonly commandArgs: readonly string[];
  readonly isHelpWanted: boolean;
  /** Whether flags stand before the command, where they mean nothing. */
  readonly hasMisplacedFlags: boolean;
}

/** Takes the arguments of the process apart; knows nothing of commands. */
export function readInvocation(processArgs: readonly string[]): Invocation {
  const isVersionWanted = processArgs.some((arg) =>
    arg === "-v" || arg === "--version"
  );
  const args = isVersionWanted ? ["version", ...processArgs] : processArgs;
  let commandName: string | undefined;
  let commandArgs: readonly string[] = [];
  let isHelpWanted = false;
  let hasMisplacedFlags = false;
  for (const [i, arg] of args.entries()) {
    if (arg === "--") break;
    if (arg === "-h" || arg === "-help" || arg === "--help") {
      isHelpWanted = true;
    } else if (commandName !== undefined || arg === "-version") continue;
    else if (arg.startsWith("-")) hasMisplacedFlags = true;
    else if (arg !== "") {
      commandName = arg;
      commandArgs = args.slice(i + 1);
    }
  }
  return { commandName, commandArgs, isHelpWanted, hasMisplacedFlags };
}

/**
 * Does what the command line asks for.
 *
 * @returns the exit code of the process
 */
export async function dispatch(
  args: readonly string[],
  terminal: Terminal,
): Promise<number> {
  const visible = new VisibleTerminal(terminal);
  try {
    refuseBrokenText(args);
    return await run(args, visible);
  } catch (error) {
    if (!(error instanceof NotTextError)) throw error;
    const { fail, formatOf } = await import("./format.ts");
    return fail(formatOf(args), error.message, visible);
  }
}

async function run(
  args: readonly string[],
  terminal: Terminal,
): Promise<number> {
  const invocation = readInvocation(args);
  const { commandName, isHelpWanted } = invocation;
  if (commandName === undefined && isHelpWanted) {
    terminal.err(COMMANDS.overview());
    return 0;
  }
  const command = await COMMANDS.load(commandName ?? "");
  if (command === undefined) {
    terminal.err(COMMANDS.overview() + COMMANDS.unknownText(commandName));
    return UNKNOWN_COMMAND_EXIT_CODE;
  }
  if (isHelpWanted || invocation.hasMisplacedFlags) {
    if (!isHelpWanted) terminal.err(MISPLACED_FLAGS);
    terminal.err(`${command.help(terminal)}\n`);
    return isHelpWanted ? 0 : 1;
  }
  return await command.run(invocation.commandArgs, terminal);
}
