/** `serf tags`: changes what an agent says about itself. */

import { agentFlags, callAgent } from "./agent_call.ts";
import { type Command, hintIgnored, readFlags, renderHelp } from "./command.ts";
import { listFlag, textFlag } from "./flags.ts";
import { checkFormat, fail, print } from "./format.ts";
import type { JsonValue } from "./output.ts";
import { parsePairs } from "./pairs.ts";
import type { Terminal } from "./terminal.ts";

const flagTable = (terminal: Terminal) => ({
  "delete": listFlag({
    shown: "delete <key>",
    text: [
      "Tag to delete; one that the agent does not have is no",
      "mistake. May be given several times.",
    ],
  }),
  "format": textFlag("text", {
    shown: "format=text",
    text: ["Either 'text', or 'json' to list what was changed."],
  }),
  "set": listFlag({
    shown: "set <key>=<value>",
    text: [
      "Tag to set, after all deletions. May be given several",
      "times.",
    ],
  }),
  ...agentFlags(terminal),
});

export const command: Command = {
  help: (terminal) =>
    renderHelp({
      usage: "tags [options] ...",
      description: [
        "Changes the tags of a running agent and tells the cluster. At least one",
        "tag to set or to delete must be given.",
      ],
      flags: flagTable(terminal),
    }),

  async run(args, terminal) {
    const flags = readFlags(command, flagTable(terminal), args, terminal);
    if (flags === undefined) return 1;
    const { values, positionals } = flags;
    hintIgnored(positionals, terminal);
    if (values.set.length === 0 && values.delete.length === 0) {
      terminal.out(`${command.help(terminal)}\n`);
      return 1;
    }
    if (!checkFormat(values.format, terminal)) return 1;
    const complaint = "Error setting tags";
    return await callAgent({ values, terminal, complaint }, async (client) => {
      let set: ReadonlyMap<string, string>;
      try {
        set = parsePairs(values.set);
      } catch (error) {
        const { message } = error as Error;
        return fail(values.format, `Error: ${message}`, terminal);
      }
      await client.changeTags({ set, delete: values.delete });
      print(values.format, terminal, {
        text: "Successfully updated agent tags\n",
        json: changesJson(set, values.delete),
      });
      return 0;
    });
  },
};

/** What was changed: a tag that was deleted and set was set. */
export function changesJson(
  set: ReadonlyMap<string, string>,
  deleted: readonly string[],
): JsonValue {
  return { set, deleted: [...new Set(deleted)].filter((key) => !set.has(key)) };
}
