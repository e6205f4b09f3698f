/**
 * Where an agent's metrics go: into memory for a dump, and to statsd and statsite
 * if there are any.
 *
 *     Metrics ──each value──▶ Telemetry ──▶ RecentMetrics ──▶ dump()
 *                                       └─▶ LineSink ──▶ statsd, statsite
 *
 * It must be there before the node starts, so that nothing is missed. A gauge is
 * told anew in each interval of the dump, though nothing has changed: those who
 * listen forget what they do not hear of.
 *
 * Source: serf, `cmd/serf/command/agent/command.go` (setupAgent).
 */

import type { LogLevel } from "../kit/log.ts";
import {
  counter,
  type Metric,
  type Metrics,
  MetricSet,
} from "../kit/metrics.ts";
import type { RpcMetricsReport } from "../rpc/protocol.ts";
import { openDatagrams, openStream } from "./line_connections.ts";
import { LineSink, type LineSinkOptions } from "./line_sink.ts";
import { MetricNames } from "./metric_name.ts";
import { RecentMetrics } from "./recent_metrics.ts";

/** What fits into a datagram on the usual network, as the original has it, bytes. */
const DATAGRAM_BYTES_MAX = 1_400;
/** Most bytes of one write into a stream. */
const STREAM_WRITE_BYTES_MAX = 16_384;
/** How often gauges are told though nothing has changed, ms. */
const GAUGES_INTERVAL_MS = 10_000;

const DEFINITIONS = {
  dropped: counter(
    "agent.metrics.dropped",
    "",
    "Lines that statsd or statsite could not be sent. Any: it is away, or slow, and its figures are too low",
  ),
} as const;

export const TELEMETRY_METRICS: MetricSet<typeof DEFINITIONS> = new MetricSet(
  DEFINITIONS,
);

export interface TelemetryOptions {
  readonly metrics: Metrics;
  /** `HOST:PORT`, empty for none. */
  readonly statsdAddr: string;
  readonly statsiteAddr: string;
  /** Name of this machine. */
  hostname(): string;
  log(level: LogLevel, text: string): void;
  /** How often gauges are told though nothing has changed, ms; 10 s unless given. */
  readonly gaugesIntervalMs?: number;
}

export class Telemetry implements AsyncDisposable {
  readonly #options: TelemetryOptions;
  readonly #names: MetricNames;
  readonly #recent: RecentMetrics;
  readonly #sinks: readonly LineSink[];
  /** All gauges that were ever set, and those that were since the last look. */
  readonly #gauges = new Map<Metric, number>();
  readonly #freshGauges = new Set<Metric>();
  readonly #unsubscribe: () => void;
  readonly #timer: ReturnType<typeof setInterval>;

  /** Takes over everything that is counted from now on. */
  static start(options: TelemetryOptions): Telemetry {
    return new Telemetry(options);
  }

  private constructor(options: TelemetryOptions) {
    this.#options = options;
    const { metrics, statsdAddr, statsiteAddr } = options;
    this.#sinks = [
      ...(statsiteAddr === "" ? [] : [
        this.#makeSink({
          target: `statsite at ${statsiteAddr}`,
          packetBytesMax: STREAM_WRITE_BYTES_MAX,
          connect: () => openStream(statsiteAddr),
        }),
      ]),
      ...(statsdAddr === "" ? [] : [
        this.#makeSink({
          target: `statsd at ${statsdAddr}`,
          packetBytesMax: DATAGRAM_BYTES_MAX,
          connect: () => openDatagrams(statsdAddr),
        }),
      ]),
    ];
    const isLocal = this.#sinks.length === 0;
    this.#names = new MetricNames(isLocal ? undefined : options.hostname());
    this.#recent = new RecentMetrics(this.#names);
    this.#unsubscribe = metrics.subscribe((metric, value) => {
      if (metric.kind === "gauge") {
        this.#gauges.set(metric, value);
        this.#freshGauges.add(metric);
      }
      this.#pass(metric, value);
    });
    const { gaugesIntervalMs = GAUGES_INTERVAL_MS } = options;
    this.#timer = setInterval(() => this.#repeatGauges(), gaugesIntervalMs);
  }

  /** The last minute, as text with a line for each metric and interval. */
  dump(): string {
    return this.#recent.dump();
  }

  /** The last minute, as `dump` shows it. */
  report(): RpcMetricsReport {
    return this.#recent.report();
  }

  /** Sends what is still to be sent, for at most 200 ms, and ends. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#unsubscribe();
    clearInterval(this.#timer);
    await Promise.all(this.#sinks.map((sink) => sink.close()));
  }

  // --- Inside ---------------------------------------------------------------

  #makeSink(
    options: Pick<LineSinkOptions, "target" | "packetBytesMax" | "connect">,
  ): LineSink {
    const { dropped } = this.#options.metrics.of(TELEMETRY_METRICS);
    return new LineSink({
      ...options,
      log: (level, text) => this.#options.log(level, text),
      onDropped: (count) => dropped.add(count),
    });
  }

  #pass(metric: Metric, value: number): void {
    this.#recent.hear(metric, value);
    if (this.#sinks.length === 0) return;
    const line = this.#names.line(metric, value);
    for (const sink of this.#sinks) sink.push(line);
  }

  #repeatGauges(): void {
    for (const [metric, value] of this.#gauges) {
      if (!this.#freshGauges.has(metric)) this.#pass(metric, value);
    }
    this.#freshGauges.clear();
  }
}
