/**
 * The demo as a user runs it. What matters most is that it leaves nothing
 * behind, however it ends.
 */

import assert from "node:assert/strict";
import { DemoCluster, serfCommand } from "../../demo/cluster.ts";
import { isCalm, pause } from "../../demo/chaos.ts";
import { until } from "../net/deadline.ts";

const SCRIPT = `${import.meta.dirname}/../../demo/start_cluster.ts`;

function startDemo(...flags: string[]): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "-A", SCRIPT, ...flags],
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

function isRunning(pid: number): boolean {
  try {
    // Continues a process that is not stopped, which does nothing.
    Deno.kill(pid, "SIGCONT");
    return true;
  } catch {
    return false;
  }
}

function pidsIn(output: string): number[] {
  return [...output.matchAll(/ pid (\d+)/g)].map((match) => Number(match[1]));
}

Deno.test("the demo shows a cluster that agrees, and ends by itself", async () => {
  const { code, stdout, stderr } = await startDemo("--nodes=3", "--seconds=5")
    .output();
  const text = new TextDecoder().decode(stdout);
  assert.equal(new TextDecoder().decode(stderr), "");
  assert.equal(code, 0);
  for (const name of ["n1", "n2", "n3"]) {
    assert.match(text, new RegExp(`s {2}${name} sees .*n[123] alive\n`));
  }
  assert.match(text, /members -rpc-addr=127\.0\.0\.1:\d+\n/);
  assert.ok(text.endsWith("All agents ended.\n"));
  const pids = pidsIn(text);
  assert.equal(pids.length, 3);
  assert.deepEqual(pids.filter(isRunning), []);
});

Deno.test({
  name: "the demo measures what its chaos does, and Ctrl-C ends everything",
  ignore: Deno.build.os === "windows",
  async fn() {
    const demo = startDemo("--nodes", "3", "--chaos", "--encrypt");
    let text = "";
    const reading = (async () => {
      const lines = demo.stdout.pipeThrough(new TextDecoderStream());
      for await (const part of lines) text += part;
    })();
    const stderr = new Response(demo.stderr).text();
    const measured = /n\d restarted, up after \d+\.\d s, alive for all after/;
    await until("one round of chaos", () => measured.test(text));
    assert.match(text, /n\d killed\n/);
    assert.match(
      text,
      /n\d called failed by n\d after \d+\.\d s, by all after/,
    );
    demo.kill("SIGINT");
    assert.equal((await demo.status).code, 0);
    await reading;
    assert.equal(await stderr, "");
    assert.deepEqual(pidsIn(text).filter(isRunning), []);
  },
});

Deno.test("the demo explains its flags", async () => {
  const { code, stderr } = await startDemo("--nodes=0").output();
  assert.equal(code, 1);
  assert.match(
    new TextDecoder().decode(stderr),
    /^The number of nodes must be 1 to 100\nUsage: deno task demo \[options\]\n/,
  );
});

Deno.test("serfCommand() is the executable when there is one, else the source", () => {
  const file = Deno.makeTempFileSync();
  try {
    assert.deepEqual(serfCommand(file), [file]);
  } finally {
    Deno.removeSync(file);
  }
  assert.deepEqual(serfCommand(file).slice(0, 2), [Deno.execPath(), "run"]);
  assert.equal(serfCommand("/")[0], Deno.execPath(), "a directory is none");
});

Deno.test("DemoCluster.stop() ends the others when one does not start", async () => {
  const cluster = new DemoCluster({
    count: 3,
    extraFlags: (name) => name === "n3" ? ["-profile=moon"] : [],
  });
  let pids: number[] = [];
  try {
    await assert.rejects(cluster.start(), {
      message: /^An agent did not start:\n==> Unknown profile: moon/,
    });
    pids = cluster.pids;
    assert.ok(pids.length > 0);
  } finally {
    await cluster.stop();
  }
  assert.deepEqual(pids.filter(isRunning), []);
  assert.deepEqual(cluster.pids, []);
});

Deno.test("DemoCluster.launch() brings a killed agent back at its address", async () => {
  const cluster = new DemoCluster({ count: 2 });
  try {
    await cluster.start();
    const calm = async () => {
      await cluster.poll();
      return isCalm(cluster);
    };
    await until("calm", calm);
    const slot = cluster.slots[0]!;
    const { gossipAddress, process } = slot;
    process?.kill();
    await process?.exited;
    assert.equal(await calm(), false);
    await cluster.launch(slot);
    await until("calm again", calm);
    assert.equal(slot.gossipAddress, gossipAddress);
    assert.notEqual(slot.process?.pid, process?.pid);
  } finally {
    await cluster.stop();
  }
});

Deno.test("pause() does not outlast the signal", async () => {
  const stop = new AbortController();
  const waiting = pause(1e9, stop.signal);
  stop.abort();
  await waiting;
  await pause(1e9, stop.signal);
});
