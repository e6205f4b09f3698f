/**
 * A small program on top of Serf, written so that it can be tested in the
 * simulator: of the members that are alive, the first by name leads.
 *
 *     deno run -A demo/leader.ts NAME BIND [JOIN ...]    a member that tells who leads
 *     deno run -A demo/simulate_leader.ts                its rule under fire
 *
 * The rule is a value that is fed with events and asked for its opinion. It knows
 * neither sockets nor time, so the real node below and the simulator drive the
 * same code. It is a rule for work that may be done twice, not a lock: on each side
 * of a cut network somebody leads.
 */

import { visibleLine } from "../lib/kit/visible.ts";
import { type Member, type MemberEvent, SerfNode } from "../lib/mod.ts";

export class Leadership {
  readonly #alive = new Set<string>();

  /** @param members as they are known at the start */
  constructor(members: readonly Member[] = []) {
    for (const { name, status } of members) {
      if (status === "alive") this.#alive.add(name);
    }
  }

  /** Something happened to members. */
  handle(event: MemberEvent): void {
    for (const { name } of event.members) {
      switch (event.type) {
        case "member-join":
          this.#alive.add(name);
          break;
        case "member-leave":
        case "member-failed":
        case "member-reap":
          this.#alive.delete(name);
          break;
        case "member-update":
          break;
      }
    }
  }

  /** Who leads; nobody before the first member is known. */
  get leader(): string | undefined {
    return [...this.#alive].sort()[0];
  }
}

if (import.meta.main) {
  const [name = "a", bind = "127.0.0.1:7946", ...others] = Deno.args;
  await using node = await SerfNode.start({ name, bind });
  const stop = new AbortController();
  Deno.addSignalListener("SIGINT", () => stop.abort());
  const events = node.events({ signal: stop.signal });
  if (others.length > 0) await node.join(others);
  let leadership = new Leadership(node.members());
  console.info(`${visibleLine(`${leadership.leader}`)} leads`);
  for await (const event of events) {
    const before = leadership.leader;
    if (event.type === "lost") leadership = new Leadership(node.members());
    else if ("members" in event) leadership.handle(event);
    if (leadership.leader !== before) {
      console.info(`${visibleLine(`${leadership.leader}`)} leads`);
    }
  }
}
