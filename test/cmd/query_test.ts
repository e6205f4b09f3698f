/** `serf query` beyond the captured calls, and its ends by interrupt and by death. */

import assert from "node:assert/strict";
import { dispatch } from "../../cmd/mod.ts";
import { JsonScreen, TextScreen } from "../../cmd/query.ts";
import { RpcServer } from "../../lib/net/rpc_server.ts";
import { until } from "../net/deadline.ts";
import { FakeTarget, queryEvent } from "../rpc/fake_target.ts";
import { FakeTerminal } from "./fake_terminal.ts";
import { repliesIn } from "./query_captures.ts";

interface CapturedCall {
  readonly name: string;
  readonly argv: readonly string[];
  readonly exit: number;
  readonly stdout: string;
}

const { records } = JSON.parse(
  Deno.readTextFileSync(
    new URL("../vectors/cli/commands.json", import.meta.url),
  ),
) as { readonly records: readonly CapturedCall[] };

function callNamed(name: string): CapturedCall {
  const found = records.find((call) => call.name === name);
  assert.ok(found !== undefined, name);
  return found;
}

/** Makes a captured call; `end` ends it once everything is on the screen. */
async function play(
  call: CapturedCall,
  shownBefore: string,
  end: (terminal: FakeTerminal, server: RpcServer) => void,
): Promise<{ code: number; stdout: string; target: FakeTarget }> {
  const target = new FakeTarget();
  target.onQuery = (_, listener) => {
    for (const reply of repliesIn(shownBefore)) listener.onReply(reply);
  };
  const server = RpcServer.start({
    target,
    at: { host: "127.0.0.1", port: 0 },
    authKey: "",
  });
  const terminal = new FakeTerminal();
  const args = call.argv.slice(1).filter((arg) => !/rpc-addr/.test(arg));
  const [command = "", ...rest] = args;
  const done = dispatch(
    [command, `-rpc-addr=127.0.0.1:${server.port}`, ...rest],
    terminal,
  );
  await until("all is shown", () => terminal.stdout === shownBefore);
  end(terminal, server);
  const code = await done;
  await server.shutdown();
  return { code, stdout: terminal.stdout, target };
}

Deno.test("serf query ends at once, without totals, when it is interrupted", async () => {
  const call = callNamed("query-interrupt");
  const { code, stdout, target } = await play(
    call,
    call.stdout,
    (terminal) => terminal.interrupt(),
  );
  assert.equal(stdout, call.stdout);
  assert.equal(code, call.exit);
  assert.match(target.calls[0] ?? "", /timeout=20000$/);
  assert.equal(target.givenUp, 1, "the agent does not go on collecting");
});

Deno.test("serf query shows its totals when the agent goes away", async () => {
  const call = callNamed("query-remote-dies");
  const [before = ""] = call.stdout.split("Total Acks");
  const { code, stdout } = await play(
    call,
    before,
    (_, server) => server.shutdown(),
  );
  assert.equal(stdout, call.stdout);
  assert.equal(code, call.exit);
});

Deno.test("serf query asks for what its flags say", async () => {
  const target = new FakeTarget();
  const server = RpcServer.start({
    target,
    at: { host: "127.0.0.1", port: 0 },
    authKey: "",
  });
  const run = (...args: string[]) =>
    dispatch(
      ["query", `-rpc-addr=127.0.0.1:${server.port}`, ...args],
      new FakeTerminal(),
    );
  assert.equal(await run("load"), 0);
  const all =
    "-node=a -node b -tag k=^v=$ -timeout=1.5s -no-ack -relay-factor=255 -- load x";
  assert.equal(await run(...all.split(" ")), 0);
  assert.equal(await run("-timeout=-1ns", "", ""), 0);
  await server.shutdown();
  assert.deepEqual(target.calls, [
    "query load  filters= ack=true relay=0 timeout=0",
    "query load x filters=a,b,k=^v=$ ack=false relay=255 timeout=1500",
    "query   filters= ack=true relay=0 timeout=-0.000001",
  ]);
});

Deno.test("TextScreen cuts one newline from an answer, and nothing else", () => {
  let shown = "";
  const screen = new TextScreen({
    name: "q",
    hasAcks: true,
    isForPeople: false,
    write: (bytes) => shown += latin1(bytes),
  });
  screen.begin();
  // What is no text goes out as it came, a byte order mark too.
  for (
    const text of ["", "\n", "a\n\n", " b ", "\0\xff\xfe\n", "\xef\xbb\xbfc"]
  ) {
    const payload = Uint8Array.from(text, (byte) => byte.charCodeAt(0));
    screen.reply({ kind: "response", from: "n", payload });
  }
  screen.end();
  assert.equal(
    shown,
    "Query 'q' dispatched\nResponse from 'n': \nResponse from 'n': \n" +
      "Response from 'n': a\n\nResponse from 'n':  b \n" +
      "Response from 'n': \0\xff\xfe\nResponse from 'n': \xef\xbb\xbfc\n" +
      "Total Acks: 0\nTotal Responses: 6\n",
  );
});

function latin1(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}

Deno.test("JsonScreen keeps the last answer of a node, and replaces what is no text", () => {
  let shown = "";
  const screen = new JsonScreen((text) => shown += text);
  screen.begin();
  const answer = (from: string, ...bytes: number[]) =>
    screen.reply({ kind: "response", from, payload: Uint8Array.from(bytes) });
  answer("b", 0x31);
  answer("a", 0x3c, 0xff);
  answer("b", 0x32);
  assert.equal(shown, "");
  screen.end();
  assert.equal(
    shown,
    '{\n  "Acks": null,\n  "Responses": {\n    "a": "\\u003c\ufffd",\n    "b": "2"\n  }\n}\n',
  );
});

Deno.test("serf monitor shows a query with all its fields", async () => {
  const target = new FakeTarget();
  const server = RpcServer.start({
    target,
    at: { host: "127.0.0.1", port: 0 },
    authKey: "",
  });
  const terminal = new FakeTerminal();
  const done = dispatch(
    ["monitor", `-rpc-addr=127.0.0.1:${server.port}`],
    terminal,
  );
  await until("the monitor listens", () => terminal.isListening);
  target.emit(queryEvent({ ltime: 200n, payload: Uint8Array.of(0x76) }));
  await until("the event", () => terminal.stdout.includes("Payload"));
  terminal.interrupt();
  assert.equal(await done, 0);
  assert.ok(terminal.stdout.endsWith(
    'Event Info:\n\tEvent: "query"\n\tID: 1\n\tLTime: 0xc8\n' +
      '\tName: "load"\n\tPayload: []byte{0x76}\n',
  ));
  await server.shutdown();
});
