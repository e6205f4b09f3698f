/** What is made for users besides the executable: manual pages and completions. */

import { completionCommand } from "../cmd/completion.ts";
import { COMMANDS } from "../cmd/mod.ts";
import { Transcript } from "./help_text.ts";
import { manPages } from "./man.ts";

/** Names that the shells look for, and the shells. */
const COMPLETIONS = [
  ["serf.bash", "bash"],
  ["_serf", "zsh"],
  ["serf.fish", "fish"],
] as const;

/** The files by path, each with its text. */
export async function documents(): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for (const [name, text] of await manPages()) files.set(`man/${name}`, text);
  const completion = completionCommand(COMMANDS);
  for (const [name, shell] of COMPLETIONS) {
    const terminal = new Transcript();
    await completion.run([shell], terminal);
    files.set(`completions/${name}`, terminal.text);
  }
  return files;
}
