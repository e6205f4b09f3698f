/**
 * The commands that change something or follow something (`event`, `join`,
 * `force-leave`, `leave`, `monitor`): both command lines against both kinds of
 * agent.
 */

import assert from "node:assert/strict";
import {
  agentOf,
  type Comparison,
  type Side,
  sortedRows,
  startSides,
  withoutHelp,
} from "./comparison.ts";
import {
  type Cluster,
  type Kind,
  KINDS,
  Running,
  testCluster,
} from "./harness.ts";

/** A line of an agent's log. */
const LOG_LINE = /^\d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d \[INFO\] \S+: /m;

testCluster(
  "actions say the same in all combinations",
  async (cluster, step) => {
    const both = await startSides(cluster);
    await startNewcomers(cluster, both);
    await step("event", () => events(both));
    await step("event: what cannot be sent", () => refusedEvents(both));
    await step("tags", () => tags(both));
    await step("join: what cannot be joined", () => refusedJoins(both));
    await step("join", () => joins(both));
    await step("force-leave", () => forceLeaves(cluster, both));
    await step("leave", () => leaves(cluster, both));
    await step("force-leave -prune", () => prunes(cluster, both));
    await step("monitor: levels", () => monitorLevels(cluster, both));
    await step(
      "monitor: until interrupted",
      () => interruptedMonitors(cluster, both),
    );
    await step(
      "monitor: until the agent dies",
      () => orphanedMonitors(cluster, both),
    );
  },
  { needs: ["serf"] },
);

async function events(both: Comparison): Promise<void> {
  await both.same("n1", "event", ["deploy", "v1.2"], {
    code: 0,
    stdout: "Event 'deploy' dispatched! Coalescing enabled: true\n",
  });
  await both.same("n2", "event", ["-coalesce=false", "deploy"], {
    code: 0,
    stdout: "Event 'deploy' dispatched! Coalescing enabled: false\n",
  });
  // A boolean flag has no separate value: the event's name is "false".
  await both.same("n3", "event", ["-coalesce", "false", "deploy"], {
    code: 0,
    stdout: "Event 'false' dispatched! Coalescing enabled: true\n",
  });
  await both.same("n1", "event", ["", "nameless"], {
    code: 0,
    stdout: "Event '' dispatched! Coalescing enabled: true\n",
  });
  await both.same("n1", "event", ["--", "-odd-", "héllo ☃"], {
    code: 0,
    stdout: "Event '-odd-' dispatched! Coalescing enabled: true\n",
  });
}

async function refusedEvents(both: Comparison): Promise<void> {
  const before =
    "Error sending event: user event exceeds configured limit of 512 bytes before encoding\n";
  const after =
    "Error sending event: encoded user event exceeds configured limit of 512 bytes after encoding\n";
  await both.same("n1", "event", ["n".repeat(12), "x".repeat(501)], {
    code: 1,
    stdout: before,
  });
  await both.same("n1", "event", ["n".repeat(513)], {
    code: 1,
    stdout: before,
  });
  await both.same("n1", "event", ["n".repeat(12), "x".repeat(500)], {
    code: 1,
    stdout: after,
  });
  const last = await longestPayload(both);
  await both.same("n1", "event", ["e", "x".repeat(last)], {
    code: 0,
    stdout: "Event 'e' dispatched! Coalescing enabled: true\n",
  });
  await both.same("n1", "event", ["e", "x".repeat(last + 1)], {
    code: 1,
    stdout: after,
  });
  await both.sameAlone(["event"], {
    code: 1,
    stdout: "An event name must be specified.\n\nUsage: serf event ...\n",
    normalise: withoutHelp,
  });
  await both.sameAlone(["event", "a", "b", "c"], {
    code: 1,
    stdout:
      "Too many command line arguments. Only a name and payload must be specified.\n\n" +
      "Usage: serf event ...\n",
    normalise: withoutHelp,
  });
}

async function tags(both: Comparison): Promise<void> {
  const cases: readonly (readonly [readonly string[], string])[] = [
    [
      ["-set", "color=blue", "-set", "size=10"],
      "color=blue,dc=east,role=lb,size=10",
    ],
    [
      ["-delete", "size", "-delete", "nosuch", "-set", "color=red"],
      "color=red,dc=east,role=lb",
    ],
    [
      ["-set", "color=green", "-delete", "color"],
      "color=green,dc=east,role=lb",
    ],
    [
      ["-set", "kv=a=b", "-set", "empty="],
      "color=green,dc=east,empty=,kv=a=b,role=lb",
    ],
    [
      ["-delete", "kv", "-delete", "empty", "-delete", "color"],
      "dc=east,role=lb",
    ],
  ];
  for (const [args, expected] of cases) {
    await both.same("n1", "tags", args, {
      code: 0,
      stdout: "Successfully updated agent tags\n",
    });
    await both.same("n1", "members", ["-name=n1"], {
      code: 0,
      stdout: `n1  GOSSIP-OF-n1  alive  ${expected}`,
      normalise: (text) => sortedRows(text).trim(),
    });
  }
  await both.same("n1", "tags", ["-set", "abc"], {
    code: 1,
    stdout: "Error: Invalid tag: 'abc'\n",
  });
  await both.same("n1", "tags", ["-set", `k=${"x".repeat(600)}`], {
    code: 1,
    stdout:
      "Error setting tags: Encoded length of tags exceeds limit of 512 bytes\n",
  });
  await both.same("n1", "tags", [], {
    code: 1,
    stdout: "Usage: serf tags ...\n",
    normalise: withoutHelp,
  });
}

async function refusedJoins(both: Comparison): Promise<void> {
  await both.sameAlone(["join"], {
    code: 1,
    stdout:
      "At least one address to join must be specified.\n\nUsage: serf join ...\n",
    normalise: withoutHelp,
  });
  await both.same("n1", "join", ["127.0.0.1:1"], {
    code: 1,
    stdout: "Error joining the cluster: 1 error occurred:\n" +
      "\t* Failed to join 127.0.0.1: dial tcp 127.0.0.1:1: connect: connection refused\n\n\n",
  });
  await both.same("n1", "join", ["127.0.0.1:1", "127.0.0.2:2"], {
    code: 1,
    stdout:
      /^Error joining the cluster: 2 errors occurred:\n\t\* Failed to join 127\.0\.0\.1: /,
  });
  await both.same("n1", "join", ["nobody.invalid:7946"], {
    code: 1,
    stdout:
      /^Error joining the cluster: 1 error occurred:\n\t\* Failed to resolve nobody\.invalid:7946: lookup /,
    // Go names the server that it asked; the system resolver does not tell.
    normalise: (text) => text.replace(/(lookup nobody\.invalid).*/, "$1 ..."),
  });
}

/** The longest payload of an event "e" that the original takes. */
async function longestPayload(both: Comparison): Promise<number> {
  const original = both.agents("n1").find((agent) =>
    agent.kind === "hashicorp"
  );
  let [fits, tooLong] = [0, 512];
  while (tooLong - fits > 1) {
    const middle = Math.floor((fits + tooLong) / 2);
    const result = await original?.command("hashicorp", "event", [
      "e",
      "x".repeat(middle),
    ]);
    if (result?.code === 0) fits = middle;
    else tooLong = middle;
  }
  return fits;
}

/** On each side one agent for each command line, not joined to anybody. */
async function startNewcomers(
  cluster: Cluster,
  both: Comparison,
): Promise<void> {
  await Promise.all(both.sides.flatMap((side) =>
    KINDS.map(async (cli) => {
      const name = newcomer(cli);
      side.agents.set(
        name,
        await cluster.start({ kind: side.kind, name, tags: { role: "new" } }),
      );
    })
  ));
}

/** The newcomer that is joined, and told to leave, by that command line. */
function newcomer(cli: Kind): string {
  return `new-${cli}`;
}

async function joins(both: Comparison): Promise<void> {
  const one = "Successfully joined cluster by contacting 1 nodes.\n";
  const two = one.replace("1", "2");
  const cases:
    readonly (readonly [(side: Side) => readonly string[], string])[] = [
      [(side) => [gossipOf(side, "n1")], one],
      [(side) => [gossipOf(side, "n2"), gossipOf(side, "n3")], two],
      [(side) => ["-replay", "127.0.0.1:1", gossipOf(side, "n3")], one],
      [(side) => [`n3/${gossipOf(side, "n3")}`], one],
    ];
  for (const [args, stdout] of cases) {
    await both.sameRaw(
      (
        side,
        cli,
      ) => ["join", ...agentOf(side, newcomer(cli)).rpcFlags, ...args(side)],
      { code: 0, stdout },
    );
  }
}

async function leaves(cluster: Cluster, both: Comparison): Promise<void> {
  await both.sameRaw(
    (side, cli) => ["leave", ...agentOf(side, newcomer(cli)).rpcFlags],
    {
      code: 0,
      stdout: "Graceful leave complete\n",
    },
  );
  for (const side of both.sides) {
    for (const cli of KINDS) {
      const exit = await cluster.exitOf(agentOf(side, newcomer(cli)));
      assert.equal(exit.code, 0, `exit code of a ${side.kind} agent that left`);
    }
  }
  await everySideShows(cluster, both, "left", ["n3", ...KINDS.map(newcomer)]);
  await both.same("n1", "members", ["-status=left", "-name=new-.*"], {
    code: 0,
    stdout:
      /^\nnew-hashicorp {2}GOSSIP-OF-new-hashicorp {2}left {2}role=new\nnew-ours .*$/,
    normalise: sortedRows,
  });
  await both.sameRaw(
    (side, cli) => ["members", ...agentOf(side, newcomer(cli)).rpcFlags],
    {
      code: 1,
      stdout:
        /^Error connecting to Serf agent: dial tcp RPC-OF-\S+: connect: connection refused\n$/,
      normalise: (text) => text.replace(/RPC-OF-new-\w+/, "RPC-OF-newcomer"),
    },
  );
}

async function forceLeaves(cluster: Cluster, both: Comparison): Promise<void> {
  for (const args of [[], ["n1", "n2"]]) {
    await both.sameAlone(["force-leave", ...args], {
      code: 1,
      stdout:
        "A node name must be specified to force leave.\n\nUsage: serf force-leave ...\n",
      normalise: withoutHelp,
    });
  }
  const silence = { code: 0, stdout: "" };
  await both.same("n1", "force-leave", ["nobody"], silence);
  for (const agent of both.agents("n3")) agent.signal("SIGKILL");
  await everySideShows(cluster, both, "failed", ["n3"]);
  await both.same("n1", "members", ["-status=failed", "-detailed"], {
    code: 0,
    stdout: /^n3 {2}GOSSIP-OF-n3 {2}failed {2}role=web {2}Protocol Version: 5 /,
  });
  await both.same("n1", "force-leave", ["n3"], silence);
  await everySideShows(cluster, both, "left", ["n3"]);
}

async function prunes(cluster: Cluster, both: Comparison): Promise<void> {
  const silence = { code: 0, stdout: "" };
  await both.same("n1", "force-leave", ["-prune", "n3"], silence);
  await both.sameRaw(
    (
      side,
      cli,
    ) => [
      "force-leave",
      "-prune",
      ...agentOf(side, "n1").rpcFlags,
      newcomer(cli),
    ],
    silence,
  );
  await everySideShows(cluster, both, "left", []);
  await both.same("n1", "members", ["-format=json", "-status=left|failed"], {
    code: 0,
    stdout: '{\n  "members": null\n}\n',
  });
}

async function monitorLevels(
  cluster: Cluster,
  both: Comparison,
): Promise<void> {
  await both.same("n1", "monitor", ["-log-level=foo"], {
    code: 1,
    stdout: "Error starting monitor: Unknown log level: FOO\n",
    // The event stream begins before the log is refused, and shows what happens.
    normalise: (text) => text.replace(/^Event Info:\n(\t.*\n)*/gm, ""),
  });
  for (
    const [level, shown, hidden] of [
      ["debug", ["DEBUG", "INFO"], ["TRACE"]],
      ["Info", ["INFO"], ["DEBUG"]],
      ["ERR", [], ["DEBUG", "INFO"]],
    ] as const
  ) {
    const outputs = await monitorsThatSaw(
      cluster,
      both,
      `at-${level}`,
      [`-log-level=${level}`],
      (stdout) => shown.every((word) => stdout.includes(`[${word}] `)),
    );
    for (const { title, stdout } of outputs) {
      for (const word of hidden) {
        assert.ok(!stdout.includes(`[${word}] `), `${title} hides ${word}`);
      }
    }
  }
}

async function interruptedMonitors(
  cluster: Cluster,
  both: Comparison,
): Promise<void> {
  const outputs = await monitorsThatSaw(
    cluster,
    both,
    "watched",
    [],
    (stdout) => LOG_LINE.test(stdout),
  );
  const blocks = outputs.map(({ title, stdout }) => {
    const fields = /^Event Info:\n((?:\t.*\n)*?\tName: "watched"\n(?:\t.*\n)*)/m
      .exec(stdout)?.[1];
    assert.ok(fields, `${title} shows the event:\n${stdout}`);
    return {
      title,
      fields: fields.replace(/(LTime): .*/, "$1: ...").split("\n").sort(),
    };
  });
  const wanted = [
    "",
    "\tCoalesce: false",
    '\tEvent: "user"',
    "\tLTime: ...",
    '\tName: "watched"',
  ];
  for (const { title, fields } of blocks) {
    const [payload, ...others] = fields.slice().sort((a) =>
      a.startsWith("\tPayload: ") ? -1 : 1
    );
    assert.ok(payload?.startsWith("\tPayload: "), title);
    assert.deepEqual(others.sort(), wanted, title);
  }
}

async function orphanedMonitors(
  cluster: Cluster,
  both: Comparison,
): Promise<void> {
  const monitors = startMonitors(both, []);
  for (const { title, process } of monitors) {
    await cluster.eventually(
      `${title} shows the log`,
      () => LOG_LINE.test(process.stdout),
    );
  }
  for (const agent of both.agents("n1")) agent.signal("SIGKILL");
  for (const { title, process } of monitors) {
    const { code } = await process.ended;
    assert.equal(code, 1, title);
    assert.ok(
      process.stdout.endsWith(
        "\n\nRemote side ended the monitor! This usually means that the\nremote side has exited or crashed.\n",
      ),
      `${title} ends with\n${process.stdout.slice(-300)}`,
    );
    assert.equal(process.stderr, "");
  }
}

interface Monitor {
  readonly title: string;
  readonly process: Running;
}

/** `serf monitor` of both programs on n1 of both sides. */
function startMonitors(both: Comparison, flags: readonly string[]): Monitor[] {
  return both.agents("n1").flatMap((agent) =>
    KINDS.map((cli) => ({
      title: `'serf monitor ${flags.join(" ")}' of ${cli} on ${agent.kind}`,
      process: new Running(cli, ["monitor", ...agent.rpcFlags, ...flags]),
    }))
  );
}

/**
 * Lets four monitors see one event and show what they should of the log, which
 * comes beside it; interrupts them, and returns what they printed.
 */
async function monitorsThatSaw(
  cluster: Cluster,
  both: Comparison,
  event: string,
  flags: readonly string[],
  showsLog: (stdout: string) => boolean,
): Promise<{ title: string; stdout: string }[]> {
  const monitors = startMonitors(both, flags);
  try {
    // Nothing tells that a monitor which shows no log has subscribed: send until it answers.
    for (const { title, process } of monitors) {
      await cluster.eventually(`${title} shows ${event}`, async () => {
        if (process.stdout.includes(`\tName: "${event}"\n`)) return true;
        for (const agent of both.agents("n1")) {
          await agent.succeed("hashicorp", "event", [
            "-coalesce=false",
            event,
            "v9",
          ]);
        }
        return process.stdout;
      });
    }
    for (const { title, process } of monitors) {
      await cluster.eventually(
        `${title} shows the log`,
        () => showsLog(process.stdout) || process.stdout,
      );
    }
    for (const { process } of monitors) process.signal("SIGINT");
    return await Promise.all(monitors.map(async ({ title, process }) => {
      assert.deepEqual(await process.ended, { code: 0, signal: null }, title);
      assert.equal(process.stderr, "", title);
      return { title, stdout: process.stdout };
    }));
  } finally {
    await Promise.all(monitors.map(({ process }) => process.kill()));
  }
}

/** Waits until n1 of both sides lists exactly these members under that status. */
async function everySideShows(
  cluster: Cluster,
  both: Comparison,
  status: string,
  names: readonly string[],
): Promise<void> {
  const wanted = [...names].sort().join();
  for (const agent of both.agents("n1")) {
    await cluster.eventually(
      `${agent.kind} n1 lists as ${status}: ${wanted}`,
      async () => {
        const members = [...(await agent.members()).values()];
        const listed = members.filter((member) => member.Status === status).map(
          (m) => m.Name,
        );
        return listed.sort().join() === wanted || listed;
      },
    );
  }
}

function gossipOf(side: Side, name: string): string {
  return agentOf(side, name).gossip.text;
}
