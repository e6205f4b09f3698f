/**
 * Makes what is made of the help texts: `deno task docs`.
 *
 * The table of commands in docs/commands.md, which a test compares, and manual pages and
 * completions in `dist/`, which are not kept.
 */

import { dirname, join } from "node:path";
import { commandTable, withTable } from "./command_table.ts";
import { documents } from "./documents.ts";
import { allHelp } from "./help_text.ts";

const ROOT = join(import.meta.dirname ?? "", "..");

if (import.meta.main) {
  const commands = join(ROOT, "docs", "commands.md");
  const page = Deno.readTextFileSync(commands);
  const next = withTable(page, commandTable(await allHelp()));
  if (next !== page) Deno.writeTextFileSync(commands, next);
  for (const [path, text] of await documents()) {
    const target = join(ROOT, "dist", path);
    Deno.mkdirSync(dirname(target), { recursive: true });
    Deno.writeTextFileSync(target, text);
    console.info(`dist/${path}`);
  }
}
