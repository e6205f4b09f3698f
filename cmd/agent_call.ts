/**
 * What the commands that talk to a running agent have in common: the two flags
 * that say where it is, and the connection.
 *
 * Source: `docs/protocol/cli.md` 1.5.
 */

import type { RpcClient } from "../lib/net/rpc_client.ts";
import { type Flag, textFlag } from "./flags.ts";
import { fail } from "./format.ts";
import type { Terminal } from "./terminal.ts";

const ADDRESS_DEFAULT = "127.0.0.1:7373";

/** What may be wrong, by the end of a reason. */
const HINTS: readonly (readonly [RegExp, string])[] = [
  [
    /(connection refused|no such file or directory)$/,
    "No agent takes commands at this address. Is it running, and with which\n" +
    "-rpc-addr? `serf agent` starts one.",
  ],
  [
    /client closed$/,
    "The address answers, but not as an agent takes commands; that is its\n" +
    `-rpc-addr, ${ADDRESS_DEFAULT} by default, not its -bind.`,
  ],
  [
    /((missing port|too many colons|missing '\]') in address|(unknown|invalid) port)$/,
    `-rpc-addr takes HOST:PORT, such as ${ADDRESS_DEFAULT} or [::1]:7373, or\n` +
    "unix:///PATH. It takes no other URL.",
  ],
  [
    /(Authentication required|Invalid authentication token)$/,
    "The token is the agent's rpc_auth; give it with -rpc-auth or SERF_RPC_AUTH.",
  ],
];

/** Where the agent is, and how to be let in. */
export interface AgentFlags {
  readonly "rpc-addr": Flag<string>;
  readonly "rpc-auth": Flag<string>;
}

/** The flags of every command that calls an agent; the environment may preset them. */
export function agentFlags(terminal: Terminal): AgentFlags {
  return {
    "rpc-addr": textFlag(terminal.env("SERF_RPC_ADDR") || ADDRESS_DEFAULT, {
      shown: `rpc-addr=${ADDRESS_DEFAULT}`,
      text: [
        "Where the agent listens for commands, HOST:PORT or",
        "unix:///PATH. The variable SERF_RPC_ADDR changes the",
        "default.",
      ],
    }),
    "rpc-auth": textFlag(terminal.env("SERF_RPC_AUTH") ?? "", {
      shown: 'rpc-auth=""',
      text: [
        "The token that the agent asks for, if it does. The",
        "variable SERF_RPC_AUTH changes the default.",
      ],
    }),
  };
}

/**
 * Connects to the agent, calls `work`, and closes the connection.
 *
 * @param complaint what precedes the reason when `work` fails
 * @param work returns the exit code
 * @returns the exit code; 1 after a failure, which is then printed
 */
export async function callAgent(
  options: {
    readonly values: {
      readonly "rpc-addr": string;
      readonly "rpc-auth": string;
      /** In which form a failure is told; text unless given. */
      readonly format?: string;
    };
    readonly terminal: Terminal;
    readonly complaint: string;
  },
  work: (client: RpcClient) => Promise<number>,
): Promise<number> {
  const { values, terminal } = options;
  // Loaded here, so that a mistake in the arguments costs no start-up time.
  const { RpcClient } = await import("../lib/net/rpc_client.ts");
  let client: RpcClient;
  try {
    client = await RpcClient.connect({
      address: values["rpc-addr"],
      authKey: values["rpc-auth"],
    });
  } catch (error) {
    const reason = (error as Error).message;
    const code = fail(
      values.format,
      `Error connecting to Serf agent: ${reason}`,
      terminal,
    );
    hint(reason, terminal);
    return code;
  }
  // The connection is all that is needed from here on.
  terminal.keepOnly([]);
  try {
    return await work(client);
  } catch (error) {
    const reason = (error as Error).message;
    const code = fail(
      values.format,
      `${options.complaint}: ${reason}`,
      terminal,
    );
    if (reason === "Authentication required") hint(reason, terminal);
    return code;
  } finally {
    client.close();
  }
}

/** Tells a person what would be right. Programs see what the original prints. */
function hint(reason: string, terminal: Terminal): void {
  const [, text] = HINTS.find(([end]) => end.test(reason)) ?? [];
  if (text !== undefined && terminal.isTerminal) terminal.err(`${text}\n`);
}
