/** The shell scripts: the SysV script with a real agent, and the handler. */

import assert from "node:assert/strict";
import { type FreeAddress, PortSource } from "../e2e/ports.ts";
import { until } from "../net/deadline.ts";
import { lacks, lacksAbility } from "../programs.ts";
import { type Outcome, read, ROOT, run, scratch } from "./tools.ts";

const SYSV = "packaging/sysv/serf";
const HANDLER = "packaging/handlers/haproxy.sh";

Deno.test({
  name: "shellcheck finds nothing in the scripts (wants shellcheck)",
  ignore: lacks("shellcheck"),
  fn: async () => {
    const { code, stdout } = await run([
      ...["shellcheck", "--shell=sh", "--external-sources", SYSV, HANDLER],
    ]);
    assert.equal(code, 0, stdout);
  },
});

Deno.test("the SysV script has the header of the Linux Standard Base", () => {
  const [, header = ""] =
    /^### BEGIN INIT INFO\n([\s\S]*?)^### END INIT INFO$/m.exec(read(SYSV)) ??
      [];
  const keys = [...header.matchAll(/^# ([A-Z][\w-]+): +\S/gm)].map(([, key]) =>
    key
  );
  for (
    const key of [
      ...["Provides", "Required-Start", "Required-Stop", "Default-Start"],
      ...["Default-Stop", "Short-Description", "Description"],
    ]
  ) assert.ok(keys.includes(key), key);
});

/** The script with settings of its own, in a directory of the test's. */
class SysV {
  readonly logFile: string;
  readonly pidFile: string;
  readonly #defaults: string;

  constructor(readonly folder: string, gossip: FreeAddress, rpc: FreeAddress) {
    this.logFile = `${folder}/serf.log`;
    this.pidFile = `${folder}/serf.pid`;
    this.#defaults = `${folder}/default`;
    // As if it were installed; the agent's own home is empty.
    const program = `${folder}/serf`;
    Deno.writeTextFileSync(
      program,
      `#!/bin/sh\nHOME='${Deno.env.get("HOME") ?? ""}'\nexport HOME\n` +
        `exec '${Deno.execPath()}' run -A '${ROOT}/main.ts' "$@"\n`,
      { mode: 0o755 },
    );
    Deno.mkdirSync(`${folder}/etc`);
    this.configure({ bind: gossip.text, rpc_addr: rpc.text });
    Deno.writeTextFileSync(
      this.#defaults,
      [
        `DAEMON='${program}'`,
        `DAEMON_ARGS="-config-dir=${folder}/etc -node=sysv"`,
        "RUN_AS=root",
        `LOG_FILE='${this.logFile}'`,
        `PID_FILE='${this.pidFile}'`,
        `STATE_DIRECTORY='${folder}'`,
        `export SERF_RPC_ADDR='${rpc.text}'`,
        "",
      ].join("\n"),
    );
  }

  configure(settings: Record<string, unknown>): void {
    const file = `${this.folder}/etc/serf.json`;
    Deno.writeTextFileSync(file, JSON.stringify(settings));
  }

  call(action: string): Promise<Outcome> {
    return run([SYSV, action], { env: { SERF_DEFAULTS: this.#defaults } });
  }

  async code(action: string): Promise<number> {
    return (await this.call(action)).code;
  }

  log(): string {
    return Deno.readTextFileSync(this.logFile);
  }

  get pid(): number {
    return Number(Deno.readTextFileSync(this.pidFile));
  }

  /** Ends what a failed test has left. */
  kill(): void {
    try {
      Deno.kill(this.pid, "SIGKILL");
    } catch {
      // It has ended.
    }
  }
}

Deno.test({
  name:
    "the SysV script starts, reloads and stops an agent (wants root and start-stop-daemon)",
  ignore: Deno.build.os !== "linux" || lacks("start-stop-daemon") ||
    lacksAbility("root on Linux", Deno.uid() === 0),
  fn: async () => {
    using folder = scratch();
    using ports = new PortSource();
    const [gossip, rpc] = [ports.take("127.0.0.1"), ports.take("127.0.0.1")];
    const script = new SysV(folder.path, gossip, rpc);
    try {
      assert.equal(await script.code("status"), 3);
      assert.equal(await script.code("reload"), 7);

      const started = await script.call("start");
      assert.deepEqual(started, {
        code: 0,
        stdout: "serf has started\n",
        stderr: "",
      });
      const { pid } = script;
      assert.equal(await script.code("status"), 0);
      assert.equal((await script.call("start")).stdout, "serf is running\n");
      assert.equal(script.pid, pid);

      script.configure({
        ...{ bind: gossip.text, rpc_addr: rpc.text },
        tags: { role: "reloaded" },
      });
      assert.equal(await script.code("reload"), 0);
      // The reload is over when the tag is there; the agent says when it began.
      const members = () =>
        run([`${folder.path}/serf`, "members"], {
          env: { SERF_RPC_ADDR: rpc.text },
        });
      await until(
        "the new tag",
        async () => (await members()).stdout.includes("role=reloaded"),
      );
      assert.match((await members()).stdout, /^sysv .*role=reloaded$/m);

      // Other lines may come at any time: of clients, of the new tag.
      const reloads = () => script.log().split("Caught signal: hangup").length;
      const before = reloads();
      assert.equal(before, 2);
      script.configure({ bind: "nonsense" });
      const refused = await script.call("reload");
      assert.equal(refused.code, 6);
      assert.match(refused.stderr, /nonsense/);
      assert.equal(reloads(), before);
      script.configure({ bind: gossip.text, rpc_addr: rpc.text });

      assert.equal(await script.code("restart"), 0);
      assert.notEqual(script.pid, pid);

      const stopped = await script.call("stop");
      assert.deepEqual([stopped.code, stopped.stdout], [
        0,
        "serf has stopped\n",
      ]);
      assert.match(script.log(), /Gracefully shutting down agent/);
      assert.throws(() => Deno.statSync(script.pidFile));
      assert.equal(await script.code("stop"), 0);
      assert.equal(await script.code("status"), 3);
    } finally {
      script.kill();
    }
  },
});

Deno.test({
  name:
    "the SysV script says why an agent cannot start (wants root and start-stop-daemon)",
  ignore: Deno.build.os !== "linux" || lacks("start-stop-daemon") ||
    lacksAbility("root on Linux", Deno.uid() === 0),
  fn: async () => {
    using folder = scratch();
    using ports = new PortSource();
    const [gossip, rpc] = [ports.take("127.0.0.1"), ports.take("127.0.0.1")];
    const script = new SysV(folder.path, gossip, rpc);
    try {
      script.configure({ profile: "moon" });
      const misconfigured = await script.call("start");
      assert.equal(misconfigured.code, 6);
      assert.match(misconfigured.stderr, /moon/);

      // What no check can foresee: the address is taken.
      script.configure({ bind: gossip.text, rpc_addr: rpc.text });
      const [hostname, port] = [gossip.host, gossip.port];
      using _taken = Deno.listen({ hostname, port });
      const failed = await script.call("start");
      assert.equal(failed.code, 1);
      assert.match(failed.stderr, /the agent has ended; see .*serf\.log/);
      assert.equal(await script.code("status"), 3);

      // A number that no process has.
      Deno.writeTextFileSync(script.pidFile, "999999999");
      assert.equal(await script.code("status"), 1);
      assert.equal(await script.code("nonsense"), 2);
    } finally {
      script.kill();
    }
  },
});

Deno.test("haproxy.sh writes who is there, and reloads when that changes", async () => {
  using folder = scratch();
  const config = `${folder.path}/haproxy.cfg`;
  const members = `${folder.path}/members`;
  Deno.writeTextFileSync(
    `${folder.path}/serf`,
    `#!/bin/sh\necho "$@" >> '${folder.path}/asked'\ncat '${members}'\n`,
    { mode: 0o755 },
  );
  const handle = () =>
    run([HANDLER], {
      env: {
        PATH: `${folder.path}:${Deno.env.get("PATH")}`,
        HAPROXY_CONFIG: config,
        HAPROXY_RELOAD: `touch ${folder.path}/reloaded`,
      },
    });
  const reloaded = () => {
    try {
      Deno.removeSync(`${folder.path}/reloaded`);
      return true;
    } catch {
      return false;
    }
  };
  Deno.writeTextFileSync(
    members,
    [
      "web2  10.0.0.2:7946  alive  role=web",
      "web1  10.0.0.1:7946  alive  role=web",
      "web6  [fd00::6]:7946  alive  role=web",
      "x;y   10.0.0.9:7946  alive  role=web",
      "",
    ].join("\n"),
  );
  assert.deepEqual(await handle(), { code: 0, stdout: "", stderr: "" });
  assert.equal(
    Deno.readTextFileSync(config),
    [
      "backend web",
      "  balance roundrobin",
      "  server web1 10.0.0.1:8080 check",
      "  server web2 10.0.0.2:8080 check",
      "  server web6 [fd00::6]:8080 check",
      "",
    ].join("\n"),
  );
  assert.ok(reloaded());
  assert.equal(
    Deno.readTextFileSync(`${folder.path}/asked`),
    "members -status=alive -tag role=web\n",
  );

  assert.equal((await handle()).code, 0);
  assert.ok(!reloaded(), "nothing has changed");

  // Without an answer of the agent, the old file stays.
  const before = Deno.readTextFileSync(config);
  Deno.removeSync(members);
  assert.notEqual((await handle()).code, 0);
  assert.equal(Deno.readTextFileSync(config), before);
  assert.ok(!reloaded());
});
