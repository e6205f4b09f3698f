/**
 * What a process writes, as a real process: pipes are slower than we are, and
 * some readers go away.
 */

import assert from "node:assert/strict";
import { RpcServer } from "../../lib/net/rpc_server.ts";
import { FakeTarget, member } from "../rpc/fake_target.ts";

const MAIN = new URL("../../main.ts", import.meta.url).pathname;

/** Starts `serf members` with an agent of many members; its output is some 5 MB. */
async function startMembers(
  test: (child: Deno.ChildProcess) => Promise<void>,
): Promise<void> {
  const target = new FakeTarget();
  const tags = { padding: "x".repeat(200) };
  target.memberList = Array.from(
    { length: 20_000 },
    (_, i) => member(`node-${i}`, { tags }),
  );
  const server = RpcServer.start({
    target,
    at: { host: "127.0.0.1", port: 0 },
    authKey: "",
  });
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", MAIN, "members", `-rpc-addr=127.0.0.1:${server.port}`],
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  try {
    await test(child);
  } finally {
    await server.shutdown();
  }
}

Deno.test("a command's output is whole, also through a pipe that is read late", () =>
  startMembers(async (child) => {
    const reader = child.stdout.getReader();
    const decoder = new TextDecoder();
    let text = "";
    for (let chunk; !(chunk = await reader.read()).done;) {
      text += decoder.decode(chunk.value, { stream: true });
      // The pipe is full by now; let the writer wait for a few turns.
      for (let i = 0; i < 3; i++) {
        await new Promise((done) => setTimeout(done, 0));
      }
    }
    const lines = text.split("\n");
    assert.equal(lines.length, 20_001);
    assert.match(
      lines.at(-2) ?? "",
      /^node-9999 +127\.0\.0\.1:7946 +alive +padding=x+$/,
    );
    assert.equal(await new Response(child.stderr).text(), "");
    assert.equal((await child.status).code, 0);
  }));

Deno.test("a command ends without a word when its reader goes away", () =>
  startMembers(async (child) => {
    const reader = child.stdout.getReader();
    await reader.read();
    await reader.cancel();
    assert.equal(await new Response(child.stderr).text(), "");
    // What a shell reports for a process that died of SIGPIPE.
    assert.equal((await child.status).code, 141);
  }));

Deno.test("a command can show its help after it has given up the environment", async () => {
  const server = RpcServer.start({
    target: new FakeTarget(),
    at: { host: "127.0.0.1", port: 0 },
    authKey: "",
  });
  const address = `127.0.0.1:${server.port}`;
  try {
    const { code, stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", MAIN, "rtt"],
      env: { SERF_RPC_ADDR: address },
    }).output();
    const text = new TextDecoder().decode(stdout);
    assert.match(text, /^One or two node names must be specified\n\nUsage: /);
    assert.equal(code, 1);
  } finally {
    await server.shutdown();
  }
});

Deno.test({
  name: "what is no UTF-8 is refused before it is sent as something else",
  ignore: Deno.build.os === "windows",
  async fn() {
    const target = new FakeTarget();
    const server = RpcServer.start({
      target,
      at: { host: "127.0.0.1", port: 0 },
      authKey: "",
    });
    const rpc = `-rpc-addr=127.0.0.1:${server.port}`;
    const run = async (script: string) => {
      // Only a shell can pass on bytes that are no text.
      const { code, stdout, stderr } = await new Deno.Command("/bin/sh", {
        args: ["-c", script, Deno.execPath(), MAIN],
      }).output();
      const text = new TextDecoder();
      return [code, text.decode(stdout) + text.decode(stderr)];
    };
    const rule = "must be text in UTF-8, without U+FFFD\n";
    const serf = 'exec "$0" run -A "$1"';
    try {
      for (const command of ["event", "query"]) {
        assert.deepEqual(
          await run(`${serf} ${command} ${rpc} deploy "$(printf 'v1\\377')"`),
          [1, `Argument 4 ("v1\ufffd") ${rule}`],
        );
      }
      assert.deepEqual(
        await run(`${serf} tags ${rpc} -set "$(printf 'a=\\377')"`),
        [1, `Argument 4 (after -set) ${rule}`],
      );
      assert.deepEqual(
        await run(`SERF_RPC_AUTH="$(printf 'x\\377')" ${serf} members ${rpc}`),
        [1, "The variable SERF_RPC_AUTH must be text in UTF-8\n"],
      );
      assert.deepEqual(target.calls, []);
      const [code] = await run(
        `${serf} event ${rpc} deploy "$(printf '\\303\\274')"`,
      );
      assert.equal(code, 0);
      assert.deepEqual(target.calls, ["userEvent deploy ü coalesce=true"]);
    } finally {
      await server.shutdown();
    }
  },
});
