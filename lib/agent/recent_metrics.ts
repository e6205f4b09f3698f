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
import type {
  RpcMetricsInterval,
  RpcMetricsReport,
  RpcMetricTally,
} from "../rpc/protocol.ts";
import type { MetricNames } from "./metric_name.ts";
import { metricsText } from "./metrics_text.ts";

/** Length of an interval, ms. */
const INTERVAL_MS = 10_000;
/** Intervals kept, the running one included. */
const INTERVALS_MAX = 6;
/**
 * Metrics kept apart in one interval; values of further ones are left out. What
 * the cluster can name is bounded before; what remains is scripts of handlers.
 */
const METRICS_MAX = 1_024;

/** In the order in which a dump has them. */
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
    return metricsText(this.report());
  }

  /** All finished intervals, oldest first. */
  report(): RpcMetricsReport {
    // A minute of silence has forgotten what was before.
    const running = this.#intervalAt(this.#nowMs());
    const oldestMs = running.startMs - (INTERVALS_MAX - 1) * INTERVAL_MS;
    const intervals = this.#intervals
      .filter((each) => each !== running && each.startMs >= oldestMs)
      .map((each) => this.#reportOf(each));
    return { startedMs: this.#startedMs, intervals };
  }

  #intervalAt(nowMs: number): Interval {
    const startMs = nowMs - nowMs % INTERVAL_MS;
    const latest = this.#intervals.at(-1);
    if (latest?.startMs === startMs) return latest;
    const begun: Interval = { startMs, tallies: new Map() };
    this.#intervals = [...this.#intervals, begun].slice(-INTERVALS_MAX);
    return begun;
  }

  #reportOf({ startMs, tallies }: Interval): RpcMetricsInterval {
    const metrics: RpcMetricTally[] = KINDS.flatMap((kind) =>
      [...tallies]
        .filter(([metric]) => metric.kind === kind)
        .map(([metric, tally]) => {
          const { count, sum, min, max, deviation, last, lastMs } = tally;
          const name = this.#names.of(metric);
          return { kind, name, count, sum, min, max, deviation, last, lastMs };
        })
    );
    return { startMs, metrics };
  }
}
