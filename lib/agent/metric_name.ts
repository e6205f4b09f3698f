/**
 * Names and lines of metrics, as the outside sees them.
 *
 *     serf-agent.serf.member.join:1.000000|c
 *     serf-agent.HOST.serf.members.alive:3.000000|g
 *
 * The program comes first. Gauges, which cannot be added up over a cluster, have
 * the machine's name behind it as soon as something is sent elsewhere. Values of
 * labels are further parts of the name.
 *
 * Parts of names may come from anybody in the cluster, being names of events and
 * queries. Whatever would end a name, a line or a field becomes `_`; the original
 * replaces spaces and colons alone, so that an event can forge lines there.
 *
 * Source: armon/go-metrics `metrics.go` (SetGauge), `statsd.go`, `inmem.go`.
 */

import type { Metric, MetricKind } from "../kit/metrics.ts";

const PROGRAM = "serf-agent";
const TYPES: Readonly<Record<MetricKind, string>> = {
  counter: "c",
  gauge: "g",
  sample: "ms",
};
/** Spaces, control characters, and what ends a line for some readers. */
// deno-lint-ignore no-control-regex
const BREAKS = /[\s\u0000-\u001f\u007f-\u009f\u2028\u2029]/gu;
/** What separates the fields of a line. */
const SEPARATORS = /[:|@#]/g;

/** Names of one process; each is made once. */
export class MetricNames {
  readonly #hostname: string | undefined;
  readonly #shown = new WeakMap<Metric, string>();
  readonly #starts = new WeakMap<Metric, string>();

  /** @param hostname put into the names of gauges; absent for not */
  constructor(hostname?: string) {
    this.#hostname = hostname;
  }

  /** The whole name, as the dump shows it. */
  of(metric: Metric): string {
    const known = this.#shown.get(metric);
    if (known !== undefined) return known;
    const { kind, name, labels = {} } = metric;
    const host = kind === "gauge" ? this.#hostname : undefined;
    const full = [
      PROGRAM,
      ...(host === undefined ? [] : [host]),
      name,
      ...Object.values(labels),
    ].join(".").replace(BREAKS, "_");
    this.#shown.set(metric, full);
    return full;
  }

  /** One value as statsd and statsite take it, with its newline. */
  line(metric: Metric, value: number): string {
    let start = this.#starts.get(metric);
    if (start === undefined) {
      start = `${this.of(metric).replace(SEPARATORS, "_")}:`;
      this.#starts.set(metric, start);
    }
    return `${start}${value.toFixed(6)}|${TYPES[metric.kind]}\n`;
  }
}
