/**
 * Three nodes embedded in one program: they find each other, pass an event on,
 * answer a question, change, crash and leave. It ends by itself.
 *
 *     deno run -A demo/embed_three_nodes.ts
 *
 * What to expect, but for the ports, the times, and the order of the lines within
 * a part:
 *
 *     0.0 s  ada  starts at 127.0.0.1:41731, role=web
 *     0.0 s  bob  starts at 127.0.0.1:35127, role=web
 *     0.0 s  cyd  starts at 127.0.0.1:38993, role=db
 *
 *     --- bob and cyd join ada
 *     0.0 s  ada  sees bob join
 *     0.0 s  bob  sees ada join
 *     0.0 s  ada  sees cyd join
 *     0.0 s  cyd  sees ada join
 *     0.0 s  cyd  sees bob join
 *     0.1 s  bob  sees cyd join
 *
 *     --- ada sends an event
 *     0.1 s  ada  hears deploy: v42
 *     0.2 s  bob  hears deploy: v42
 *     0.2 s  cyd  hears deploy: v42
 *
 *     --- ada asks the web servers for their load
 *     0.2 s  ada  is told 0.31 by ada
 *     0.3 s  ada  is told 0.47 by bob
 *
 *     --- cyd changes its role
 *     0.3 s  cyd  sees cyd become role=cache
 *     0.4 s  ada  sees cyd become role=cache
 *     0.4 s  bob  sees cyd become role=cache
 *
 *     --- cyd crashes
 *     4.6 s  bob  sees cyd fail
 *     4.6 s  ada  sees cyd fail
 *
 *     --- bob leaves
 *     4.7 s  bob  sees bob leave
 *     4.8 s  ada  sees bob leave
 *
 *     ada lists: ada alive, bob left, cyd failed
 */

import { type NodeEvent, SerfNode } from "../lib/mod.ts";

/** Longest wait for anything to happen, ms. */
const PATIENCE_MS = 30_000;
const LOOK_INTERVAL_MS = 10;

const startMs = performance.now();
const said = new Set<string>();
/** Ends the telling. */
const curtain = new AbortController();

/** Tells what a node does or sees. */
function say(name: string, text: string): void {
  const seconds = ((performance.now() - startMs) / 1_000).toFixed(1);
  console.info(`${seconds.padStart(4)} s  ${name.padEnd(3)}  ${text}`);
  said.add(`${name} ${text}`);
}

function heading(text: string): void {
  console.info(`\n--- ${text}`);
}

/** Waits until all of this was said. */
async function until(...lines: string[]): Promise<void> {
  const endMs = performance.now() + PATIENCE_MS;
  while (!lines.every((line) => said.has(line))) {
    if (performance.now() > endMs) {
      throw new Error(`Never happened: ${lines.filter((l) => !said.has(l))}`);
    }
    await new Promise((done) => setTimeout(done, LOOK_INTERVAL_MS));
  }
}

async function start(name: string, role: string): Promise<SerfNode> {
  const node = await SerfNode.start({
    name,
    bind: "127.0.0.1:0",
    profile: "local",
    tags: { role },
  });
  say(name, `starts at ${node.address}, role=${role}`);
  narrate(node);
  return node;
}

/** Tells what a node learns, until it is shut down. */
async function narrate(node: SerfNode): Promise<void> {
  for await (const event of node.events({ signal: curtain.signal })) {
    for (const text of textsOf(event)) say(node.name, text);
  }
}

function textsOf(event: NodeEvent): string[] {
  switch (event.type) {
    case "user":
      return [`hears ${event.name}: ${event.text}`];
    case "member-join":
      return event.members.map(({ name }) => `sees ${name} join`);
    case "member-leave":
      return event.members.map(({ name }) => `sees ${name} leave`);
    case "member-failed":
      return event.members.map(({ name }) => `sees ${name} fail`);
    case "member-update":
      return event.members.map(({ name, tags }) =>
        `sees ${name} become role=${tags.get("role")}`
      );
    case "lost":
      return [`has missed ${event.count} events`];
    default:
      return [];
  }
}

// `await using` lets each of them leave and shut down, whatever happens below.
await using ada = await start("ada", "web");
await using bob = await start("bob", "web");
await using cyd = await start("cyd", "db");

heading("bob and cyd join ada");
await bob.join(ada.address);
await cyd.join(ada.address);
await until(
  ...["ada sees bob join", "ada sees cyd join", "bob sees ada join"],
  ...["bob sees cyd join", "cyd sees ada join", "cyd sees bob join"],
);

heading("ada sends an event");
ada.userEvent("deploy", "v42");
await until(...["ada", "bob", "cyd"].map((n) => `${n} hears deploy: v42`));

heading("ada asks the web servers for their load");
ada.respondTo("load", () => "0.31");
bob.respondTo("load", () => Promise.resolve("0.47"));
// The question ends when both have answered; nobody waits for its timeout.
const webServers = ada.members({ status: "alive", tags: { role: "web" } });
for await (
  const reply of ada.query("load", { nodes: webServers.map((m) => m.name) })
) {
  if (reply.kind === "response") {
    say("ada", `is told ${reply.text} by ${reply.from}`);
  }
}

heading("cyd changes its role");
await cyd.updateTags({ role: "cache" });
await until(
  ...["ada", "bob", "cyd"].map((n) => `${n} sees cyd become role=cache`),
);

heading("cyd crashes");
await cyd.shutdown();
await until("ada sees cyd fail", "bob sees cyd fail");

heading("bob leaves");
await bob.leave();
await until("ada sees bob leave");

curtain.abort();
const lines = ada.members().map(({ name, status }) => `${name} ${status}`);
console.info(`\nada lists: ${lines.join(", ")}`);
