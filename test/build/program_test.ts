/**
 * The self-extracting executable as a program: as `main.ts` is, wherever and by
 * whomever it is started.
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import { until } from "../net/deadline.ts";
import { lacks, lacksAbility } from "../programs.ts";
import {
  namesIn,
  NEEDS_ROOT,
  type StartOptions,
  Workshop,
} from "./workshop.ts";

const MAIN = join(import.meta.dirname ?? "", "../../main.ts");

let shop: Workshop;
let env: Record<string, string>;
Deno.test.beforeAll(async () => {
  shop = await Workshop.open();
  env = { SERF_CACHE_DIR: shop.place() };
});
Deno.test.afterAll(() => shop[Symbol.dispose]());

/** An agent of the executable, and what it prints. */
class AgentRun implements AsyncDisposable {
  readonly child: Deno.ChildProcess;
  stdout = "";
  readonly #read: Promise<void>;

  constructor(flags: readonly string[], options: StartOptions = { env }) {
    const addresses = ["-bind=127.0.0.1:0", "-rpc-addr=127.0.0.1:0"];
    this.child = shop.start(["agent", ...addresses, ...flags], options);
    this.#read = this.#readAll();
  }

  async #readAll(): Promise<void> {
    const parts = this.child.stdout.pipeThrough(new TextDecoderStream());
    for await (const part of parts) this.stdout += part;
  }

  says(text: string): Promise<void> {
    return until(text, () => this.stdout.includes(text));
  }

  /** A value of the table that it prints at the start. */
  field(label: string): string {
    return new RegExp(`${label}: '(.*)'`).exec(this.stdout)?.[1] ?? "";
  }

  async end(signal: Deno.Signal): Promise<Deno.CommandStatus> {
    this.child.kill(signal);
    let status: Deno.CommandStatus | undefined;
    this.child.status.then((ended) => status = ended);
    await until("the end", () => status !== undefined);
    await this.#read;
    return await this.child.status;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.child.kill("SIGKILL");
    } catch {
      // It has ended.
    }
    await this.child.status;
    await this.child.stderr.cancel();
  }
}

Deno.test("arguments, output and exit codes are those of main.ts", async () => {
  const lines = [
    [],
    ["--help"],
    ["bogus"],
    ["members", "-h"],
    ["members", "-name"],
    ["members", "-rpc-addr=127.0.0.1:1"],
    ["event", "--", "-rpc-addr=127.0.0.1:1"],
    ["version", "-format=a  b*$HOME\"'\n#"],
    ["join", "-rpc-addr", "", "--", "--", ""],
  ];
  await Promise.all(lines.map(async (args) => {
    const built = await shop.run(args, { env });
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "-A", MAIN, ...args],
      env: { NO_COLOR: "1" },
    }).output();
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    assert.deepEqual(
      built,
      { code, stdout: text(stdout), stderr: text(stderr) },
      args.join(" "),
    );
  }));
});

Deno.test("serf version names the version and the commit", {
  ignore: lacks("git"),
}, async () => {
  const { stdout } = await shop.run(["version"], { env });
  const { success } = await new Deno.Command("git", {
    args: ["-C", join(MAIN, ".."), "rev-parse"],
    stderr: "null",
  }).output();
  assert.match(
    stdout,
    success
      ? /^\d+\.\d+\.\d+ \([0-9a-f]{7,}(\+CHANGES)?\)\nAgent Protocol: 5/
      : /^\d+\.\d+\.\d+\nAgent Protocol: 5/,
  );
});

Deno.test("standard input is left to those who come after", async () => {
  const cache = shop.place();
  for (const _start of ["the first", "a later"]) {
    const child = new Deno.Command("/bin/sh", {
      args: ["-c", `"${shop.executable}" version >/dev/null; cat`],
      env: { SERF_CACHE_DIR: cache },
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode("one\ntwo\n"));
    await writer.close();
    const { stdout } = await child.output();
    assert.equal(new TextDecoder().decode(stdout), "one\ntwo\n");
  }
});

Deno.test("the process that was started is the agent, and takes its signals", async () => {
  for (
    const [flags, signal, code] of [
      [[], "SIGINT", 0],
      [[], "SIGTERM", 1],
    ] as const
  ) {
    await using agent = new AgentRun(flags);
    await agent.says("Log data will now stream in");
    if (Deno.build.os === "linux") {
      const { pid } = agent.child;
      const program = Deno.readLinkSync(`/proc/${pid}/exe`);
      assert.ok(program.startsWith(env.SERF_CACHE_DIR as string), program);
      assert.equal(Deno.readTextFileSync(`/proc/${pid}/comm`), "serf\n");
    }
    const rpc = `-rpc-addr=${agent.field("RPC addr")}`;
    const members = await shop.run(["members", rpc], { env });
    assert.match(members.stdout, /alive/);
    assert.equal((await agent.end(signal)).code, code);
    assert.match(agent.stdout, /Caught signal/);
  }
});

Deno.test("a first start becomes the agent as well", async () => {
  await using agent = new AgentRun([], {
    env: { SERF_CACHE_DIR: shop.place() },
  });
  await agent.says("Log data will now stream in");
  assert.equal((await agent.end("SIGINT")).code, 0);
});

Deno.test("agents of the executable join each other by name", async () => {
  await using first = new AgentRun(["-node=n1"]);
  await first.says("Log data will now stream in");
  await using second = new AgentRun(["-node=n2"]);
  await second.says("Log data will now stream in");
  const port = /:(\d+)$/.exec(first.field("Bind addr"))?.[1];
  const { code, stdout } = await shop.run([
    ...["join", `-rpc-addr=${second.field("RPC addr")}`, `localhost:${port}`],
  ], { env });
  assert.equal(stdout, "Successfully joined cluster by contacting 1 nodes.\n");
  assert.equal(code, 0);
});

Deno.test({
  name:
    "the built agent does not read what Deno keeps for those with all rights",
  ignore: Deno.build.os !== "linux",
  async fn() {
    // A way for somebody with a say in the flags to look at other programs.
    const path = "/proc/self/environ";
    const { code, stdout } = await shop.run(
      ["agent", `-config-file=${path}`],
      { env: { ...env, SECRET: "told to nobody" } },
    );
    assert.match(stdout, /Error reading '\/proc\/self\/environ': /);
    assert.ok(!stdout.includes("told to nobody"));
    assert.equal(code, 1);
  },
});

Deno.test("neither HOME nor Deno is needed, nor the checkout", async () => {
  const tmp = shop.folder();
  const { code, stderr } = await shop.run(["version"], {
    env: { TMPDIR: tmp, PATH: "/usr/bin:/bin" },
    cwd: "/",
  });
  assert.equal(stderr, "");
  assert.equal(code, 0);
  assert.deepEqual(namesIn(tmp), [`serf-${Deno.uid()}`]);
});

Deno.test({
  name: "another user starts it from a directory that is not writable" +
    (NEEDS_ROOT ? ` (${NEEDS_ROOT})` : ""),
  ignore: lacksAbility("root on Linux", NEEDS_ROOT === undefined),
  async fn() {
    const tmp = shop.folder(0o1777);
    const options = {
      env: { TMPDIR: tmp, HOME: "/nonexistent" },
      asNobody: true,
      cwd: "/",
    };
    await using agent = new AgentRun([], options);
    await agent.says("Log data will now stream in");
    const rpc = `-rpc-addr=${agent.field("RPC addr")}`;
    const { code, stdout } = await shop.run(["info", rpc], options);
    assert.match(stdout, /runtime:/);
    assert.equal(code, 0);
    assert.equal((await agent.end("SIGINT")).code, 0);
  },
});
