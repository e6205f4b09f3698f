/**
 * `serf rtt`: how long a packet takes between two nodes and back.
 *
 * Nothing is sent between the two: the estimate comes from their network
 * coordinates, which one agent knows. Source: serf, `command/rtt.go`.
 */

import {
  type Coordinate,
  CoordinateError,
  distanceNs,
  isValid,
  secondsOf,
} from "../lib/coordinate/coordinate.ts";
import { quoteText } from "../lib/kit/quote.ts";
import { unbroken } from "../lib/kit/visible.ts";
import { agentFlags, callAgent } from "./agent_call.ts";
import { type Command, failUsage, readFlags, renderHelp } from "./command.ts";
import { fail, formatFlag } from "./format.ts";
import { type JsonValue, printAs } from "./output.ts";
import type { Terminal } from "./terminal.ts";

const flagTable = (terminal: Terminal) => ({
  "format": formatFlag(),
  ...agentFlags(terminal),
});

export const command: Command = {
  help: (terminal) =>
    renderHelp({
      usage: "rtt [options] node1 [node2]",
      description: [
        "Estimates the round trip time between two nodes from their network",
        "coordinates; nothing is sent between them. Without a second name it is",
        "the time to the agent's own node.",
        "",
        "An agent knows the coordinates of the members that it has probed, which",
        "takes it a second or so for each member of the cluster.",
      ],
      flags: flagTable(terminal),
    }),

  async run(args, terminal) {
    const flags = readFlags(command, flagTable(terminal), args, terminal);
    if (flags === undefined) return 1;
    const { values, positionals } = flags;
    const complaint = "Error getting coordinates";
    // The names are counted once the agent is reached, as in the original.
    return await callAgent({ values, terminal, complaint }, async (client) => {
      const [first, given] = positionals;
      if (first === undefined || positionals.length > 2) {
        const text = "One or two node names must be specified";
        return failUsage(command, text, terminal, values.format);
      }
      let second = given;
      try {
        second ??= (await client.stats()).get("agent")?.get("name") ?? "";
      } catch (error) {
        const reason = (error as Error).message;
        return fail(values.format, `Error querying agent: ${reason}`, terminal);
      }
      const places: Coordinate[] = [];
      for (const name of [first, second]) {
        const place = await client.coordinate(name);
        if (place === undefined) {
          const quoted = quoteText(name);
          return fail(
            values.format,
            `Could not find a coordinate for node ${quoted}`,
            terminal,
          );
        }
        if (!isValid(place)) throw new CoordinateError("coordinate is invalid");
        places.push(place);
      }
      const [a, b] = places as [Coordinate, Coordinate];
      const estimate = {
        nodes: [first, second],
        rttNs: distanceNs(a, b),
      } as const;
      return printAs(values.format, terminal, {
        text: () => rttText(estimate),
        json: () => rttJson(estimate),
      });
    });
  },
};

/** How long a packet takes between two nodes and back. */
export interface RttEstimate {
  readonly nodes: readonly [string, string];
  /** Whole nanoseconds. */
  readonly rttNs: number;
}

export function rttText({ nodes, rttNs }: RttEstimate): string {
  const ms = threeDecimals(secondsOf(rttNs) * 1_000);
  return `Estimated ${unbroken(nodes.join(" <-> "))} rtt: ${ms} ms`;
}

/** Our own form: the original's command has no other than text. */
export function rttJson({ nodes, rttNs }: RttEstimate): JsonValue {
  return { nodes, rtt_ms: rttNs / 1e6 };
}

/**
 * A number as Go's `%.3f` writes it: what lies exactly in the middle between two
 * results goes to the even one, while `toFixed` goes up.
 */
function threeDecimals(value: number): string {
  // The middles are odd multiples of 1/2000. Since 2000 is 16 times 125, those
  // among them that a double holds exactly are the odd multiples of 1/16.
  const isMiddle = Number.isInteger(value * 16) && value * 16 % 2 !== 0;
  if (!isMiddle) return value.toFixed(3);
  const below = Math.floor(value * 1_000);
  return ((below % 2 === 0 ? below : below + 1) / 1_000).toFixed(3);
}
