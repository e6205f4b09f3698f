/** What people are told at a terminal, where the original says nothing. */

import assert from "node:assert/strict";
import { dispatch } from "../../cmd/mod.ts";
import { RpcServer } from "../../lib/net/rpc_server.ts";
import { joinErrorText } from "../../lib/serf/join.ts";
import { FakeTarget, member } from "../rpc/fake_target.ts";
import { FakeTerminal } from "./fake_terminal.ts";

/** Runs a command at a terminal, or not, against an agent that knows web1. */
async function run(
  args: readonly string[],
  isTerminal: boolean,
): Promise<FakeTerminal> {
  const target = new FakeTarget();
  target.memberList = [member("web1")];
  target.onJoin = () => Promise.reject(new Error(joinErrorText(["no"])));
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
    await dispatch(args, terminal);
  } finally {
    await server.shutdown();
  }
  return terminal;
}

const CASES: readonly (readonly [args: readonly string[], hint: string])[] = [
  [
    ["members", "web1", "-detailed"],
    'Flags stand before the other arguments; "-detailed" counts as one of ' +
    "those.\n" +
    'Ignored, since this command takes flags alone: "web1" "-detailed". ' +
    "For one member: -name=NAME.\n",
  ],
  [
    ["info", "x"],
    'Ignored, since this command takes flags alone: "x".\n',
  ],
  [
    ["reachability", "x"],
    'Ignored, since this command takes flags alone: "x".\n',
  ],
  [
    ["leave", "x"],
    'Ignored, since this command takes flags alone: "x".\n',
  ],
  [
    ["tags", "-set", "a=1", "b=2"],
    'Ignored, since this command takes flags alone: "b=2".\n',
  ],
  [
    ["keys", "-list", "x"],
    'Ignored, since this command takes flags alone: "x".\n',
  ],
  [
    ["members", "-status=bogus"],
    "There is no status 'bogus', only alive, leaving, left, failed.\n",
  ],
  [
    ["members", "-status=faild"],
    "There is no status 'faild', only alive, leaving, left, failed. " +
    "Did you mean 'failed'?\n",
  ],
  [["members", "-status=alive"], ""],
  [["members", "-status=alive|f.*"], ""],
  [["members", "-status="], ""],
  [
    ["force-leave", "web2"],
    "The agent knows no member 'web2'. Did you mean 'web1'?\n",
  ],
  [["force-leave", "web1"], ""],
  [
    ["force-leave", "web1", "-prune"],
    'Flags stand before the other arguments; "-prune" counts as one of ' +
    "those.\n",
  ],
  [["event", "deploy", "-x"], ""],
  [["event", "--", "deploy", "-coalesce"], ""],
  [
    ["join", "10.0.0.1", "http://10.0.0.2:7946"],
    "An address is HOST, HOST:PORT or [IPV6]:PORT; " +
    '"http://10.0.0.2:7946" is a URL.\n',
  ],
  [
    ["join", "10.0.0.1:7946:7946"],
    "An address is HOST, HOST:PORT or [IPV6]:PORT; " +
    '"10.0.0.1:7946:7946" is none of them.\n',
  ],
  [["join", "10.0.0.1:7946", "::1", "[::1]:7946", "web1/::1", "host"], ""],
];

for (const [args, hint] of CASES) {
  Deno.test(`at a terminal: serf ${args.join(" ")}`, async () => {
    const seen = await run(args, true);
    assert.equal(seen.stderr, hint);
    // Programs read what HashiCorp's command prints, and nothing else.
    const read = await run(args, false);
    assert.equal(read.stderr, "");
    if (args[0] !== "reachability") assert.equal(read.stdout, seen.stdout);
  });
}
