/** What `serf tags` has beyond the original; the rest is in `captures_test.ts`. */

import assert from "node:assert/strict";
import { command } from "../../cmd/tags.ts";
import { RpcServer } from "../../lib/net/rpc_server.ts";
import { FakeTarget } from "../rpc/fake_target.ts";
import { FakeTerminal } from "./fake_terminal.ts";

async function run(
  target: FakeTarget,
  ...args: string[]
): Promise<{ code: number; stdout: string }> {
  const server = RpcServer.start({
    target,
    at: { host: "127.0.0.1", port: 0 },
    authKey: "",
  });
  const terminal = new FakeTerminal();
  try {
    const address = `-rpc-addr=127.0.0.1:${server.port}`;
    const code = await command.run([address, ...args], terminal);
    return { code, stdout: terminal.stdout };
  } finally {
    await server.shutdown();
  }
}

Deno.test("serf tags -format=json lists what was changed", async () => {
  const { code, stdout } = await run(
    new FakeTarget(),
    ...["-format=json", "-set", "b=2", "-set", "a=1"],
    ...["-delete", "b", "-delete", "c", "-delete", "c"],
  );
  assert.equal(code, 0);
  assert.equal(
    stdout,
    '{\n  "set": {\n    "a": "1",\n    "b": "2"\n  },\n' +
      '  "deleted": [\n    "c"\n  ]\n}\n',
  );
});

Deno.test("serf tags -format=json says why the agent refused", async () => {
  const target = new FakeTarget();
  target.tagsError = "Failed to write tags file: open /t: permission denied";
  const { code, stdout } = await run(target, "-format=json", "-delete", "a");
  assert.equal(code, 1);
  assert.deepEqual(JSON.parse(stdout), {
    error: `Error setting tags: ${target.tagsError}`,
  });
});
