/** An agent's metrics on their way out, with real listeners on loopback. */

import assert from "node:assert/strict";
import { Telemetry } from "../../lib/agent/telemetry.ts";
import {
  RUNTIME_METRICS,
  watchRuntime,
} from "../../lib/agent/runtime_metrics.ts";
import { counter, gauge, Metrics, MetricSet } from "../../lib/kit/metrics.ts";
import { utf8Text } from "../../lib/kit/bytes.ts";
import { until } from "../net/deadline.ts";

const SET = new MetricSet({
  joins: counter("test.joins", "", "Joins"),
  alive: gauge("test.alive", "", "Alive"),
});

function start(
  metrics: Metrics,
  given: Partial<Parameters<typeof Telemetry.start>[0]> = {},
): Telemetry {
  return Telemetry.start({
    metrics,
    statsdAddr: "",
    statsiteAddr: "",
    hostname: () => "h1",
    log: () => {},
    ...given,
  });
}

/** Takes everything that is sent to it over TCP. */
function listenTcp(port = 0) {
  const listener = Deno.listen({ hostname: "127.0.0.1", port });
  const conns: Deno.TcpConn[] = [];
  const heard = { text: "", connections: 0 };
  const read = async (conn: Deno.TcpConn) => {
    for await (const bytes of conn.readable) heard.text += utf8Text(bytes);
  };
  const accept = async () => {
    for await (const conn of listener) {
      heard.connections++;
      conns.push(conn);
      read(conn).catch(() => {});
    }
  };
  accept();
  return {
    heard,
    address: `127.0.0.1:${listener.addr.port}`,
    port: listener.addr.port,
    close: () => {
      listener.close();
      for (const conn of conns) {
        try {
          conn.close();
        } catch {
          // The reader has closed it at its end.
        }
      }
    },
  };
}

Deno.test("Telemetry sends every value as a datagram and into a stream", async () => {
  const statsd = Deno.listenDatagram({
    transport: "udp",
    hostname: "127.0.0.1",
    port: 0,
  });
  const statsite = listenTcp();
  const metrics = new Metrics();
  try {
    await using _telemetry = start(metrics, {
      statsdAddr: `localhost:${(statsd.addr as Deno.NetAddr).port}`,
      statsiteAddr: statsite.address,
    });
    const { joins, alive } = metrics.of(SET);
    joins.add(2);
    alive.set(3);
    const lines = "serf-agent.test.joins:2.000000|c\n" +
      "serf-agent.h1.test.alive:3.000000|g\n";
    const [bytes] = await statsd.receive();
    assert.equal(utf8Text(bytes), lines);
    await until("the stream has them", () => statsite.heard.text === lines);
  } finally {
    statsd.close();
    statsite.close();
  }
});

Deno.test("Telemetry outlives a statsite that comes later, and says so", async () => {
  const early = listenTcp();
  const { port } = early;
  early.close();
  const metrics = new Metrics();
  const log: string[] = [];
  const telemetry = start(metrics, {
    statsiteAddr: `127.0.0.1:${port}`,
    log: (level, text) => log.push(`[${level}] ${text}`),
  });
  const { joins } = metrics.of(SET);
  joins.add();
  await until("the failure", () => log.length === 1);
  assert.match(
    log[0] ?? "",
    /^\[WARN\] agent: Cannot send metrics to statsite at .*: dial tcp .*: connect: connection refused$/,
  );
  const late = listenTcp(port);
  try {
    await until("lines arrive", () => {
      joins.add();
      return late.heard.text.includes("serf-agent.test.joins:1.000000|c\n");
    });
    // What was lost in between is counted, and that too is sent.
    await until("the losses arrive", () => {
      joins.add();
      return /serf-agent\.agent\.metrics\.dropped:\d+\.0+\|c\n/.test(
        late.heard.text,
      );
    });
    assert.equal(log.length, 2);
  } finally {
    await telemetry[Symbol.asyncDispose]();
    late.close();
  }
});

Deno.test("Telemetry complains of addresses that mean nothing, and goes on", async () => {
  const log: string[] = [];
  const metrics = new Metrics();
  const telemetry = start(metrics, {
    statsdAddr: "127.0.0.1",
    statsiteAddr: "127.0.0.1:99999",
    log: (_, text) => log.push(text),
  });
  metrics.of(SET).joins.add();
  await until("both", () => log.length === 2);
  assert.deepEqual(log.map((line) => line.split(": ").slice(2).join(": ")), [
    "dial tcp: address 99999: invalid port",
    "dial udp: address 127.0.0.1: missing port in address",
  ]);
  await telemetry[Symbol.asyncDispose]();
});

Deno.test("Telemetry tells gauges again, so that nobody forgets them", async () => {
  const statsite = listenTcp();
  const metrics = new Metrics();
  const telemetry = start(metrics, {
    statsiteAddr: statsite.address,
    gaugesIntervalMs: 5,
  });
  metrics.of(SET).alive.set(3);
  metrics.of(SET).joins.add();
  const line = "serf-agent.h1.test.alive:3.000000|g\n";
  await until(
    "it came twice more",
    () => statsite.heard.text.split(line).length > 3,
  );
  assert.equal(statsite.heard.text.split("joins").length, 2);
  await telemetry[Symbol.asyncDispose]();
  statsite.close();
});

Deno.test("watchRuntime() looks at the process, at once and every second", async () => {
  const metrics = new Metrics();
  const stop = watchRuntime(metrics, () => 7);
  const { loops, allocBytes, sysBytes, loopDelay } = metrics.of(
    RUNTIME_METRICS,
  );
  assert.equal(loops.value, 7);
  assert.ok(allocBytes.value > 1e6 && sysBytes.value > allocBytes.value);
  assert.equal(loopDelay.count, 0);
  await until("a second look", () => loopDelay.count >= 1);
  stop();
});
