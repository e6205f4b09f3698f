/**
 * The help texts of the commands, taken apart again, for all that is made of them:
 * manual pages and the table of commands. The layout is `renderHelp`'s.
 */

import { COMMANDS } from "../cmd/mod.ts";
import type { Terminal } from "../cmd/terminal.ts";

export interface CommandHelp {
  readonly name: string;
  readonly synopsis: string;
  /** How it is called, without `serf`. */
  readonly usage: string;
  /** Lines; an empty one is between paragraphs, indented ones are kept as they are. */
  readonly description: readonly string[];
  readonly flags: readonly {
    /** As the help shows it, without the dash. */
    readonly shown: string;
    readonly text: string;
  }[];
}

/** A terminal without environment that keeps what was printed. */
export class Transcript implements Terminal {
  readonly isTerminal = false;
  text = "";

  out(text: string): void {
    this.text += text;
  }

  outBytes(bytes: Uint8Array): void {
    this.text += new TextDecoder().decode(bytes);
  }

  err(text: string): void {
    this.text += text;
  }

  control(): void {}

  env(): undefined {
    return undefined;
  }

  onInterrupt(): () => void {
    return () => {};
  }

  keepOnly(): void {}

  queueOutput(): void {}
}

/** The help of all commands, in the order of the overview. */
export async function allHelp(): Promise<CommandHelp[]> {
  return await Promise.all(
    COMMANDS.names.map(async (name) => {
      const command = await COMMANDS.load(name);
      const text = command?.help(new Transcript()) ?? "";
      return {
        name,
        synopsis: COMMANDS.synopsis(name),
        ...parseHelp(name, text),
      };
    }),
  );
}

/** One help text. `version` has none, and that of `help` is the overview. */
export function parseHelp(
  name: string,
  text: string,
): Omit<CommandHelp, "name" | "synopsis"> {
  if (!text.startsWith(`Usage: serf ${name}`)) {
    const usage = name === "help" ? "help [command]" : name;
    return { usage, description: [], flags: [] };
  }
  const [head = "", options = ""] = text.split("\n\nOptions:\n\n");
  const [first = "", , ...description] = head.split("\n");
  return {
    usage: first.slice("Usage: serf ".length),
    description: description.map((line) => line.replace(/^ {2}/, "")),
    flags: options.split(/^ {2}-(?=\S)/m).slice(1).map((entry) => {
      // Two blanks, or a new line, are between a flag and its description.
      const [shown = "", ...rest] = entry.split(/ {2,}|\n/);
      const words = rest.map((part) => part.trim()).filter((part) => part);
      return { shown, text: words.join(" ") };
    }),
  };
}
