/**
 * How an agent starts, refuses to start, and ends. Each situation is played
 * with an agent of ours and with HashiCorp's side by side, and both must print
 * and do the same.
 */

import assert from "node:assert/strict";
import {
  type Agent,
  type AgentOptions,
  type Cluster,
  hasIpv6,
  type Kind,
  KINDS,
  randomKey,
  runCli,
  testCluster,
} from "./harness.ts";

/** Plays the situation with both kinds; returns what came of it, if it is the same. */
async function withBoth<T>(play: (kind: Kind) => Promise<T>): Promise<T> {
  const [ours, theirs] = await Promise.all(KINDS.map(play)) as [T, T];
  assert.deepEqual(ours, theirs);
  return theirs;
}

/** An output without timestamps, addresses and what levels below INFO say. */
function plain(text: string, agent?: Agent): string {
  if (agent !== undefined) {
    text = text.replaceAll(agent.gossip.text, "GOSSIP").replaceAll(
      agent.rpc.text,
      "RPC",
    );
  }
  return text
    .replaceAll(
      /^ {4}\d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d \[(DEBUG|TRACE)\].*\n/gm,
      "",
    )
    .replaceAll(/^ {4}\d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d /gm, "    TIME ");
}

testCluster(
  "an agent shows what it was started with",
  async (cluster, step) => {
    const cases: Record<string, Partial<AgentOptions>> = {
      "by default": {},
      "encrypted": { encrypt: randomKey(24) },
      "for a wide network": {
        profile: "wan",
        extraArgs: ["-advertise=127.0.0.9:1234"],
      },
      "for one machine": { profile: "local", extraArgs: ["-protocol=4"] },
    };
    for (const [title, options] of Object.entries(cases)) {
      await step(title, async () => {
        const shown = await withBoth(async (kind) => {
          const agent = await cluster.start({
            kind,
            name: "n1",
            logLevel: "err",
            ...options,
          });
          return plain(agent.output, agent);
        });
        assert.match(
          shown,
          /^==> Starting Serf agent\.\.\.\n==> Starting Serf agent RPC\.\.\.\n/,
        );
        assert.match(
          shown,
          new RegExp(`\n {24}Profile: ${options.profile ?? "lan"}\n`),
        );
      });
    }
  },
  { needs: ["serf"] },
);

testCluster(
  "an agent refuses what makes no sense, in Serf's words",
  async (cluster, step) => {
    const failedToStart =
      "==> Starting Serf agent...\n==> Failed to start the Serf agent: Error creating Serf: ";
    const cases: readonly (readonly [readonly string[], string | RegExp])[] = [
      [
        ["-encrypt=no base64"],
        "==> Invalid encryption key: illegal base64 data at input byte 2\n",
      ],
      [
        ["-encrypt=AAAA"],
        /Failed to create memberlist: key size must be 16, 24 or 32 bytes\n$/,
      ],
      [["-profile=slow"], "==> Unknown profile: slow\n"],
      [
        ["-log-level=loud"],
        /^==> Invalid log level: LOUD\. Valid log levels are: \[TRACE /,
      ],
      [
        ["-bind=::1"],
        "==> Invalid bind address: address ::1: too many colons in address\n",
      ],
      [
        ["-bind=127.0.0.1:port"],
        "==> Invalid bind address: address tcp/port: unknown port\n",
      ],
      [["-advertise=127.0.0.1:port"], /^==> Invalid advertise address: /],
      [["-tag", "role"], "==> Error: Invalid tag: 'role'\n"],
      [
        ["-tag", `role=${"x".repeat(510)}`],
        `${failedToStart}Encoded length of tags exceeds limit of 512 bytes\n`,
      ],
      [
        ["-protocol=6"],
        `${failedToStart}Protocol version '6' too high. Must be in range: [2, 5]\n`,
      ],
      [
        ["-protocol=1"],
        `${failedToStart}Protocol version '1' too low. Must be in range: [2, 5]\n`,
      ],
      [
        ["-rpc-addr=127.0.0.1"],
        /Error starting RPC listener: .*missing port in address\n$/,
      ],
      [["-bind=203.0.113.1:7946"], /cannot assign requested address\n$/],
    ];
    for (const [args, expected] of cases) {
      await step(args.join(" ").slice(0, 40), async () => {
        const said = await withBoth(async (kind) => {
          const [bind, rpc] = [cluster.takeAddress(), cluster.takeAddress()];
          const result = await runCli(kind, [
            "agent",
            "-node=n1",
            `-bind=${bind.text}`,
            `-rpc-addr=${rpc.text}`,
            ...args,
          ]);
          return {
            code: result.code,
            stdout: result.stdout,
            stderr: result.stderr,
          };
        });
        assert.equal(said.code, 1);
        assert.equal(said.stderr, "");
        if (typeof expected === "string") assert.equal(said.stdout, expected);
        else assert.match(said.stdout, expected);
      });
    }
    await step("an unknown flag", async () => {
      const said = await withBoth(async (kind) => {
        const { code, stdout, stderr } = await runCli(kind, [
          "agent",
          "-qqqqqqqq",
        ]);
        return { code, stderr, firstLine: stdout.split("\n", 1)[0] };
      });
      assert.deepEqual(said, {
        code: 1,
        stderr: "flag provided but not defined: -qqqqqqqq\n",
        firstLine: "==> Usage: serf agent [options]",
      });
    });
  },
  { needs: ["serf"] },
);

testCluster(
  "an agent says which of its ports is taken",
  async (cluster, step) => {
    const taken = cluster.takeAddress();
    const start = (flags: (free: string) => string[]) =>
      withBoth(async (kind) => {
        const free = cluster.takeAddress();
        const { code, stdout } = await runCli(kind, [
          "agent",
          "-node=n1",
          ...flags(free.text),
        ]);
        return { code, stdout: stdout.replaceAll(`${taken.port}`, "PORT") };
      });
    await step("gossip over TCP, and commands", async () => {
      using _listener = Deno.listen({ hostname: taken.host, port: taken.port });
      const gossip = await start((
        free,
      ) => [`-bind=${taken.text}`, `-rpc-addr=${free}`]);
      assert.equal(gossip.code, 1);
      assert.match(
        gossip.stdout,
        /listen tcp 127\.0\.0\.1:PORT: bind: address already in use\n$/,
      );
      const commands = await start((
        free,
      ) => [`-bind=${free}`, `-rpc-addr=${taken.text}`]);
      assert.equal(commands.code, 1);
      assert.match(
        commands.stdout,
        /Error starting RPC listener: .*address already in use\n$/,
      );
    });
    await step("gossip over UDP", async () => {
      const socket = Deno.listenDatagram({
        transport: "udp",
        hostname: taken.host,
        port: taken.port,
      });
      try {
        const gossip = await start((
          free,
        ) => [`-bind=${taken.text}`, `-rpc-addr=${free}`]);
        assert.equal(gossip.code, 1);
        assert.match(
          gossip.stdout,
          /listen udp 127\.0\.0\.1:PORT: bind: address already in use\n$/,
        );
      } finally {
        socket.close();
      }
    });
  },
  { needs: ["serf"] },
);

testCluster("an agent that cannot join at start gives up", async (cluster) => {
  const said = await withBoth(async (kind) => {
    const agent = cluster.launch({
      kind,
      name: "n1",
      join: ["127.0.0.1:1", "127.0.0.2:2"],
    });
    const { code } = await cluster.exitOf(agent);
    return { code, output: plain(agent.output, agent) };
  });
  assert.equal(said.code, 1);
  assert.match(
    said.output,
    /\n==> Joining cluster\.\.\.\(replay: false\)\n==> 2 errors occurred:\n/,
  );
}, { needs: ["serf"] });

/** On the LAN profile a leave takes 2.6 s of the 3 s that a signal allows. */
const IN_TIME = { profile: "local" } as const;

/** Starts an agent and a peer of the other kind that it has joined. */
async function startPair(
  cluster: Cluster,
  kind: Kind,
  options: Partial<AgentOptions> = {},
): Promise<{ agent: Agent; peer: Agent }> {
  const peerKind = kind === "ours" ? "hashicorp" : "ours";
  const peer = await cluster.start({
    ...options,
    kind: peerKind,
    name: "peer",
  });
  const agent = await cluster.start({
    ...options,
    kind,
    name: "n1",
    join: [peer.gossip.text],
  });
  await cluster.eventually(
    `${peerKind} peer lists n1`,
    async () => (await peer.members()).get("n1")?.Status === "alive",
  );
  return { agent, peer };
}

/** Waits until the peer shows n1 with that status. */
async function peerSees(
  cluster: Cluster,
  peer: Agent,
  status: RegExp,
): Promise<void> {
  await cluster.eventually(
    `${peer.kind} peer sees n1 as ${status}`,
    async () => {
      const seen = (await peer.members()).get("n1")?.Status ?? "nothing";
      return status.test(seen) || seen;
    },
  );
}

/**
 * What an agent says from its first caught signal on. Whether Go's agent says
 * that it has detected its own shutdown is a race in it.
 */
function lastWords(agent: Agent): string {
  const output = plain(agent.output, agent);
  return output.slice(output.indexOf("==> Caught signal"))
    .replaceAll(/^ {4}TIME \[INFO\] (?!agent: re|agent: sh).*\n/gm, "")
    .replaceAll(/^.* Serf shutdown detected, quitting\n/gm, "")
    // Of a probe that a busy machine has delayed.
    .replaceAll(/^.*\[WARN\] memberlist: .*\n/gm, "");
}

testCluster(
  "SIGINT: leaves the cluster, then exits with 0",
  async (cluster) => {
    const words = await withBoth(async (kind) => {
      const { agent, peer } = await startPair(cluster, kind, IN_TIME);
      agent.signal("SIGINT");
      const { code } = await cluster.exitOf(agent);
      await peerSees(cluster, peer, /^left$/);
      return { code, said: lastWords(agent) };
    });
    assert.equal(words.code, 0);
    assert.equal(
      words.said,
      "==> Caught signal: interrupt\n==> Gracefully shutting down agent...\n" +
        "    TIME [INFO] agent: requesting graceful leave from Serf\n" +
        "    TIME [INFO] agent: requesting serf shutdown\n" +
        "    TIME [INFO] agent: shutdown complete\n",
    );
  },
  { needs: ["serf"] },
);

testCluster("SIGTERM: exits with 1 at once", async (cluster) => {
  const words = await withBoth(async (kind) => {
    const { agent } = await startPair(cluster, kind);
    agent.signal("SIGTERM");
    const { code } = await cluster.exitOf(agent);
    return { code, said: lastWords(agent) };
  });
  assert.equal(words.code, 1);
  assert.match(words.said, /^==> Caught signal: terminated\n/);
  assert.match(
    words.said,
    /\[WARN\] serf: Shutdown without a Leave\n.*shutdown complete\n$/,
  );
}, { needs: ["serf"] });

testCluster(
  "SIGINT, then another signal: does not wait for the leave, exits with 1",
  async (cluster) => {
    const words = await withBoth((kind) =>
      Promise.all(
        (["SIGINT", "SIGTERM", "SIGHUP"] as const).map(async (second) => {
          const { agent, peer } = await startPair(cluster, kind);
          agent.signal("SIGINT");
          await cluster.eventually(
            `${kind} n1 leaves`,
            () => agent.output.includes("Gracefully shutting down agent..."),
          );
          const sinceMs = performance.now();
          await cluster.eventually(
            "a second SIGINT is not taken for the first one, come twice",
            () => second !== "SIGINT" || performance.now() - sinceMs > 500,
          );
          agent.signal(second);
          const { code } = await cluster.exitOf(agent);
          await peerSees(cluster, peer, /^(leaving|left|failed)$/);
          return { code, said: lastWords(agent) };
        }),
      )
    );
    for (const { code, said } of words) {
      assert.equal(code, 1);
      assert.match(
        said,
        /^==> Caught signal: interrupt\n==> Gracefully shutting down agent\.\.\.\n/,
      );
    }
  },
  { needs: ["serf"] },
);

testCluster(
  "SIGINT on a wide network: the leave takes too long, exits with 1",
  async (cluster) => {
    const code = await withBoth(async (kind) => {
      const { agent } = await startPair(cluster, kind, { profile: "wan" });
      agent.signal("SIGINT");
      return (await cluster.exitOf(agent)).code;
    });
    assert.equal(code, 1);
  },
  { needs: ["serf"] },
);

testCluster(
  "a leave that nobody can hear of ends with an error",
  async (cluster, step) => {
    // The original leaves without asking whether anybody is there.
    const unheard = "timeout while waiting for graceful leave";
    await step("SIGINT: says so, exits with 1", async () => {
      const { agent, peer } = await startPair(cluster, "ours", IN_TIME);
      await peer.process.kill();
      agent.signal("SIGINT");
      const { code } = await cluster.exitOf(agent);
      assert.equal(code, 1);
      assert.ok(agent.output.includes(`\n==> Error: ${unheard}\n`));
    });
    await step("serf leave: says so, and the agent ends", async () => {
      for (const cli of KINDS) {
        const { agent, peer } = await startPair(cluster, "ours");
        await peer.process.kill();
        const { code, stdout } = await agent.command(cli, "leave");
        assert.equal(stdout, `Error leaving: ${unheard}\n`);
        assert.equal(code, 1);
        assert.equal((await cluster.exitOf(agent)).code, 0);
      }
    });
    await step("a frozen peer that comes to is in time", async () => {
      const { agent, peer } = await startPair(cluster, "ours");
      peer.signal("SIGSTOP");
      const left = agent.command("ours", "leave");
      await cluster.eventually(
        "the leave has begun",
        () => agent.output.includes("requesting graceful leave"),
      );
      peer.signal("SIGCONT");
      assert.equal((await left).stdout, "Graceful leave complete\n");
      await peerSees(cluster, peer, /^left$/);
    });
  },
  { needs: ["serf"] },
);

testCluster(
  "serf leave on a wide network: takes its time, exits with 0",
  async (cluster) => {
    const outcome = await withBoth(async (kind) => {
      const { agent, peer } = await startPair(cluster, kind, {
        profile: "wan",
      });
      const said = await agent.succeed("hashicorp", "leave");
      const { code } = await cluster.exitOf(agent);
      await peerSees(cluster, peer, /^left$/);
      return { code, said };
    });
    assert.deepEqual(outcome, { code: 0, said: "Graceful leave complete\n" });
  },
  { needs: ["serf"] },
);

testCluster("agents talk over IPv6", async (cluster) => {
  const listed = await withBoth(async (kind) => {
    const { agent, peer } = await startPair(cluster, kind, {
      host: "::1",
      encrypt: randomKey(16),
    });
    const events = await cluster.watch(peer, "user");
    await agent.succeed(kind, "event", ["-coalesce=false", "six", "::"]);
    await cluster.eventually(
      "the event arrives",
      () => events.records.length === 1,
    );
    const text = await agent.succeed(kind, "members", ["-name=peer"]);
    return text.replaceAll(peer.gossip.text, "PEER");
  });
  assert.equal(listed, "peer  PEER  alive\n");
}, { ignore: !hasIpv6(), needs: ["serf"] });
