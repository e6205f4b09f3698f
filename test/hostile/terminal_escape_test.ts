/**
 * Protects the operator's terminal and the log from what members put into names,
 * tags, events, answers and reasons.
 *
 * The attacker of these tests is a member, or an agent that a command asks. It
 * has an escape sequence that sets the terminal's title, one in C1, a character
 * that turns the direction of text, and a line feed before a forged line.
 */

import assert from "node:assert/strict";
import { dispatch } from "../../cmd/mod.ts";
import { Agent } from "../../lib/agent/agent.ts";
import { readSettings } from "../../lib/agent/config.ts";
import { AgentLog } from "../../lib/agent/log.ts";
import { utf8Bytes } from "../../lib/kit/bytes.ts";
import { formatRpcEndpoint } from "../../lib/net/rpc_endpoint.ts";
import { RpcClient } from "../../lib/net/rpc_client.ts";
import { RpcServer } from "../../lib/net/rpc_server.ts";
import { joinErrorText } from "../../lib/serf/join.ts";
import { KeyError } from "../../lib/net/driver_options.ts";
import { FakeTerminal } from "../cmd/fake_terminal.ts";
import { until } from "../net/deadline.ts";
import { FakeTarget, member } from "../rpc/fake_target.ts";

const FORGED = "2026/01/01 00:00:00 [ERR] agent: forged";
const EVIL = `x\x1b]0;owned\x07\u009b31m\u202e\r\n${FORGED}`;
/** All of it on one line, as it must be seen. */
const SEEN = `x\\x1b]0;owned\\a\\u009b31m\\u202e\\r\\n${FORGED}`;

/** What must not be on a terminal: controls but those of tabs and lines, and turns. */
const HARMFUL =
  // deno-lint-ignore no-control-regex -- these are what is looked for
  /[\0-\x08\v\f\x0e-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]|\r(?!\n)/;

function assertHarmless(text: string, about: string): void {
  assert.doesNotMatch(text, HARMFUL, about);
  const forged = text.split("\n").filter((line) => line.startsWith(FORGED));
  assert.deepEqual(forged, [], `${about}: ${text}`);
}

/** An agent in this process, and every text that its log hands over. */
async function startAgent(
  nodeName: string,
  options: { readonly isJson?: boolean; readonly script?: string } = {},
) {
  const { isJson = false, script } = options;
  const settings = await readSettings([{
    nodeName,
    bind: "127.0.0.1:0",
    rpcAddr: "127.0.0.1:0",
    profile: "local",
    tags: new Map([[EVIL, EVIL]]),
    ...(script !== undefined && { eventHandlers: [script] }),
  }], { hostname: () => "host" });
  const shown: string[] = [];
  const copied: string[] = [];
  const log = new AgentLog({
    level: "DEBUG",
    isJson,
    write: (text) => shown.push(text),
    now: () => new Date(),
  });
  log.copyTo((_, text) => copied.push(text));
  log.open();
  const agent = await Agent.start(settings, log);
  const rpcAddress = formatRpcEndpoint(await agent.serveRpc());
  return {
    agent,
    log,
    shown,
    copied,
    rpcAddress,
    [Symbol.asyncDispose]: () => agent.shutdown(),
  };
}

for (const isJson of [false, true]) {
  const what = isJson ? "of the JSON log" : "of the log, on every way";
  Deno.test(`no stranger writes a line ${what}`, async () => {
    const script = "user=cat; printf 'one\\ntwo\\n'";
    await using good = await startAgent("good", { isJson, script });
    await using evil = await startAgent(EVIL);
    const { port } = good.agent.bound;
    await evil.agent.join([`127.0.0.1:${port}`], false);
    const client = await RpcClient.connect({ address: evil.rpcAddress });
    try {
      await client.event({
        name: EVIL,
        payload: utf8Bytes(EVIL),
        coalesce: false,
      });
      await client.query({ name: EVIL, payload: utf8Bytes(EVIL) }, {
        onReply: () => {},
      });
    } finally {
      client.close();
    }
    const logged = (part: string) => () =>
      good.copied.some((text) => text.includes(part));
    await until("the script's output", logged("script output: x"));
    await until("the query", logged("Received event: query: x"));
    await evil.agent.leave();
    await until("the leave", logged("EventMemberLeave"));

    for (const text of good.shown) {
      assert.match(text, /^[^\n]+\n$/);
      assertHarmless(text, "shown");
    }
    for (const text of good.copied) {
      assert.doesNotMatch(text, /\n/);
      assertHarmless(text, "copied to the system's log");
    }
    const { backlog } = good.log.subscribe("TRACE", () => {});
    for (const line of backlog) {
      assert.doesNotMatch(line, /\n/);
      assertHarmless(line, "monitored");
    }
    assert.ok(
      backlog.some((line) => line.includes(`EventMemberJoin: ${SEEN} 127.`)),
      "the name is there to be read",
    );
    if (isJson) {
      const messages = good.shown.map((text) => JSON.parse(text)["@message"]);
      assert.ok(
        messages.some((text) =>
          text.startsWith(`EventMemberJoin: ${EVIL} 127.`)
        ),
        "JSON says exactly what the name is",
      );
    }
  });
}

/** An agent whose every answer is hostile. */
function hostileTarget(): FakeTarget {
  const target = new FakeTarget();
  target.memberList = [
    member("good"),
    member(EVIL, { tags: { [EVIL]: EVIL } }),
  ];
  target.statistics = new Map([
    ["agent", new Map([["name", EVIL]])],
    [EVIL, new Map([[EVIL, EVIL]])],
  ]);
  target.onQuery = (_, listener) => {
    listener.onReply({ kind: "ack", from: EVIL });
    listener.onReply({ kind: "ack", from: EVIL });
    for (const payload of [utf8Bytes(EVIL), Uint8Array.of(0x9b, 0x0a, 0x1b)]) {
      listener.onReply({ kind: "response", from: EVIL, payload });
    }
    listener.onDone();
  };
  target.eventError = EVIL;
  target.tagsError = EVIL;
  target.onJoin = () => Promise.reject(new Error(joinErrorText([EVIL])));
  target.onChangeKeys = () =>
    Promise.reject(
      new KeyError(EVIL, {
        messages: new Map([[EVIL, EVIL]]),
        keyCounts: new Map([[EVIL, 1]]),
        primaryCounts: new Map(),
        nodes: 2,
        responses: 2,
        errors: 1,
      }),
    );
  return target;
}

/** Runs a command against the hostile agent. */
async function run(
  args: readonly string[],
  isTerminal: boolean,
  interruptWhen?: (terminal: FakeTerminal, target: FakeTarget) => boolean,
): Promise<FakeTerminal> {
  const target = hostileTarget();
  target.backlog = [`2026/01/01 00:00:00 [INFO] agent: ${EVIL}`];
  const server = RpcServer.start({
    target,
    at: { host: "127.0.0.1", port: 0 },
    authKey: "",
  });
  const terminal = new FakeTerminal({
    SERF_RPC_ADDR: `127.0.0.1:${server.port}`,
  });
  terminal.isTerminal = isTerminal;
  try {
    const done = dispatch(args, terminal);
    if (interruptWhen !== undefined) {
      await until("it shows", () => interruptWhen(terminal, target));
      terminal.interrupt();
    }
    await done;
  } finally {
    await server.shutdown();
  }
  return terminal;
}

const CALLS: readonly (readonly string[])[] = [
  ["members"],
  ["members", "-detailed"],
  ["members", "-name=("],
  ["info"],
  ["query", "load"],
  ["query", EVIL],
  ["reachability", "-verbose"],
  ["rtt", "good", EVIL],
  ["rtt", EVIL],
  ["keys", "-list"],
  ["keys", "-install=x"],
  ["join", "10.0.0.1"],
  ["event", EVIL],
  ["tags", "-set", `${EVIL}=1`],
  ["tags", "-set", EVIL],
  ["force-leave", EVIL],
  [`-${EVIL}`, "members"],
  ["members", `-${EVIL}`],
  ["members", `-status=${EVIL}`],
  ["members", EVIL],
  ["help", EVIL],
  [EVIL],
  ["completion", EVIL],
  ["members", "-rpc-addr", EVIL],
  ["members", "-format", EVIL],
  ["query", "-format", EVIL, "load"],
  ["monitor", "-log-level", EVIL],
];

for (const args of CALLS) {
  const line = args.join(" ").replaceAll(EVIL, "EVIL");
  Deno.test(`at a terminal nobody writes through: serf ${line}`, async () => {
    const { stdout, stderr } = await run(args, true);
    assert.ok(stdout + stderr !== "" || args[0] === "force-leave");
    assert.doesNotMatch(stdout + stderr, HARMFUL);
  });
}

Deno.test("at a terminal no member forges a line", async () => {
  for (
    const command of ["members", "info", "reachability -verbose", "keys -list"]
  ) {
    const { stdout } = await run(command.split(" "), true);
    assertHarmless(stdout, command);
    assert.ok(stdout.includes(SEEN), `${command}: ${stdout}`);
  }
  const { stdout } = await run(["query", "load"], true);
  assertHarmless(stdout, "query");
  // An answer may have lines; they are seen to belong to it.
  assert.ok(
    stdout.includes(
      `\nResponse from '${SEEN}': x\\x1b]0;owned\\a\\u009b31m\\u202e\r\n` +
        `    ${FORGED}\n`,
    ) || stdout.includes(`\n    ${FORGED}\n`),
    stdout,
  );
});

Deno.test("at a terminal nobody writes through monitor and members -watch", async () => {
  const monitor = await run(
    ["monitor"],
    true,
    (terminal) => terminal.stdout.includes("owned"),
  );
  assertHarmless(monitor.stdout, "monitor");
  const watched = await run(
    ["members", "-watch"],
    true,
    (terminal) => terminal.stdout.includes("owned"),
  );
  assert.ok(watched.stdout.startsWith("\x1b[H\x1b[2J"), "our own sequence");
  assertHarmless(watched.stdout.slice("\x1b[H\x1b[2J".length), "watch");
});

Deno.test("a program reads the bytes as they are, and one line for each member", async () => {
  const { stdout } = await run(["members"], false);
  const rows = stdout.trimEnd().split("\n");
  assert.equal(rows.length, 2);
  assert.ok(stdout.includes("x\x1b]0;owned\x07\u009b31m\u202e\\r\\n2026"));
  const query = await run(["query", "load"], false);
  assert.ok(query.stdout.includes(`': ${EVIL}\n`), "an answer is not touched");
  const acks = query.stdout.split("\n").filter((line) =>
    line.startsWith("Ack from")
  );
  assert.equal(acks.length, 2);
});

Deno.test("JSON says exactly what the names are, at a terminal too", async () => {
  for (const isTerminal of [false, true]) {
    const members = await run(["members", "-format=json"], isTerminal);
    assert.doesNotMatch(isTerminal ? members.stdout : "", HARMFUL);
    assert.deepEqual(
      JSON.parse(members.stdout).members.map((
        { name, tags }: { name: string; tags: unknown },
      ) => [name, tags]),
      [["good", {}], [EVIL, { [EVIL]: EVIL }]],
    );
    const query = await run(["query", "-format=json", "load"], isTerminal);
    assert.deepEqual(JSON.parse(query.stdout).Acks, [EVIL, EVIL]);
  }
});
