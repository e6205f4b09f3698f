/**
 * `serf metrics`: what an agent counted in the last minute.
 *
 * The command is ours alone. HashiCorp's agents refuse it and print their metrics
 * on SIGUSR1.
 */

import { metricsText } from "../lib/agent/metrics_text.ts";
import type { RpcMetricsReport, RpcMetricTally } from "../lib/rpc/protocol.ts";
import { agentFlags, callAgent } from "./agent_call.ts";
import { type Command, readFlags, renderHelp } from "./command.ts";
import { checkFormat, fail, formatFlag, print } from "./format.ts";
import type { JsonValue } from "./output.ts";
import type { Terminal } from "./terminal.ts";

const flagTable = (terminal: Terminal) => ({
  "format": formatFlag(),
  ...agentFlags(terminal),
});

export const command: Command = {
  help: (terminal) =>
    renderHelp({
      usage: "metrics [options]",
      description: [
        "Shows what an agent counted in the last minute, in intervals of ten",
        "seconds. The interval that is running is left out, so an agent that",
        "has just started shows nothing.",
        "",
        "HashiCorp's agents do not have this command; they print the same on",
        "standard error on SIGUSR1.",
      ],
      flags: flagTable(terminal),
    }),

  async run(args, terminal) {
    const flags = readFlags(command, flagTable(terminal), args, terminal);
    if (flags === undefined) return 1;
    const { values } = flags;
    if (!checkFormat(values.format, terminal)) return 1;
    const complaint = "Error querying agent";
    return await callAgent({ values, terminal, complaint }, async (client) => {
      let report: RpcMetricsReport;
      try {
        report = await client.metrics();
      } catch (error) {
        const { name, message } = error as Error;
        if (name !== "UnsupportedCommandError") throw error;
        return fail(
          values.format,
          `${complaint}: ${message}: this agent does not have the command ` +
            "'metrics'; HashiCorp's print their metrics on SIGUSR1",
          terminal,
        );
      }
      print(values.format, terminal, {
        text: metricsText(report),
        json: metricsDocument(report),
      });
      if (report.intervals.length === 0 && terminal.isTerminal) {
        terminal.err("No interval of ten seconds is over yet.\n");
      }
      return 0;
    });
  },
};

/** The document of `-format=json`; times as RFC 3339 has them. */
export function metricsDocument(report: RpcMetricsReport): JsonValue {
  return {
    started: timeOf(report.startedMs),
    intervals: report.intervals.map(({ startMs, metrics }) => ({
      start: timeOf(startMs),
      gauges: metrics.filter(({ kind }) => kind === "gauge")
        .map(({ name, last }) => ({ name, value: last })),
      counters: metrics.filter(({ kind }) => kind === "counter").map(tallyOf),
      samples: metrics.filter(({ kind }) => kind === "sample").map(tallyOf),
    })),
  };
}

function tallyOf(tally: RpcMetricTally): Readonly<Record<string, JsonValue>> {
  const { name, count, sum, min, max, deviation, lastMs } = tally;
  return {
    name,
    count,
    sum,
    min,
    max,
    mean: sum / count,
    stddev: deviation,
    last_updated: timeOf(lastMs),
  };
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString();
}
