import assert from "node:assert/strict";
import { MetricNames } from "../../lib/agent/metric_name.ts";
import type { Metric, MetricKind } from "../../lib/kit/metrics.ts";

function metric(
  kind: MetricKind,
  name: string,
  labels?: Record<string, string>,
): Metric {
  return { kind, name, unit: "", meaning: "", ...(labels && { labels }) };
}

Deno.test("MetricNames.line() gives the lines that the original sends", () => {
  const names = new MetricNames("h1");
  // As recorded; see test/vectors/metrics.json.
  const lines: [Metric, number, string][] = [
    [
      metric("counter", "serf.member.join"),
      1,
      "serf-agent.serf.member.join:1.000000|c\n",
    ],
    [
      metric("sample", "memberlist.probeNode"),
      0.497291,
      "serf-agent.memberlist.probeNode:0.497291|ms\n",
    ],
    [
      metric("gauge", "runtime.num_goroutines"),
      25,
      "serf-agent.h1.runtime.num_goroutines:25.000000|g\n",
    ],
    [
      metric("gauge", "memberlist.node.instances", { node_state: "alive" }),
      3,
      "serf-agent.h1.memberlist.node.instances.alive:3.000000|g\n",
    ],
    [
      metric("counter", "serf.events.a:b cé"),
      1,
      "serf-agent.serf.events.a_b_cé:1.000000|c\n",
    ],
  ];
  for (const [of, value, line] of lines) {
    assert.equal(names.line(of, value), line);
    // The second time from memory.
    assert.equal(names.line(of, value), line);
  }
});

Deno.test("MetricNames.of() has the machine's name only where something is sent", () => {
  const gauge = metric("gauge", "memberlist.health.score");
  assert.equal(
    new MetricNames().of(gauge),
    "serf-agent.memberlist.health.score",
  );
  assert.equal(
    new MetricNames("h1").of(gauge),
    "serf-agent.h1.memberlist.health.score",
  );
  // The dump keeps colons, as the original's does.
  const event = metric("counter", "serf.events.a:b c");
  assert.equal(new MetricNames("h1").of(event), "serf-agent.serf.events.a:b_c");
});

Deno.test("no event can forge a line, whatever its name", () => {
  const names = new MetricNames();
  const forged = "x:1|c\nserf-agent.serf.member.failed:99|c\r\u2028|@0.1|#tag";
  const line = names.line(metric("counter", `serf.events.${forged}`), 1);
  assert.equal(
    line,
    "serf-agent.serf.events." +
      "x_1_c_serf-agent.serf.member.failed_99_c____0.1__tag:1.000000|c\n",
  );
  const shown = names.of(metric("counter", `serf.events.a\nb\u0000\u0085c`));
  assert.equal(shown, "serf-agent.serf.events.a_b__c");
});
