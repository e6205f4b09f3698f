/** `serf simulate`: what it prints, and what it refuses. */

import assert from "node:assert/strict";
import { dispatch } from "../../cmd/mod.ts";
import { complaintAboutMemory } from "../../cmd/simulate.ts";
import { FakeTerminal } from "./fake_terminal.ts";

async function simulate(...args: string[]) {
  const terminal = new FakeTerminal();
  const code = await dispatch(["simulate", ...args], terminal);
  return { code, stdout: terminal.stdout, stderr: terminal.stderr };
}

Deno.test("simulate prints times, curves and traffic, the same for one seed", async () => {
  const first = await simulate("-nodes=20", "-loss=0.1", "-seed=3");
  assert.deepEqual([first.code, first.stderr], [0, ""]);
  assert.match(
    first.stdout,
    /^20 nodes, profile lan: every 200ms gossip to 3 nodes,\n10% of packets lost, 1 node crashed after the events, seed 3\n/,
  );
  for (const head of ["a join", "an event", "an event, busy", "a failure"]) {
    assert.match(
      first.stdout,
      new RegExp(`^${head}( +\\d+\\.\\d\\ds){4}$`, "m"),
    );
  }
  assert.match(first.stdout, /^ {2}0\.20s( +\d+\.\d%){4}( {2}#+)?$/m);
  assert.match(first.stdout, /^by the formula 42000 bytes at the most/m);
  assert.deepEqual(await simulate("-nodes=20", "-loss=0.1", "-seed=3"), first);
  assert.notDeepEqual(await simulate("-nodes=20", "-loss=0.1"), first);
});

Deno.test("simulate -format=json prints one document with all curves", async () => {
  const { code, stdout } = await simulate(
    ...["-nodes=20", "-profile=local", "-interval=50ms", "-fanout=2"],
    ...["-failed=0.2", "-format=json"],
  );
  assert.equal(code, 0);
  const result = JSON.parse(stdout);
  assert.deepEqual(
    [result.nodes, result.profile, result.interval_ms, result.fanout],
    [20, "local", 50, 2],
  );
  for (const name of ["join", "event", "event_busy", "failure"]) {
    const { of, reached, p50_ms, all_ms, curve } = result[name];
    assert.equal(reached, of, name);
    assert.ok(p50_ms <= all_ms, name);
    assert.equal(curve.at(-1).share, 1, name);
    assert.ok(curve.at(-1).ms >= all_ms, name);
  }
  // 16 that live, and 4 that crashed.
  assert.deepEqual([result.event.of, result.failure.of], [16, 64]);
  assert.equal(result.failure.first_ms.length, 4);
  assert.ok(result.formula.curve.length > 5);
  assert.ok(result.quiet.bytes_per_second > 0);
});

Deno.test("simulate refuses what makes no sense, with exit code 1", async () => {
  const cases: [args: string[], complaint: RegExp][] = [
    [["-nodes=2"], /^The number of nodes must be from 3 to 10000\.\n\nUsage:/],
    [["-nodes=10001"], /^The number of nodes/],
    [["-profile=moon"], /^Unknown profile: moon\n/],
    [["-nodes=5", "-fanout=6"], /^The fanout must be/],
    [["-latency=-1s"], /^A time must not be negative/],
    [["five"], /^This command takes no arguments/],
    [["-format=xml"], /^Encoding error: Invalid output format "xml"/],
  ];
  for (const [args, complaint] of cases) {
    const { code, stdout } = await simulate(...args);
    assert.equal(code, 1, args.join());
    assert.match(stdout, complaint);
  }
  for (const loss of ["1", "-0.1", "much", ""]) {
    const { code, stderr } = await simulate(`-loss=${loss}`);
    assert.equal(code, 1);
    assert.match(
      stderr,
      /^invalid value ".*" for flag -loss: must be at least 0/,
    );
  }
  const { stdout } = await simulate("-nodes=2", "-format=json");
  assert.match(JSON.parse(stdout).error, /^The number of nodes/);
});

Deno.test("simulate refuses what does not fit into memory, and says how it would", async () => {
  assert.equal(complaintAboutMemory(2_000, 4e9), undefined);
  assert.equal(complaintAboutMemory(5_000, 20e9), undefined);
  const complaint =
    "5000 nodes take some 19.5 GB of memory, and this process " +
    "may use 4.4 GB. It may use more with " +
    "DENO_V8_FLAGS=--max-old-space-size=20000 in the environment.";
  assert.equal(complaintAboutMemory(5_000, 4.4e9), complaint);
  // Nobody gives 78 GB to tests; it would take hours.
  const { code, stdout } = await simulate("-nodes=10000");
  assert.equal(code, 1);
  assert.match(stdout, /^10000 nodes take some 78.0 GB of memory, and this/);
});

Deno.test("simulate says so when news did not come through", async () => {
  // Nobody is reached through such a network.
  const { code, stdout } = await simulate("-nodes=3", "-loss=0.99");
  assert.equal(code, 1);
  assert.match(stdout, /did not come to know|never/);
});
