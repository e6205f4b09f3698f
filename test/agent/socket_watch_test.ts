import assert from "node:assert/strict";
import { watchSocket } from "../../lib/agent/socket_watch.ts";
import { until } from "../net/deadline.ts";

Deno.test({
  name: "watchSocket() says once that the socket is gone",
  ignore: Deno.build.os === "windows",
}, async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/s`;
  const lines: string[] = [];
  const listener = Deno.listen({ transport: "unix", path });
  const stop = watchSocket(path, (level, text) => lines.push(level + text), 5);
  try {
    await Deno.remove(path);
    await until("it is told", () => lines.length > 0);
    // Something else in its place is not our socket.
    await Deno.writeTextFile(path, "");
    assert.equal(lines.length, 1);
    assert.match(
      lines[0] ?? "",
      /^WARNagent.ipc: Socket .* was removed or rep/,
    );
  } finally {
    stop();
    listener.close();
    await Deno.remove(folder, { recursive: true });
  }
});
