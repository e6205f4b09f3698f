/** `serf force-leave`: declares that a member is gone for good. */

import { nearest } from "../lib/kit/nearest.ts";
import { unbroken } from "../lib/kit/visible.ts";
import type { RpcClient } from "../lib/net/rpc_client.ts";
import { agentFlags, callAgent } from "./agent_call.ts";
import { type Command, failUsage, readFlags, renderHelp } from "./command.ts";
import { booleanFlag } from "./flags.ts";
import { checkFormat, formatFlag, print } from "./format.ts";
import type { Terminal } from "./terminal.ts";

const flagTable = (terminal: Terminal) => ({
  "prune": booleanFlag(false, {
    text: ["Forget the member at once, instead of listing it as left."],
  }),
  "format": formatFlag(),
  ...agentFlags(terminal),
});

export const command: Command = {
  help: (terminal) =>
    renderHelp({
      usage: "force-leave [options] name",
      description: [
        'Moves a failed member to the "left" state, so that the cluster stops',
        "trying to reach it. A member that is alive after all announces itself",
        "again. Left to themselves, failed members are forgotten after a day.",
      ],
      flags: flagTable(terminal),
    }),

  async run(args, terminal) {
    const flags = readFlags(command, flagTable(terminal), args, terminal);
    if (flags === undefined) return 1;
    const { values, positionals } = flags;
    if (!checkFormat(values.format, terminal)) return 1;
    const [name] = positionals;
    if (name === undefined || positionals.length > 1) {
      return failUsage(
        command,
        "A node name must be specified to force leave.",
        terminal,
        values.format,
      );
    }
    const complaint = "Error force leaving";
    return await callAgent({ values, terminal, complaint }, async (client) => {
      const { format, prune } = values;
      if (terminal.isTerminal) await hintAtUnknown(name, client, terminal);
      await client.forceLeave(name, prune);
      print(format, terminal, { text: "", json: { node: name, prune } });
      return 0;
    });
  },
};

/**
 * Tells a person that nobody has this name. The agent passes the news on all the
 * same, as the original does: other members may know of one.
 */
async function hintAtUnknown(
  name: string,
  client: RpcClient,
  terminal: Terminal,
): Promise<void> {
  const names = (await client.members()).map((member) => member.name);
  if (names.includes(name)) return;
  const meant = nearest(name, names);
  terminal.err(
    `The agent knows no member '${unbroken(name)}'.` +
      (meant === undefined ? "\n" : ` Did you mean '${unbroken(meant)}'?\n`),
  );
}
