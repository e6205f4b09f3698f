/**
 * Our names beside those that HashiCorp's agent sends: all that it counts, we
 * count, in the same kind; and what else there is, is listed here.
 */

import assert from "node:assert/strict";
import type { Metric } from "../../lib/kit/metrics.ts";
import { LOG_METRICS } from "../../lib/agent/log_metrics.ts";
import { RUNTIME_METRICS } from "../../lib/agent/runtime_metrics.ts";
import { HANDLER_METRICS } from "../../lib/agent/event_handlers.ts";
import { TELEMETRY_METRICS } from "../../lib/agent/telemetry.ts";
import {
  MDNS_METRICS,
  NET_METRICS,
  RPC_METRICS,
} from "../../lib/net/metrics.ts";
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

/** Names of the original that we do not count, and why. */
const NOT_OURS: Readonly<Record<string, string>> = {
  "runtime.free_count": "Go's allocator",
  "runtime.heap_objects": "Go's allocator",
  "runtime.malloc_count": "Go's allocator",
  "runtime.gc_pause_ns": "Go's garbage collector",
  "runtime.total_gc_pause_ns": "Go's garbage collector",
  "runtime.total_gc_runs": "Go's garbage collector",
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
  "agent.handlers.failed",
  "agent.handlers.lost",
  "agent.ipc.auth_delayed",
  "agent.ipc.auth_failed",
  "agent.ipc.evicted",
  "agent.ipc.aborted",
  "agent.ipc.refused",
  "agent.ipc.timeout",
  "agent.ipc.unlogged",
  "agent.mdns.refused",
  "agent.metrics.dropped",
  "agent.output.dropped",
  "agent.syslog.dropped",
  "memberlist.conflict",
  "memberlist.decrypt.failed",
  "memberlist.incarnation_refused",
  "memberlist.packets.received",
  "memberlist.packets.refused",
  "memberlist.packets.sent",
  "memberlist.probe.failed",
  "memberlist.probe.indirect",
  "memberlist.probe.rtt",
  "memberlist.pushPull.failed",
  "memberlist.refused",
  "memberlist.refuted",
  "memberlist.reply.refused",
  "memberlist.reply.shortened",
  "memberlist.suspicion.confirmed",
  "memberlist.suspicion.expired",
  "memberlist.suspicion.refuted",
  "memberlist.tcp.accept_aborted",
  "memberlist.tcp.accept_failed",
  "memberlist.tcp.received",
  "memberlist.tcp.refused",
  "memberlist.udp.receive_failed",
  "memberlist.udp.send_dropped",
  "memberlist.udp.send_failed",
  "runtime.loop_delay",
  "serf.event_dropped",
  "serf.ltime_refused",
  "serf.members.alive",
  "serf.members.failed",
  "serf.members.leaving",
  "serf.members.left",
  "serf.query_dropped",
  "serf.query_filter_refused",
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

const definitions = [
  SWIM_METRICS,
  SERF_METRICS,
  NET_METRICS,
  RPC_METRICS,
  MDNS_METRICS,
  RUNTIME_METRICS,
  HANDLER_METRICS,
  TELEMETRY_METRICS,
  LOG_METRICS,
].flatMap((set) => set.definitions);
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
    if (name in NOT_OURS) continue;
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

/** The table as Markdown, a row for each metric. */
function tableOf(): string[][] {
  return definitions.map(({ metric }) => {
    const { kind, unit, meaning } = metric;
    const shownKind = unit === "" ? kind : `${kind}, ${unit}`;
    return [`\`${fullName(metric)}\``, shownKind, meaning];
  }).sort(([a = ""], [b = ""]) => a < b ? -1 : 1);
}

Deno.test("docs/metrics.md has the table of metrics", () => {
  const page = Deno.readTextFileSync(
    new URL("../../docs/metrics.md", import.meta.url),
  );
  const rows = page.split("\n").filter((line) => line.startsWith("| `"));
  const cells = rows.map((row) =>
    row.split("|").slice(1, -1).map((cell) => cell.trim())
  );
  assert.deepEqual(cells, tableOf());
});

Deno.test("every metric says what it means", () => {
  for (const { metric } of definitions) {
    assert.match(metric.meaning, /^[A-Z].{9,}[^.]$/, metric.name);
  }
});
