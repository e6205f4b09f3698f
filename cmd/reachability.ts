/** `serf reachability`: whether every live member hears us, and we hear it. */

import { unbroken } from "../lib/kit/visible.ts";
import { monotonicMs } from "../lib/net/clock.ts";
import type { RpcClient } from "../lib/net/rpc_client.ts";
import { agentFlags, callAgent } from "./agent_call.ts";
import { type Command, hintIgnored, readFlags, renderHelp } from "./command.ts";
import { booleanFlag } from "./flags.ts";
import { checkFormat, fail, formatFlag, print } from "./format.ts";
import { compareText, type JsonValue } from "./output.ts";
import type { Terminal } from "./terminal.ts";

/** Asks for an ack and nothing else. */
const PING_QUERY = "_serf_ping";

const TROUBLESHOOTING = `
Troubleshooting tips:
* Ensure that the bind addr:port is accessible by all other nodes
* If an advertise address is set, ensure it routes to the bind address
* Check that no nodes are behind a NAT
* If nodes are behind firewalls or iptables, check that Serf traffic is permitted (UDP and TCP)
* Verify networking equipment is functional
`;

const flagTable = (terminal: Terminal) => ({
  "verbose": booleanFlag(false, {
    text: ["Also show each ack as it arrives, and how long it took."],
  }),
  "format": formatFlag(),
  ...agentFlags(terminal),
});

export const command: Command = {
  help: (terminal) =>
    renderHelp({
      usage: "reachability [options]",
      description: [
        "Tests the network: sends a query to all members that only asks for",
        "acks, and compares those who ack with those who are alive. A member",
        "that is missing, or not known to be alive, hints at a network or a",
        "configuration that is not right.",
      ],
      flags: flagTable(terminal),
    }),

  async run(args, terminal) {
    const flags = readFlags(command, flagTable(terminal), args, terminal);
    if (flags === undefined) return 1;
    const { values, positionals } = flags;
    hintIgnored(positionals, terminal);
    if (!checkFormat(values.format, terminal)) return 1;
    const complaint = "Error getting members";
    return await callAgent({ values, terminal, complaint }, async (client) => {
      const members = await client.members();
      const live = members.filter(({ status }) => status === "alive")
        .map(({ name }) => name);
      return await test(client, terminal, {
        format: values.format,
        isVerbose: values.verbose,
        memberCount: members.length,
        live,
      });
    });
  },
};

interface TestOptions {
  readonly format: string;
  readonly isVerbose: boolean;
  readonly memberCount: number;
  /** Names of the members that are alive. */
  readonly live: readonly string[];
}

async function test(
  client: RpcClient,
  terminal: Terminal,
  { format, isVerbose, memberCount, live }: TestOptions,
): Promise<number> {
  // As JSON, nothing is told before the end.
  const tell = (text: string) => {
    if (format === "text") terminal.out(text);
  };
  tell(`Total members: ${memberCount}, live members: ${live.length}\n`);
  const interrupted = Promise.withResolvers<"interrupted">();
  const stopListening = terminal.onInterrupt(() => {
    interrupted.resolve("interrupted");
  });
  const startMs = monotonicMs();
  let lastMs = startMs;
  const acks = new AckCount();
  try {
    const done = client.query({ name: PING_QUERY, requestAck: true }, {
      onStart: () => tell("Starting reachability test...\n"),
      onReply: (reply) => {
        if (reply.kind !== "ack") return;
        lastMs = monotonicMs();
        const isNew = acks.add(reply.from);
        if (!isNew) {
          tell(`Duplicate response from '${unbroken(reply.from)}'\n`);
        } else if (isVerbose) tell(`\tAck from '${unbroken(reply.from)}'\n`);
      },
    });
    const end = await Promise.race([interrupted.promise, done]);
    if (end === "interrupted") {
      return fail(format, "Test interrupted", terminal);
    }
  } catch (error) {
    const reason = (error as Error).message;
    return fail(format, `Error sending query: ${reason}`, terminal);
  } finally {
    stopListening();
  }
  const [queryMs, lastAckMs] = [monotonicMs() - startMs, lastMs - startMs];
  if (isVerbose) tell(timesText(queryMs, lastAckMs));
  const verdict = judge(live, acks);
  print(format, terminal, {
    text: verdict.text,
    json: reachabilityJson({ memberCount, live, acks, queryMs, lastAckMs }),
  });
  return verdict.code;
}

/** The whole test as one document; names are sorted, times in ms. */
export function reachabilityJson(
  { memberCount, live, acks, queryMs, lastAckMs }: {
    readonly memberCount: number;
    readonly live: readonly string[];
    readonly acks: AckCount;
    readonly queryMs: number;
    readonly lastAckMs: number;
  },
): JsonValue {
  const alive = new Set(live);
  const sorted = (names: Iterable<string>) => [...names].sort(compareText);
  return {
    members: memberCount,
    live: live.length,
    acks: sorted(acks.from),
    missing: sorted(live.filter((name) => !acks.from.has(name))),
    unexpected: sorted([...acks.from].filter((name) => !alive.has(name))),
    duplicates: acks.hasDuplicates,
    query_ms: Math.round(queryMs),
    last_ack_ms: Math.round(lastAckMs),
  };
}

/** How long the query and its last ack took, both ms. */
export function timesText(queryMs: number, lastAckMs: number): string {
  const [query, last] = [queryMs, lastAckMs].map((ms) =>
    (ms / 1_000).toFixed(2)
  );
  return `Query time: ${query} sec, time to last response: ${last} sec\n`;
}

/** Who has acked, and whether somebody did so twice. */
export class AckCount {
  readonly from = new Set<string>();
  hasDuplicates = false;

  /** @returns false for somebody who has acked before */
  add(name: string): boolean {
    if (this.from.has(name)) {
      this.hasDuplicates = true;
      return false;
    }
    this.from.add(name);
    return true;
  }
}

/**
 * What the acks mean.
 *
 * @param live names of the members that are alive
 */
export function judge(
  live: readonly string[],
  acks: AckCount,
): { readonly text: string; readonly code: number } {
  const duplicates = acks.hasDuplicates
    ? "Duplicate responses means there is a misconfiguration. Verify that node names are unique.\n"
    : "";
  const listed = (names: readonly string[]) =>
    [...names].sort(compareText).map((name) => `\t${unbroken(name)}\n`).join(
      "",
    );
  if (acks.from.size === live.length) {
    const text = `${duplicates}Successfully contacted all live nodes\n`;
    return { text, code: acks.hasDuplicates ? 1 : 0 };
  }
  if (acks.from.size > live.length) {
    const alive = new Set(live);
    const others = [...acks.from].filter((name) => !alive.has(name));
    return {
      text: duplicates +
        "Received more acks than live nodes! Acks from non-live nodes:\n" +
        listed(others) +
        "This could mean a misconfiguration, or members that failed but can still be reached.\n" +
        TROUBLESHOOTING,
      code: 1,
    };
  }
  const missing = live.filter((name) => !acks.from.has(name));
  return {
    text: duplicates +
      "Received less acks than live nodes! Missing acks from:\n" +
      listed(missing) +
      "This could mean Serf gossip packets are being lost due to a misconfiguration or network issue.\n" +
      TROUBLESHOOTING,
    code: 1,
  };
}
