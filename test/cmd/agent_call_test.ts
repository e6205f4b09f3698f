import assert from "node:assert/strict";
import { dispatch } from "../../cmd/mod.ts";
import { RpcServer } from "../../lib/net/rpc_server.ts";
import { FakeTarget } from "../rpc/fake_target.ts";
import { FakeTerminal } from "./fake_terminal.ts";

async function members(
  flags: readonly string[],
  isTerminal: boolean,
): Promise<FakeTerminal> {
  const terminal = new FakeTerminal();
  terminal.isTerminal = isTerminal;
  assert.equal(await dispatch(["members", ...flags], terminal), 1);
  return terminal;
}

Deno.test("a command that reaches no agent tells people what would be right", async () => {
  const at = { host: "127.0.0.1", port: 0 };
  const server = RpcServer.start({
    target: new FakeTarget(),
    at,
    authKey: "key",
  });
  using stranger = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const hangUp = async () => {
    for await (const connection of stranger) connection.close();
  };
  const hangingUp = hangUp();
  const here = `-rpc-addr=127.0.0.1:${server.port}`;
  const cases: readonly (readonly [string[], RegExp])[] = [
    [["-rpc-addr=127.0.0.1:1"], /^No agent takes commands at this address\./],
    [["-rpc-addr=unix:///nowhere"], /^No agent takes commands/],
    [["-rpc-addr=127.0.0.1"], /^-rpc-addr takes HOST:PORT/],
    [["-rpc-addr=http://127.0.0.1:7373"], /^-rpc-addr takes .* no other URL/s],
    [["-rpc-addr=http://127.0.0.1"], /^-rpc-addr takes HOST:PORT/],
    [["-rpc-addr=127.0.0.1:7373:7373"], /^-rpc-addr takes HOST:PORT/],
    [["-rpc-addr=::1"], /^-rpc-addr takes .* \[::1\]:7373/],
    [
      [`-rpc-addr=127.0.0.1:${stranger.addr.port}`],
      /^The address answers, but not as an agent/,
    ],
    [[here], /^The token is the agent's rpc_auth; give it with -rpc-auth/],
    [[here, "-rpc-auth=wrong"], /^The token is the agent's rpc_auth/],
  ];
  try {
    for (const [flags, hint] of cases) {
      const seen = await members(flags, true);
      assert.match(seen.stderr, hint);
      // Programs read what HashiCorp's command prints, and nothing else.
      const read = await members(flags, false);
      assert.deepEqual([read.stdout, read.stderr], [seen.stdout, ""]);
      assert.match(read.stdout, /^Error .*\n$/);
    }
  } finally {
    stranger.close();
    await hangingUp;
    await server.shutdown();
  }
});
