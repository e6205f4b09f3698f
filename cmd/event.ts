/** `serf event`: sends a custom event through the cluster. */

import { utf8Bytes } from "../lib/kit/bytes.ts";
import { agentFlags, callAgent } from "./agent_call.ts";
import { type Command, failUsage, readFlags, renderHelp } from "./command.ts";
import { booleanFlag } from "./flags.ts";
import { checkFormat, formatFlag, print } from "./format.ts";
import type { Terminal } from "./terminal.ts";

const flagTable = (terminal: Terminal) => ({
  "coalesce": booleanFlag(true, {
    text: [
      "Lets members that get several events of this name",
      "within a short time deliver only the latest. Turn it",
      "off when each event counts.",
    ],
  }),
  "format": formatFlag(),
  ...agentFlags(terminal),
});

export const command: Command = {
  help: (terminal) =>
    renderHelp({
      usage: "event [options] name payload",
      description: [
        "Sends a custom event to all members of the cluster, whose event",
        "handlers get its name and, if there is one, its payload.",
      ],
      flags: flagTable(terminal),
    }),

  async run(args, terminal) {
    const flags = readFlags(command, flagTable(terminal), args, terminal);
    if (flags === undefined) return 1;
    const { values, positionals } = flags;
    if (!checkFormat(values.format, terminal)) return 1;
    const [name, payload] = positionals;
    if (name === undefined) {
      return failUsage(
        command,
        "An event name must be specified.",
        terminal,
        values.format,
      );
    }
    if (positionals.length > 2) {
      return failUsage(
        command,
        "Too many command line arguments. Only a name and payload must be specified.",
        terminal,
        values.format,
      );
    }
    const { coalesce } = values;
    const complaint = "Error sending event";
    return await callAgent({ values, terminal, complaint }, async (client) => {
      await client.event({
        name,
        payload: payload === undefined ? undefined : utf8Bytes(payload),
        coalesce,
      });
      print(values.format, terminal, {
        text: eventSentText(name, coalesce),
        json: { name, coalesce },
      });
      return 0;
    });
  },
};

export function eventSentText(name: string, coalesce: boolean): string {
  return `Event '${name}' dispatched! Coalescing enabled: ${coalesce}\n`;
}
