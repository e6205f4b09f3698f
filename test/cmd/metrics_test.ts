/** `serf metrics`: both forms, and agents that do not have the command. */

import assert from "node:assert/strict";
import { dispatch } from "../../cmd/mod.ts";
import { goTime } from "../../lib/agent/metrics_text.ts";
import { RpcServer } from "../../lib/net/rpc_server.ts";
import type { RpcMetricsReport } from "../../lib/rpc/protocol.ts";
import { encodeResponse } from "../../lib/rpc/response.ts";
import { FakeTarget } from "../rpc/fake_target.ts";
import { FakeTerminal } from "./fake_terminal.ts";

const START_MS = Date.UTC(2026, 10, 20, 13, 0, 40);

const REPORT: RpcMetricsReport = {
  startedMs: START_MS - 500,
  intervals: [{
    startMs: START_MS,
    metrics: [
      {
        kind: "gauge",
        name: "serf-agent.runtime.num_goroutines",
        count: 2,
        sum: 43,
        min: 21,
        max: 22,
        deviation: 0.7,
        last: 22,
        lastMs: START_MS + 9_999,
      },
      {
        kind: "counter",
        name: "serf-agent.memberlist.udp.sent",
        count: 2,
        sum: 300,
        min: 100,
        max: 200,
        deviation: 70.5,
        last: 200,
        lastMs: START_MS + 1_250.5,
      },
      {
        kind: "sample",
        name: "serf-agent.memberlist.probeNode",
        count: 1,
        sum: 0.5,
        min: 0.5,
        max: 0.5,
        deviation: 0,
        last: 0.5,
        lastMs: START_MS + 3_000,
      },
    ],
  }],
};

async function metrics(
  report: RpcMetricsReport,
  ...flags: string[]
): Promise<{ code: number; terminal: FakeTerminal }> {
  const target = new FakeTarget();
  target.metricsReport = report;
  const at = { host: "127.0.0.1", port: 0 };
  const server = RpcServer.start({ target, at, authKey: "" });
  const terminal = new FakeTerminal();
  terminal.isTerminal = true;
  try {
    const address = `-rpc-addr=127.0.0.1:${server.port}`;
    const code = await dispatch(["metrics", address, ...flags], terminal);
    return { code, terminal };
  } finally {
    await server.shutdown();
  }
}

Deno.test("serf metrics prints the last minute as a dump does", async () => {
  const { code, terminal } = await metrics(REPORT);
  const start = goTime(new Date(START_MS));
  const at = (ms: number) => goTime(new Date(START_MS + ms));
  assert.deepEqual(terminal.stdout.split("\n"), [
    `[${start}][G] 'serf-agent.runtime.num_goroutines': 22.000`,
    `[${start}][C] 'serf-agent.memberlist.udp.sent': Count: 2 Min: 100.000 ` +
    "Mean: 150.000 Max: 200.000 Stddev: 70.500 Sum: 300.000 " +
    `LastUpdated: ${at(1_250)} m=+1.750500000`,
    `[${start}][S] 'serf-agent.memberlist.probeNode': Count: 1 Sum: 0.500 ` +
    `LastUpdated: ${at(3_000)} m=+3.500000000`,
    "",
  ]);
  assert.equal(terminal.stderr, "");
  assert.equal(code, 0);
});

Deno.test("serf metrics -format=json prints one document", async () => {
  const { code, terminal } = await metrics(REPORT, "-format=json");
  assert.equal(code, 0);
  assert.deepEqual(JSON.parse(terminal.stdout), {
    started: "2026-11-20T13:00:39.500Z",
    intervals: [{
      start: "2026-11-20T13:00:40.000Z",
      gauges: [{ name: "serf-agent.runtime.num_goroutines", value: 22 }],
      counters: [{
        name: "serf-agent.memberlist.udp.sent",
        count: 2,
        sum: 300,
        min: 100,
        max: 200,
        mean: 150,
        stddev: 70.5,
        last_updated: "2026-11-20T13:00:41.250Z",
      }],
      samples: [{
        name: "serf-agent.memberlist.probeNode",
        count: 1,
        sum: 0.5,
        min: 0.5,
        max: 0.5,
        mean: 0.5,
        stddev: 0,
        last_updated: "2026-11-20T13:00:43.000Z",
      }],
    }],
  });
});

Deno.test("serf metrics tells people why a new agent has nothing to show", async () => {
  const { code, terminal } = await metrics({ startedMs: 0, intervals: [] });
  assert.deepEqual([code, terminal.stdout], [0, ""]);
  assert.equal(terminal.stderr, "No interval of ten seconds is over yet.\n");
});

Deno.test("serf metrics says that another kind of agent has no such command", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const served = (async () => {
    for (let i = 0; i < 2; i++) {
      const conn = await listener.accept();
      await conn.read(new Uint8Array(1_000));
      await conn.write(encodeResponse(1n, { error: "" }));
      await conn.read(new Uint8Array(1_000));
      await conn.write(encodeResponse(2n, { error: "Unsupported command" }));
      conn.close();
    }
  })();
  const address = `-rpc-addr=127.0.0.1:${listener.addr.port}`;
  const text = "Error querying agent: Unsupported command: this agent does " +
    "not have the command 'metrics'; HashiCorp's print their metrics on SIGUSR1";
  for (const format of ["text", "json"]) {
    const terminal = new FakeTerminal();
    const code = await dispatch(
      ["metrics", address, `-format=${format}`],
      terminal,
    );
    assert.equal(code, 1);
    if (format === "text") assert.equal(terminal.stdout, `${text}\n`);
    else assert.deepEqual(JSON.parse(terminal.stdout), { error: text });
  }
  await served;
  listener.close();
});
