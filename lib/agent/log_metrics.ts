/** What is counted of the lines that an agent writes and nobody takes. */

import { counter, MetricSet } from "../kit/metrics.ts";

const DEFINITIONS = {
  outputDropped: counter(
    "agent.output.dropped",
    "",
    "Lines of standard output or error that were not read, or could not be written. Any: the program or disk that takes the log is slow, or gone",
  ),
  syslogDropped: counter(
    "agent.syslog.dropped",
    "",
    "Lines that the system's log daemon did not take. Any: it is slow, or gone",
  ),
} as const;

export const LOG_METRICS: MetricSet<typeof DEFINITIONS> = new MetricSet(
  DEFINITIONS,
);
