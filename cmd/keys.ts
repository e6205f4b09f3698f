/**
 * `serf keys`: changes the encryption keys of the whole cluster, or counts them.
 *
 * The text is that of the original, but for the order of rows, which is that of
 * the keys or the names and there is left to chance. The JSON is ours: one
 * document at the end, also after a failure.
 */

import { unbroken, visibleEntry } from "../lib/kit/visible.ts";
import type { RpcClient } from "../lib/net/rpc_client.ts";
import type { RpcKeyReport } from "../lib/rpc/protocol.ts";
import { agentFlags, callAgent } from "./agent_call.ts";
import { type Command, hintIgnored, readFlags, renderHelp } from "./command.ts";
import { booleanFlag, type FlagValues, textFlag } from "./flags.ts";
import { checkFormat, fail } from "./format.ts";
import {
  type JsonValue,
  renderColumns,
  renderJson,
  sortedEntries,
} from "./output.ts";
import type { Terminal } from "./terminal.ts";

const flagTable = (terminal: Terminal) => ({
  "format": textFlag("text", {
    shown: "format=text",
    text: [
      "Either 'text', shown as it goes, or 'json', shown at the",
      "end.",
    ],
  }),
  "install": textFlag("", {
    shown: "install=<key>",
    text: ["Give all members one more key, in base64."],
  }),
  "list": booleanFlag(false, {
    text: ["Show which keys there are, and how many members have each."],
  }),
  "remove": textFlag("", {
    shown: "remove=<key>",
    text: ["Take a key away from all members, unless it is in use."],
  }),
  "use": textFlag("", {
    shown: "use=<key>",
    text: [
      "Have all members encrypt with this key, which must be",
      "installed.",
    ],
  }),
  ...agentFlags(terminal),
});

/** What can be done about keys. */
export type KeyAction = "list" | "install" | "use" | "remove";

interface ActionTexts {
  readonly begin: string;
  readonly success: string;
  readonly failure: string;
}

const TEXTS: Readonly<Record<KeyAction, ActionTexts>> = {
  list: {
    begin: "Asking all members for installed keys...",
    success: "Keys gathered, listing cluster keys...",
    failure: "Failed to gather member keys",
  },
  install: {
    begin: "Installing key on all members...",
    success: "Successfully installed key!",
    failure: "Error installing key",
  },
  use: {
    begin: "Changing primary key on all members...",
    success: "Successfully changed primary key!",
    failure: "Error changing primary key",
  },
  remove: {
    begin: "Removing key on all members...",
    success: "Successfully removed key!",
    failure: "Error removing key",
  },
};

export const command: Command = {
  help: (terminal) =>
    renderHelp({
      usage: "keys [options]...",
      description: [
        "Changes the keys that encrypt the traffic between the members, in the",
        "whole cluster at once and while it runs. To replace a key: install the",
        "new one, use it, then remove the old one, each step once the one before",
        "has succeeded everywhere. A step may be repeated. Just one of -install,",
        "-use, -remove and -list is given.",
        "",
        "A change lasts beyond a restart where the agent has a keyring file.",
      ],
      flags: flagTable(terminal),
    }),

  async run(args, terminal) {
    const flags = readFlags(command, flagTable(terminal), args, terminal);
    if (flags === undefined) return 1;
    const { values, positionals } = flags;
    hintIgnored(positionals, terminal);
    const [action, second] = actionsIn(values);
    if (second !== undefined) {
      return fail(
        values.format,
        "Only one of -install, -use, -remove, or -list allowed",
        terminal,
      );
    }
    if (action === undefined) {
      terminal.out(`${command.help(terminal)}\n`);
      return 1;
    }
    if (!checkFormat(values.format, terminal)) return 1;
    const screen = screenFor(values.format, action, terminal);
    const complaint = TEXTS[action].failure;
    return await callAgent({ values, terminal, complaint }, async (client) => {
      screen.begin();
      const { report, error } = await outcomeOf(() =>
        request(client, action, values)
      );
      screen.end(report, error);
      return error === undefined ? 0 : 1;
    });
  },
};

type KeyFlags = Pick<
  FlagValues<ReturnType<typeof flagTable>>,
  "install" | "list" | "remove" | "use"
>;

function actionsIn(values: KeyFlags): KeyAction[] {
  const actions = ["install", "use", "remove"] as const;
  return [
    ...(values.list ? ["list"] as const : []),
    ...actions.filter((action) => values[action] !== ""),
  ];
}

function request(
  client: RpcClient,
  action: KeyAction,
  values: KeyFlags,
): Promise<RpcKeyReport> {
  switch (action) {
    case "list":
      return client.listKeys();
    case "install":
      return client.installKey(values.install);
    case "use":
      return client.useKey(values.use);
    case "remove":
      return client.removeKey(values.remove);
  }
}

/** What the members said, and why it failed, if it did. */
async function outcomeOf(
  ask: () => Promise<RpcKeyReport>,
): Promise<{ report: RpcKeyReport; error?: string }> {
  // Already there, since a client was made.
  const { KeyRequestError } = await import("../lib/net/rpc_client.ts");
  try {
    return { report: await ask() };
  } catch (cause) {
    const error = (cause as Error).message;
    if (cause instanceof KeyRequestError) {
      return { report: cause.report, error };
    }
    return { report: NO_REPORT, error };
  }
}

const NO_REPORT: RpcKeyReport = {
  messages: new Map(),
  keys: undefined,
  nodes: 0,
  responses: 0,
  errors: 0,
};

/** What a request looks like while it runs. */
interface KeyScreen {
  begin(): void;
  end(report: RpcKeyReport, error: string | undefined): void;
}

function screenFor(
  format: string,
  action: KeyAction,
  terminal: Terminal,
): KeyScreen {
  if (format === "json") {
    return {
      begin: () => {},
      end: (report, error) => {
        terminal.out(`${renderJson(keysJson(action, report, error))}\n`);
        if (error !== undefined) {
          terminal.err(`${TEXTS[action].failure}: ${error}\n`);
        }
      },
    };
  }
  return {
    begin: () => terminal.out(`==> ${TEXTS[action].begin}\n`),
    end: (report, error) => {
      const reason = error !== undefined && terminal.isTerminal
        ? visibleEntry(error)
        : error;
      terminal.out(endText(action, report, reason));
    },
  };
}

/** How a request ended, for people. */
export function endText(
  action: KeyAction,
  report: RpcKeyReport,
  error: string | undefined,
): string {
  const { success, failure } = TEXTS[action];
  if (error !== undefined) {
    const rows = sortedEntries(report.messages)
      .map(([node, message]) => unbroken(`failed:|${node}|${message}`));
    const table = rows.length > 0 ? `${renderColumns(rows)}\n` : "";
    return `${table}\n${failure}: ${error}\n`;
  }
  if (action !== "list") return `==> ${success}\n`;
  const rows = sortedEntries(report.keys ?? new Map<string, number>())
    .map(([key, count]) => unbroken(`${key}|[${count}/${report.nodes}]`));
  return `==> ${success}\n\n${renderColumns(rows)}\n`;
}

/** How a request ended, for programs. */
export function keysJson(
  action: KeyAction,
  report: RpcKeyReport,
  error: string | undefined,
): JsonValue {
  return {
    action,
    error: error ?? null,
    nodes: report.nodes,
    responses: report.responses,
    errors: report.errors,
    messages: report.messages,
    // Counted for a list alone.
    keys: report.keys ?? null,
  };
}
