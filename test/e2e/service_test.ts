/** An agent as a service of systemd, with a socket of the test's own in its place. */

import assert from "node:assert/strict";
import { FakeSystemd } from "../agent/fake_systemd.ts";
import { testCluster } from "./harness.ts";

testCluster(
  "an agent tells systemd when it is ready, well, reloading and stopping",
  async (cluster) => {
    using systemd = new FakeSystemd();
    const answer = cluster.writeFile("answer", "");
    const agent = await cluster.start({
      kind: "ours",
      name: "n1",
      extraArgs: [
        `-event-handler=user:look=env > ${answer}.new; ` +
        `mv ${answer}.new ${answer}`,
      ],
      // Beats come every 25 ms.
      env: { NOTIFY_SOCKET: systemd.path, WATCHDOG_USEC: "100000" },
    });
    const states = () =>
      systemd.heard.map((state) => state.split("\n")[0])
        .filter((state) => state !== "WATCHDOG=1");
    const beats = () => systemd.heard.length - states().length;
    await cluster.eventually("its heart beats", () => beats() > 3);
    assert.deepEqual(states(), ["READY=1"]);
    // A process that stands still has no pulse.
    agent.signal("SIGSTOP");
    await cluster.eventually("no beat", async () => {
      const before = beats();
      await new Promise((done) => setTimeout(done, 200));
      return beats() === before;
    });
    agent.signal("SIGCONT");
    const before = beats();
    await cluster.eventually("it beats again", () => beats() > before);
    agent.signal("SIGHUP");
    await cluster.eventually("it has reloaded", () => states().length === 3);
    // None of this is for scripts.
    await agent.succeed("ours", "event", ["look"]);
    await cluster.eventually(
      "the script's word",
      () => Deno.readTextFileSync(answer).includes("SERF_EVENT=user"),
    );
    assert.doesNotMatch(Deno.readTextFileSync(answer), /NOTIFY_|WATCHDOG_/);
    agent.signal("SIGINT");
    assert.equal((await cluster.exitOf(agent)).code, 0);
    await cluster.eventually("its end", () => states().length === 4);
    assert.deepEqual(states(), [
      "READY=1",
      "RELOADING=1",
      "READY=1",
      "STOPPING=1",
    ]);
  },
  { ignore: Deno.build.os !== "linux" },
);
