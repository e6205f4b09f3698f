/**
 * Our names beside those that HashiCorp's agent sends: all that it counts, we
 * count, in the same kind; and what else there is, is listed here.
 */

import assert from "node:assert/strict";
import type { Metric } from "../../lib/kit/metrics.ts";
import { NET_METRICS } from "../../lib/net/metrics.ts";
import { SERF_METRICS } from "../../lib/serf/metrics.ts";
import { SWIM_METRICS } from "../../lib/swim/metrics.ts";
import { fullName } from "../kit/metric_changes.ts";

interface Recording {
  readonly metrics: Readonly<
    Record<string, { readonly statsd: string; readonly dump?: string }>
  >;
}

const recording: Recording = JSON.parse(
  Deno.readTextFileSync(new URL("../vectors/metrics.json", import.meta.url)),
);

/** Names of the original that the engine does not count, and why. */
const NOT_THE_ENGINES: Readonly<Record<string, string>> = {
  "agent.": "of the agent: its RPC port and its handler scripts",
  "runtime.": "of the Go runtime, which there is none of here",
};

/** Names of the original that were not seen in the recording, and why. */
const NOT_SEEN: Readonly<Record<string, string>> = {
  "serf.coordinate.rejected": "all coordinates were right",
  "serf.coordinate.zero-rtt": "the clock saw every round trip",
  "serf.snapshot.compact": "the snapshot was too short",
  "memberlist.queue.broadcasts": "newer than 0.9.4",
  "memberlist.size.local": "newer than 0.9.4",
  "memberlist.size.remote": "newer than 0.9.4",
  "memberlist.node.instances.alive": "newer than 0.9.4",
  "memberlist.node.instances.suspect": "newer than 0.9.4",
  "memberlist.node.instances.dead": "newer than 0.9.4",
  "memberlist.node.instances.left": "newer than 0.9.4",
};

/** Names that only we have. */
const OURS = [
  "memberlist.conflict",
  "memberlist.decrypt.failed",
  "memberlist.packets.received",
  "memberlist.packets.refused",
  "memberlist.packets.sent",
  "memberlist.probe.failed",
  "memberlist.probe.indirect",
  "memberlist.probe.rtt",
  "memberlist.pushPull.failed",
  "memberlist.refused",
  "memberlist.refuted",
  "memberlist.suspicion.confirmed",
  "memberlist.suspicion.expired",
  "memberlist.suspicion.refuted",
  "memberlist.tcp.accept_failed",
  "memberlist.tcp.received",
  "memberlist.tcp.refused",
  "memberlist.udp.receive_failed",
  "memberlist.udp.send_dropped",
  "memberlist.udp.send_failed",
  "serf.event_dropped",
  "serf.members.alive",
  "serf.members.failed",
  "serf.members.leaving",
  "serf.members.left",
  "serf.query_dropped",
  "serf.query_response_dropped",
  "serf.queue_dropped.Event",
  "serf.queue_dropped.Intent",
  "serf.queue_dropped.Query",
  "serf.refused",
  "serf.snapshot.failed",
];

const KINDS: Readonly<Record<string, Metric["kind"]>> = {
  c: "counter",
  C: "counter",
  g: "gauge",
  G: "gauge",
  ms: "sample",
  S: "sample",
};

const definitions = [SWIM_METRICS, SERF_METRICS, NET_METRICS].flatMap((set) =>
  set.definitions
);
const byName = new Map(
  definitions.map((definition) => [fullName(definition.metric), definition]),
);

/** The definition that a recorded name belongs to: its own, or its family's. */
function definitionOf(name: string) {
  const own = byName.get(name);
  if (own !== undefined) return own;
  const whole = byName.get(name.slice(0, name.lastIndexOf(".")));
  return whole?.instrument === "family" ? whole : undefined;
}

Deno.test("all that the original's agent was seen to count has its place and kind", () => {
  let compared = 0;
  for (const [name, { statsd, dump }] of Object.entries(recording.metrics)) {
    const isElsewhere = Object.keys(NOT_THE_ENGINES).some((prefix) =>
      name.startsWith(prefix)
    );
    if (isElsewhere) continue;
    const definition = definitionOf(name);
    assert.ok(definition !== undefined, `${name} is not counted`);
    assert.equal(definition.metric.kind, KINDS[statsd], name);
    if (dump !== undefined) {
      assert.equal(definition.metric.kind, KINDS[dump], name);
    }
    compared++;
  }
  assert.ok(compared > 30, `${compared}`);
});

Deno.test("each name of ours is the original's or listed as ours, and there once", () => {
  assert.equal(byName.size, definitions.length);
  const seen = (name: string) => name in recording.metrics;
  const others = [...byName.keys()].filter((name) => !seen(name));
  assert.deepEqual(
    others.sort(),
    [...Object.keys(NOT_SEEN), ...OURS].sort(),
  );
});

Deno.test("no name of ours can be taken for a part of a family", () => {
  const families = definitions.filter(({ instrument }) =>
    instrument === "family"
  );
  assert.deepEqual(families.map(({ metric }) => metric.name), [
    "serf.events",
    "serf.queries",
  ]);
  for (const { metric } of families) {
    for (const name of byName.keys()) {
      assert.ok(!name.startsWith(`${metric.name}.`), name);
    }
  }
});

Deno.test("every metric says what it means", () => {
  for (const { metric } of definitions) {
    assert.match(metric.meaning, /^[A-Z].{9,}[^.]$/, metric.name);
  }
});
