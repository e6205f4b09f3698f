import assert from "node:assert/strict";
import { agentNeeds } from "../../cmd/permissions.ts";
import { command as agent } from "../../cmd/agent.ts";
import { command as members } from "../../cmd/members.ts";
import { DEFAULT_SETTINGS } from "../../lib/agent/config.ts";
import { parseHandler } from "../../lib/agent/handler_spec.ts";
import { RpcServer } from "../../lib/net/rpc_server.ts";
import { RpcClient } from "../../lib/net/rpc_client.ts";
import { until } from "../net/deadline.ts";
import { FakeTarget } from "../rpc/fake_target.ts";
import { FakeTerminal } from "./fake_terminal.ts";

Deno.test("agentNeeds() follows from the files and scripts that are named", () => {
  const plain = {
    eventHandlers: [],
    keyringFile: "",
    rpcAddr: DEFAULT_SETTINGS.rpcAddr,
    snapshotPath: "",
    tagsFile: "",
  };
  const usual = { hasConfigFiles: false, isInit: false };
  assert.deepEqual(agentNeeds(plain, usual), ["sys"]);
  // A configuration file may bring scripts at a reload, but no file to write.
  assert.deepEqual(agentNeeds(plain, { ...usual, hasConfigFiles: true }), [
    "sys",
    "read",
    "run",
  ]);
  assert.deepEqual(agentNeeds(plain, { ...usual, isInit: true }), [
    "sys",
    "run",
  ]);
  for (
    const file of [
      { keyringFile: "k" },
      { snapshotPath: "s" },
      { tagsFile: "t" },
      { rpcAddr: "unix:///run/serf.sock" },
      { syslogFacility: "LOCAL0" },
    ]
  ) {
    assert.deepEqual(agentNeeds({ ...plain, ...file }, usual), [
      "sys",
      "read",
      "write",
    ]);
  }
  const eventHandlers = [parseHandler("true")];
  assert.deepEqual(agentNeeds({ ...plain, eventHandlers }, usual), [
    "sys",
    "run",
  ]);
});

Deno.test("a command gives up everything once it is connected", async () => {
  const server = RpcServer.start({
    target: new FakeTarget(),
    at: { host: "127.0.0.1", port: 0 },
    authKey: "",
  });
  try {
    const terminal = new FakeTerminal();
    const args = [`-rpc-addr=127.0.0.1:${server.port}`];
    assert.equal(await members.run(args, terminal), 0);
    assert.deepEqual(terminal.kept, []);
  } finally {
    await server.shutdown();
  }
});

Deno.test("an agent gives up what its flags do not name once it runs", async () => {
  const configPath = Deno.makeTempFileSync({ suffix: ".json" });
  Deno.writeTextFileSync(configPath, "{}");
  try {
    for (
      const [flags, kept] of [
        [[], ["sys"]],
        [[`-config-file=${configPath}`], ["sys", "read", "run"]],
      ] as const
    ) {
      const terminal = new FakeTerminal();
      const addresses = ["-bind=127.0.0.1:0", "-rpc-addr=127.0.0.1:0"];
      const run = agent.run(["-node=n1", ...addresses, ...flags], terminal);
      const rpcAddr = () => /RPC addr: '(.*)'/.exec(terminal.stdout)?.[1];
      await until("the agent runs", () => rpcAddr() !== undefined);
      assert.deepEqual(terminal.kept, kept);
      const client = await RpcClient.connect({ address: rpcAddr() ?? "" });
      await client.leave();
      client.close();
      await run;
    }
  } finally {
    Deno.removeSync(configPath);
  }
});
