/**
 * A table of commands: what the overview says about each, and how to load it.
 *
 * Commands about commands (`help.ts`, `completion.ts`) are given the table that
 * they are in. Not for: which commands there are (`mod.ts`).
 */

import { nearest } from "../lib/kit/nearest.ts";
import { unbroken } from "../lib/kit/visible.ts";
import type { Command } from "./command.ts";

/** Exit code for a command that is unknown or missing. */
export const UNKNOWN_COMMAND_EXIT_CODE = 127;

export interface CommandEntry {
  /** What the overview says about the command, in a few words. */
  readonly synopsis: string;
  load(): Promise<Command>;
}

export class CommandTable {
  readonly #entries: Readonly<Record<string, CommandEntry>>;

  /** @param entries by name, in the order of the overview */
  constructor(entries: Readonly<Record<string, CommandEntry>>) {
    this.#entries = entries;
  }

  /** Names of all commands, in the order of the overview. */
  get names(): string[] {
    return Object.keys(this.#entries);
  }

  /** The command of that name, `undefined` when there is none. */
  async load(name: string): Promise<Command | undefined> {
    return await this.#entry(name)?.load();
  }

  /** What the overview says about a command, in a few words; empty for none. */
  synopsis(name: string): string {
    return this.#entry(name)?.synopsis ?? "";
  }

  /** The list of all commands, as it is printed: with an empty line at the end. */
  overview(): string {
    const width = Math.max(...this.names.map((name) => name.length));
    let text = "Usage: serf [--version] [--help] <command> [<args>]\n\n";
    text += "Available commands are:\n";
    for (const [name, { synopsis }] of Object.entries(this.#entries)) {
      text += `    ${name.padEnd(width)}    ${synopsis}\n`;
    }
    return `${text}\n`;
  }

  /**
   * A line that says that there is no such command, and which one was probably
   * meant; empty when none was named.
   */
  unknownText(name: string | undefined): string {
    if (name === undefined) return "";
    const meant = nearest(name, this.names);
    return `Unknown command '${unbroken(name)}'.` +
      (meant === undefined ? "\n" : ` Did you mean '${meant}'?\n`);
  }

  #entry(name: string): CommandEntry | undefined {
    return Object.hasOwn(this.#entries, name) ? this.#entries[name] : undefined;
  }
}
