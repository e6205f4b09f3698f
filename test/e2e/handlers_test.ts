/**
 * Handler scripts of either kind of agent in one cluster: what they are told,
 * what is logged about them, and what they answer.
 *
 * An agent of each kind runs the same recorder for all events. The same things
 * then happen to both, to members of either kind; in the end the recordings must
 * be equal, but for the order of tags, for the name of the agent itself, and for
 * how member events were gathered, which depends on when each one heard of them.
 */

import assert from "node:assert/strict";
import { visibleEntry } from "../../lib/kit/visible.ts";
import { NodeDriver } from "../../lib/net/driver.ts";
import { type Agent, KINDS, testCluster } from "./harness.ts";

/** Writes environment and standard input of each run into a folder of its own. */
const RECORDER = `
dir=$1
next="$dir/$(ls "$dir" | wc -l | tr -d ' ')"
mkdir "$dir.new"
env -0 >"$dir.new/env"
cat >"$dir.new/stdin"
mv "$dir.new" "$next"
`;

const TAGS = {
  role: "lb",
  "my-Tag.2": "v 1",
  "tab\there": "a\tb\nc",
  "ünï": "ö",
  eq: "v,w=z",
};

/** Makes one character of each byte, so that nothing is hidden. */
const BYTES = new TextDecoder("latin1");

/** One run, as the recorder saw it. */
interface Run {
  readonly env: ReadonlyMap<string, string>;
  readonly stdin: string;
}

function runsIn(folder: string): Run[] {
  const numbers = [...Deno.readDirSync(folder)].map(({ name }) => Number(name));
  return numbers.sort((a, b) => a - b).map((number) => {
    const read = (name: string) =>
      BYTES.decode(Deno.readFileSync(`${folder}/${number}/${name}`));
    const pairs = read("env").split("\0").slice(0, -1).map((pair) => {
      const equals = pair.indexOf("=");
      return [pair.slice(0, equals), pair.slice(equals + 1)] as const;
    });
    return { env: new Map(pairs), stdin: read("stdin") };
  });
}

/** Event types of the members that go through them here. */
const EXPECTED: Readonly<Record<string, readonly string[]>> = {
  "member-join": ["ours", "hashicorp", "o2", "o3", "h2", "h3"],
  "member-update": ["o2", "h2"],
  "member-leave": ["o2", "h2"],
  "member-failed": ["o3", "h3"],
  "member-reap": ["o3", "h3"],
};

/**
 * What one agent's recorder saw, sorted: one text for each member of a member
 * event and for each other event, without what belongs to the agent alone.
 *
 * Gossip may tell the two slightly different stories: a member may be updated
 * twice, or fail for one of them while it leaves. So member events count once,
 * and only those that both are bound to see. A query counts once too, whatever its
 * Lamport time: one that somebody missed is asked again.
 */
function seenIn(folder: string): string[] {
  const uniqueTexts = new Set<string>();
  const otherTexts: string[] = [];
  for (const { env, stdin } of runsIn(folder)) {
    const variables = [...env]
      .filter(([name]) => name.startsWith("SERF_"))
      .filter(([name]) => name !== "SERF_SELF_NAME")
      .map(([name, value]) => `${name}=${value}`)
      .sort()
      .join("\n");
    const members = EXPECTED[env.get("SERF_EVENT") as string];
    if (members === undefined) {
      const text = `${variables}\n\n${stdin}`;
      if (env.get("SERF_EVENT") === "query") {
        uniqueTexts.add(text.replace(/^(SERF_QUERY_LTIME=)\d+$/m, "$1..."));
      } else {
        otherTexts.push(text);
      }
      continue;
    }
    for (const line of stdin.split("\n").slice(0, -1)) {
      if (!members.includes(line.split("\t")[0] as string)) continue;
      uniqueTexts.add(`${variables}\n\n${sortTags(line)}`);
    }
  }
  return [...uniqueTexts, ...otherTexts].sort();
}

/** The variables that all runs of an agent share, but for those of Serf. */
function inheritedIn(folder: string): [string, string][] {
  const sets = runsIn(folder).map(({ env }) =>
    [...env].filter(([name]) => !name.startsWith("SERF_")).sort()
  );
  for (const set of sets) assert.deepEqual(set, sets[0]);
  return sets[0] ?? [];
}

/** A line about a member with its tags in alphabetical order. */
function sortTags(line: string): string {
  const [name, address, role, tags = ""] = line.split("\t");
  // The one tag with a comma in it has another one after it, at most.
  const whole = tags.replace("v,w", "v;w").split(",").sort().join(",");
  return [name, address, role, whole].join("\t");
}

/**
 * Log lines about scripts, without their times. That a script is slow counts only
 * where it is meant to be; on a busy machine any may be. The original prints the
 * lines of a script as lines of its log; ours makes one of them, as is done here.
 */
function scriptLines(agent: Agent): string[] {
  // The last entry may not have come to its end yet.
  const whole = agent.output.slice(0, agent.output.lastIndexOf("\n") + 1);
  const entries = whole.split(/^ {4}\d{4}\/\S+ \S+ /m)
    .map((entry) => visibleEntry(entry.replace(/\n$/, "")));
  return entries.filter((entry) =>
    /agent: (Event '|Error invoking|Failed to respond)/.test(entry) ||
    /agent: Script '(sleep 2|sleep 2; echo late)' slow/.test(entry)
  );
}

testCluster(
  "scripts of both kinds of agent are told the same",
  async (cluster, step) => {
    const recorder = cluster.writeFile("recorder.sh", RECORDER);
    const folders = new Map<Agent, string>();
    const agents: Agent[] = [];
    const start = (
      kind: "ours" | "hashicorp",
      name: string,
      extra: {
        readonly tags?: Record<string, string>;
        readonly extraArgs?: readonly string[];
      } = {},
    ) =>
      cluster.start({
        kind,
        name,
        profile: "local",
        join: agents.slice(0, 1).map(({ gossip }) => gossip.text),
        ...extra,
      });
    for (const kind of KINDS) {
      const folder = recorder.replace("recorder.sh", kind);
      Deno.mkdirSync(folder);
      const agent = await start(kind, kind, {
        tags: TAGS,
        extraArgs: [
          `-event-handler=*=/bin/sh ${recorder} ${folder}`,
          "-event-handler=query:load=echo load-of-$SERF_SELF_NAME; echo err >&2",
        ],
      });
      folders.set(agent, folder);
      agents.push(agent);
    }
    const [ours, theirs] = agents as [Agent, Agent];

    /** Waits until the recorders of both have seen an event. */
    const bothSaw = (type: string, what: string) =>
      cluster.eventually(`both saw ${type} of ${what}`, () => {
        const missing = [...folders].filter(([, folder]) =>
          !runsIn(folder).some(({ env, stdin }) =>
            env.get("SERF_EVENT") === type &&
            (stdin.startsWith(`${what}\t`) || stdin.includes(`\n${what}\t`) ||
              stdin === `${what}\n`)
          )
        );
        return missing.length === 0 || missing.map(([{ name }]) => name);
      });

    await step("of joins, their own too", async () => {
      for (const { name } of agents) await bothSaw("member-join", name);
    });
    const o3 = await start("ours", "o3", { tags: { role: "web", x: "1" } });
    const h3 = await start("hashicorp", "h3", { tags: { "ß": "tab\there" } });
    const h2 = await start("hashicorp", "h2");
    const { host, port } = cluster.takeAddress();
    const o2 = NodeDriver.start({
      bind: { host, port },
      config: { swim: { name: "o2" }, tags: new Map([["role", "first"]]) },
      onEvent: () => {},
      onLog: () => {},
    });
    try {
      await o2.join([theirs.gossip.text], { replay: false });
      await step("of joins of either kind", async () => {
        for (const name of ["o2", "o3", "h2", "h3"]) {
          await bothSaw("member-join", name);
        }
      });

      await step("of new tags of either kind", async () => {
        await o2.setTags(new Map([["role", "second"], ["k", "a\nb"]]));
        await h2.succeed("hashicorp", "tags", ["-set", "k=v,w=z"]);
        for (const name of ["o2", "h2"]) await bothSaw("member-update", name);
      });

      await step("of user events from either kind", async () => {
        for (const agent of agents) {
          const send = (name: string, payload: string) =>
            agent.succeed("hashicorp", "event", [
              "-coalesce=false",
              name,
              payload,
            ]);
          await send("deploy", `${agent.name} v1`);
          await bothSaw("user", `${agent.name} v1`);
          await send("ünï 'x' \"y\"", `${agent.name}\ttwo\nlines`);
          await bothSaw("user", `${agent.name}\ttwo\nlines`);
          await send("with newline", `${agent.name}\n`);
          await bothSaw("user", `${agent.name}`);
          await send("empty", "");
          await send("after", `${agent.name} end`);
          await bothSaw("user", `${agent.name} end`);
        }
        o2.userEvent("embedded", Uint8Array.of(1, 0xff), { coalesce: false });
        await bothSaw("user", "\x01\xff");
      });

      await step("of queries from either kind, and answer alike", async () => {
        for (const { agent, cli } of pairsOf(agents)) {
          const payload = `${agent.name} ${cli}`;
          // Scripts run one after another, those of earlier events first, and
          // gossip may miss a node: a question that falls short is asked again.
          const expected = {
            hashicorp: "load-of-hashicorp\nerr\n",
            ours: "load-of-ours\nerr\n",
          };
          await cluster.eventually(`${payload}: both answer`, async () => {
            const text = await agent.succeed(cli, "query", [
              "-format=json",
              "-timeout=4s",
              "load",
              payload,
            ]);
            assert.deepEqual(JSON.parse(text).Responses, expected);
            return true;
          });
          await bothSaw("query", payload);
        }
      });

      await step("of leaves of either kind", async () => {
        await o2.leave();
        await h2.succeed("hashicorp", "leave");
        for (const name of ["o2", "h2"]) await bothSaw("member-leave", name);
      });
    } finally {
      o2.shutdown();
    }

    await step("of failures of either kind", async () => {
      await Promise.all([o3.process.kill(), h3.process.kill()]);
      for (const name of ["o3", "h3"]) await bothSaw("member-failed", name);
    });

    await step("of members that are forgotten", async () => {
      for (const name of ["o3", "h3"]) {
        // Asked of both, since among so many dead members gossip may get lost.
        for (const agent of agents) {
          await agent.succeed("hashicorp", "force-leave", ["-prune", name]);
        }
        await bothSaw("member-reap", name);
      }
    });

    await step("and the same, all in all", async () => {
      const [oursIn, theirsIn] = agents.map((agent) =>
        folders.get(agent) as string
      ) as [string, string];
      // 14 member events, 11 user events, 4 queries.
      await cluster.eventually("both saw all", () => {
        const counts = [oursIn, theirsIn].map((each) => seenIn(each).length);
        return counts.every((count) => count === 29) || counts;
      });
      const seenByOurs = seenIn(oursIn);
      assert.deepEqual(seenByOurs, seenIn(theirsIn));
      assert.deepEqual(inheritedIn(oursIn), inheritedIn(theirsIn));
      const types = new Set(
        seenByOurs.map((text) => /^SERF_EVENT=(.*)$/m.exec(text)?.[1]),
      );
      assert.equal(types.size, 7);
    });

    await step("and operators are shown the same", async () => {
      const shown = async (agent: Agent) => {
        const text = await agent.succeed("hashicorp", "info", ["-format=json"]);
        return JSON.parse(
          text.replaceAll(folders.get(agent) as string, "FOLDER"),
        ).event_handlers;
      };
      assert.deepEqual(await shown(ours), await shown(theirs));
      assert.equal(Object.keys(await shown(ours)).length, 2);
    });
  },
  { needs: ["serf"] },
);

/** Scripts that end in all ways, and what comes of them. */
const SCRIPTS = [
  "user:fail=echo bad; exit 7",
  "user:missing=/no/such/thing",
  "user:kill=kill -9 $$",
  "user:term=kill $$",
  "user:pipe=cat | tr a-z A-Z",
  'user:eq=X=1 sh -c "echo X=\\$X"',
  'user:shell=echo "shell=$0 args=$#"',
  "user:blank=echo; echo; echo",
  "user:both=echo out; echo err >&2; echo out; echo err >&2",
  "user:flood=i=0; while [ $i -lt 1000 ]; do echo line $i aaaaaaaaaa; i=$((i+1)); done",
  "user:stdin=exec <&-; echo done",
  "user:slow=sleep 2",
  "user:detach=sleep 2 >/dev/null 2>&1 &",
  "user:twice,user,user:twice=echo twice",
  "query:spec=echo first",
  "query:spec=echo second",
  "query:fail=echo no; exit 3",
  "query:silent=true",
  "query:big=head -c 1500 /dev/zero | tr '\\0' x",
  "query:bigok=head -c 900 /dev/zero | tr '\\0' x",
  "query:late=sleep 2; echo late",
];

testCluster(
  "scripts of both kinds of agent end alike",
  async (cluster, step) => {
    const agents: Agent[] = [];
    for (const kind of KINDS) {
      agents.push(
        await cluster.start({
          kind,
          name: kind,
          profile: "local",
          extraArgs: SCRIPTS.map((script) => `-event-handler=${script}`),
        }),
      );
    }
    const [ours, theirs] = agents as [Agent, Agent];
    const endAlike = async (expected: number) => {
      await cluster.eventually("both logged as much", () => {
        const counts = agents.map((agent) => scriptLines(agent).length);
        return counts.every((count) => count >= expected) || counts;
      });
      assert.deepEqual(scriptLines(ours), scriptLines(theirs));
      assert.equal(scriptLines(ours).length, expected);
    };

    await step("for user events", async () => {
      const names = SCRIPTS.flatMap((script) =>
        /^user:(\w+)/.exec(script)?.[1] ?? []
      );
      for (const agent of agents) {
        for (const name of names) {
          await agent.succeed("hashicorp", "event", [
            "-coalesce=false",
            name,
            "hello",
          ]);
        }
      }
      // A line for each run and failure, and for the slow script.
      const runs = names.length - 1 + names.length + 2;
      await endAlike(runs + 4 + 1);
    });

    await step("for queries", async () => {
      const before = scriptLines(ours).length;
      const ask = async (name: string, flag = "-timeout=3s") => {
        const [a, b] = await Promise.all(
          agents.map(async (agent) =>
            (await agent.succeed("hashicorp", "query", [flag, name]))
              .replaceAll(agent.name, "NAME")
          ),
        );
        assert.equal(a, b, name);
        return a;
      };
      assert.match(await ask("spec") ?? "", /^Response from 'NAME': first\n/m);
      for (const name of ["fail", "silent", "big"]) {
        assert.match(await ask(name) ?? "", /Total Responses: 0\n$/, name);
      }
      assert.match(
        await ask("bigok") ?? "",
        /: x{900}\n.*Total Responses: 1\n$/s,
      );
      assert.match(await ask("late", "-timeout=1s") ?? "", /Responses: 0\n$/);
      // spec 2 and a warning, fail 2, silent, big and a warning, bigok, late and
      // two warnings.
      await endAlike(before + 3 + 2 + 1 + 2 + 1 + 3);
    });
  },
  { needs: ["serf"] },
);

/** Each agent with each command line. */
function pairsOf(
  agents: readonly Agent[],
): { agent: Agent; cli: "ours" | "hashicorp" }[] {
  return agents.flatMap((agent) => KINDS.map((cli) => ({ agent, cli })));
}
