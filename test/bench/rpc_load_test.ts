import assert from "node:assert/strict";
import { RpcServer } from "../../lib/net/rpc_server.ts";
import { FakeTarget, member } from "../rpc/fake_target.ts";
import { answersPerSecond, LoadClient } from "./rpc_load.ts";

Deno.test("answersPerSecond() counts the answers that a server gave", async () => {
  const target = new FakeTarget();
  target.memberList = [member("b"), member("a")];
  let asked = 0;
  const members = target.members.bind(target);
  target.members = () => {
    asked++;
    return members();
  };
  const server = RpcServer.start({
    target,
    at: { host: "127.0.0.1", port: 0 },
    authKey: "",
  });
  const clients: LoadClient[] = [];
  for (let i = 0; i < 3; i++) {
    const at = { host: "127.0.0.1", port: server.port };
    const client = await LoadClient.open(at);
    assert.deepEqual(await client.memberNames(), ["a", "b"]);
    clients.push(client);
  }
  asked = 0;
  const startMs = performance.now();
  const perSecond = await answersPerSecond(clients, 1);
  const tookMs = performance.now() - startMs;
  assert.ok(asked >= clients.length, "each asks at least once");
  assert.ok(perSecond >= 1_000 * asked / tookMs, `${perSecond} of ${asked}`);
  for (const client of clients) client.close();
  await server.shutdown();
});
