/**
 * What does it cost to count?
 *
 * Something is counted a few times for every packet, so one count must be small
 * beside the microseconds that a packet takes, and a listener that is not there
 * must cost nothing that can be seen.
 *
 *     deno bench -A test/bench/metrics_bench.ts
 */

import { Metrics } from "../../lib/kit/metrics.ts";
import { SERF_METRICS } from "../../lib/serf/metrics.ts";
import { SWIM_METRICS } from "../../lib/swim/metrics.ts";

/** Counts of each kind in one run, so that the clock can see them. */
const TIMES = 1_000;

function work(metrics: Metrics): () => void {
  const swim = metrics.of(SWIM_METRICS);
  const serf = metrics.of(SERF_METRICS);
  return () => {
    for (let i = 0; i < TIMES; i++) {
      swim.packetsReceived.add();
      swim.udpReceived.add(i);
      serf.msgsReceived.record(i);
      swim.healthScore.set(i & 7);
    }
  };
}

const quiet = new Metrics();
const heard = new Metrics();
let sum = 0;
heard.subscribe((_, value) => {
  sum += value;
});
const plain = { packets: 0, bytes: 0 };

Deno.bench(`${TIMES} times two plain fields`, { group: "count" }, () => {
  for (let i = 0; i < TIMES; i++) {
    plain.packets++;
    plain.bytes += i;
  }
});

Deno.bench(
  `${TIMES} times two counters, a sample, a gauge`,
  { group: "count", baseline: true },
  work(quiet),
);

Deno.bench(
  `${TIMES} times the same, with a listener`,
  { group: "count" },
  work(heard),
);

Deno.bench(`${TIMES} events of known names`, { group: "family" }, () => {
  const { userEvents } = quiet.of(SERF_METRICS);
  for (let i = 0; i < TIMES; i++) userEvents.add("deploy");
});

Deno.bench("read() of a node", { group: "read" }, () => {
  sum += quiet.read().length;
});

globalThis.addEventListener("unload", () => {
  const { packetsReceived } = heard.of(SWIM_METRICS);
  console.log(`checksum ${sum > 0 && packetsReceived.value > 0}`);
});
