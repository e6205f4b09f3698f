/**
 * `serf completion SHELL`: a script that completes commands and flags.
 *
 * What there is to complete is read from the help texts, which every command
 * has, so that a new command or flag is completed without a word here. Values
 * that are known beforehand are completed too, and files where a flag takes one.
 */

import { unbroken } from "../lib/kit/visible.ts";
import { type Command, failUsage, renderHelp } from "./command.ts";
import type { CommandTable } from "./command_table.ts";
import type { Terminal } from "./terminal.ts";

/** A flag as the scripts see it. */
export interface KnownFlag {
  readonly name: string;
  /** Whether something follows after `=`. */
  readonly takesValue: boolean;
}

export interface KnownCommand {
  readonly name: string;
  readonly flags: readonly KnownFlag[];
}

/** Values of flags that have few. */
const CHOICES: Readonly<Record<string, readonly string[]>> = {
  "format": ["text", "json"],
  "log-level": ["trace", "debug", "info", "warn", "err"],
  "profile": ["lan", "wan", "local"],
};

/** Flags whose value is a file or a folder. */
const FILE_FLAGS: readonly string[] = [
  "config-dir",
  "config-file",
  "keyring-file",
  "snapshot",
  "tags-file",
];

const SHELLS: Readonly<
  Record<string, (commands: readonly KnownCommand[]) => string>
> = { bash: bashScript, zsh: zshScript, fish: fishScript };

/** @param commands what there is to complete */
export function completionCommand(commands: CommandTable): Command {
  const command: Command = {
    help: () =>
      renderHelp({
        usage: "completion bash|zsh|fish",
        description: [
          "Prints a script that lets the shell complete the commands and flags of",
          "serf. To have that in all sessions, add a line to a file of the shell:",
          "",
          '  bash:  eval "$(serf completion bash)"    in ~/.bashrc',
          '  zsh:   eval "$(serf completion zsh)"     in ~/.zshrc, after compinit',
          "  fish:  serf completion fish | source     in ~/.config/fish/config.fish",
        ],
      }),

    async run(args, terminal) {
      const [shell = ""] = args;
      const script = Object.hasOwn(SHELLS, shell) ? SHELLS[shell] : undefined;
      if (script === undefined || args.length > 1) {
        const names = Object.keys(SHELLS).join(", ");
        const complaint = args.length > 1
          ? `One shell must be specified, not ${args.length}.`
          : shell === ""
          ? `A shell must be specified, one of: ${names}.`
          : `There is no script for '${unbroken(shell)}', only for: ${names}.`;
        return failUsage(command, complaint, terminal);
      }
      terminal.out(script(await knownCommands(commands, terminal)));
      return 0;
    },
  };
  return command;
}

/** All commands with their flags. Those of `completion` itself are none. */
export async function knownCommands(
  commands: CommandTable,
  terminal: Terminal,
): Promise<KnownCommand[]> {
  const known: KnownCommand[] = [];
  for (const name of commands.names) {
    const found = await commands.load(name);
    const help = name === "completion" ? "" : found?.help(terminal) ?? "";
    known.push({ name, flags: flagsIn(help) });
  }
  return known;
}

/** The flags that a help text describes: `  -name=value`, `  -name <value>`. */
export function flagsIn(help: string): KnownFlag[] {
  const [, options = ""] = help.split("\nOptions:\n");
  return [...options.matchAll(/^ {2}-([a-z][a-z0-9-]*)([= ](?=\S))?/gm)].map(
    ([, name = "", follows]) => ({ name, takesValue: follows !== undefined }),
  );
}

function bashScript(commands: readonly KnownCommand[]): string {
  const cases = commands.map(({ name, flags }) => {
    const words = flags.map((flag) =>
      `-${flag.name}${flag.takesValue ? "=" : ""}`
    );
    const more = name === "completion" ? Object.keys(SHELLS) : [];
    return `    ${name}) words="${[...words, ...more].join(" ")}" ;;`;
  });
  const choices = Object.entries(CHOICES).map(([name, values]) =>
    `    -${name}) words="${values.join(" ")}" ;;`
  );
  return `# Completes the commands and flags of serf in bash.

_serf() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="" words=""
  local command="\${COMP_WORDS[1]}"
  # Bash takes "-flag=value" for three words.
  if [[ $current == "=" ]]; then
    previous="\${COMP_WORDS[COMP_CWORD-1]}" current=""
  elif (( COMP_CWORD > 1 )); then
    previous="\${COMP_WORDS[COMP_CWORD-1]}"
    if [[ $previous == "=" ]]; then previous="\${COMP_WORDS[COMP_CWORD-2]}"; fi
  fi
  COMPREPLY=()
  case "$previous" in
    ${FILE_FLAGS.map((name) => `-${name}`).join("|")})
      compopt -o filenames 2> /dev/null
      mapfile -t COMPREPLY < <(compgen -f -- "$current")
      return ;;
${choices.join("\n")}
  esac
  if [[ -z $words ]] && (( COMP_CWORD == 1 )); then
    words="${commands.map(({ name }) => name).join(" ")}"
  elif [[ -z $words ]]; then
    case "$command" in
${cases.map((line) => `  ${line}`).join("\n")}
    esac
  fi
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
  if [[ \${COMPREPLY[0]-} == *= ]]; then compopt -o nospace 2> /dev/null; fi
}

complete -F _serf serf
`;
}

function zshScript(commands: readonly KnownCommand[]): string {
  const cases = commands.map(({ name, flags }) => {
    const specs = flags.map((flag) => `'${zshSpec(flag)}'`);
    if (name === "completion") {
      specs.push(`'1:shell:(${Object.keys(SHELLS).join(" ")})'`);
    }
    return `    ${name}) _arguments ${
      [...specs, "'*::argument:'"].join(" ")
    } ;;`;
  });
  return `#compdef serf
# Completes the commands and flags of serf in zsh.

_serf() {
  if (( CURRENT == 2 )); then
    compadd -- ${commands.map(({ name }) => name).join(" ")}
    return
  fi
  local command="\${words[2]}"
  shift words
  (( CURRENT-- ))
  case "$command" in
${cases.join("\n")}
  esac
}

if [[ "\${funcstack[1]}" == _serf ]]; then _serf "$@"; else compdef _serf serf; fi
`;
}

function zshSpec({ name, takesValue }: KnownFlag): string {
  if (!takesValue) return `*-${name}`;
  const choices = CHOICES[name];
  const action = FILE_FLAGS.includes(name)
    ? "_files"
    : choices === undefined
    ? ""
    : `(${choices.join(" ")})`;
  return `*-${name}=:value:${action}`;
}

function fishScript(commands: readonly KnownCommand[]): string {
  const lines = commands.flatMap(({ name, flags }) => {
    const when = `"__fish_seen_subcommand_from ${name}"`;
    const more = name === "completion"
      ? [`complete -c serf -n ${when} -a "${Object.keys(SHELLS).join(" ")}"`]
      : [];
    return [
      `complete -c serf -n __fish_use_subcommand -a ${name}`,
      ...more,
      ...flags.map((flag) =>
        `complete -c serf -n ${when} -o ${flag.name}${fishValue(flag)}`
      ),
    ];
  });
  return `# Completes the commands and flags of serf in fish.

complete -c serf -f
${lines.join("\n")}
`;
}

function fishValue({ name, takesValue }: KnownFlag): string {
  if (!takesValue) return "";
  if (FILE_FLAGS.includes(name)) return " -r -F";
  const choices = CHOICES[name];
  return choices === undefined ? " -x" : ` -x -a "${choices.join(" ")}"`;
}
