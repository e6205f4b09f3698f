/**
 * Handler scripts of real agents: bad ones harm nobody else, and none keeps an
 * agent from ending.
 */

import assert from "node:assert/strict";
import { Agent } from "../../lib/agent/agent.ts";
import { readSettings } from "../../lib/agent/config.ts";
import {
  type HandlerEntry,
  parseHandler,
} from "../../lib/agent/handler_spec.ts";
import { AgentLog } from "../../lib/agent/log.ts";
import type { HostPort } from "../../lib/kit/address.ts";
import { utf8Bytes, utf8Text } from "../../lib/kit/bytes.ts";
import { RpcProbe } from "../e2e/rpc_probe.ts";
import { until } from "../net/deadline.ts";
import { isAlive, PidFile } from "./processes.ts";

const PROJECT_ROOT = new URL("../..", import.meta.url);
const isWindows = Deno.build.os === "windows";

/** A running agent with handlers, and its log. */
class HandlingAgent implements AsyncDisposable {
  private constructor(
    readonly agent: Agent,
    readonly rpc: HostPort,
    readonly lines: string[],
  ) {}

  static async start(
    nodeName: string,
    eventHandlers: readonly HandlerEntry[],
  ): Promise<HandlingAgent> {
    const settings = await readSettings([{
      nodeName,
      eventHandlers,
      bind: "127.0.0.1:0",
      rpcAddr: "127.0.0.1:0",
      profile: "local",
    }], { hostname: () => "host" });
    const lines: string[] = [];
    const log = new AgentLog({
      level: "DEBUG",
      write: (text) => lines.push(text.slice(24, -1)),
      now: () => new Date(),
    });
    log.open();
    const agent = await Agent.start(settings, log);
    return new HandlingAgent(
      agent,
      await agent.serveRpc() as HostPort,
      lines,
    );
  }

  count(line: string): number {
    return this.lines.filter((seen) => seen === line).length;
  }

  logged(line: string): Promise<void> {
    return until(line, () => this.count(line) > 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.agent.shutdown();
  }
}

/** Sends user events of the name, with the numbers of 0 to 99 as payloads. */
function sendHundred(from: Agent, name: string): void {
  for (let number = 0; number < 100; number++) {
    from.userEvent(name, utf8Bytes(`${number}`), false);
  }
}

const HUNDRED = Array.from({ length: 100 }, (_, number) => `${number}`);

/** Collects the payloads of user events that the control port streams. */
async function streamPayloads(client: RpcProbe): Promise<string[]> {
  const payloads: string[] = [];
  await client.stream("user", ({ Payload }) => {
    payloads.push(utf8Text(Payload as Uint8Array));
  });
  return payloads;
}

const byNumber = (a: string, b: string) => Number(a) - Number(b);

Deno.test({
  name:
    "handlers that hang, flood or crash harm nobody else, with 100 events behind",
  ignore: isWindows,
  async fn() {
    await using file = new PidFile();
    await using a = await HandlingAgent.start("a", [
      {
        filter: "user:n",
        script: `echo $$ >>${file.path}; exec sleep 1000`,
        concurrency: 1,
      },
      { filter: "user:n", script: "exec yes", on_full: "drop" },
      {
        filter: "user:n",
        script: "ulimit -c 0; kill -SEGV $$",
        concurrency: 2,
      },
      "user:n=cat",
      "query:alive=echo yes",
    ]);
    await using b = await HandlingAgent.start("b", []);
    const failures: string[] = [];
    for (const { agent } of [a, b]) {
      agent.subscribeEvents((event) => {
        if (event.type === "member-failed") failures.push(event.type);
      });
    }
    await b.agent.join([`127.0.0.1:${a.agent.bound.port}`], false);
    await using client = await RpcProbe.open(a.rpc);
    const streamed = await streamPayloads(client);
    // Over gossip, so that it must go on as well.
    sendHundred(b.agent, "n");
    await until("the stream of all", () => streamed.length === 100);
    assert.deepEqual(streamed.toSorted(byNumber), HUNDRED);
    const output = "[DEBUG] agent: Event 'user' script output: ";
    await until(
      "the good handler to have run for all",
      () => HUNDRED.every((number) => a.count(`${output}${number}`) === 1),
    );
    const crashed = "[ERR] agent: Error invoking script " +
      "'ulimit -c 0; kill -SEGV $$': signal: segmentation fault";
    await until("all crashes", () => a.count(crashed) === 100);
    assert.equal((await file.has(1)).length, 1, "the others wait behind it");
    // The flood goes on; 64 wait for it.
    await a.logged(
      "[WARN] agent: Too many events wait for script 'exec yes', " +
        "lost 1 of the newest",
    );
    const answers: string[] = [];
    await new Promise<void>((done) => {
      b.agent.query({
        name: "alive",
        payload: new Uint8Array(0),
        filterNodes: ["a"],
        filterTags: new Map(),
        requestAck: true,
        relayFactor: 0,
        timeoutMs: 10_000,
      }, {
        onReply: (reply) =>
          answers.push(
            reply.kind === "ack" ? "ack" : utf8Text(reply.payload),
          ),
        onDone: done,
      });
    });
    assert.deepEqual(answers, ["ack", "yes\n"]);
    const statuses = b.agent.members().map(({ name, status }) =>
      `${name} ${status}`
    );
    assert.deepEqual(statuses, ["a alive", "b alive"]);
    assert.deepEqual(failures, []);
  },
});

Deno.test({
  name: "a script that hangs in the common order stalls that order alone",
  ignore: isWindows,
  async fn() {
    await using file = new PidFile();
    await using a = await HandlingAgent.start("a", [
      `user:n=echo $$ >>${file.path}; read x; echo $x; exec sleep 1000`,
      "user:n=echo never",
      { filter: "user:n", script: "cat", concurrency: 4 },
    ]);
    await using b = await HandlingAgent.start("b", []);
    await b.agent.join([`127.0.0.1:${a.agent.bound.port}`], false);
    await using client = await RpcProbe.open(a.rpc);
    const streamed = await streamPayloads(client);
    const heardByB: string[] = [];
    b.agent.subscribeEvents((event) => {
      if (event.type === "user") heardByB.push(utf8Text(event.payload));
    });
    sendHundred(a.agent, "n");
    await until("the stream of all", () => streamed.length === 100);
    assert.deepEqual(streamed, HUNDRED);
    await until("all at the other node", () => heardByB.length === 100);
    const output = "[DEBUG] agent: Event 'user' script output: ";
    await until(
      "the lane of its own to have run for all",
      () => HUNDRED.every((number) => a.count(`${output}${number}`) === 1),
    );
    // Once the script is gone, nothing was lost behind it.
    await file.has(1);
    const killed = new Set<number>();
    const killAll = setInterval(() => {
      for (const pid of file.pids) {
        if (!killed.has(pid)) Deno.kill(pid, "SIGKILL");
        killed.add(pid);
      }
    }, 5);
    try {
      await until(
        "the common order to have gone on",
        () => a.count(`${output}never`) === 100,
      );
    } finally {
      clearInterval(killAll);
    }
  },
});

Deno.test({
  name: "a timeout lets the next event have its turn, and the log says so",
  ignore: isWindows,
  async fn() {
    await using file = new PidFile();
    const script = `echo $$ >>${file.path}; sleep 1000 & wait`;
    await using a = await HandlingAgent.start("a", [
      { filter: "user", script, timeout: "3s" },
    ]);
    for (let number = 0; number < 3; number++) {
      a.agent.userEvent("n", utf8Bytes(`${number}`), false);
    }
    const line = `[ERR] agent: Error invoking script '${script}': ` +
      "timed out after 3s, its process group was killed";
    await until("three timeouts", () => a.count(line) === 3);
    assert.equal(file.pids.length, 3);
    await file.allEnded();
  },
});

Deno.test("Agent shows its handlers, and others from a replacement on", async () => {
  await using a = await HandlingAgent.start("a", [
    "echo one",
    { filter: "query:load", script: "echo two", timeout: "1s" },
  ]);
  const shown = () => [...a.agent.stats().get("event_handlers") ?? []];
  assert.deepEqual(shown(), [["*:", "echo one"], ["query:load", "echo two"]]);
  a.agent.replaceEventHandlers(["user=echo new"].map(parseHandler));
  assert.deepEqual(shown(), [["user:", "echo new"]]);
  a.agent.userEvent("n", new Uint8Array(0), false);
  await a.logged("[DEBUG] agent: Event 'user' script output: new");
});

Deno.test({
  name: "agent ends while a script runs, which goes on",
  ignore: isWindows,
  async fn() {
    await using file = new PidFile();
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "--quiet", "-A", "main.ts", "agent", "-node=n1"],
        ...["-bind=127.0.0.1:0", "-rpc-addr=127.0.0.1:0", "-profile=local"],
        `-event-handler=member-join=echo $$ >>${file.path}; exec sleep 1000`,
      ],
      cwd: PROJECT_ROOT,
      stdin: "null",
      stdout: "null",
    }).spawn();
    try {
      const [pid] = await file.has(1);
      child.kill("SIGINT");
      assert.deepEqual((await child.status).code, 0);
      assert.ok(await isAlive(pid as number));
    } finally {
      try {
        child.kill("SIGKILL");
      } catch {
        // It has ended, as it should.
      }
    }
  },
});

Deno.test({
  name: "an embedder's program ends by itself while a script runs",
  ignore: isWindows,
  async fn() {
    await using file = new PidFile();
    const script = `echo $$ >>${file.path}; exec sleep 1000`;
    const program = `
      import { Agent } from "./lib/agent/agent.ts";
      import { readSettings } from "./lib/agent/config.ts";
      import { AgentLog } from "./lib/agent/log.ts";
      const now = () => new Date();
      const log = new AgentLog({ level: "INFO", write: () => {}, now });
      const settings = await readSettings([{
        bind: "127.0.0.1:0",
        eventHandlers: [
          "user=${script}",
          { filter: "user", script: "${script}", timeout: "1h" },
        ],
      }], Deno);
      const agent = await Agent.start(settings, log);
      agent.userEvent("x", new Uint8Array(0), false);
      while (Deno.readTextFileSync("${file.path}").split("\\n").length < 3) {
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      await agent.shutdown();`;
    const child = new Deno.Command(Deno.execPath(), {
      args: ["eval", "--quiet", "--ext=ts", program],
      cwd: PROJECT_ROOT,
      stdin: "null",
    }).spawn();
    let code: number | undefined;
    child.status.then((status) => code = status.code);
    try {
      await until("the end of the program", () => code !== undefined);
      assert.equal(code, 0);
      for (const pid of await file.has(2)) assert.ok(await isAlive(pid));
    } finally {
      if (code === undefined) child.kill("SIGKILL");
      await child.status;
    }
  },
});

Deno.test({
  name: "a job that holds the pipe of a query handler stops no other handler",
  ignore: isWindows,
}, async () => {
  await using file = new PidFile();
  const held = `sleep 1000 & echo $! >>${file.path}; echo answer`;
  await using a = await HandlingAgent.start("a", [
    `query:load=${held}`,
    { filter: "user:own", script: held, timeout: "1h" },
    "user:after=echo next",
  ]);
  // Twice: the first run must not stop the second one.
  for (let round = 0; round < 2; round++) {
    const answers: string[] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    a.agent.query({
      ...{ name: "load", payload: new Uint8Array(0), requestAck: false },
      ...{ filterNodes: [], filterTags: new Map(), relayFactor: 0 },
      timeoutMs: 60_000,
    }, {
      onReply: (reply) => {
        if (reply.kind === "response") answers.push(utf8Text(reply.payload));
      },
      onDone: resolve,
    });
    await promise;
    assert.deepEqual(answers, ["answer\n"]);
  }
  a.agent.userEvent("own", new Uint8Array(0), false);
  a.agent.userEvent("own", new Uint8Array(0), false);
  a.agent.userEvent("after", new Uint8Array(0), false);
  await a.logged("[DEBUG] agent: Event 'user' script output: next");
  const ofOwn = "[DEBUG] agent: Event 'user' script output: answer";
  await until("both", () => a.count(ofOwn) === 2);
  // Two handlers with one script: it is told of once.
  const told = a.lines.filter((line) => line.includes("holds its output"));
  assert.deepEqual(told, [
    `[WARN] agent: Script '${held}' has ended, but a process that it started ` +
    "holds its output; what that prints from now on is ignored",
  ]);
  assert.equal((await file.has(4)).length, 4);
});
