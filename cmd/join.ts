/** `serf join`: brings the agent's cluster and others together. */

import { agentFlags, callAgent } from "./agent_call.ts";
import { type Command, failUsage, readFlags, renderHelp } from "./command.ts";
import { booleanFlag } from "./flags.ts";
import type { Terminal } from "./terminal.ts";

const flagTable = (terminal: Terminal) => ({
  "replay": booleanFlag(false, {
    text: [
      "Also deliver custom events from before the join that",
      "the cluster still remembers.",
    ],
  }),
  ...agentFlags(terminal),
});

export const command: Command = {
  help: (terminal) =>
    renderHelp({
      usage: "join [options] address ...",
      description: [
        "Tells a running agent to join a cluster, by the addresses of one or more",
        "of its members. An address is a host with or without a port.",
      ],
      flags: flagTable(terminal),
    }),

  async run(args, terminal) {
    const flags = readFlags(command, flagTable(terminal), args, terminal);
    if (flags === undefined) return 1;
    const { values, positionals } = flags;
    if (positionals.length === 0) {
      return failUsage(
        command,
        "At least one address to join must be specified.",
        terminal,
      );
    }
    const complaint = "Error joining the cluster";
    return await callAgent({ values, terminal, complaint }, async (client) => {
      terminal.out(joinedText(await client.join(positionals, values.replay)));
      return 0;
    });
  },
};

/** @param contacted how many addresses answered */
export function joinedText(contacted: number): string {
  return `Successfully joined cluster by contacting ${contacted} nodes.\n`;
}
