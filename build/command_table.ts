/** The table of commands in docs/commands.md, made of the commands' own help. */

import type { CommandHelp } from "./help_text.ts";

/** Flags that nearly all commands have; the text below the table is about them. */
const COMMON = ["format", "rpc-addr", "rpc-auth"];
/** Flags that are too many for a table, and where they are. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  "agent": "see [configuration](configuration.md)",
};
const HEADING = "\n## Commands\n\n";

/** The table, laid out as the formatter does it. */
export function commandTable(commands: readonly CommandHelp[]): string {
  const rows = commands.map(({ name, usage, synopsis, flags }) => {
    const own = flags.map(({ shown }) => shown.replace(/[= ].*$/, ""))
      .filter((flag) => !COMMON.includes(flag));
    const shown = own.length === 0
      ? ""
      : `\`${own.map((flag) => `-${flag}`).join(" ")}\``;
    return [`\`serf ${usage}\``, synopsis, ELSEWHERE[name] ?? shown]
      // A bar would end the cell.
      .map((cell) => cell.replaceAll("|", "\\|"));
  });
  const table = [["Command", "What it does", "Its own options"], ...rows];
  const widths = [0, 1, 2].map((column) =>
    Math.max(...table.map((row) => row[column]?.length ?? 0))
  );
  const line = (cells: readonly string[], fill = " ") =>
    `| ${
      cells.map((cell, i) => cell.padEnd(widths[i] ?? 0, fill)).join(" | ")
    } |`;
  const [header = [], ...others] = table;
  return [
    line(header),
    line(["", "", ""], "-"),
    ...others.map((row) => line(row)),
  ]
    .map((text) => `${text}\n`).join("");
}

/**
 * The page with a new table below the heading `Commands`.
 *
 * @throws {Error} when it has none there
 */
export function withTable(page: string, table: string): string {
  const at = page.indexOf(HEADING) + HEADING.length;
  const old = /^(?:\|.*\n)+/.exec(page.slice(at))?.[0];
  if (at < HEADING.length || old === undefined) {
    throw new Error("There is no table of commands");
  }
  return page.slice(0, at) + table + page.slice(at + old.length);
}
