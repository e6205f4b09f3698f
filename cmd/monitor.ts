/** `serf monitor`: an agent's log and events, as they happen. */

import type { RpcClient } from "../lib/net/rpc_client.ts";
import { RecordText, type RecordValue } from "../lib/rpc/client_session.ts";
import { formatIp } from "../lib/kit/address.ts";
import { utf8Text } from "../lib/kit/bytes.ts";
import { unbroken, visibleEntry } from "../lib/kit/visible.ts";
import { agentFlags, callAgent } from "./agent_call.ts";
import { type Command, hintIgnored, readFlags, renderHelp } from "./command.ts";
import { textFlag } from "./flags.ts";
import { checkFormat, fail } from "./format.ts";
import { fieldInGoSyntax } from "./go_syntax.ts";
import { type JsonValue, renderJsonLine } from "./output.ts";
import type { Terminal } from "./terminal.ts";
import { pause } from "./watch.ts";

export const REMOTE_ENDED_TEXT =
  "\nRemote side ended the monitor! This usually means that the\n" +
  "remote side has exited or crashed.\n";

/** How long an interrupted monitor waits for the agent to say goodbye, ms. */
const STOP_WAIT_MS = 1_000;

const flagTable = (terminal: Terminal) => ({
  "log-level": textFlag("INFO", {
    shown: "log-level=info",
    text: [
      "The least important level to show, of trace, debug, info,",
      "warn and err.",
    ],
  }),
  "format": textFlag("text", {
    shown: "format=text",
    text: ["Either 'text' or 'json', which is one document per line."],
  }),
  ...agentFlags(terminal),
});

export const command: Command = {
  help: (terminal) =>
    renderHelp({
      usage: "monitor [options]",
      description: [
        "Shows the recent log of an agent and goes on with what it logs from",
        "now on, until interrupted. The level is independent of the agent's own:",
        "an agent that logs at INFO can be monitored at DEBUG. Events are shown",
        "with all their fields.",
      ],
      flags: flagTable(terminal),
    }),

  async run(args, terminal) {
    const flags = readFlags(command, flagTable(terminal), args, terminal);
    if (flags === undefined) return 1;
    const { values, positionals } = flags;
    hintIgnored(positionals, terminal);
    const { format } = values;
    if (!checkFormat(format, terminal)) return 1;
    const interrupted = Promise.withResolvers<"interrupted">();
    const complaint = "Error starting stream";
    return await callAgent({ values, terminal, complaint }, async (client) => {
      const stream = await client.stream(
        "*",
        (event) =>
          terminal.out(
            format === "json" ? eventLine(event) : eventText(event),
          ),
      );
      const monitor = await startMonitor(client, values, terminal);
      if (monitor === undefined) return 1;
      const stopListening = terminal.onInterrupt(() => {
        interrupted.resolve("interrupted");
      });
      const end = await Promise.race([interrupted.promise, client.closed]);
      stopListening();
      if (end !== "interrupted") {
        if (format === "text") {
          terminal.out(REMOTE_ENDED_TEXT);
          return 1;
        }
        return fail(format, "Remote side ended the monitor!", terminal);
      }
      await stopQuietly(client, [monitor, stream]);
      return 0;
    });
  },
};

/** An event with one line per field, the fields in the order in which they came. */
export function eventText(event: RecordValue): string {
  let text = "Event Info:\n";
  const fields = event instanceof Map ? event : new Map<string, RecordValue>();
  for (const [name, value] of fields) {
    text += `\t${unbroken(name)}: ${fieldInGoSyntax(value)}\n`;
  }
  return text;
}

async function startMonitor(
  client: RpcClient,
  values: { readonly "log-level": string; readonly format: string },
  terminal: Terminal,
): Promise<bigint | undefined> {
  const { "log-level": level, format } = values;
  try {
    return await client.monitor(
      level,
      (line) =>
        terminal.out(
          format === "json"
            ? renderJsonLine({ log: line })
            : `${terminal.isTerminal ? visibleEntry(line) : line}\n`,
        ),
    );
  } catch (error) {
    const reason = (error as Error).message;
    fail(format, `Error starting monitor: ${reason}`, terminal);
    return undefined;
  }
}

/**
 * An event as one line of JSON: `{"event": {"Event": "user", ...}}`, the fields
 * as they travel. Payloads are shown as text, addresses as people write them.
 */
export function eventLine(event: RecordValue): string {
  return renderJsonLine({ event: jsonOf(event) });
}

function jsonOf(value: RecordValue, field?: string): JsonValue {
  if (value instanceof RecordText) return value.toString();
  if (value instanceof Uint8Array) {
    return field === "Addr" ? formatIp(value) : utf8Text(value);
  }
  if (value instanceof Map) {
    return Object.fromEntries(
      [...value].map(([key, item]) => [key, jsonOf(item, key)]),
    );
  }
  return Array.isArray(value)
    ? value.map((item) => jsonOf(item))
    : value as JsonValue;
}

/**
 * An agent that ends at this very moment is no failure of ours; one that does not
 * answer finds the connection closed.
 */
async function stopQuietly(
  client: RpcClient,
  seqs: readonly bigint[],
): Promise<void> {
  const stops = seqs.map((seq) => client.stop(seq).catch(() => {}));
  await Promise.race([Promise.all(stops), pause(STOP_WAIT_MS)]);
}
