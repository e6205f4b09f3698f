/**
 * The agent as a process: what only a real one shows, its signals and its end.
 * More of it, next to the original, is in `test/e2e/lifecycle_test.ts`.
 */

import assert from "node:assert/strict";
import { RpcClient } from "../../lib/net/rpc_client.ts";
import { until } from "../net/deadline.ts";

const MAIN = `${import.meta.dirname}/../../main.ts`;

class AgentProcess {
  readonly child: Deno.ChildProcess;
  readonly read: Promise<void>;
  stdout = "";

  constructor() {
    this.child = new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "--quiet", "-A", MAIN, "agent", "-node=n1"],
        ...["-bind=127.0.0.1:0", "-rpc-addr=127.0.0.1:0"],
      ],
      stdin: "null",
      stdout: "piped",
    }).spawn();
    this.read = this.#readAll();
  }

  async #readAll(): Promise<void> {
    const parts = this.child.stdout.pipeThrough(new TextDecoderStream());
    for await (const part of parts) this.stdout += part;
  }

  async ready(): Promise<void> {
    await this.says("[INFO] serf: EventMemberJoin: n1 127.0.0.1\n");
  }

  says(text: string): Promise<void> {
    return until(text, () => this.stdout.includes(text));
  }

  /** The exit code, and what was printed from the first signal on. */
  async end(): Promise<[number, string[]]> {
    await this.read;
    const { code } = await this.child.status;
    const at = this.stdout.indexOf("==> Caught signal");
    const tail = at < 0 ? "" : this.stdout.slice(at);
    const lines = tail.replace(/^ {4}[\d/]+ [\d:]+ /gm, "    ").split("\n");
    return [code, lines.filter((line) => !line.includes("Received event"))];
  }

  [Symbol.dispose](): void {
    try {
      this.child.kill("SIGKILL");
    } catch {
      // It has ended, as it should.
    }
  }
}

const isWindows = Deno.build.os === "windows";

Deno.test("agent leaves the cluster on SIGINT and exits with 0", {
  ignore: isWindows,
}, async () => {
  using agent = new AgentProcess();
  await agent.ready();
  agent.child.kill("SIGINT");
  assert.deepEqual(await agent.end(), [0, [
    "==> Caught signal: interrupt",
    "==> Gracefully shutting down agent...",
    "    [INFO] agent: requesting graceful leave from Serf",
    "    [INFO] serf: EventMemberLeave: n1 127.0.0.1",
    "    [INFO] agent: requesting serf shutdown",
    "    [INFO] agent: shutdown complete",
    "",
  ]]);
});

Deno.test("agent leaves when one Ctrl-C reaches it twice", {
  ignore: isWindows,
}, async () => {
  using agent = new AgentProcess();
  await agent.ready();
  agent.child.kill("SIGINT");
  await agent.says("==> Caught signal");
  agent.child.kill("SIGINT");
  const [code, lines] = await agent.end();
  assert.equal(code, 0);
  assert.ok(lines.includes("    [INFO] serf: EventMemberLeave: n1 127.0.0.1"));
});

Deno.test("agent stops on SIGTERM and exits with 1", {
  ignore: isWindows,
}, async () => {
  using agent = new AgentProcess();
  await agent.ready();
  agent.child.kill("SIGTERM");
  assert.deepEqual(await agent.end(), [1, [
    "==> Caught signal: terminated",
    "    [INFO] agent: requesting serf shutdown",
    "    [WARN] serf: Shutdown without a Leave",
    "    [INFO] agent: shutdown complete",
    "",
  ]]);
});

Deno.test("agent survives SIGHUP; a second signal ends a leave", {
  ignore: isWindows,
}, async () => {
  using agent = new AgentProcess();
  await agent.ready();
  agent.child.kill("SIGHUP");
  await agent.says("==> Reloading configuration...");
  agent.child.kill("SIGINT");
  await agent.says("requesting graceful leave");
  agent.child.kill("SIGHUP");
  const [code, lines] = await agent.end();
  assert.equal(code, 1);
  assert.deepEqual(lines.slice(0, 5), [
    "==> Caught signal: hangup",
    "==> Reloading configuration...",
    "==> Caught signal: interrupt",
    "==> Gracefully shutting down agent...",
    "    [INFO] agent: requesting graceful leave from Serf",
  ]);
});

Deno.test("agent exits with 0 after a leave by command", async () => {
  using agent = new AgentProcess();
  await agent.ready();
  const address = /RPC addr: '(.*)'/.exec(agent.stdout)?.[1] ?? "";
  const client = await RpcClient.connect({ address });
  await client.leave();
  assert.deepEqual(await agent.end(), [0, [""]]);
  client.close();
});

Deno.test("agent goes on when its output cannot be written", {
  ignore: Deno.build.os !== "linux",
}, async () => {
  const folder = await Deno.makeTempDir({ prefix: "serf_full_" });
  const address = `unix://${folder}/rpc`;
  // Every write to this device says that the disk is full.
  const child = new Deno.Command("/bin/sh", {
    args: [
      ...["-c", 'exec "$@" >/dev/full 2>&1', "sh", Deno.execPath()],
      ...["run", "--quiet", "-A", MAIN, "agent", "-node=n1"],
      ...["-bind=127.0.0.1:0", `-rpc-addr=${address}`],
    ],
    stdin: "null",
  }).spawn();
  try {
    let client: RpcClient | undefined;
    await until("an answer of the agent", async () => {
      client = await RpcClient.connect({ address }).catch(() => undefined);
      return client !== undefined;
    });
    assert.ok(client !== undefined);
    child.kill("SIGUSR2");
    child.kill("SIGHUP");
    // Each is logged before it is carried out.
    await client.forceLeave("nobody");
    await client.forceLeave("nobody");
    assert.deepEqual((await client.members()).map(({ name }) => name), ["n1"]);
    await client.leave();
    client.close();
    assert.equal((await child.status).code, 0);
  } finally {
    try {
      child.kill("SIGKILL");
    } catch {
      // It has ended, as it should.
    }
    await Deno.remove(folder, { recursive: true });
  }
});
