/** `serf leave`: the agent says goodbye to the cluster and ends. */

import { agentFlags, callAgent } from "./agent_call.ts";
import { type Command, readFlags, renderHelp } from "./command.ts";

export const LEFT_TEXT = "Graceful leave complete\n";

export const command: Command = {
  help: (terminal) =>
    renderHelp({
      usage: "leave",
      description: [
        "Makes the agent leave the cluster gracefully and stop. The other",
        "members then list it as having left, not as failed.",
      ],
      flags: { ...agentFlags(terminal) },
    }),

  async run(args, terminal) {
    const table = { ...agentFlags(terminal) };
    const flags = readFlags(command, table, args, terminal);
    if (flags === undefined) return 1;
    const { values } = flags;
    const complaint = "Error leaving";
    return await callAgent({ values, terminal, complaint }, async (client) => {
      await client.leave();
      terminal.out(LEFT_TEXT);
      return 0;
    });
  },
};
