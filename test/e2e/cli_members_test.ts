/**
 * `members` and `info`, and reaching an agent at all: both command lines
 * against both kinds of agent.
 */

import {
  type Comparison,
  sortedMembers,
  sortedRows,
  startSides,
  TOKEN,
  withoutHelp,
} from "./comparison.ts";
import { hasIpv6, testCluster } from "./harness.ts";

const DETAILS = "Protocol Version: 5  Available Protocol Range: \\[2, 5\\]";

/** Commands that ask an agent something, with how each words a refusal. */
const REFUSALS: readonly (readonly [string, readonly string[], string])[] = [
  ["event", ["deploy"], "Error sending event"],
  ["force-leave", ["nobody"], "Error force leaving"],
  ["info", [], "Error querying agent"],
  ["join", ["127.0.0.1:1"], "Error joining the cluster"],
  [
    "keys",
    ["-list"],
    "==> Asking all members for installed keys...\n\n" +
    "Failed to gather member keys",
  ],
  ["leave", [], "Error leaving"],
  ["members", [], "Error retrieving members"],
  ["monitor", [], "Error starting stream"],
  ["query", ["load"], "Error sending query"],
  ["reachability", [], "Error getting members"],
  ["rtt", ["n1", "n3"], "Error getting coordinates"],
  ["tags", ["-set", "a=b"], "Error setting tags"],
];

testCluster(
  "members and info say the same in all combinations",
  async (cluster, step) => {
    const both = await startSides(cluster);
    await step("members: rows and columns", () => rows(both));
    await step("members: filters", () => filters(both));
    await step(
      "members: expressions are RE2, between ^ and $",
      () => expressions(both),
    );
    await step("members: JSON", () => json(both));
    await step("members: flags that are wrong", () => wrongFlags(both));
    await step("info", () => info(both));
    await step("an agent that wants a token", () => tokens(both));
    await step("an agent that cannot be reached", () => unreachable(both));
  },
  { needs: ["serf"] },
);

async function rows(both: Comparison): Promise<void> {
  await both.same("n1", "members", [], {
    code: 0,
    stdout:
      /^\nn1 {2}GOSSIP-OF-n1 {2}alive {2}dc=east,role=lb\nn2 {2}.*\nn3 {2}.*$/,
    normalise: sortedRows,
  });
  await both.same("n3", "members", ["-detailed"], {
    code: 0,
    stdout: new RegExp(
      `^\nn1 .*\nn2 .*\nn3 {2}GOSSIP-OF-n3 {2}alive {2}role=web {10}${DETAILS}$`,
    ),
    normalise: sortedRows,
  });
  await both.same("n1", "members", ["-detailed", "-name=n3"], {
    code: 0,
    stdout: new RegExp(
      `^n3 {2}GOSSIP-OF-n3 {2}alive {2}role=web {2}${DETAILS}\n$`,
    ),
  });
  await both.same("n1", "members", ["ignored", "-detailed"], {
    code: 0,
    stdout: /alive {2}role=web$/,
    normalise: sortedRows,
  });
  await both.same("n1", "members", ["-status=failed"], {
    code: 0,
    stdout: "\n",
  });
}

async function filters(both: Comparison): Promise<void> {
  const cases: readonly (readonly [readonly string[], string])[] = [
    [["-name=n1"], "n1"],
    [["--name", "n[12]"], "n1 n2"],
    [["-name=n1", "-name=n3"], "n3"],
    [["-name="], "n1 n2 n3"],
    [["-status=alive"], "n1 n2 n3"],
    [["-status", "a"], ""],
    [["-status=.*ed", "-name=n1"], ""],
    [["-tag", "role=web"], "n2 n3"],
    [["-tag", "role=w"], ""],
    [["-tag", "role=web", "-tag", "dc=east"], "n2"],
    [["-tag", "dc="], "n3"],
    [["-tag", "absent="], "n1 n2 n3"],
    [["-tag", "dc=|east"], "n1 n2 n3"],
    [["-tag", "role=lb", "-tag", "role=web"], "n2 n3"],
    [["-tag", "role=web", "-status=alive", "-name=.3"], "n3"],
  ];
  for (const [args, names] of cases) {
    await both.same("n1", "members", args, {
      code: 0,
      stdout: new RegExp(
        `^\n?${names.split(" ").map((n) => n && `${n}  .*`).join("\n")}\n?$`,
      ),
      normalise: sortedRows,
    });
  }
  await both.same("n1", "members", ["-role=lb"], {
    code: 0,
    stdout:
      /^\nDeprecation warning: 'Role' has been replaced with 'Tags'\nn1 {2}.*$/,
    normalise: sortedRows,
  });
}

async function expressions(both: Comparison): Promise<void> {
  const good: readonly (readonly [string, string])[] = [
    // Starts with n1, or ends with x3: the expression is not grouped.
    ["n1|x3", "n1"],
    ["x1|3", "n3"],
    ["(?i)N1", "n1"],
    ["n\\d", "n1 n2 n3"],
    ["\\pL[[:digit:]]", "n1 n2 n3"],
    ["(?P<letter>n)2", "n2"],
    ["n[^12]", "n3"],
    ["*", "n1 n2 n3"],
  ];
  for (const [expression, names] of good) {
    await both.same("n1", "members", ["-name", expression], {
      code: 0,
      stdout: new RegExp(
        `^\n${names.split(" ").map((n) => `${n}  .*`).join("\n")}$`,
      ),
      normalise: sortedRows,
    });
  }
  // It takes the added "$" for a letter.
  await both.same("n1", "members", ["-name", "\\"], { code: 0, stdout: "\n" });
  const closed = {
    code: 1,
    stdout: "Error retrieving members: client closed\n",
  };
  for (
    const expression of ["n[", "(", "(?=n)n1", "(n)\\1", "n{2000}", "n**"]
  ) {
    await both.same("n1", "members", ["-name", expression], closed);
  }
  await both.same("n1", "members", ["-status", "("], closed);
  await both.same("n1", "members", ["-tag", "role=("], closed);
}

async function json(both: Comparison): Promise<void> {
  await both.same("n1", "members", ["-format=json"], {
    code: 0,
    stdout: /"name":"n1".*"name":"n2".*"name":"n3"/,
    normalise: (text) =>
      sortedMembers(text.replaceAll(/"port": \d+/g, '"port": 0')),
  });
  await both.same("n1", "members", ["-format=json", "-name=n1", "-detailed"], {
    code: 0,
    stdout:
      /^\{\n {2}"members": \[\n {4}\{\n {6}"name": "n1",\n {6}"addr": "GOSSIP-OF-n1",\n/,
    normalise: (text) => text.replaceAll(/"port": \d+/g, '"port": 0'),
  });
  await both.same("n1", "members", ["-format", "json", "-name=nobody"], {
    code: 0,
    stdout: '{\n  "members": null\n}\n',
  });
  await both.same("n1", "members", ["-format=xml"], {
    code: 1,
    stdout: 'Encoding error: Invalid output format "xml"\n',
  });
}

async function wrongFlags(both: Comparison): Promise<void> {
  const usage = /^Usage: serf members \.\.\.\n$/;
  const cases: readonly (readonly [readonly string[], string])[] = [
    [["-nope"], "flag provided but not defined: -nope\n"],
    [["--nope=1"], "flag provided but not defined: -nope\n"],
    [["-name"], "flag needs an argument: -name\n"],
    [["---name"], "bad flag syntax: ---name\n"],
    [["-=x"], "bad flag syntax: -=x\n"],
    [
      ["-detailed=maybe"],
      'invalid boolean value "maybe" for -detailed: parse error\n',
    ],
  ];
  for (const [args, stderr] of cases) {
    await both.sameAlone(["members", ...args], {
      code: 1,
      stdout: usage,
      stderr,
      normalise: withoutHelp,
    });
  }
  await both.sameAlone(["members", "-tag", "role"], {
    code: 1,
    stdout: "Error: Invalid tag: 'role'\n",
  });
  await both.sameAlone(["members", "-tag", "=x"], {
    code: 1,
    stdout: "Error: Invalid tag: '=x'\n",
  });
}

/** Values that depend on the process and the moment are left out. */
async function info(both: Comparison): Promise<void> {
  const volatile =
    /(arch|cpu_count|goroutines|max_procs|os|version|health_score|member_time|intent_queue|event_queue)/;
  const normalise = (text: string) =>
    text
      .replaceAll(new RegExp(`^(\\t${volatile.source} = ).*$`, "gm"), "$1...")
      .replaceAll(new RegExp(`("${volatile.source}": )".*"`, "g"), '$1"..."');
  await both.same("n1", "info", [], {
    code: 0,
    stdout:
      /^agent:\n\tname = n1\nevent_handlers:\nruntime:\n\tarch = \.\.\.\n/,
    normalise,
  });
  await both.same("n1", "info", ["-format=json"], {
    code: 0,
    stdout:
      /^\{\n {2}"agent": \{\n {4}"name": "n1"\n {2}\},\n {2}"event_handlers": \{\},/,
    normalise,
  });
  await both.same("n1", "info", ["-format=xml"], {
    code: 1,
    stdout: 'Encoding error: Invalid output format "xml"\n',
  });
}

async function tokens(both: Comparison): Promise<void> {
  for (const [command, args, refusal] of REFUSALS) {
    const rpc = (side: Parameters<Parameters<Comparison["sameRaw"]>[0]>[0]) =>
      `-rpc-addr=${side.agents.get("n2")?.rpc.text}`;
    await both.sameRaw((side) => [command, rpc(side), ...args], {
      code: 1,
      stdout: `${refusal}: Authentication required\n`,
    });
    await both.sameRaw(
      (side) => [command, rpc(side), "-rpc-auth=wrong", ...args],
      {
        code: 1,
        stdout:
          "Error connecting to Serf agent: Invalid authentication token\n",
      },
    );
  }
  const rows = { code: 0, stdout: /^n3 {2}.*\n$/ };
  await both.same("n2", "members", ["-name=n3"], rows);
  await both.sameRaw(() => ["members", "-name=n3"], {
    ...rows,
    env: (side) => ({
      SERF_RPC_ADDR: side.agents.get("n2")?.rpc.text as string,
      SERF_RPC_AUTH: TOKEN,
    }),
  });
  // A token for an agent that wants none is as wrong as any other.
  await both.same("n1", "members", ["-rpc-auth=wrong"], {
    code: 1,
    stdout: "Error connecting to Serf agent: Invalid authentication token\n",
  });
}

async function unreachable(both: Comparison): Promise<void> {
  const reasons: (readonly [string, string])[] = [
    ["127.0.0.1:1", "dial tcp 127.0.0.1:1: connect: connection refused"],
    ["127.0.0.1", "dial tcp: address 127.0.0.1: missing port in address"],
    ["127.0.0.1:999999", "dial tcp: address 999999: invalid port"],
  ];
  for (const [command, args] of REFUSALS) {
    const [address, reason] = reasons[0] as readonly [string, string];
    await both.sameAlone([command, `-rpc-addr=${address}`, ...args], {
      code: 1,
      stdout: `Error connecting to Serf agent: ${reason}\n`,
    });
  }
  if (hasIpv6()) {
    reasons.push([
      "[::1]:1",
      "dial tcp [::1]:1: connect: connection refused",
    ]);
  }
  for (const [address, reason] of reasons) {
    const stdout = `Error connecting to Serf agent: ${reason}\n`;
    await both.sameAlone(["members", `-rpc-addr=${address}`], {
      code: 1,
      stdout,
    });
    await both.sameAlone(["members"], {
      code: 1,
      stdout,
      env: () => ({ SERF_RPC_ADDR: address }),
    });
  }
}
