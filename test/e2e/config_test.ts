/**
 * Configuration files and flags, given to an agent of ours and to HashiCorp's:
 * both must start with the same settings, and show it in the same way.
 */

import assert from "node:assert/strict";
import {
  type Agent,
  type AgentOptions,
  type Cluster,
  hasIpv6,
  type Kind,
  KINDS,
  testCluster,
} from "./harness.ts";

/** Plays the situation with both kinds; returns what came of it, if it is the same. */
async function withBoth<T>(play: (kind: Kind) => Promise<T>): Promise<T> {
  const [ours, theirs] = await Promise.all(KINDS.map(play)) as [T, T];
  assert.deepEqual(ours, theirs);
  return theirs;
}

/** What it printed before its log begins, without its own addresses. */
function startUp(agent: Agent): string {
  const [head = ""] = agent.output.split("==> Log data will now stream in");
  const { port } = agent.gossip;
  return head.replaceAll(agent.rpc.text, "RPC")
    .replaceAll(agent.gossip.text, "GOSSIP")
    .replaceAll(`127.0.0.1:${port}`, "LOOPBACK");
}

/** The settings that `serf info` shows. */
async function settingsIn(agent: Agent): Promise<unknown> {
  const text = await agent.succeed("hashicorp", "info", ["-format=json"]);
  const { agent: self, tags, serf } = JSON.parse(text);
  const { encrypted, members } = serf;
  return { self, tags, encrypted, members };
}

/** Writes the files of a directory; returns its path. */
function writeDirectory(
  cluster: Cluster,
  name: string,
  files: Record<string, unknown>,
): string {
  for (const [file, content] of Object.entries(files)) {
    cluster.writeFile(
      `${name}/${file}`,
      typeof content === "string" ? content : JSON.stringify(content),
    );
  }
  return cluster.writeFile(`${name}/README`, "not read").replace("/README", "");
}

const TOKEN = "s3cret";

/** As a distribution ships it, and what its administrator adds. */
const SHIPPED = {
  "serf.json": `{
  "interface": "lo",
  "profile": "wan",
  "log_level": "warn",
  "tags": {
  }
}
`,
  "site.json": {
    node_name: "web-1",
    tags: { role: "web", dc: "east" },
    rpc_auth: TOKEN,
    user_event_size_limit: 100,
    query_size_limit: 200,
    leave_on_terminate: true,
    enable_compression: false,
  },
  "serf.json.dpkg-old": "no longer JSON",
};

testCluster(
  "a configuration directory as distributions ship it starts both alike",
  async (cluster, step) => {
    const directory = writeDirectory(cluster, "etc", SHIPPED);
    const agents: Agent[] = [];
    for (const kind of KINDS) {
      // Only the addresses come from flags: two agents cannot share them.
      agents.push(
        await cluster.start({
          kind,
          name: "",
          logLevel: "",
          host: "0.0.0.0",
          rpcAuth: TOKEN,
          isTokenInFile: true,
          extraArgs: [`-config-dir=${directory}`],
        }),
      );
    }
    const both = async <T>(ask: (agent: Agent) => T | Promise<T>) => {
      const [ours, theirs] = await Promise.all(agents.map(ask)) as [T, T];
      assert.deepEqual(ours, theirs);
      return theirs;
    };

    await step("the start-up table", async () => {
      assert.equal(
        await both(startUp),
        "==> Using interface 'lo' address '127.0.0.1'\n" +
          "==> Starting Serf agent...\n" +
          "==> Starting Serf agent RPC...\n" +
          "==> Serf agent running!\n" +
          "                      Node name: 'web-1'\n" +
          "                      Bind addr: 'LOOPBACK'\n" +
          "                       RPC addr: 'RPC'\n" +
          "                      Encrypted: false\n" +
          "                       Snapshot: false\n" +
          "                        Profile: wan\n" +
          "    Message Compression Enabled: true\n\n",
      );
    });

    await step("members, tags and figures", async () => {
      const members = await both(async (agent) => {
        const [self] = (await agent.members()).values();
        assert.ok(self);
        return { name: self.Name, tags: self.Tags, status: self.Status };
      });
      assert.deepEqual(members, {
        name: "web-1",
        tags: { role: "web", dc: "east" },
        status: "alive",
      });
      assert.deepEqual(await both(settingsIn), {
        self: { name: "web-1" },
        tags: { role: "web", dc: "east" },
        encrypted: "false",
        members: "1",
      });
    });

    await step("the token", async () => {
      const refused = await both(async (agent) => {
        const args = [`-rpc-addr=${agent.rpc.text}`, "-rpc-auth=wrong"];
        const { code, stdout } = await agent.command(
          "hashicorp",
          "members",
          args,
        );
        return { code, stdout: stdout.replaceAll(agent.rpc.text, "RPC") };
      });
      assert.equal(refused.code, 1);
      assert.match(refused.stdout, /[Ii]nvalid auth/);
    });

    await step("the size limits", async () => {
      const long = "x".repeat(150);
      const event = await both(async (agent) => {
        const { code, stdout } = await agent.command("hashicorp", "event", [
          "deploy",
          long,
        ]);
        return { code, stdout };
      });
      assert.match(event.stdout, /user event exceeds configured limit of 100/);
      const query = await both(async (agent) => {
        const { code, stdout } = await agent.command("hashicorp", "query", [
          "load",
          long.repeat(2),
        ]);
        return { code, stdout };
      });
      assert.match(query.stdout, /query exceeds limit of 200 bytes/);
    });

    await step("the log level, and SIGTERM", async () => {
      const end = await both(async (agent) => {
        await agent.closeRpc();
        agent.signal("SIGTERM");
        const { code } = await cluster.exitOf(agent);
        const at = agent.output.indexOf("==> Caught");
        return { code, said: agent.output.slice(at) };
      });
      assert.deepEqual(end, {
        code: 0,
        said:
          "==> Caught signal: terminated\n==> Gracefully shutting down agent...\n",
      });
      for (const { output } of agents) assert.doesNotMatch(output, /\[INFO\]/);
    });
  },
  { needs: ["serf"] },
);

testCluster("files are merged in order, and flags on top", async (cluster) => {
  const settings = await withBoth(async (kind) => {
    const directory = writeDirectory(cluster, `merge-${kind}`, {
      "b.json": {
        node_name: "b",
        tags: { b: "b", both: "b" },
        Profile: "local",
        skip_leave_on_interrupt: true,
      },
      "B.json": { node_name: "B", tags: { both: "B", B: "B" }, protocol: 4.7 },
      "sub.json/inner.json": "not read",
    });
    const last = cluster.writeFile(
      `last-${kind}.json`,
      '{"node_name": "last", "skip_leave_on_interrupt": false} and more',
    );
    const agent = await cluster.start({
      kind,
      name: "",
      tags: { both: "flag", f: "" },
      logLevel: "err",
      extraArgs: [
        "-config-dir",
        directory,
        `-config-file=${last}`,
        "-protocol=0",
        "-rejoin=false",
      ],
    });
    const [self] = (await agent.members()).values();
    await agent.closeRpc();
    agent.signal("SIGINT");
    const { code } = await cluster.exitOf(agent);
    return {
      table: startUp(agent),
      tags: self?.Tags,
      protocol: self?.DelegateCur,
      code,
    };
  });
  assert.deepEqual(settings.tags, { b: "b", B: "B", both: "flag", f: "" });
  assert.equal(settings.protocol, 4);
  assert.equal(settings.code, 1, "SIGINT does not leave");
  assert.match(settings.table, /Node name: 'last'\n/);
  assert.match(settings.table, /Profile: local\n/);
}, { needs: ["serf"] });

/** Flags, and whether this machine can do it. */
const STARTS: Readonly<Record<string, Partial<AgentOptions>>> = {
  "on an interface": { host: "0.0.0.0", extraArgs: ["-iface=lo"] },
  "on an interface that has the address": { extraArgs: ["-iface=lo"] },
  "without compression": { extraArgs: ["-disable-compression"] },
  "with a role": { extraArgs: ["-role=web"], tags: { role: "db" } },
  "with waits that are too short": {
    extraArgs: ["-retry-interval=10ms", "-broadcast-timeout=10ms"],
  },
  "with words after the flags": { extraArgs: ["-iface=lo", "foo", "-nope"] },
};

testCluster("both start alike", async (cluster, step) => {
  for (const [title, options] of Object.entries(STARTS)) {
    await step(title, async () => {
      await withBoth(async (kind) => {
        const agent = await cluster.start({
          kind,
          name: "n1",
          logLevel: "err",
          ...options,
        });
        const [self] = (await agent.members()).values();
        return { table: startUp(agent), tags: self?.Tags };
      });
    });
  }
}, { needs: ["serf"] });

testCluster("-rejoin without a snapshot warns", async (cluster) => {
  const table = await withBoth(async (kind) =>
    startUp(
      await cluster.start({ kind, name: "n1", extraArgs: ["-rejoin"] }),
    )
  );
  assert.match(
    table,
    /^==> Warning: 'RejoinAfterLeave' enabled without snapshot file\n/,
  );
}, { needs: ["serf"] });

testCluster(
  "agents that do not vote about names go on when there are two of one",
  async (cluster) => {
    await withBoth(async (kind) => {
      const file = cluster.writeFile(
        "novote.json",
        '{"disable_name_resolution": true}',
      );
      const extraArgs = [`-config-file=${file}`];
      const first = await cluster.start({ kind, name: "n1", extraArgs });
      const second = await cluster.start({
        kind,
        name: "n1",
        extraArgs,
        join: [first.gossip.text],
      });
      await cluster.eventually(
        `${kind} notices`,
        () =>
          [first, second].some(({ output }) =>
            /Names must be unique! \(Resolution enabled: false\)/.test(output)
          ),
      );
      for (const agent of [first, second]) {
        assert.equal((await agent.members()).size, 1);
        assert.equal(agent.process.exit, undefined);
      }
      return true;
    });
  },
  { needs: ["serf"] },
);

testCluster("agents on [::] gossip over IPv6 and IPv4", async (cluster) => {
  /** Starts one that hears both and tells others one of its addresses. */
  const start = async (kind: Kind, name: string, ip: string, seed?: Agent) => {
    const gossip = cluster.takeAddress("::");
    return await cluster.start({
      kind,
      name,
      extraArgs: [`-advertise=${ip}:${gossip.port}`],
      // Joined at the address of the other family than the one it tells.
      join: seed === undefined ? [] : [`127.0.0.1:${seed.gossip.port}`],
    }, { gossip, rpc: cluster.takeAddress("127.0.0.1") });
  };
  const first = await start("ours", "first", "[::1]");
  const agents = [
    first,
    await start("ours", "four", "127.0.0.1", first),
    await start("hashicorp", "six", "[::1]", first),
  ];
  for (const agent of agents) {
    await cluster.eventually(`${agent.name} sees three`, async () => {
      const members = [...(await agent.members()).values()];
      return members.filter(({ Status }) => Status === "alive").length === 3;
    });
    const log = await cluster.watch(agent, "user");
    for (const sender of agents) {
      await sender.succeed("ours", "event", [`${sender.name}-${agent.name}`]);
      await cluster.eventually(
        `${agent.name} hears ${sender.name}`,
        () => log.userEvents(`${sender.name}-${agent.name}`).length === 1,
      );
    }
  }
}, { ignore: !hasIpv6(), needs: ["serf"] });
