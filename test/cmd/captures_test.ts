/**
 * The whole command line against captured outputs of HashiCorp's program.
 *
 * Goal: the same streams, texts and exit codes for the same arguments. Method:
 * each captured call is made again, in this process, with a fake terminal. Calls
 * that reached an agent are sent to a fake one that answers with the values the
 * real one had, beside members that the filters must keep out. Help texts were
 * not captured and are our own; of those the first line is compared.
 */

import assert from "node:assert/strict";
import { dispatch } from "../../cmd/mod.ts";
import { parseIp, splitHostPort } from "../../lib/kit/address.ts";
import { VERSION } from "../../lib/kit/version.ts";
import { RpcServer } from "../../lib/net/rpc_server.ts";
import type { Member, MemberStatus } from "../../lib/serf/member.ts";
import { until } from "../net/deadline.ts";
import { FakeTarget, member } from "../rpc/fake_target.ts";
import { FakeTerminal } from "./fake_terminal.ts";
import { prepareKeys, withSortedRows } from "./key_captures.ts";
import { prepareQuery, prepareReachability } from "./query_captures.ts";

interface CapturedCall {
  readonly name: string;
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

const { records } = JSON.parse(
  Deno.readTextFileSync(
    new URL("../vectors/cli/commands.json", import.meta.url),
  ),
) as { readonly records: readonly CapturedCall[] };

/** Where the captured help texts were cut. */
const HELP_CUT = "[help text follows here; ours is our own wording]\n";
/** The captured program's version. */
const CAPTURED_VERSION = "0.8.2-dev";
const TOKEN = "s3cret";

/** Differ on purpose or by nature, and have tests of their own. */
const APART: readonly string[] = [
  "help-word",
  "help-word-members",
  "keygen",
  "keygen-extra-args",
  "monitor-remote-dies",
  "monitor-sigint",
  "query-interrupt",
  "query-remote-dies",
  "reachability-interrupt",
  "unreachable-default",
];

/** Lists of members in the order of the original, which is none; ours are sorted. */
const UNSORTED: readonly string[] = [
  "members-after-prune-n2",
  "members-left-detailed",
];

function sortLines(text: string): string {
  return `${text.trimEnd().split("\n").sort().join("\n")}\n`;
}

/** An address at which nothing listens, whatever runs on this machine. */
const NOBODY = "127.0.0.1:1";

const OLD_KEY = "HvY8ubRZMgafUOWvrOadwOckVa1wN3QWAo46FVKbVN8=";
const NEW_KEY = "T9jncgl9mbLus+baTTa7q7nPSUrXwbDi2dhbtqir37s=";

/** What reached the agent, for calls where the answer does not show it. */
const REQUESTS: Readonly<Record<string, string>> = {
  "bool-separate-value": "userEvent false name coalesce=true",
  "dash-alone": "userEvent -  coalesce=true",
  "event": "userEvent deploy v1.2 coalesce=true",
  "event-nocoalesce": "userEvent deploy x coalesce=false",
  "event-nopayload": "userEvent restart  coalesce=true",
  "force-leave": "forceLeave n3 prune=false",
  "force-leave-prune": "forceLeave n3 prune=true",
  "join": "join 127.0.0.22:27946 replay=false",
  "join-many": "join 127.0.0.22:27946 127.0.0.23:27946 replay=true",
  "keys-install": `changeKeys install ${NEW_KEY}`,
  "keys-install-badb64": "changeKeys install @@@",
  "keys-list": "changeKeys list",
  "keys-remove": `changeKeys remove ${OLD_KEY}`,
  "keys-use": `changeKeys use ${NEW_KEY}`,
  "leave": "leave",
  "tags-clean": "changeTags  delete=kv,empty,color",
  "tags-delete": "changeTags color=red delete=size,nosuch",
  "tags-set": "changeTags color=blue,size=10 delete=",
  "tags-set-and-delete-same": "changeTags color=green delete=color",
  "tags-value-with-eq": "changeTags kv=a=b,empty= delete=",
};

for (const call of records) {
  if (APART.includes(call.name)) continue;
  Deno.test(`captured call: ${call.name}`, async () => {
    const { target, terminal, code } = await replay(call);
    assert.equal(code, call.exit);
    compareText(
      terminal.stdout,
      UNSORTED.includes(call.name)
        ? sortLines(call.stdout)
        : withSortedRows(call.stdout),
    );
    compareText(terminal.stderr, call.stderr);
    const request = REQUESTS[call.name];
    if (request !== undefined) assert.deepEqual(target.calls, [request]);
  });
}

Deno.test("all captured calls are played, here or apart", () => {
  assert.equal(records.length, 236);
  for (const name of APART) {
    assert.ok(records.some((call) => call.name === name), name);
  }
});

/** Makes a captured call, with a fake agent in the place of the real one. */
async function replay(call: CapturedCall): Promise<{
  target: FakeTarget;
  terminal: FakeTerminal;
  code: number;
}> {
  const target = new FakeTarget();
  prepare(target, call);
  const server = RpcServer.start({
    target,
    at: { host: "127.0.0.1", port: 0 },
    authKey: call.name.startsWith("auth-") ? TOKEN : "",
  });
  const isReached = !call.stdout.includes(
    "Error connecting to Serf agent: dial",
  );
  const address = isReached ? `127.0.0.1:${server.port}` : NOBODY;
  const terminal = new FakeTerminal(
    Object.fromEntries(
      Object.entries(call.env).map((
        [name, value],
      ) => [name, redirect(value, address)]),
    ),
  );
  try {
    const args = call.argv.slice(1).map((arg, i) =>
      /^--?rpc-addr/.test(arg) || call.argv[i] === "--rpc-addr"
        ? redirect(arg, address)
        : arg
    );
    return { target, terminal, code: await dispatch(args, terminal) };
  } finally {
    await server.shutdown();
  }
}

/** Another address in the place of a captured agent's; others stay. */
function redirect(text: string, address: string): string {
  const [, head = "", endpoint = text] = /^(-rpc-addr=)(.*)$/.exec(text) ?? [];
  try {
    const { port } = splitHostPort(endpoint);
    return port > 2 ? head + address : text;
  } catch {
    return text;
  }
}

/** Compares but for the help, our version, and the address where nobody is. */
function compareText(actual: string, captured: string): void {
  const expected = captured.replace(CAPTURED_VERSION, VERSION)
    .replace(/dial tcp 127\.0\.0\.22:27373/, `dial tcp ${NOBODY}`);
  const cut = expected.indexOf(HELP_CUT);
  if (cut < 0) {
    return assert.equal(withoutTimes(actual), withoutTimes(expected));
  }
  assert.equal(actual.slice(0, cut), expected.slice(0, cut));
  assert.match(actual.slice(cut), /\S/, "a help text follows");
}

/** How long something took differs from run to run. */
function withoutTimes(text: string): string {
  return text.replaceAll(/\d+\.\d\d sec/g, "N sec");
}

/** Gives the fake agent what the captured one had. */
function prepare(target: FakeTarget, call: CapturedCall): void {
  const command = call.argv.find((arg) => /^[a-z]/.test(arg) && arg !== "serf");
  const failure =
    /^Error (?:sending event|joining the cluster|setting tags): ([^]*)\n$/
      .exec(call.stdout)?.[1];
  if (command === "join" && failure !== undefined) {
    target.onJoin = () => Promise.reject(new Error(failure));
  } else if (command === "join") {
    const contacted = Number(/contacting (\d+)/.exec(call.stdout)?.[1]);
    target.onJoin = () => Promise.resolve(contacted);
  } else if (command === "event") {
    target.eventError = failure;
  } else if (command === "tags") {
    target.tagsError = failure;
  } else if (command === "info") {
    target.statistics = statisticsIn(call.stdout);
  } else if (command === "keys") {
    prepareKeys(target, call.stdout);
  } else if (command === "query") {
    prepareQuery(target, call.stdout);
  } else if (command === "reachability") {
    prepareReachability(target, call.stdout);
  } else if (command === "rtt") {
    prepareCoordinates(target, call.stdout);
  } else if (command === "members") {
    const shown = membersIn(call.stdout);
    const isFiltered = call.argv.some((arg) =>
      /^--?(name|status|tag|role)/.test(arg)
    );
    const hidden = CLUSTER.filter(({ name }) =>
      isFiltered && !shown.some((each) => each.name === name)
    );
    target.memberList = [...shown, ...hidden];
  }
}

/** Coordinates that a captured estimate is the outcome of, and no others. */
function prepareCoordinates(target: FakeTarget, stdout: string): void {
  target.statistics = new Map([["agent", new Map([["name", "n1"]])]]);
  const [, from = "n1", to = "n1", ms = "0"] =
    /^Estimated (\S+) <-> (\S+) rtt: (\S+) ms$/m.exec(stdout) ?? [];
  const height = Number(ms) / 1_000 / 2;
  const place = { vec: [0, 0, 0], error: 1, adjustment: 0, height };
  target.coordinates = new Map([[from, place], [to, place]]);
}

/** The captured cluster, for calls that show only a part of it. */
const CLUSTER: readonly Member[] = [
  member("n1", {
    ip: "127.0.0.21",
    port: 27_946,
    tags: { role: "lb", dc: "east" },
  }),
  member("n2", {
    ip: "127.0.0.22",
    port: 27_946,
    tags: { role: "web", dc: "east" },
  }),
  member("n3", { ip: "127.0.0.23", port: 27_946, tags: { role: "web" } }),
];

/** The members that a captured output lists, in its order, with its order of tags. */
function membersIn(stdout: string): Member[] {
  if (stdout.startsWith("{")) return membersInJson(stdout);
  const rows = stdout.matchAll(
    /^(\S+) +(\S+:\d+) +(alive|leaving|left|failed)(?: +(\S+=.*?))?(?: {2}Protocol.*)?$/gm,
  );
  return [...rows].map(([, name, endpoint, status, tagText]) => {
    // The one captured tag value with the separator of columns in it.
    const tags = tagText?.replace("a=x  y", "a=x|y").split(",") ?? [];
    return memberOf({
      name: name as string,
      endpoint: endpoint as string,
      status: status as string,
      tags: Object.fromEntries(
        tags.map((tag) => /^(.*?)=(.*)$/s.exec(tag)?.slice(1) ?? []),
      ),
    });
  });
}

function membersInJson(stdout: string): Member[] {
  const { members } = JSON.parse(stdout) as {
    members: {
      name: string;
      addr: string;
      status: string;
      tags: Record<string, string>;
    }[] | null;
  };
  return (members ?? []).map(({ name, addr, status, tags }) =>
    memberOf({ name, endpoint: addr, status, tags })
  );
}

function memberOf(
  given: {
    name: string;
    endpoint: string;
    status: string;
    tags: Record<string, string>;
  },
): Member {
  const { host, port } = splitHostPort(given.endpoint);
  assert.ok(parseIp(host) !== undefined);
  const status = given.status as MemberStatus;
  return member(given.name, { ip: host, port, status, tags: given.tags });
}

/** The sections of a captured output, in reverse, since order is ours to make. */
function statisticsIn(stdout: string): Map<string, Map<string, string>> {
  const sections: [string, [string, string][]][] = [];
  if (stdout.startsWith("{")) {
    for (const [section, entries] of Object.entries(JSON.parse(stdout))) {
      sections.push([
        section,
        Object.entries(entries as Record<string, string>),
      ]);
    }
  } else {
    for (const line of stdout.trimEnd().split("\n")) {
      const entry = /^\t(.*?) = (.*)$/.exec(line);
      if (entry === null) sections.push([line.slice(0, -1), []]);
      else sections.at(-1)?.[1].push([entry[1] as string, entry[2] as string]);
    }
  }
  return new Map(
    sections.reverse().map((
      [section, entries],
    ) => [section, new Map(entries.reverse())]),
  );
}

function callNamed(name: string): CapturedCall {
  const found = records.find((call) => call.name === name);
  assert.ok(found !== undefined, name);
  return found;
}

Deno.test("serf help and serf help COMMAND print on standard output and succeed", async () => {
  const overview = await replay(callNamed("help-word"));
  const wanted = await replay(callNamed("help-short"));
  assert.equal(overview.code, 0);
  assert.equal(overview.terminal.stdout, wanted.terminal.stderr);
  assert.equal(overview.terminal.stderr, "");
  const members = await replay(callNamed("help-word-members"));
  const wantedMembers = await replay(callNamed("help-members"));
  assert.equal(members.code, 0);
  assert.equal(members.terminal.stdout, wantedMembers.terminal.stderr);
});

Deno.test("serf keygen prints 32 random bytes in base64, and no key twice", async () => {
  const keys = new Set<string>();
  for (const name of ["keygen", "keygen-extra-args"]) {
    const { terminal, code } = await replay(callNamed(name));
    assert.equal(code, 0);
    assert.match(terminal.stdout, /^[A-Za-z0-9+/]{43}=\n$/);
    assert.equal(atob(terminal.stdout).length, 32);
    keys.add(terminal.stdout);
  }
  assert.equal(keys.size, 2);
});

/** A captured monitor: what came before its event, the event, what came after. */
interface MonitorStory {
  readonly backlog: readonly string[];
  readonly eventType: "member-join" | "member-update";
  readonly member: Member;
  readonly after: readonly string[];
}

/** Plays a monitor; `end` ends it once everything is on the screen. */
async function playMonitor(
  story: MonitorStory,
  end: (terminal: FakeTerminal, server: RpcServer) => void,
): Promise<{ code: number; stdout: string }> {
  const target = new FakeTarget();
  target.backlog = [...story.backlog];
  const server = RpcServer.start({
    target,
    at: { host: "127.0.0.1", port: 0 },
    authKey: "",
  });
  const terminal = new FakeTerminal();
  const shows = (text: string) =>
    until(`the screen shows ${text}`, () => terminal.stdout.includes(text));
  const done = dispatch(
    ["monitor", `-rpc-addr=127.0.0.1:${server.port}`],
    terminal,
  );
  await until("the monitor listens", () => terminal.isListening);
  await shows(story.backlog.at(-1) as string);
  target.emit({ type: story.eventType, members: [story.member] });
  await shows("Members: ");
  for (const line of story.after) {
    target.say(line);
    await shows(line);
  }
  end(terminal, server);
  const code = await done;
  await server.shutdown();
  return { code, stdout: terminal.stdout };
}

/** Splits a captured monitor's output at its event. */
function storyOf(
  call: CapturedCall,
  ending: string,
  event: Pick<MonitorStory, "eventType" | "member">,
): MonitorStory {
  const text = call.stdout.slice(0, call.stdout.length - ending.length);
  const [before = "", rest = ""] = text.split("Event Info:\n");
  const lines = rest.split("\n").filter((line) =>
    !line.startsWith("\t") && line !== ""
  );
  return { ...event, backlog: before.trimEnd().split("\n"), after: lines };
}

Deno.test("serf monitor shows log and events, and ends with the agent", async () => {
  const call = callNamed("monitor-remote-dies");
  const ending =
    "\nRemote side ended the monitor! This usually means that the\n" +
    "remote side has exited or crashed.\n";
  assert.ok(call.stdout.endsWith(ending));
  const story = storyOf(call, ending, {
    eventType: "member-join",
    member: member("mon", { ip: "127.0.0.41", port: 0x74fa }),
  });
  const { code, stdout } = await playMonitor(
    story,
    (_, server) => server.shutdown(),
  );
  assert.equal(stdout, call.stdout);
  assert.equal(code, 1);
});

Deno.test("serf monitor ends well when it is interrupted", async () => {
  const call = callNamed("monitor-sigint");
  const tags = { role: "lb", dc: "east" };
  const story = storyOf(call, "", {
    eventType: "member-update",
    member: member("n1", { ip: "127.0.0.21", port: 0x6d2a, tags }),
  });
  const { code, stdout } = await playMonitor(
    story,
    (terminal) => terminal.interrupt(),
  );
  assert.equal(stdout, call.stdout);
  assert.equal(code, 0);
});
