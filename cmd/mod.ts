/**
 * The table of subcommands, and the choice of one for a command line.
 *
 * Each command's file is loaded only when it is wanted, since a call should
 * start quickly and most commands need nothing of what the agent needs.
 *
 * The rules of choice are those of the dispatcher that Serf uses
 * (mitchellh/cli), with its exit codes: help on standard error with 0, an
 * unknown or missing command 127, misplaced flags 1. Source: cli reference 1.2.
 * One difference is meant: `serf help` and `serf help COMMAND` print help on
 * standard output and succeed.
 */

import { nearest } from "../lib/kit/nearest.ts";
import { unbroken } from "../lib/kit/visible.ts";
import type { Command } from "./command.ts";
import { NotTextError, refuseBrokenText } from "./given_text.ts";
import type { Terminal } from "./terminal.ts";
import { VisibleTerminal } from "./visible_terminal.ts";

/** What the overview says about a command, and how to get at it. */
interface CommandEntry {
  readonly synopsis: string;
  load(): Promise<{ readonly command: Command }>;
}

/** In alphabetical order, which is the order of the overview. */
const COMMANDS: Readonly<Record<string, CommandEntry>> = {
  "agent": {
    synopsis: "Runs a Serf agent",
    load: () => import("./agent.ts"),
  },
  "completion": {
    synopsis: "Prints a completion script for a shell",
    load: () => import("./completion.ts"),
  },
  "event": {
    synopsis: "Sends a custom event through the cluster",
    load: () => import("./event.ts"),
  },
  "force-leave": {
    synopsis: 'Moves a member of the cluster to the "left" state',
    load: () => import("./force_leave.ts"),
  },
  "help": {
    synopsis: "Shows this overview, or the help of one command",
    load: () => import("./help.ts"),
  },
  "info": {
    synopsis: "Shows an agent's internal figures, for operators",
    load: () => import("./info.ts"),
  },
  "join": {
    synopsis: "Tells the agent to join a cluster",
    load: () => import("./join.ts"),
  },
  "keygen": {
    synopsis: "Makes a new encryption key",
    load: () => import("./keygen.ts"),
  },
  "keys": {
    synopsis: "Changes or lists the encryption keys of the cluster",
    load: () => import("./keys.ts"),
  },
  "leave": {
    synopsis: "Leaves the cluster gracefully and stops the agent",
    load: () => import("./leave.ts"),
  },
  "members": {
    synopsis: "Lists the members of the cluster",
    load: () => import("./members.ts"),
  },
  "metrics": {
    synopsis: "Shows what an agent counted in the last minute",
    load: () => import("./metrics.ts"),
  },
  "monitor": {
    synopsis: "Follows the log and the events of an agent",
    load: () => import("./monitor.ts"),
  },
  "query": {
    synopsis: "Asks the members something and collects answers",
    load: () => import("./query.ts"),
  },
  "reachability": {
    synopsis: "Tests whether all live members can be reached",
    load: () => import("./reachability.ts"),
  },
  "rtt": {
    synopsis: "Estimates the round trip time between two nodes",
    load: () => import("./rtt.ts"),
  },
  "simulate": {
    synopsis: "Simulates a cluster: how fast it learns what happens",
    load: () => import("./simulate.ts"),
  },
  "tags": {
    synopsis: "Changes the tags of a running agent",
    load: () => import("./tags.ts"),
  },
  "version": {
    synopsis: "Prints the version",
    load: () => import("./version.ts"),
  },
};

const UNKNOWN_COMMAND_EXIT_CODE = 127;

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
    terminal.err(overview());
    return 0;
  }
  const command = await loadCommand(commandName ?? "");
  if (command === undefined) {
    terminal.err(overview() + unknownCommandText(commandName));
    return UNKNOWN_COMMAND_EXIT_CODE;
  }
  if (isHelpWanted || invocation.hasMisplacedFlags) {
    if (!isHelpWanted) terminal.err(MISPLACED_FLAGS);
    terminal.err(`${command.help(terminal)}\n`);
    return isHelpWanted ? 0 : 1;
  }
  return await command.run(invocation.commandArgs, terminal);
}

/** The command of that name, `undefined` when there is none. */
export async function loadCommand(name: string): Promise<Command | undefined> {
  const entry = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  return entry === undefined ? undefined : (await entry.load()).command;
}

/**
 * A line that says that there is no such command, and which one was probably
 * meant; empty when none was named.
 */
export function unknownCommandText(name: string | undefined): string {
  if (name === undefined) return "";
  const meant = nearest(name, Object.keys(COMMANDS));
  return `Unknown command '${unbroken(name)}'.` +
    (meant === undefined ? "\n" : ` Did you mean '${meant}'?\n`);
}

/** Names of all commands, in alphabetical order. */
export function commandNames(): string[] {
  return Object.keys(COMMANDS);
}

/** What the overview says about a command, in a few words; empty for none. */
export function synopsisOf(name: string): string {
  return Object.hasOwn(COMMANDS, name) ? COMMANDS[name]?.synopsis ?? "" : "";
}

/** The list of all commands, as it is printed: with an empty line at the end. */
export function overview(): string {
  const width = Math.max(...Object.keys(COMMANDS).map((name) => name.length));
  let text = "Usage: serf [--version] [--help] <command> [<args>]\n\n";
  text += "Available commands are:\n";
  for (const [name, { synopsis }] of Object.entries(COMMANDS)) {
    text += `    ${name.padEnd(width)}    ${synopsis}\n`;
  }
  return `${text}\n`;
}

export { UNKNOWN_COMMAND_EXIT_CODE };
