/**
 * How the process is doing: memory, what runs at the same time, and how late it
 * is with what it has to do.
 *
 * Names are those of Go's runtime where there is something alike here. What Go
 * counts of its allocator and its garbage collector, nobody here can see.
 *
 * Source: armon/go-metrics `metrics.go` (collectStats), which looks once a second.
 */

import { gauge, type Metrics, MetricSet, sample } from "../kit/metrics.ts";
import { monotonicMs } from "../net/clock.ts";

/** Pause between looks, ms. */
const INTERVAL_MS = 1_000;

const DEFINITIONS = {
  loops: gauge(
    "runtime.num_goroutines",
    "",
    "Waiting loops: sockets, the timer, open streams and control connections. Growing for hours: something is not closed",
  ),
  allocBytes: gauge(
    "runtime.alloc_bytes",
    "bytes",
    "Memory in use by values of the program",
  ),
  sysBytes: gauge(
    "runtime.sys_bytes",
    "bytes",
    "Memory of the process that is resident, the runtime's own included",
  ),
  loopDelay: sample(
    "runtime.loop_delay",
    "ms",
    "How late the process was when it wanted to do something, looked at every second. Above 100: others will find this member slow, and may suspect it",
  ),
} as const;

export const RUNTIME_METRICS: MetricSet<typeof DEFINITIONS> = new MetricSet(
  DEFINITIONS,
);

/**
 * Looks once a second from now on, and once at once.
 *
 * @param loops how many loops there are at this moment
 * @returns ends it
 */
export function watchRuntime(
  metrics: Metrics,
  loops: () => number,
): () => void {
  const counts = metrics.of(RUNTIME_METRICS);
  let expectedMs: number | undefined;
  const look = () => {
    const nowMs = monotonicMs();
    const { heapUsed, rss } = Deno.memoryUsage();
    counts.loops.set(loops());
    counts.allocBytes.set(heapUsed);
    counts.sysBytes.set(rss);
    if (expectedMs !== undefined) {
      counts.loopDelay.record(Math.max(0, nowMs - expectedMs));
    }
    expectedMs = monotonicMs() + INTERVAL_MS;
  };
  look();
  // Made anew each time, so that looks do not pile up while nothing runs.
  let timer: ReturnType<typeof setTimeout>;
  const wait = () => {
    timer = setTimeout(() => {
      look();
      wait();
    }, INTERVAL_MS);
  };
  wait();
  return () => clearTimeout(timer);
}
