/**
 * Lists the members that a running agent knows, ours or HashiCorp's, and then tells
 * what happens to them until the agent ends, or Ctrl-C.
 *
 *     deno run -A demo/watch_members.ts [RPC_ADDRESS [AUTH_KEY]]
 *
 * What to expect while a second agent joins, gets a tag and leaves, and the first
 * one is then stopped:
 *
 *     web1  127.0.0.1:7946  alive  role=web
 *     --- from now on
 *     web2  127.0.0.1:7947  alive
 *     web2  127.0.0.1:7947  left
 *     --- the agent has ended
 */

import { formatEndpoint, formatIp } from "../lib/kit/address.ts";
import { visibleLine } from "../lib/kit/visible.ts";
import type { RpcMember } from "../lib/mod.ts";
import { RpcClient } from "../lib/net/rpc_client.ts";

/** What was last shown of each member, since agents report changes late. */
const shown = new Map<string, string>();

/** Shows members in columns, except those that have not changed. */
function show(members: readonly RpcMember[], remark = ""): void {
  const cells = members.map(({ name, addr, port, status, tags }) =>
    [
      name,
      formatEndpoint(formatIp(addr), port),
      status,
      [...tags ?? []].map((tag) => tag.join("=")).join(","),
    ].map(visibleLine)
  );
  const widths = [0, 1, 2].map((column) =>
    Math.max(...cells.map((row) => row[column]?.length ?? 0))
  );
  for (const row of cells) {
    const [name = ""] = row;
    const facts = row.join() + remark;
    if (shown.get(name) === facts) continue;
    shown.set(name, facts);
    const columns = row.map((cell, i) => cell.padEnd(widths[i] ?? 0));
    console.info(`${columns.join("  ").trimEnd()}${remark}`);
  }
}

async function watch(client: RpcClient): Promise<void> {
  // Subscribed first, so that nothing can happen in between unseen.
  const events = await client.events(
    "member-join,member-leave,member-failed,member-update,member-reap",
  );
  show(await client.members());
  console.info("--- from now on");
  for await (const event of events) {
    if (event.type === "lost") show(await client.members());
    else if (event.type === "member-reap") show(event.members, "  forgotten");
    else if ("members" in event) show(event.members);
  }
  console.info("--- the agent has ended");
}

const [address = "127.0.0.1:7373", authKey = ""] = Deno.args;
try {
  using client = await RpcClient.connect({ address, authKey });
  await watch(client);
} catch (error) {
  console.error((error as Error).message);
  Deno.exitCode = 1;
}
