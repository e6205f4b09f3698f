/**
 * The metrics of the last minute as text, in the form of the original's dump:
 *
 *     [2026-11-20 13:00:40 +0000 UTC][G] 'serf-agent.runtime.num_goroutines': 22.000
 *     [2026-11-20 13:00:40 +0000 UTC][C] 'serf-agent.serf.member.join': Count: 2
 *         Sum: 2.000 LastUpdated: 2026-11-20 13:00:42.377 +0000 UTC m=+0.151000000
 *
 * (the second on one line). Where values differ, `Min`, `Mean`, `Max` and `Stddev`
 * stand between `Count` and `Sum`; a counter counts its increments. Times are in
 * the zone of whoever prints.
 *
 * Source: armon/go-metrics `inmem_signal.go`.
 */

import type { RpcMetricsReport, RpcMetricTally } from "../rpc/protocol.ts";

const LETTERS: Readonly<Record<RpcMetricTally["kind"], string>> = {
  gauge: "G",
  counter: "C",
  sample: "S",
};

/** A line for each metric of each interval; empty when there is none. */
export function metricsText(report: RpcMetricsReport): string {
  let text = "";
  for (const { startMs, metrics } of report.intervals) {
    const start = goTime(new Date(startMs));
    for (const tally of metrics) {
      const shown = tally.kind === "gauge"
        ? tally.last.toFixed(3)
        : tallyText(tally, report.startedMs);
      text += `[${start}][${LETTERS[tally.kind]}] '${tally.name}': ${shown}\n`;
    }
  }
  return text;
}

function tallyText(tally: RpcMetricTally, startedMs: number): string {
  const { count, sum, min, max, deviation, lastMs } = tally;
  const sinceStart = (lastMs - startedMs) / 1_000;
  const sign = sinceStart < 0 ? "" : "+";
  const details = deviation === 0 ? [] : [
    `Min: ${min.toFixed(3)}`,
    `Mean: ${(sum / count).toFixed(3)}`,
    `Max: ${max.toFixed(3)}`,
    `Stddev: ${deviation.toFixed(3)}`,
  ];
  return [
    `Count: ${count}`,
    ...details,
    `Sum: ${sum.toFixed(3)}`,
    `LastUpdated: ${goTime(new Date(lastMs))}`,
    `m=${sign}${sinceStart.toFixed(9)}`,
  ].join(" ");
}

/**
 * Local time as Go prints it: `2026-11-20 13:00:42.377 +0000 UTC`.
 *
 * Go takes the name of the zone from the system's table; where the runtime knows
 * no short one, the offset stands in for it, as Go has it for zones without.
 */
export function goTime(at: Date): string {
  const two = (value: number) => String(value).padStart(2, "0");
  const date = [at.getFullYear(), two(at.getMonth() + 1), two(at.getDate())];
  const time = [at.getHours(), at.getMinutes(), at.getSeconds()].map(two);
  const fraction = String(at.getMilliseconds()).padStart(3, "0")
    .replace(/0+$/, "");
  const east = -at.getTimezoneOffset();
  const sign = east < 0 ? "-" : "+";
  const minutes = Math.abs(east);
  const offset = sign + two(Math.floor(minutes / 60)) + two(minutes % 60);
  return [
    date.join("-"),
    time.join(":") + (fraction === "" ? "" : `.${fraction}`),
    offset,
    zoneName(at) ?? offset,
  ].join(" ");
}

function zoneName(at: Date): string | undefined {
  const format = new Intl.DateTimeFormat("en-US", { timeZoneName: "short" });
  const name = format.formatToParts(at)
    .find(({ type }) => type === "timeZoneName")?.value;
  return name !== undefined && /^[A-Z]{3,5}$/.test(name) ? name : undefined;
}
