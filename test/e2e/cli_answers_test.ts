/**
 * The commands that ask the whole cluster (`query`, `reachability`, `rtt`,
 * `keys`): both command lines against both kinds of agent.
 *
 * Who answers first is chance, so lines are sorted. Reasons that 0.9.4 begins with
 * a capital letter begin with a small one here, as in later releases. What a change of keys that
 * only some nodes can follow looks like depends on who hears it in time; that
 * row is replayed from its recording alone (`test/cmd/captures_test.ts`).
 */

import assert from "node:assert/strict";
import {
  agentOf,
  type Comparison,
  startSides,
  withoutHelp,
} from "./comparison.ts";
import { KINDS, poll, randomKey, Running, testCluster } from "./harness.ts";

/** On n1 and n2 alone, since n3 is to ack and say nothing. */
const HANDLERS = [
  "query:load=[ $SERF_SELF_NAME = n3 ] || echo load-$SERF_SELF_NAME",
  "query:noout=true",
  "query:fail=echo no; exit 3",
  "query:multi=[ $SERF_SELF_NAME != n2 ] || printf 'l1\\nl2\\n'",
  "query:late=sleep 2; echo late",
];

/** How often a question is asked that gossip may keep from somebody. */
const ATTEMPTS_MAX = 5;

const sortedLines = (text: string) => text.split("\n").sort().join("\n");

const sortedReasons = (text: string) =>
  sortedLines(
    text.replace(/^(failed: .*? {2})([A-Z])/gm, (_, start, letter) =>
      start + letter.toLowerCase()),
  );

function sortedAcks(text: string): string {
  const report = JSON.parse(text) as { Acks: string[] | null };
  report.Acks?.sort();
  return JSON.stringify(report);
}

testCluster(
  "questions are answered alike in all combinations",
  async (cluster, step) => {
    const both = await startSides(cluster, {
      profile: "local",
      extraArgs: HANDLERS.map((handler) => `-event-handler=${handler}`),
    });
    await step("query", () => queries(both));
    await step("query: JSON", () => queriesAsJson(both));
    await step("query: what cannot be asked", () => refusedQueries(both));
    await step("query: until interrupted", () => interruptedQueries(both));
    await step("reachability", () => reachability(both));
    await step("rtt", () => roundTrips(both));
    await step("keys without encryption", () => keysInTheClear(both));
  },
  { needs: ["serf"] },
);

/** What `serf query` prints, as an expression for the sorted lines. */
function report(
  name: string,
  acks: readonly string[],
  answers: readonly string[],
): string {
  return [
    ...acks.map((node) => `Ack from '${node}'`),
    ...answers.map((node) => `Response from '${node}': load-${node}`),
    `Query '${name}' dispatched`,
    `Total Acks: ${acks.length}`,
    `Total Responses: ${answers.length}`,
    "",
  ].sort().join("\n");
}

async function queries(both: Comparison): Promise<void> {
  const all = ["n1", "n2", "n3"];
  const cases: readonly (readonly [readonly string[], string[], string[]])[] = [
    [["load"], all, ["n1", "n2"]],
    [["-timeout=1s", "load"], all, ["n1", "n2"]],
    [["-timeout=2s", "load", "payload"], all, ["n1", "n2"]],
    [["-relay-factor=2", "load"], all, ["n1", "n2"]],
    [["-node=n1", "-node=n2", "load"], ["n1", "n2"], ["n1", "n2"]],
    [["-node=zz", "load"], [], []],
    [["-tag", "role=web", "load"], ["n2", "n3"], ["n2"]],
    [["-tag", "role=e", "load"], ["n2", "n3"], ["n2"]],
    [["-tag", "role=(", "load"], [], []],
    [["noout"], all, []],
    [["fail"], all, []],
    [["nobody"], all, []],
    [["-timeout=1s", "late"], all, []],
    [["_serf_ping"], all, []],
  ];
  for (const [args, acks, answers] of cases) {
    const name = args.find((arg) => /^[a-z_]+$/.test(arg)) as string;
    await both.same("n1", "query", args, {
      code: 0,
      isGossiped: true,
      stdout: report(name, acks, answers),
      normalise: sortedLines,
    });
  }
  await both.same("n1", "query", ["-no-ack", "load"], {
    code: 0,
    isGossiped: true,
    stdout: report("load", [], ["n1", "n2"]).replace("Total Acks: 0\n", ""),
    normalise: sortedLines,
  });
  await both.same("n1", "query", ["multi"], {
    code: 0,
    isGossiped: true,
    stdout: /Response from 'n2': l1\nTotal Acks: 3\n.*\nl2$/,
    normalise: sortedLines,
  });
}

async function queriesAsJson(both: Comparison): Promise<void> {
  const cases: readonly (readonly [readonly string[], unknown])[] = [
    [["load"], {
      Acks: ["n1", "n2", "n3"],
      Responses: { n1: "load-n1\n", n2: "load-n2\n" },
    }],
    [["-no-ack", "load"], {
      Acks: null,
      Responses: { n1: "load-n1\n", n2: "load-n2\n" },
    }],
    [["-node=zz", "load"], { Acks: null, Responses: {} }],
    [["multi"], {
      Acks: ["n1", "n2", "n3"],
      Responses: { n2: "l1\nl2\n" },
    }],
  ];
  for (const [args, expected] of cases) {
    await both.same("n1", "query", ["-format=json", ...args], {
      code: 0,
      isGossiped: true,
      stdout: JSON.stringify(expected),
      normalise: sortedAcks,
    });
  }
}

async function refusedQueries(both: Comparison): Promise<void> {
  const cases: readonly (readonly [readonly string[], string | RegExp])[] = [
    [["-format=xml", "load"], "Invalid format: xml\n"],
    [["-tag", "role", "load"], "Error: Invalid tag: 'role'\n"],
    [["-relay-factor=-1", "load"], "Relay factor must be between 0 and 255\n"],
    [["-relay-factor=256", "load"], "Relay factor must be between 0 and 255\n"],
    [[], /^A query name must be specified\.\n\nUsage: serf query \.\.\.\n$/],
    [["a", "b", "c"], /^Too many command line arguments\. /],
    [
      ["_serf_foo"],
      "Error sending query: Queries cannot contain the '_serf_' prefix\n",
    ],
    [
      ["_serf_ping", "x"],
      "Error sending query: Queries cannot contain the '_serf_' prefix\n",
    ],
    [
      ["q", "x".repeat(1_100)],
      "Error sending query: query exceeds limit of 1024 bytes\n",
    ],
  ];
  for (const [args, stdout] of cases) {
    await both.same("n1", "query", args, {
      code: 1,
      stdout,
      normalise: withoutHelp,
    });
  }
}

/** What a command has printed when it is interrupted, and its exit code. */
async function interrupted(
  both: Comparison,
  command: readonly string[],
  isReady: (stdout: string) => boolean,
): Promise<[number, string][]> {
  const runs = both.sides.flatMap((side) =>
    KINDS.map(async (cli): Promise<[number, string]> => {
      const [name = "", ...args] = command;
      const rpc = agentOf(side, "n1").rpcFlags;
      // Gossip may miss a node: a question that falls short is asked again.
      for (let attempt = 1;; attempt++) {
        const running = new Running(cli, [name, ...rpc, ...args]);
        const last = await poll(() => isReady(running.stdout), 15_000);
        running.signal("SIGINT");
        const { code } = await running.ended;
        if (last !== true && attempt < ATTEMPTS_MAX) continue;
        return [code, sortedLines(running.stdout)];
      }
    })
  );
  return await Promise.all(runs);
}

async function interruptedQueries(both: Comparison): Promise<void> {
  const ends = await interrupted(
    both,
    ["query", "-timeout=20s", "load"],
    (stdout) => (stdout.match(/ from /g) ?? []).length === 5,
  );
  const [all] = ends as [[number, string]];
  assert.equal(all[0], 1);
  for (const end of ends) assert.deepEqual(end, all);
}

async function reachability(both: Comparison): Promise<void> {
  await both.same("n1", "reachability", [], {
    code: 0,
    isGossiped: true,
    stdout: "Total members: 3, live members: 3\n" +
      "Starting reachability test...\n" +
      "Successfully contacted all live nodes\n",
  });
  await both.same("n1", "reachability", ["-verbose"], {
    code: 0,
    isGossiped: true,
    stdout: /\tAck from 'n1'\n\tAck from 'n2'\n\tAck from 'n3'\n/,
    normalise: (text) =>
      sortedLines(text).replaceAll(/\d+\.\d\d sec/g, "N sec"),
  });
}

async function roundTrips(both: Comparison): Promise<void> {
  const withoutTime = (text: string) => text.replace(/[\d.]+ ms/, "N ms");
  for (
    const [args, pair] of [
      [["n1", "n2"], "n1 <-> n2"],
      [["n2"], "n2 <-> n1"],
      [["n1"], "n1 <-> n1"],
    ] as const
  ) {
    await both.same("n1", "rtt", args, {
      code: 0,
      stdout: `Estimated ${pair} rtt: N ms\n`,
      normalise: withoutTime,
    });
  }
  for (const args of [["nope"], ["n1", "nope"]]) {
    await both.same("n1", "rtt", args, {
      code: 1,
      stdout: 'Could not find a coordinate for node "nope"\n',
    });
  }
  for (const args of [[], ["a", "b", "c"]]) {
    await both.same("n1", "rtt", args, {
      code: 1,
      stdout:
        "One or two node names must be specified\n\nUsage: serf rtt ...\n",
      normalise: withoutHelp,
    });
  }
}

const KEY = randomKey(32);

async function keysInTheClear(both: Comparison): Promise<void> {
  await both.same("n1", "keys", [`-install=${KEY}`], {
    code: 1,
    isGossiped: true,
    stdout:
      /^failed: {2}n1 {2}no keyring to modify \(encryption not enabled\)$/m,
    normalise: sortedReasons,
  });
  await both.same("n1", "keys", ["-list"], {
    code: 1,
    isGossiped: true,
    stdout: /^failed: {2}n3 {2}keyring is empty \(encryption not enabled\)$/m,
    normalise: sortedReasons,
  });
  for (
    const args of [["-list", `-use=${KEY}`], [`-install=${KEY}`, "-remove=b"]]
  ) {
    await both.same("n1", "keys", args, {
      code: 1,
      isGossiped: true,
      stdout: "Only one of -install, -use, -remove, or -list allowed\n",
    });
  }
  await both.same("n1", "keys", [], {
    code: 1,
    isGossiped: true,
    stdout: "Usage: serf keys ...\n",
    normalise: withoutHelp,
  });
  await both.same("n1", "keys", ["-install=@@@"], {
    code: 1,
    isGossiped: true,
    stdout: "==> Installing key on all members...\n\n" +
      "Error installing key: illegal base64 data at input byte 0\n",
  });
}

testCluster("keys change alike in all combinations", async (cluster) => {
  const first = randomKey(32);
  const both = await startSides(cluster, { profile: "local", encrypt: first });
  const listed = (...keys: readonly string[]) => ({
    code: 0,
    isGossiped: true,
    stdout: keys.map((key) => `${key}  [3/3]`).sort().join("\n"),
    normalise: (text: string) =>
      text.split("\n").filter((line) => line.endsWith("]")).sort().join("\n"),
  });
  const done = (what: RegExp) => ({ code: 0, isGossiped: true, stdout: what });
  await both.same("n1", "keys", ["-list"], listed(first));
  await both.same("n1", "keys", [`-install=${KEY}`], done(/installed key!\n$/));
  await both.same("n1", "keys", [`-install=${KEY}`], done(/installed key!\n$/));
  await both.same("n1", "keys", ["-list"], listed(first, KEY));
  await both.same("n3", "keys", [`-use=${KEY}`], done(/primary key!\n$/));
  await both.same("n1", "keys", [`-remove=${KEY}`], {
    code: 1,
    isGossiped: true,
    stdout: /^failed: {2}n2 {2}removing the primary key is not allowed$/m,
    normalise: sortedReasons,
  });
  await both.same("n1", "keys", ["-install=AAAA"], {
    code: 1,
    isGossiped: true,
    stdout: /^failed: {2}n2 {2}key size must be 16, 24 or 32 bytes$/m,
    normalise: sortedLines,
  });
  await both.same("n1", "keys", [`-remove=${first}`], done(/removed key!\n$/));
  await both.same("n1", "keys", [`-remove=${first}`], done(/removed key!\n$/));
  await both.same("n1", "keys", ["-list"], listed(KEY));
}, { needs: ["serf"] });
