import assert from "node:assert/strict";
import { RpcClient } from "../../lib/net/rpc_client.ts";
import {
  formatRpcEndpoint,
  removeDeadSocket,
  unixPathOf,
} from "../../lib/net/rpc_endpoint.ts";
import { RpcServer } from "../../lib/net/rpc_server.ts";
import { FakeTarget, member } from "../rpc/fake_target.ts";

async function inFolder(
  use: (path: (name: string) => string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await use((name) => `${folder}/${name}`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function serve(path: string): { server: RpcServer; target: FakeTarget } {
  const target = new FakeTarget();
  target.memberList = [member("n1")];
  const server = RpcServer.start({ target, at: { path }, authKey: "" });
  return { server, target };
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch {
    return false;
  }
}

Deno.test("a client is served over a socket that only its owner may use", async () => {
  await inFolder(async (path) => {
    const { server, target } = serve(path("rpc"));
    const { mode, isSocket } = await Deno.stat(path("rpc"));
    assert.ok(isSocket);
    assert.equal((mode ?? 0) & 0o777, 0o600);
    const address = formatRpcEndpoint(server.endpoint);
    assert.equal(address, `unix://${path("rpc")}`);
    const client = await RpcClient.connect({ address });
    const members = await client.members();
    assert.deepEqual(members.map(({ name }) => name), ["n1"]);
    assert.deepEqual(target.logged.slice(0, 1), [
      `[INFO] agent.ipc: Accepted client: ${address}`,
    ]);
    client.close();
    await server.shutdown();
    assert.equal(await exists(path("rpc")), false);
  });
});

Deno.test("the process's mask is what it was before", async () => {
  await inFolder(async (path) => {
    const mask = Deno.umask();
    const { server } = serve(path("rpc"));
    assert.equal(Deno.umask(), mask);
    assert.throws(() => serve(path("none/rpc")));
    assert.equal(Deno.umask(), mask);
    await server.shutdown();
  });
});

Deno.test("removeDeadSocket() takes away what a killed process left, and nothing else", async () => {
  await inFolder(async (path) => {
    const left = new Deno.Command(Deno.execPath(), {
      args: [
        "eval",
        `Deno.listen({ transport: "unix", path: "${
          path("dead")
        }" }); Deno.exit()`,
      ],
      stderr: "null",
    });
    await left.output();
    assert.ok(await exists(path("dead")));
    await removeDeadSocket(path("dead"));
    assert.equal(await exists(path("dead")), false);

    const { server } = serve(path("alive"));
    await removeDeadSocket(path("alive"));
    assert.throws(() => serve(path("alive")), Deno.errors.AddrInUse);
    await server.shutdown();

    await Deno.writeTextFile(path("file"), "kept");
    await removeDeadSocket(path("file"));
    assert.equal(await Deno.readTextFile(path("file")), "kept");
    await removeDeadSocket(path("nothing"));
  });
});

Deno.test("a socket that is not there, or that nobody serves, is named as Go would", async () => {
  await assert.rejects(
    RpcClient.connect({ address: "unix:///nowhere/rpc" }),
    /^Error: dial unix \/nowhere\/rpc: connect: no such file or directory$/,
  );
  await assert.rejects(
    RpcClient.connect({ address: "unix://" }),
    /^SyntaxError: dial unix: address unix:\/\/: missing path$/,
  );
});

Deno.test("unixPathOf() refuses paths that no socket can have", () => {
  assert.equal(unixPathOf("127.0.0.1:7373"), undefined);
  assert.equal(unixPathOf("unix:///run/serf.sock"), "/run/serf.sock");
  assert.throws(() => unixPathOf(`unix:///${"x".repeat(107)}`), SyntaxError);
  assert.equal(unixPathOf(`unix:///${"x".repeat(106)}`)?.length, 107);
});
