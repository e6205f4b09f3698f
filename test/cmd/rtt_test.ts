/** `serf rtt`: its forms, and what the captured calls do not show. */

import assert from "node:assert/strict";
import { rttJson, rttText } from "../../cmd/rtt.ts";
import { dispatch } from "../../cmd/mod.ts";
import type { Coordinate } from "../../lib/coordinate/coordinate.ts";
import { RpcServer } from "../../lib/net/rpc_server.ts";
import { FakeTarget } from "../rpc/fake_target.ts";
import { FakeTerminal } from "./fake_terminal.ts";

/** A coordinate on a line, as far above it as below it. */
function at(seconds: number, given: Partial<Coordinate> = {}): Coordinate {
  return { vec: [seconds, 0], error: 1, adjustment: 0, height: 0, ...given };
}

/** Calls `serf rtt` with an agent named `n1` that knows the coordinates. */
async function rtt(
  coordinates: Readonly<Record<string, Coordinate>>,
  ...args: string[]
): Promise<{ code: number; stdout: string; stderr: string }> {
  const target = new FakeTarget();
  target.statistics = new Map([["agent", new Map([["name", "n1"]])]]);
  target.coordinates = new Map(Object.entries(coordinates));
  const server = RpcServer.start({
    target,
    at: { host: "127.0.0.1", port: 0 },
    authKey: "",
  });
  const terminal = new FakeTerminal();
  try {
    const address = `-rpc-addr=127.0.0.1:${server.port}`;
    const code = await dispatch(["rtt", address, ...args], terminal);
    return { code, stdout: terminal.stdout, stderr: terminal.stderr };
  } finally {
    await server.shutdown();
  }
}

Deno.test("rttText() has three decimals, rounded as Go rounds", () => {
  const cases: [rttNs: number, shown: string][] = [
    [0, "0.000"],
    [372_000, "0.372"],
    [371_499, "0.371"],
    [1_234_567_890, "1234.568"],
    // Exactly in the middle: to the even digit.
    [62_500, "0.062"],
    [187_500, "0.188"],
    [312_500, "0.312"],
    [10_062_500, "10.062"],
    [62_501, "0.063"],
    [10_000_000_000, "10000.000"],
  ];
  for (const [rttNs, shown] of cases) {
    assert.equal(
      rttText({ nodes: ["a", "b"], rttNs }),
      `Estimated a <-> b rtt: ${shown} ms`,
    );
  }
});

Deno.test("rttJson() has both names and milliseconds", () => {
  assert.deepEqual(rttJson({ nodes: ["a", "b"], rttNs: 371_999 }), {
    nodes: ["a", "b"],
    rtt_ms: 0.371999,
  });
});

Deno.test("serf rtt estimates from both coordinates, with heights and adjustments", async () => {
  const coordinates = {
    n1: at(0, { height: 0.002, adjustment: 0.001 }),
    n2: at(0.01, { height: 0.003, adjustment: -0.0005 }),
  };
  const { code, stdout, stderr } = await rtt(coordinates, "n2", "n1");
  assert.equal(stdout, "Estimated n2 <-> n1 rtt: 15.500 ms\n");
  assert.deepEqual([code, stderr], [0, ""]);
});

Deno.test("serf rtt -format=json prints the estimate as JSON", async () => {
  const coordinates = { n1: at(0), n2: at(0.0125) };
  const { code, stdout } = await rtt(coordinates, "-format=json", "n2");
  assert.equal(
    stdout,
    '{\n  "nodes": [\n    "n2",\n    "n1"\n  ],\n  "rtt_ms": 12.5\n}\n',
  );
  assert.equal(code, 0);
  const bad = await rtt(coordinates, "-format=xml", "n2");
  assert.equal(bad.stdout, 'Encoding error: Invalid output format "xml"\n');
  assert.equal(bad.code, 1);
});

Deno.test("serf rtt names the node without a coordinate in Go's quotes", async () => {
  const { code, stdout } = await rtt({ n1: at(0) }, 'no"pe\n');
  assert.equal(
    stdout,
    'Could not find a coordinate for node "no\\"pe\\n"\n',
  );
  assert.equal(code, 1);
});

Deno.test("serf rtt says so when coordinates do not fit each other", async () => {
  const flat = { n1: at(0), n2: { ...at(0), vec: [0, 0, 0] } };
  const unlike = await rtt(flat, "n2");
  assert.equal(
    unlike.stdout,
    "Error getting coordinates: coordinate dimensionality does not match\n",
  );
  const invalid = await rtt({ n1: at(0), n2: at(NaN) }, "n2");
  assert.equal(
    invalid.stdout,
    "Error getting coordinates: coordinate is invalid\n",
  );
  assert.deepEqual([unlike.code, invalid.code], [1, 1]);
});
