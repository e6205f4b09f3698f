/** What lies in the directory of the settings cannot keep an agent from ending. */

import assert from "node:assert/strict";
import { Victim } from "./victim.ts";

const ignore = Deno.build.os === "windows";

for (
  const [signal, code] of [["SIGINT", 0], ["SIGTERM", 1]] as const
) {
  Deno.test(`${signal} ends an agent after a reload that met a pipe`, {
    ignore,
  }, async () => {
    const folder = Deno.makeTempDirSync({ prefix: "serf_reload_" });
    try {
      Deno.writeTextFileSync(`${folder}/1.json`, "{}");
      await using agent = new Victim([
        ...["agent", "-node=n1", "-bind=127.0.0.1:0", "-rpc-addr=127.0.0.1:0"],
        `-config-dir=${folder}`,
      ]);
      await agent.says("EventMemberJoin: n1");
      const pipe = `${folder}/2.json`;
      new Deno.Command("mkfifo", { args: [pipe] }).outputSync();
      agent.signal("SIGHUP");
      await agent.says("==> Reloading configuration...");
      agent.signal(signal);
      assert.equal((await agent.ended()).code, code);
      assert.ok(
        agent.stdout.includes(
          `==> Error reading '${pipe}': not a regular file\n` +
            `==> Failed to reload configs\n`,
        ),
        agent.stdout,
      );
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  });
}

Deno.test("an agent does not start with a pipe among its files", {
  ignore,
}, async () => {
  const folder = Deno.makeTempDirSync({ prefix: "serf_reload_" });
  try {
    const pipe = `${folder}/1.json`;
    new Deno.Command("mkfifo", { args: [pipe] }).outputSync();
    await using agent = new Victim(["agent", `-config-dir=${folder}`]);
    assert.equal((await agent.ended()).code, 1);
    assert.equal(
      agent.stdout,
      `==> Error reading '${pipe}': not a regular file\n`,
    );
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});
