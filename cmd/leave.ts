/** `serf leave`: the agent says goodbye to the cluster and ends. */

import { agentFlags, callAgent } from "./agent_call.ts";
import { type Command, hintIgnored, readFlags, renderHelp } from "./command.ts";
import { checkFormat, formatFlag, print } from "./format.ts";
import type { Terminal } from "./terminal.ts";

export const LEFT_TEXT = "Graceful leave complete\n";

const flagTable = (terminal: Terminal) => ({
  "format": formatFlag(),
  ...agentFlags(terminal),
});

export const command: Command = {
  help: (terminal) =>
    renderHelp({
      usage: "leave",
      description: [
        "Makes the agent leave the cluster gracefully and stop. The other",
        "members then list it as having left, not as failed.",
      ],
      flags: flagTable(terminal),
    }),

  async run(args, terminal) {
    const flags = readFlags(command, flagTable(terminal), args, terminal);
    if (flags === undefined) return 1;
    const { values, positionals } = flags;
    hintIgnored(positionals, terminal);
    if (!checkFormat(values.format, terminal)) return 1;
    const complaint = "Error leaving";
    return await callAgent({ values, terminal, complaint }, async (client) => {
      await client.leave();
      print(values.format, terminal, { text: LEFT_TEXT, json: { left: true } });
      return 0;
    });
  },
};
