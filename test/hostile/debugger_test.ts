/**
 * Nobody gets at the debugger of the runtime: a flood of SIGUSR1, from the first
 * moment of a process on, opens no port in it, ends nothing and changes nothing for
 * the scripts that it starts.
 */

import assert from "node:assert/strict";
import { until } from "../net/deadline.ts";
import { PortSource } from "../e2e/ports.ts";
import { Workshop } from "../build/workshop.ts";
import { hasSignal, listeningPorts, statusOf } from "./linux_process.ts";
import { connectTo, FROM_SOURCE, Victim } from "./victim.ts";

const SIGUSR1 = 10;
/** Signals that a program may be told to ignore, or that may be blocked. */
const STANDARD_SIGNALS = 31;
/** Deno begins to listen for the signal half a second after its start. */
const ATTACK_MS = 3_000;
const SIGNALS_MIN = 100;
const SIGNAL_INTERVAL_MS = 2;

const isLinux = Deno.build.os === "linux";

/**
 * Lets signals come before the program can care for them: a shell that ignores
 * them becomes the program.
 */
const IGNORING_SHELL = ["/bin/sh", "-c", `trap '' USR1; exec "$@"`, "sh"];

/** What an attack has seen. */
interface Findings {
  readonly ports: Set<number>;
  signals: number;
}

/**
 * Sends the signal without a pause until `isOver`, and looks for ports.
 *
 * Begins when the process has been told to ignore the signal, which is before Deno
 * is even loaded.
 */
async function attack(
  victim: Victim,
  isOver: () => boolean,
): Promise<Findings> {
  await until(
    "a process that takes signals",
    () => victim.status !== undefined || takesSignal(victim.pid),
  );
  const findings: Findings = { ports: new Set(), signals: 0 };
  const startMs = performance.now();
  while (victim.status === undefined) {
    const isLong = findings.signals >= SIGNALS_MIN &&
      performance.now() - startMs > ATTACK_MS;
    if (isOver() && isLong) break;
    victim.signal("SIGUSR1");
    findings.signals++;
    for (const port of listeningPorts(victim.pid)) findings.ports.add(port);
    await new Promise((done) => setTimeout(done, SIGNAL_INTERVAL_MS));
  }
  return findings;
}

function takesSignal(pid: number): boolean {
  const status = statusOf(pid);
  return status !== "" &&
    (["SigIgn", "SigCgt", "SigBlk"] as const)
      .some((set) => hasSignal(status, set, SIGUSR1));
}

/** What a script was told by the system about its signals. */
function assertDefaultSignals(status: string): void {
  for (let signal = 1; signal <= STANDARD_SIGNALS; signal++) {
    for (const set of ["SigBlk", "SigIgn"] as const) {
      assert.ok(!hasSignal(status, set, signal), `${set} of signal ${signal}`);
    }
  }
}

/** Attacks an agent from its first moment on. */
async function attackAgent(
  program: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<void> {
  const folder = Deno.makeTempDirSync({ prefix: "serf_debugger_" });
  const scriptSays = `${folder}/status`;
  using ports = new PortSource();
  const gossip = ports.take("127.0.0.1");
  const rpc = ports.take("127.0.0.1");
  await using victim = new Victim([
    ...["agent", "-node=n1", `-bind=${gossip.text}`, `-rpc-addr=${rpc.text}`],
    `-event-handler=user:look=cat /proc/self/status > ${scriptSays}.new && ` +
    `mv ${scriptSays}.new ${scriptSays}`,
  ], { program, env });
  try {
    const findings = await attack(
      victim,
      () => victim.stdout.includes("EventMemberJoin: n1"),
    );
    assert.equal(victim.status, undefined, victim.stderr + victim.stdout);
    assert.deepEqual(
      [...findings.ports].sort(),
      [gossip.port, rpc.port].sort(),
      "no port but the agent's own",
    );
    assert.equal(victim.stderr, "");
    using client = await connectTo(rpc.text);
    assert.deepEqual((await client.members()).map(({ name }) => name), ["n1"]);
    await client.event({ name: "look" });
    await until("the script's word", () => {
      return Deno.lstatSync(folder) && [...Deno.readDirSync(folder)]
        .some(({ name }) => name === "status");
    });
    assertDefaultSignals(Deno.readTextFileSync(scriptSays));
    await client.leave();
    assert.equal((await victim.ended()).code, 0);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

Deno.test("SIGUSR1 opens no port in an agent that runs from source", {
  ignore: !isLinux,
}, () => attackAgent([...IGNORING_SHELL, ...FROM_SOURCE]));

Deno.test("SIGUSR1 opens no port in an agent of the executable", {
  ignore: !isLinux,
}, async (t) => {
  using shop = await Workshop.open();
  const env = { SERF_CACHE_DIR: shop.place() };
  await t.step(
    "that unpacks itself",
    () => attackAgent([shop.executable], env),
  );
  await t.step(
    "that is unpacked already",
    () => attackAgent([shop.executable], env),
  );
  await t.step("where env cannot block signals", async () => {
    const tools = shop.folder();
    Deno.writeTextFileSync(`${tools}/env`, "#!/bin/sh\nexit 125\n");
    Deno.chmodSync(`${tools}/env`, 0o755);
    await attackAgent([shop.executable], {
      ...env,
      PATH: `${tools}:${Deno.env.get("PATH")}`,
    });
  });
});

Deno.test("SIGUSR1 opens no port in a command that runs for long", {
  ignore: !isLinux,
}, async () => {
  using ports = new PortSource();
  const rpc = ports.take("127.0.0.1").text;
  await using agent = new Victim([
    ...["agent", "-node=n1", "-bind=127.0.0.1:0", `-rpc-addr=${rpc}`],
  ]);
  await agent.says("EventMemberJoin: n1");
  await using monitor = new Victim(["monitor", `-rpc-addr=${rpc}`], {
    program: [...IGNORING_SHELL, ...FROM_SOURCE],
  });
  const findings = await attack(
    monitor,
    () => monitor.stdout.includes("EventMemberJoin: n1"),
  );
  assert.equal(monitor.status, undefined, monitor.stderr + monitor.stdout);
  assert.deepEqual([...findings.ports], []);
  assert.equal(monitor.stderr, "");
});
