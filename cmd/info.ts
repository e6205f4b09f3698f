/** `serf info`: an agent's figures. */

import { unbroken } from "../lib/kit/visible.ts";
import type { RpcStats } from "../lib/rpc/protocol.ts";
import { agentFlags, callAgent } from "./agent_call.ts";
import { type Command, hintIgnored, readFlags, renderHelp } from "./command.ts";
import { formatFlag } from "./format.ts";
import { printAs, sortedEntries } from "./output.ts";
import type { Terminal } from "./terminal.ts";

const flagTable = (terminal: Terminal) => ({
  "format": formatFlag(),
  ...agentFlags(terminal),
});

export const command: Command = {
  help: (terminal) =>
    renderHelp({
      usage: "info [options]",
      description: [
        "Shows what an agent reports about itself: its node, its process, its",
        "clocks and queues, its tags and its event handlers.",
      ],
      flags: flagTable(terminal),
    }),

  async run(args, terminal) {
    const flags = readFlags(command, flagTable(terminal), args, terminal);
    if (flags === undefined) return 1;
    const { values, positionals } = flags;
    hintIgnored(positionals, terminal);
    const complaint = "Error querying agent";
    return await callAgent({ values, terminal, complaint }, async (client) => {
      const stats = await client.stats();
      return printAs(values.format, terminal, {
        text: () => statsText(stats, terminal.isTerminal),
        json: () => stats,
      });
    });
  },
};

/**
 * Sections and their entries, both sorted; a section may be empty.
 *
 * A script of a handler may have several lines. For a person they stand on one,
 * so that a tag cannot pass for another entry.
 */
export function statsText(stats: RpcStats, isForPeople: boolean): string {
  const shown = isForPeople ? unbroken : (text: string) => text;
  let text = "";
  for (const [section, entries] of sortedEntries(stats)) {
    text += `${shown(section)}:\n`;
    for (const [key, value] of sortedEntries(entries)) {
      text += `\t${shown(key)} = ${shown(value)}\n`;
    }
  }
  return text;
}
