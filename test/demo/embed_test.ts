/** The programs that show how to embed Serf, as a user runs them. */

import assert from "node:assert/strict";
import { RpcClient } from "../../lib/mod.ts";
import { DemoCluster, type Slot } from "../../demo/cluster.ts";
import { Leadership } from "../../demo/leader.ts";
import { play, table } from "../../demo/simulate_leader.ts";
import { PortSource } from "../e2e/ports.ts";
import { until } from "../net/deadline.ts";

const ROOT = `${import.meta.dirname}/../..`;

function demo(name: string, ...args: string[]): Deno.Command {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "-A", `${ROOT}/demo/${name}`, ...args],
    stdout: "piped",
    stderr: "piped",
  });
}

/** Runs to the end, which must be a good one; returns what it printed. */
async function output(command: Deno.Command): Promise<string> {
  const { code, stdout, stderr } = await command.output();
  assert.equal(new TextDecoder().decode(stderr), "");
  assert.equal(code, 0);
  return new TextDecoder().decode(stdout);
}

/** The part of a file's first comment that tells what to expect. */
function expectedOutput(name: string): string {
  const comment = Deno.readTextFileSync(`${ROOT}/demo/${name}`)
    .split("*/")[0] ?? "";
  return (comment.split(/expect[^:]*:\n/)[1] ?? "")
    .replaceAll(/^ \*(?: {5})?/gm, "").trim();
}

/** Parts of an output, each with its lines in order of the alphabet. */
function parts(text: string): string[][] {
  return text.trim().split("\n\n").map((part) =>
    part.split("\n").map((line) =>
      line.replace(/^ *[\d.]+ s {2}/, "").replace(/:\d+,/, ":PORT,")
    ).sort()
  );
}

Deno.test("embed_three_nodes.ts prints what it promises", async () => {
  const text = await output(demo("embed_three_nodes.ts"));
  const expected = parts(expectedOutput("embed_three_nodes.ts"));
  assert.equal(expected.length, 8);
  assert.deepEqual(parts(text), expected);
  for (const line of text.split("\n").filter((each) => / s {2}/.test(each))) {
    assert.match(
      line,
      /^[ \d]\d\.\d s {2}(ada|bob|cyd) {2}\w/,
    );
  }
});

Deno.test("simulate_leader.ts prints what it promises", async () => {
  const plain = (text: string) => text.replaceAll(/ +\d[\d.]*/g, " N").trim();
  const text = await output(demo("simulate_leader.ts"));
  assert.equal(plain(text), plain(expectedOutput("simulate_leader.ts")));
});

Deno.test("play() finds a rule that forgets who failed", () => {
  class Forgetful extends Leadership {
    override handle(event: Parameters<Leadership["handle"]>[0]): void {
      if (event.type !== "member-failed") super.handle(event);
    }
  }
  assert.throws(() => play(3, () => new Forgetful()), {
    message:
      "Seed 3, the leader has crashed: n1 does not lead (n1: n0, n2: n0, " +
      "n3: n0, n4: n0)",
  });
});

Deno.test("play() is a function of its seed, and table() shows its extremes", () => {
  const rule = () => new Leadership();
  assert.deepEqual(play(3, rule), play(3, rule));
  assert.notDeepEqual(play(3, rule), play(4, rule));
  const stories = [3_000, 500, 1_000].map((ms) => new Map([["part", ms]]));
  assert.deepEqual(table(stories), [
    " ".repeat(33) + "shortest   median  longest",
    "part" + " ".repeat(28) + "      0.5      1.0      3.0",
  ]);
});

Deno.test("watch_members.ts tells who is there and what changes, until the agent ends", async () => {
  const cluster = new DemoCluster({
    count: 2,
    extraFlags: (name) => name === "n1" ? ["-tag=role=web"] : [],
  });
  try {
    const [first, second] = cluster.slots as [Slot, Slot];
    await cluster.launch(first);
    const program = demo("watch_members.ts", first.rpcAddress).spawn();
    const lines: string[] = [];
    const reading = (async () => {
      const texts = program.stdout.pipeThrough(new TextDecoderStream());
      for await (const text of texts) lines.push(...text.trim().split("\n"));
    })();
    await until("the list", () => lines.includes("--- from now on"));
    await cluster.launch(second);
    await until("the join", () => lines.some((line) => / alive$/.test(line)));
    using client = await RpcClient.connect({ address: second.rpcAddress });
    await client.leave();
    await until("the leave", () => lines.some((line) => / left$/.test(line)));
    first.process?.kill("SIGTERM");
    const { code } = await program.status;
    await reading;
    assert.equal(await new Response(program.stderr).text(), "");
    assert.equal(code, 0);
    assert.deepEqual(lines.slice(0, 4), [
      `n1  ${first.gossipAddress}  alive  role=web`,
      "--- from now on",
      `n2  ${second.gossipAddress}  alive`,
      `n2  ${second.gossipAddress}  left`,
    ]);
    assert.equal(lines.at(-1), "--- the agent has ended");
  } finally {
    await cluster.stop();
  }
});

Deno.test("watch_members.ts says why it cannot talk to an agent", async () => {
  const { code, stderr } = await demo("watch_members.ts", "127.0.0.1:1")
    .output();
  assert.equal(code, 1);
  assert.equal(
    new TextDecoder().decode(stderr),
    "dial tcp 127.0.0.1:1: connect: connection refused\n",
  );
});

Deno.test("leader.ts tells who leads, and leaves when interrupted", async () => {
  const spawn = (...args: string[]) => demo("leader.ts", ...args).spawn();
  using ports = new PortSource();
  const { text: first } = ports.take("127.0.0.1");
  const programs = [spawn("b", first)];
  const lines: string[] = [];
  const follow = async (program: Deno.ChildProcess) => {
    const texts = program.stdout.pipeThrough(new TextDecoderStream());
    for await (const text of texts) lines.push(...text.trim().split("\n"));
  };
  const readings = programs.map(follow);
  try {
    await until("the first", () => lines.join() === "b leads");
    const second = spawn("a", "127.0.0.1:0", first);
    programs.push(second);
    readings.push(follow(second));
    await until(
      "the second",
      () => lines.filter((line) => line === "a leads").length === 2,
    );
    second.kill("SIGINT");
    assert.equal((await second.status).code, 0);
    await until("the change", () => lines.at(-1) === "b leads");
    programs[0]?.kill("SIGINT");
    assert.equal((await programs[0]?.status)?.code, 0);
  } finally {
    for (const program of programs) {
      try {
        program.kill("SIGKILL");
      } catch {
        // It has ended already.
      }
    }
    await Promise.all([
      ...readings,
      ...programs.map((program) => program.stderr.cancel()),
      ...programs.map((program) => program.status),
    ]);
  }
});
