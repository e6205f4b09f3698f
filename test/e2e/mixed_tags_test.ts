/**
 * Tags that change while the cluster runs: 2 agents of each kind, encrypted,
 * changed by either command line; and the files that keep them.
 */

import assert from "node:assert/strict";
import {
  type Agent,
  type Cluster,
  type EventLog,
  type Kind,
  KINDS,
  randomKey,
  runCli,
  testCluster,
} from "./harness.ts";

const DONE = "Successfully updated agent tags\n";
const TOO_LONG =
  "Error setting tags: Encoded length of tags exceeds limit of 512 bytes\n";

type Tags = Readonly<Record<string, string>>;

testCluster(
  "tags change at run time, and all members of both kinds know",
  async (cluster, step) => {
    const { agents, files } = await startFour(cluster);
    const watches = await Promise.all(
      agents.map((agent) => cluster.watch(agent, "member-update")),
    );
    const [o1, h1] = agents as [Agent, Agent];
    const pairs = [o1, h1].flatMap((agent) =>
      KINDS.map((cli) => ({ agent, cli }))
    );
    /** Changes tags, and waits until everybody has heard of it, once. */
    const change = async (
      { agent, cli }: { agent: Agent; cli: Kind },
      args: readonly string[],
      expected: Tags,
    ) => {
      for (const watch of watches) watch.records.length = 0;
      assert.equal(await agent.succeed(cli, "tags", args), DONE);
      await everybodyShows(cluster, agents, agent.name, expected);
      await everybodyHeard(cluster, watches, agent.name);
    };

    await step("set", async () => {
      for (const pair of pairs) {
        const { agent, cli } = pair;
        const common = { dc: "east", by: cli, "ünï": "a=b,c" };
        await change(
          pair,
          ["-set", "dc=east", "-set", `by=${cli}`, "-set", "ünï=a=b,c"],
          common,
        );
        await change(pair, ["-set", "by="], { ...common, by: "" });
        assert.equal(
          await Deno.readTextFile(files.get(agent.name) as string),
          '{\n  "by": "",\n  "dc": "east",\n  "ünï": "a=b,c"\n}',
        );
      }
    });

    await step("too many are refused, and the old ones stay", async () => {
      for (const { agent, cli } of pairs) {
        const args = ["-set", `k=${"x".repeat(510)}`, "-delete", "dc"];
        const { code, stdout } = await agent.command(cli, "tags", args);
        assert.deepEqual({ code, stdout }, { code: 1, stdout: TOO_LONG });
        const seen = (await agent.members()).get(agent.name)?.Tags;
        assert.equal(seen?.dc, "east", `${agent.name} keeps its tags`);
      }
      const ours = await Deno.readTextFile(files.get("o1") as string);
      assert.ok(ours.length < 100, "what is refused is not written");
    });

    await step("delete, also what is not there; then set", async () => {
      for (const pair of pairs) {
        await change(pair, ["-delete", "ünï", "-delete", "none"], {
          dc: "east",
          by: "",
        });
        await change(
          pair,
          ["-delete", "by", "-set", "by=hand", "-delete", "dc"],
          { by: "hand" },
        );
        await change(
          pair,
          ["-set", "dc=east", "-set", "by=", "-set", "ünï=x"],
          { dc: "east", by: "", "ünï": "x" },
        );
      }
    });

    await step("a file outlasts a crash", async () => {
      for (const agent of [o1, h1]) {
        const expected = { dc: "east", by: "", "ünï": "x" };
        const again = await cluster.restart(agent, {
          join: [agents[3]!.gossip.text],
        });
        const path = files.get(agent.name);
        await cluster.eventually(
          `${agent.name} says what it restored`,
          () => again.output.includes(`Restored 3 tag(s) from ${path}\n`),
        );
        const others = agents.filter(({ name }) => name !== agent.name);
        await everybodyShows(
          cluster,
          [again, ...others],
          agent.name,
          expected,
        );
        agents[agents.indexOf(agent)] = again;
      }
    });
  },
  { needs: ["serf"] },
);

testCluster(
  "agents that speak of a role alone get along with those that have tags",
  async (cluster, step) => {
    const agents: Agent[] = [];
    for (const protocol of [5, 2]) {
      for (const kind of KINDS) {
        const agent = await cluster.start({
          kind,
          name: `${kind}-${protocol}`,
          join: agents.slice(0, 1).map(({ gossip }) => gossip.text),
          // The flag wins over the tag of that name.
          extraArgs: ["-role=web", "-tag=role=db", "-tag=dc=east"]
            .concat(`-protocol=${protocol}`),
        });
        const warning =
          "==> Deprecation warning: 'Role' has been replaced with 'Tags'\n";
        assert.ok(agent.output.startsWith(warning), agent.name);
        agents.push(agent);
      }
    }
    const [o5, h5, o2, h2] = agents as [Agent, Agent, Agent, Agent];
    await step("at start", async () => {
      for (const { name } of [o2, h2]) {
        await everybodyShows(cluster, agents, name, { role: "web" });
      }
      for (const { name } of [o5, h5]) {
        const expected = { role: "web", dc: "east" };
        await everybodyShows(cluster, agents, name, expected);
      }
    });
    await step("a filter by role finds them all", async () => {
      for (const cli of KINDS) {
        for (const agent of agents) {
          const listed = await agent.succeed(cli, "members", ["-role=w.b"]);
          const lines = listed.trimEnd().split("\n");
          assert.match(lines.shift() ?? "", /^Deprecation warning: 'Role'/);
          assert.deepEqual(
            lines.map((line) => line.split(" ", 1)[0]).sort(),
            agents.map(({ name }) => name).sort(),
          );
        }
      }
    });
    await step("the role changes, and goes", async () => {
      for (const agent of [o2, h2]) {
        for (const cli of KINDS) {
          const set = ["-set", `role=${cli}`, "-set", "more=1"];
          assert.equal(await agent.succeed(cli, "tags", set), DONE);
          await everybodyShows(cluster, agents, agent.name, { role: cli });
          const gone = ["-delete", "role"];
          assert.equal(await agent.succeed(cli, "tags", gone), DONE);
          await everybodyShows(cluster, agents, agent.name, { role: "" });
        }
      }
    });
  },
  { needs: ["serf"] },
);

/** Two agents of each kind; the first of each keeps its tags in a file. */
async function startFour(
  cluster: Cluster,
): Promise<{ agents: Agent[]; files: Map<string, string> }> {
  const encrypt = randomKey(32);
  const agents: Agent[] = [];
  const files = new Map<string, string>();
  for (const name of ["o1", "h1", "o2", "h2"]) {
    const path = `${cluster.writeFile("tags", "")}.${name}.json`;
    if (name.endsWith("1")) files.set(name, path);
    agents.push(
      await cluster.start({
        kind: name.startsWith("o") ? "ours" : "hashicorp",
        name,
        encrypt,
        join: agents.slice(0, 1).map(({ gossip }) => gossip.text),
        extraArgs: files.has(name) ? [`-tags-file=${path}`] : [],
      }),
    );
  }
  await cluster.eventually("all list all", async () => {
    for (const agent of agents) {
      const listed = [...(await agent.members()).values()];
      const alive = listed.filter(({ Status }) => Status === "alive");
      if (alive.length < agents.length) return listed;
    }
    return true;
  });
  return { agents, files };
}

async function everybodyShows(
  cluster: Cluster,
  agents: readonly Agent[],
  name: string,
  expected: Tags,
): Promise<void> {
  const wanted = sorted(expected);
  for (const agent of agents) {
    await cluster.eventually(
      `${agent.name} shows ${name} with ${JSON.stringify(wanted)}`,
      async () => {
        const member = (await agent.members()).get(name);
        const seen = member?.Status === "alive" ? sorted(member.Tags) : member;
        return JSON.stringify(seen) === JSON.stringify(wanted) || seen;
      },
    );
  }
}

function sorted(tags: Tags): [string, string][] {
  return Object.entries(tags).sort();
}

async function everybodyHeard(
  cluster: Cluster,
  watches: readonly EventLog[],
  name: string,
): Promise<void> {
  for (const watch of watches) {
    await cluster.eventually(
      `${watch.agent.name} hears of ${name}`,
      () => watch.memberEvents(name).length > 0,
    );
  }
  for (const watch of watches) {
    assert.deepEqual(watch.memberEvents(name), ["update"], watch.agent.name);
  }
}

testCluster(
  "a tags file that makes no sense is refused, in Serf's words",
  async (cluster, step) => {
    const fine = '{"a":"1"}';
    const cases: readonly (readonly [string, readonly string[]])[] = [
      [fine, ["-tag", "b=2"]],
      [fine, ["-role=web"]],
      [`{"a":"${"x".repeat(510)}"}`, []],
      ...[
        ...["", " ", "nope", "[]", "1", '"a"', "true", "{} {}", "{a}"],
        ...['{"a":1}', '{"a":["b"]}', '{"a" "b"}', '{"a":"b",}', '{"a":"b"'],
        ...['{"a":"\n"}', '{"a":"\\q"}', '{"a":"\\u00x"}', '{"a":1.}'],
        ...['{"a":-x}', '{"a":01}', '{"a":1e}', "[1 2]", "[1,]", "'", "é"],
      ].map((contents) => [contents, []] as const),
    ];
    for (const [contents, args] of cases) {
      await step(`${contents.slice(0, 20)} ${args.join(" ")}`, async () => {
        const path = cluster.writeFile("tags.json", contents);
        const [ours, theirs] = await Promise.all(KINDS.map(async (kind) => {
          const [bind, rpc] = [cluster.takeAddress(), cluster.takeAddress()];
          const { code, stdout, stderr } = await runCli(kind, [
            ...["agent", "-node=n1", `-bind=${bind.text}`],
            ...[`-rpc-addr=${rpc.text}`, `-tags-file=${path}`, ...args],
          ]);
          return { code, stdout, stderr };
        }));
        assert.deepEqual(ours, theirs);
        assert.equal(ours?.code, 1);
        assert.match(ours?.stdout ?? "", /\n==> Failed to /);
      });
    }
  },
  { needs: ["serf"] },
);
