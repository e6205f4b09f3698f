/** `serf join`: brings the agent's cluster and others together. */

import { parseIp } from "../lib/kit/address.ts";
import { quoteText } from "../lib/kit/quote.ts";
import { agentFlags, callAgent } from "./agent_call.ts";
import { type Command, failUsage, readFlags, renderHelp } from "./command.ts";
import { booleanFlag } from "./flags.ts";
import { checkFormat, formatFlag, print } from "./format.ts";
import type { Terminal } from "./terminal.ts";

const flagTable = (terminal: Terminal) => ({
  "replay": booleanFlag(false, {
    text: [
      "Also deliver custom events from before the join that",
      "the cluster still remembers.",
    ],
  }),
  "format": formatFlag(),
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
    if (!checkFormat(values.format, terminal)) return 1;
    if (positionals.length === 0) {
      return failUsage(
        command,
        "At least one address to join must be specified.",
        terminal,
        values.format,
      );
    }
    const complaint = "Error joining the cluster";
    const code = await callAgent(
      { values, terminal, complaint },
      async (client) => {
        const contacted = await client.join(positionals, values.replay);
        print(values.format, terminal, {
          text: joinedText(contacted),
          json: { contacted },
        });
        return 0;
      },
    );
    if (code !== 0) hintAtAddresses(positionals, terminal);
    return code;
  },
};

/** Tells a person about addresses that can be none, which the agent took for names. */
function hintAtAddresses(
  addresses: readonly string[],
  terminal: Terminal,
): void {
  const wrong = addresses.find((address) =>
    address.includes("://") || hasTwoPorts(address)
  );
  if (wrong === undefined || !terminal.isTerminal) return;
  terminal.err(
    `An address is HOST, HOST:PORT or [IPV6]:PORT; ${quoteText(wrong)} is ` +
      (wrong.includes("://") ? "a URL.\n" : "none of them.\n"),
  );
}

/** Whether more than one port follows a host. A member's name may stand before it. */
function hasTwoPorts(address: string): boolean {
  const host = address.slice(address.lastIndexOf("/") + 1);
  return /:.*:/.test(host) && !host.startsWith("[") &&
    parseIp(host) === undefined;
}

/** @param contacted how many addresses answered */
export function joinedText(contacted: number): string {
  return `Successfully joined cluster by contacting ${contacted} nodes.\n`;
}
