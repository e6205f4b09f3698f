/**
 * An agent that is process 1 of a process namespace, as it is in a container.
 *
 * Needs Linux and the right to make namespaces; it is skipped elsewhere.
 */

import assert from "node:assert/strict";
import { lacks, lacksAbility } from "../programs.ts";
import { poll } from "./harness.ts";
import { PortSource } from "./ports.ts";
import { commandOf, runCli } from "./programs.ts";

const DEADLINE_MS = 75_000;
const UNSHARE = ["--pid", "--fork", "--kill-child", "--mount-proc"];

function canMakeProcessNamespaces(): boolean {
  try {
    return new Deno.Command("unshare", {
      args: [...UNSHARE, "true"],
      stdout: "null",
      stderr: "null",
    }).outputSync().success;
  } catch {
    return false;
  }
}

interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly state: string;
}

/** All processes of this machine. */
function processes(): Process[] {
  return [...Deno.readDirSync("/proc")].flatMap(({ name }) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const stat = Deno.readTextFileSync(`/proc/${name}/stat`);
      const [state = "", parent] = stat.slice(stat.lastIndexOf(")") + 2)
        .split(" ");
      return [{ pid: Number(name), parent: Number(parent), state }];
    } catch {
      return []; // It has ended in the meantime.
    }
  });
}

/** Waits until a condition holds. */
async function until(what: string, condition: () => unknown): Promise<void> {
  assert.equal(await poll(condition, DEADLINE_MS), true, what);
}

Deno.test({
  name: "an agent that is process 1 buries orphans, and lets others end well",
  ignore: Deno.build.os !== "linux" || lacks("unshare") ||
    lacksAbility(
      "the right to make process namespaces",
      canMakeProcessNamespaces(),
    ),
  async fn(t) {
    const folder = await Deno.makeTempDir();
    using ports = new PortSource();
    const gossip = ports.take("127.0.0.1");
    const rpc = ports.take("127.0.0.1");
    const child = new Deno.Command("unshare", {
      args: [
        ...UNSHARE,
        ...commandOf("ours"),
        ...["agent", "-node=one", `-bind=${gossip.text}`],
        `-rpc-addr=${rpc.text}`,
        // The shell ends before its jobs, which become children of process 1.
        "-event-handler=user:orphans=" +
        "for i in 1 2 3 4 5; do sleep 5 >/dev/null 2>&1 & done",
        "-event-handler=query:ask=sleep 0.1; echo answered",
        `-event-handler=user:worker=(trap 'echo bye > ${folder}/bye; exit' ` +
        `TERM; echo up > ${folder}/up; while :; do sleep 0.1; done) ` +
        ">/dev/null 2>&1 &",
      ],
      cwd: new URL("../..", import.meta.url),
      stdin: "null",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    let output = "";
    const reading = (async () => {
      const texts = child.stdout.pipeThrough(new TextDecoderStream());
      for await (const text of texts) output += text;
    })();
    const cli = (command: string, ...args: string[]) =>
      runCli("ours", [command, `-rpc-addr=${rpc.text}`, ...args]);
    try {
      await until("it runs", () => output.includes("Log data will now stream"));
      const agent = processes().find(({ parent }) => parent === child.pid)?.pid;
      assert.ok(agent !== undefined);
      const children = () =>
        processes().filter(({ parent }) => parent === agent);

      await t.step("orphans leave nothing behind", async () => {
        // They are there for a moment only, so somebody looks all the time.
        const come = until("orphans came", () => children().length >= 5);
        assert.equal((await cli("event", "orphans")).code, 0);
        await come;
        await until("orphans are gone", () => children().length === 0);
      });
      await t.step("scripts still have their exit status", async () => {
        for (let i = 0; i < 3; i++) {
          const said = await cli("query", "-timeout=60s", "ask");
          assert.match(said.stdout, /Response from 'one': answered/);
        }
        assert.doesNotMatch(output, /Error invoking/);
      });
      await t.step("at its end the others are asked to end", async () => {
        assert.equal((await cli("event", "worker")).code, 0);
        await until("the worker works", () => exists(`${folder}/up`));
        Deno.kill(agent, "SIGINT");
        await reading;
        assert.equal((await child.status).code, 0);
        assert.equal(Deno.readTextFileSync(`${folder}/bye`), "bye\n");
      });
    } finally {
      try {
        child.kill("SIGKILL");
      } catch {
        // It has ended by itself.
      }
      await child.status;
      await Deno.remove(folder, { recursive: true });
    }
  },
});

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}
