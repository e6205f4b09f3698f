/** What the documents refer to is there, and the limits that they name are the code's. */

import assert from "node:assert/strict";
import { dirname, normalize } from "node:path/posix";
import { filesBelow, read } from "./tools.ts";

const PAGES = [
  "CHANGELOG.md",
  "COMPATIBILITY.md",
  "CONTRIBUTING.md",
  "README.md",
  "RELIABILITY.md",
  "SECURITY.md",
  ...filesBelow("docs"),
];
const ROOMS = ["build", "cmd", "demo", "docs", "lib", "packaging", "test"];
const FILES = new Set([
  ...[
    "CHANGELOG.md",
    "COMPATIBILITY.md",
    "CONTRIBUTING.md",
    "README.md",
    "RELIABILITY.md",
    "SECURITY.md",
  ],
  ...ROOMS.flatMap(filesBelow),
]);
const FOLDERS = new Set([...FILES].flatMap((path) => {
  const parts = path.split("/").slice(0, -1);
  return parts.map((_, i) => parts.slice(0, i + 1).join("/"));
}));
const CODE = [...FILES].filter((path) => path.endsWith(".ts"))
  .map(read).join("\n");

/** Pages about the original, with names of its files and functions. */
const REFERENCE = PAGES.filter((page) => page.startsWith("docs/protocol/"));
const OWN_PAGES = PAGES.filter((page) => !REFERENCE.includes(page));

/** All that an expression finds in pages, with the page: [page, group 1, ...]. */
function found(expression: RegExp, pages = OWN_PAGES): string[][] {
  return pages.flatMap((page) =>
    [...read(page).matchAll(expression)]
      .map(([, ...groups]) => [page, ...groups.map((group) => group ?? "")])
  );
}

/** The anchors that a page's headings get. */
function anchorsOf(page: string): string[] {
  return [...read(page).matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
    heading.toLowerCase().replaceAll(/[^\w\- ]/g, "").trim()
      .replaceAll(" ", "-")
  );
}

Deno.test("links between the pages lead somewhere", () => {
  const links = found(/\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)/g, PAGES);
  assert.ok(links.length > 5);
  for (const [page = "", path = "", anchor = ""] of links) {
    const target = path === "" ? page : normalize(`${dirname(page)}/${path}`);
    assert.ok(FILES.has(target), `${page}: ${path}`);
    if (anchor === "") continue;
    assert.ok(anchorsOf(target).includes(anchor), `${page}: #${anchor}`);
  }
});

Deno.test("files, folders and tasks that the pages name exist", () => {
  const paths = new RegExp(
    `(?<![\\w/.])((?:${ROOMS.join("|")})/[\\w./-]*)`,
    "g",
  );
  const vectors = found(/\b(test\/vectors\/[\w./-]*)/g, REFERENCE);
  assert.ok(vectors.length > 5);
  const named = [...found(paths), ...vectors];
  assert.ok(named.length > 50);
  for (const [page, text = ""] of named) {
    const path = text.replace(/[/.]+$/, "");
    assert.ok(FILES.has(path) || FOLDERS.has(path), `${page}: ${path}`);
  }
  const names = [...FILES].map((path) => path.split("/").at(-1));
  for (const [page, name] of found(/\b([a-z_0-9]+\.ts)\b/g)) {
    assert.ok(names.includes(name), `${page}: ${name}`);
  }
  const { tasks } = JSON.parse(read("deno.json"));
  for (const [page, task = ""] of found(/deno task ([a-z]+)/g)) {
    assert.ok(task in tasks, `${page}: deno task ${task}`);
  }
});

Deno.test("names in the code that the pages call by exist", () => {
  const named = found(/`([a-z]+[A-Z]\w+)`/g);
  assert.ok(named.length > 10);
  for (const [page, name] of named) {
    assert.match(CODE, new RegExp(`\\b${name}\\b`), `${page}: ${name}`);
  }
});

/** Rows of the table of limits, and the constants behind their numbers, in order. */
const LIMITS: Readonly<Record<string, readonly string[]>> = {
  "Members in the table": ["swim/config.ts membersMax"],
  "Name of a member": ["swim/name_limit.ts NAME_LENGTH_MAX"],
  "Streams open to us": [
    "swim/inbound_streams.ts INBOUND_STREAMS_MAX",
    "swim/inbound_streams.ts SILENT_STREAMS_MAX",
  ],
  "Bytes of all unfinished": ["swim/inbound_streams.ts INBOUND_BYTES_MAX"],
  "Pings relayed": ["swim/probe.ts RELAYS_MAX"],
  "Broadcasts queued": ["serf/config.ts queueDepthMax"],
  "A packet after": ["wire/packet.ts PACKET_BYTES_MAX"],
  "Layers in a packet": [
    "wire/packet.ts COMPRESS_LEVELS_MAX",
    "wire/packet.ts COMPOUND_LEVELS_MAX",
  ],
  "Messages in a packet": ["wire/packet.ts PARTS_MAX"],
  "A message: values": [
    "wire/msgpack_scanner.ts valuesMax",
    "wire/msgpack_scanner.ts DEPTH_MAX",
  ],
  "Bytes of answers": ["net/tcp.ts WAITING_BYTES_MAX"],
  "Nodes in a push/pull": ["wire/stream_body.ts NODES_MAX"],
  "A stream: before": [
    "wire/stream_body.ts STREAM_BYTES_MAX",
    "wire/stream_body.ts BODY_BYTES_MAX",
  ],
  "Recent intents": ["serf/intent.ts RECENT_INTENTS_MAX"],
  "User events of one": [
    "serf/user_event.ts EVENTS_PER_LTIME_MAX",
    "serf/user_event.ts RING_BYTES_MAX",
  ],
  "Queries of one Lamport": [
    "serf/query_arrival.ts QUERIES_PER_LTIME_MAX",
    "serf/query_arrival.ts QUERIES_MAX",
  ],
  "Queries of ours": ["serf/running_query.ts QUERIES_MAX"],
  "Acks, and answers": ["serf/running_query.ts SPARE_REPLIES"],
  "Filters for tags": [
    "serf/query_filter.ts TAG_FILTERS_MAX",
    "kit/expression.ts EXPRESSION_SIZE_MAX",
  ],
  "Expressions of one packet": ["serf/limits.ts expressionsPerPacket"],
  "Compiled expressions": [
    "serf/expressions.ts COMPILED_MAX",
    "serf/expressions.ts COMPILED_SIZE_MAX",
  ],
  "Work of a filter": [
    "rpc/member_filter.ts WORK_MAX",
    "kit/expression.ts EXPRESSION_SIZE_MAX",
  ],
  "Queries that wait": ["serf/query_arrival.ts WAITING_MAX"],
  "Records in a coalescing": ["serf/coalesce.ts HELD_MAX"],
  "Joins that wait": ["serf/join.ts WAITING_MAX"],
  "Packets handed": ["net/udp.ts SENDS_PENDING_MAX"],
  "Log lines held back": ["agent/log.ts GATED_LINES_MAX"],
  "Lines that wait for the system's": [
    "agent/syslog.ts WAITING_MAX",
    "agent/syslog.ts LINE_BYTES_MAX",
  ],
  "Output of the agent": ["../cmd/output_queue.ts WAITING_CHARACTERS_MAX"],
  "Clients of the control": ["rpc/limits.ts clientsMax"],
  "Such clients that may": [
    "rpc/limits.ts strangersMax",
    "rpc/limits.ts strangersPerSourceMax",
  ],
  "Requests of such a": [
    "rpc/limits.ts strangerRequestsMax",
    "rpc/limits.ts wrongTokensMax",
  ],
  "Tokens of one address": ["rpc/limits.ts waitingTokensPerSourceMax"],
  "An entry of the": ["agent/log.ts ENTRY_LENGTH_MAX"],
  "Streams of one client": [
    "rpc/protocol.ts STREAMS_MAX",
    "rpc/protocol.ts WAITING_RECORDS_MAX",
  ],
  "Queries of one client": [
    "rpc/protocol.ts QUERIES_MAX",
    "rpc/protocol.ts WAITING_RECORDS_MAX",
  ],
  "Queries that one client": ["rpc/pending_queries.ts PENDING_QUERIES_MAX"],
  "A request on the control port ": ["rpc/protocol.ts bytesMax"],
  "A regular expression": ["kit/expression.ts EXPRESSION_SIZE_MAX"],
  "A keyring file": ["agent/keyring_file.ts FILE_BYTES_MAX"],
  "Key requests that wait": [
    "serf/key_manager.ts WAITING_MAX",
    "serf/key_query.ts SAVES_MAX",
  ],
  "Of an answer that is": [
    "serf/key_manager.ts SHOWN_BYTES_MAX",
    "serf/key_query.ts REASON_LENGTH_MAX",
  ],
  "Events that wait for handlers": ["agent/handler_lane.ts WAITING_HARD_MAX"],
  "Events that wait for a handler": ["agent/handler_lane.ts WAITING_MAX"],
  "Output of a handler": ["agent/script_output.ts OUTPUT_BYTES_MAX"],
  "Pipes that jobs": ["agent/script_output.ts LEFTOVERS_MAX"],
  "Failed members in": ["serf/snapshot_file.ts FAILED_MEMBERS_MAX"],
  "Members of a snapshot": ["serf/rejoin.ts ROUND_SIZE_MAX"],
  "Addresses that members": ["serf/shared_addresses.ts TOLD_MAX"],
  "A line of a snapshot": [
    "serf/snapshot_file.ts LINE_BYTES_MAX",
    "serf/snapshot_file.ts COMPLAINTS_MAX",
  ],
  "Lines that wait for a slow": ["net/snapshot_store.ts BACKLOG_BYTES_MAX"],
  "Agents that one poll": ["net/mdns.ts FOUND_MAX"],
  "Addresses that discovery": ["agent/discovery.ts JOINED_MAX"],
  "A configuration file": ["agent/config_path.ts CONFIG_BYTES_MAX"],
  "A tags file": ["agent/tags_file.ts FILE_BYTES_MAX"],
  "Pings that carry": ["swim/receipt.ts PINGS_MAX"],
  "Lines that wait for statsd": ["agent/line_sink.ts LINES_WAITING_MAX"],
  "Metrics named by": [
    "kit/instruments.ts FAMILY_NAMES_MAX",
    "kit/instruments.ts FAMILY_NAME_LENGTH_MAX",
  ],
  "Metrics kept apart": ["agent/recent_metrics.ts METRICS_MAX"],
  "In the library": [
    "net/received.ts EVENTS_WAITING_MAX",
    "net/responders.ts RUNNING_MAX",
  ],
};
/** Rows whose numbers have no constant of their own, or share one with others. */
const OTHER_LIMITS = [
  "Decompressed bytes of one packet",
  "A request on the control port before",
  "An answer of an agent",
  "Work for the filters",
  "Bytes of a client that",
];

/** The first value that a file gives a constant or a setting. */
function constantOf(where: string): number {
  const [path = "", name = ""] = where.split(" ");
  const [, text = ""] = new RegExp(`\\b${name}(?: =|:) ([\\d_ *<]+)[;,]`).exec(
    read(`lib/${path}`),
  ) ?? assert.fail(`${where} is not there`);
  const [base = 0, shift] = text.split("<<").map((part) =>
    part.split("*").map((factor) => Number(factor.replaceAll("_", "")))
      .reduce((product, factor) => product * factor)
  );
  return shift === undefined ? base : base * 2 ** shift;
}

/** The numbers of a cell: `20 MiB, 65,536 bytes` are two. */
function numbersOf(cell: string): number[] {
  return [...cell.matchAll(/(\d[\d,]*\d|\d)( MiB| KiB)?/g)].map(
    ([, digits = "", unit]) =>
      Number(digits.replaceAll(",", "")) *
      (unit === " MiB" ? 2 ** 20 : unit === " KiB" ? 2 ** 10 : 1),
  );
}

Deno.test("the limits in COMPATIBILITY.md are those of the code", () => {
  const [, section = ""] = read("COMPATIBILITY.md")
    .split("## Limits that the original does not have\n");
  const rows = section.split("\n").filter((line) => line.startsWith("| "))
    .slice(2).map((line) => line.split(" | "));
  const known = new Set<string>();
  for (const [what = "", limit = ""] of rows) {
    const label = what.replace("| ", "");
    if (OTHER_LIMITS.some((start) => label.startsWith(start))) continue;
    const start = Object.keys(LIMITS)
      .find((start) => `${label.trimEnd()} `.startsWith(start));
    assert.ok(start !== undefined, `${label.trimEnd()}: which constant is it?`);
    known.add(start);
    assert.deepEqual(
      numbersOf(limit),
      (LIMITS[start] ?? []).map(constantOf),
      label.trimEnd(),
    );
  }
  assert.equal(known.size, Object.keys(LIMITS).length);
});
