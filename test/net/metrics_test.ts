/** What the driver counts beside the engine, on loopback. */

import assert from "node:assert/strict";
import { NodeDriver } from "../../lib/net/driver.ts";
import { NET_METRICS } from "../../lib/net/metrics.ts";
import { SERF_METRICS } from "../../lib/serf/metrics.ts";
import { PROFILES } from "../../lib/swim/config.ts";
import { SWIM_METRICS } from "../../lib/swim/metrics.ts";
import { SILENT_STREAMS_MAX } from "../../lib/swim/inbound_streams.ts";
import { encodeMessage } from "../../lib/wire/message_codec.ts";
import {
  encodeSerfMessage,
  SerfMessageType,
} from "../../lib/wire/serf_messages.ts";
import { until } from "./deadline.ts";

/** More than the engine takes, and than the driver holds while it closes some. */
const STREAMS = 700;

function start(name: string, log: string[] = []): NodeDriver {
  return NodeDriver.start({
    bind: { host: "127.0.0.1", port: 0 },
    config: { swim: { name, profile: PROFILES.local } },
    onEvent: () => {},
    onLog: (level, text) => log.push(`[${level}] ${text}`),
  });
}

Deno.test("NodeDriver.metrics hold what the engine counts", async () => {
  const a = start("a");
  const b = start("b");
  try {
    await b.join([`127.0.0.1:${a.bound.port}`], { replay: false });
    const swim = a.metrics.of(SWIM_METRICS);
    await until("a probe", () => swim.probeRtt.count > 0);
    assert.equal(a.metrics.of(SERF_METRICS).membersAlive.value, 2);
    assert.equal(swim.tcpAccept.value, 1);
    assert.equal(b.metrics.of(SWIM_METRICS).tcpConnect.value, 1);
    assert.ok(swim.probeRtt.min > 0);
    assert.ok(swim.udpReceived.value > 0);
    for (const reading of a.metrics.read()) {
      const isOurs = NET_METRICS.definitions.some(({ metric }) =>
        metric === reading.metric
      );
      if (isOurs) assert.ok("value" in reading && reading.value === 0);
    }
  } finally {
    a.shutdown();
    b.shutdown();
  }
});

Deno.test("NodeDriver.metrics count packets that the system does not send", async () => {
  const log: string[] = [];
  const a = start("a", log);
  const { hostname, port } = { hostname: "127.0.0.1", port: a.bound.port };
  const stranger = Deno.listenDatagram({ transport: "udp", hostname, port: 0 });
  try {
    const net = a.metrics.of(NET_METRICS);
    // To be passed on to an address that our socket cannot send to.
    const body = encodeSerfMessage({
      kind: "relay",
      destAddr: new Uint8Array(16).fill(1, 15),
      destPort: 9,
      destZone: "",
      destName: "x",
      body: Uint8Array.of(SerfMessageType.queryResponse),
    });
    const relayed = encodeMessage({ kind: "user", body });
    await stranger.send(relayed, { transport: "udp", hostname, port });
    await until("the failure", () => net.udpSendsFailed.value === 1);
    assert.ok(log.some((line) => line.includes("Failed to send UDP packet")));
  } finally {
    stranger.close();
    a.shutdown();
  }
});

Deno.test("NodeDriver.metrics count streams that the driver or the engine turns away", async () => {
  const a = start("a");
  const streams: Deno.TcpConn[] = [];
  try {
    const swim = a.metrics.of(SWIM_METRICS);
    for (let i = 0; i < STREAMS; i++) {
      streams.push(
        await Deno.connect({ hostname: "127.0.0.1", port: a.bound.port }),
      );
    }
    const refused = STREAMS - SILENT_STREAMS_MAX;
    // And soon the others, which say nothing.
    await until("all are judged", () => swim.streamsRefused.value >= refused);
  } finally {
    for (const stream of streams) stream.close();
    a.shutdown();
  }
});
