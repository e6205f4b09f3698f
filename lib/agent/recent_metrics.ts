/**
 * What was counted in the last minute, for somebody with a shell on the machine.
 *
 * Time is cut into intervals of 10 s that begin at multiples of 10 s of the wall
 * clock. Six of them are kept, the running one included; the dump shows those
 * that are over. Intervals in which nothing happened are left out.
 *
 * The forms are those of the original, whose dump looks like this:
 *
 *     [2026-11-20 13:00:40 +0000 UTC][G] 'serf-agent.runtime.num_goroutines': 22.000
 *     [2026-11-20 13:00:40 +0000 UTC][C] 'serf-agent.serf.member.join': Count: 2
 *         Sum: 2.000 LastUpdated: 2026-11-20 13:00:42.377 +0000 UTC m=+0.151000000
 *
 * (the second on one line). Where values differ, `Min`, `Mean`, `Max` and `Stddev`
 * stand between `Count` and `Sum`; a counter counts its increments.
 *
 * Source: armon/go-metrics `inmem.go`, `inmem_signal.go`.
 */

import type { Metric, MetricKind } from "../kit/metrics.ts";
import { wallMs } from "../net/clock.ts";
import type { MetricNames } from "./metric_name.ts";

/** Length of an interval, ms. */
const INTERVAL_MS = 10_000;
/** Intervals kept, the running one included. */
const INTERVALS_MAX = 6;
/**
 * Metrics kept apart in one interval; values of further ones are left out. What
 * the cluster can name is bounded before; what remains is scripts of handlers.
 */
const METRICS_MAX = 1_024;

const LETTERS: Readonly<Record<MetricKind, string>> = {
  gauge: "G",
  counter: "C",
  sample: "S",
};
const KINDS: readonly MetricKind[] = ["gauge", "counter", "sample"];

/** What became of one metric in one interval. */
class Tally {
  count = 0;
  sum = 0;
  sumOfSquares = 0;
  min = Infinity;
  max = -Infinity;
  last = 0;
  lastMs = 0;

  add(value: number, nowMs: number): void {
    this.count++;
    this.sum += value;
    this.sumOfSquares += value * value;
    if (value < this.min) this.min = value;
    if (value > this.max) this.max = value;
    this.last = value;
    this.lastMs = nowMs;
  }

  /** Of a sample of the values, hence one less in the divisor. */
  get deviation(): number {
    const { count, sum, sumOfSquares } = this;
    if (count < 2) return 0;
    const squares = count * sumOfSquares - sum * sum;
    // Rounding may leave a little less than nothing.
    return Math.sqrt(Math.max(0, squares) / (count * (count - 1)));
  }
}

interface Interval {
  readonly startMs: number;
  readonly tallies: Map<Metric, Tally>;
}

export class RecentMetrics {
  readonly #names: MetricNames;
  readonly #nowMs: () => number;
  readonly #startedMs: number;
  #intervals: Interval[] = [];

  /** @param nowMs the time of day, since 1970; shown in the local time zone */
  constructor(names: MetricNames, nowMs: () => number = wallMs) {
    this.#names = names;
    this.#nowMs = nowMs;
    this.#startedMs = nowMs();
  }

  /** Takes one value, in the sense of `MetricListener`. */
  hear(metric: Metric, value: number): void {
    const nowMs = this.#nowMs();
    const { tallies } = this.#intervalAt(nowMs);
    let tally = tallies.get(metric);
    if (tally === undefined) {
      if (tallies.size >= METRICS_MAX) return;
      tally = new Tally();
      tallies.set(metric, tally);
    }
    tally.add(value, nowMs);
  }

  /** All finished intervals, oldest first; a line for each metric. */
  dump(): string {
    // A minute of silence has forgotten what was before.
    const running = this.#intervalAt(this.#nowMs());
    const oldestMs = running.startMs - (INTERVALS_MAX - 1) * INTERVAL_MS;
    return this.#intervals
      .filter((each) => each !== running && each.startMs >= oldestMs)
      .flatMap((each) => this.#linesOf(each))
      .join("");
  }

  #intervalAt(nowMs: number): Interval {
    const startMs = nowMs - nowMs % INTERVAL_MS;
    const latest = this.#intervals.at(-1);
    if (latest?.startMs === startMs) return latest;
    const begun: Interval = { startMs, tallies: new Map() };
    this.#intervals = [...this.#intervals, begun].slice(-INTERVALS_MAX);
    return begun;
  }

  #linesOf({ startMs, tallies }: Interval): string[] {
    const start = goTime(new Date(startMs));
    return KINDS.flatMap((kind) =>
      [...tallies]
        .filter(([metric]) => metric.kind === kind)
        .map(([metric, tally]) => {
          const shown = kind === "gauge"
            ? tally.last.toFixed(3)
            : this.#tallyText(tally);
          const name = this.#names.of(metric);
          return `[${start}][${LETTERS[kind]}] '${name}': ${shown}\n`;
        })
    );
  }

  #tallyText(tally: Tally): string {
    const { count, sum, min, max, deviation, lastMs } = tally;
    const sinceStart = (lastMs - this.#startedMs) / 1_000;
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
