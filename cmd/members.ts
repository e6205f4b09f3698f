/** `serf members`: who is in the cluster, in the eyes of one agent. */

import { formatEndpoint, formatIp } from "../lib/kit/address.ts";
import { nearest } from "../lib/kit/nearest.ts";
import { unbroken } from "../lib/kit/visible.ts";
import type { RpcMember } from "../lib/rpc/protocol.ts";
import { agentFlags, callAgent } from "./agent_call.ts";
import { type Command, hintIgnored, readFlags, renderHelp } from "./command.ts";
import { booleanFlag, listFlag, textFlag } from "./flags.ts";
import { checkFormat, fail, formatFlag } from "./format.ts";
import {
  compareText,
  type JsonValue,
  printAs,
  renderAs,
  renderColumns,
} from "./output.ts";
import { parsePairs } from "./pairs.ts";
import type { Terminal } from "./terminal.ts";
import { watch } from "./watch.ts";

const flagTable = (terminal: Terminal) => ({
  "detailed": booleanFlag(false, {
    text: [
      "Also show the protocol versions of each member; JSON",
      "output always has them.",
    ],
  }),
  "format": formatFlag(),
  "name": textFlag("", {
    shown: "name=<regexp>",
    text: [
      "Only members whose name matches. This and the other",
      "expressions are set between '^' and '$', so that they",
      "must match as a whole.",
    ],
  }),
  "role": textFlag("", {
    shown: "role=<regexp>",
    text: ["Deprecated: use '-tag role=<regexp>' instead."],
  }),
  "status": textFlag("", {
    shown: "status=<regexp>",
    text: [
      "Only members in a matching state: alive, leaving, left",
      "or failed.",
    ],
  }),
  "tag": listFlag({
    shown: "tag <key>=<regexp>",
    text: [
      "Only members whose tag <key> has a matching value; a",
      "missing tag counts as an empty one. May be given several",
      "times, and then all of them must match.",
    ],
  }),
  "watch": booleanFlag(false, {
    text: [
      "Go on, and show the list again whenever it has changed,",
      "until interrupted.",
    ],
  }),
  ...agentFlags(terminal),
});

export const command: Command = {
  help: (terminal) =>
    renderHelp({
      usage: "members [options]",
      description: ["Lists the members that a running agent knows."],
      flags: flagTable(terminal),
    }),

  async run(args, terminal) {
    const flags = readFlags(command, flagTable(terminal), args, terminal);
    if (flags === undefined) return 1;
    const { values, positionals } = flags;
    hintIgnored(positionals, terminal, "For one member: -name=NAME.");
    hintAtStatus(values.status, terminal);
    const tagTexts = [...values.tag];
    if (values.role !== "") {
      terminal.out(
        "Deprecation warning: 'Role' has been replaced with 'Tags'\n",
      );
      tagTexts.push(`role=${values.role}`);
    }
    let tags: Map<string, string>;
    try {
      tags = parsePairs(tagTexts);
    } catch (error) {
      return fail(
        values.format,
        `Error: ${(error as Error).message}`,
        terminal,
      );
    }
    const filter = { tags, status: values.status, name: values.name };
    const complaint = "Error retrieving members";
    return await callAgent({ values, terminal, complaint }, async (client) => {
      const list = async () => {
        const members = sortByName(await client.members(filter));
        return {
          text: () => membersText(members, { isDetailed: values.detailed }),
          json: () => membersJson(members),
        };
      };
      const { format } = values;
      if (!values.watch) return printAs(format, terminal, await list());
      if (!checkFormat(format, terminal)) return 1;
      const render = async () => renderAs(format, await list());
      return await watch({ terminal, format, render });
    });
  },
};

const STATUSES: readonly string[] = ["alive", "leaving", "left", "failed"];

/** Tells a person that no member can have such a status. An expression may mean more. */
function hintAtStatus(status: string, terminal: Terminal): void {
  const isWord = /^[\w-]+$/.test(status);
  if (!terminal.isTerminal || !isWord || STATUSES.includes(status)) return;
  const meant = nearest(status, STATUSES);
  terminal.err(
    `There is no status '${status}', only ${STATUSES.join(", ")}.` +
      (meant === undefined ? "\n" : ` Did you mean '${meant}'?\n`),
  );
}

/** Agents of the original list their members in no order. */
function sortByName(members: readonly RpcMember[]): RpcMember[] {
  return members.toSorted((a, b) => compareText(a.name, b.name));
}

/** One row per member, in columns; no name or tag can make a row of its own. */
export function membersText(
  members: readonly RpcMember[],
  options: { readonly isDetailed: boolean },
): string {
  return renderColumns(members.map((member) => {
    const tags = [...member.tags ?? []].map(([key, value]) =>
      unbroken(`${key}=${value}`)
    );
    const row = [
      unbroken(member.name),
      endpointOf(member),
      member.status,
      tags.join(","),
    ];
    if (options.isDetailed) {
      const { delegateCur, delegateMin, delegateMax } = member;
      row.push(
        `Protocol Version: ${delegateCur}`,
        `Available Protocol Range: [${delegateMin}, ${delegateMax}]`,
      );
    }
    return row.join("|");
  }));
}

/** A list that was never filled is null, as Go writes it. */
export function membersJson(members: readonly RpcMember[]): JsonValue {
  if (members.length === 0) return { members: null };
  return {
    members: members.map((member) => ({
      name: member.name,
      addr: endpointOf(member),
      port: member.port,
      tags: member.tags ?? null,
      status: member.status,
      protocol: {
        max: member.delegateMax,
        min: member.delegateMin,
        version: member.delegateCur,
      },
    })),
  };
}

function endpointOf(member: RpcMember): string {
  const ip = member.addr.length === 0 ? "" : formatIp(member.addr);
  return formatEndpoint(ip, member.port);
}
