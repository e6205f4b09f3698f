/** Embedded nodes for tests, on loopback. */

import type { NodeEvent } from "../../lib/net/node_event.ts";
import { SerfNode } from "../../lib/net/serf_node.ts";
import type { SerfNodeOptions } from "../../lib/net/serf_node_options.ts";
import { until } from "./deadline.ts";

/** Nodes of one test; shut down, without a leave, at its end. */
export class Nodes implements AsyncDisposable {
  readonly #nodes: SerfNode[] = [];

  async start(name: string, options: SerfNodeOptions = {}): Promise<SerfNode> {
    const node = await SerfNode.start({
      name,
      bind: "127.0.0.1:0",
      profile: "local",
      ...options,
    });
    this.#nodes.push(node);
    return node;
  }

  /** Starts nodes that have all joined the first and know each other. */
  async cluster(...names: string[]): Promise<SerfNode[]> {
    const nodes = await Promise.all(names.map((name) => this.start(name)));
    const [first, ...others] = nodes;
    for (const node of others) await node.join(first?.address ?? "");
    const view = names.map((name) => `${name} alive`);
    for (const node of nodes) await sees(node, ...view);
    return nodes;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#nodes.map((node) => node.shutdown()));
  }
}

/** Waits until a node lists exactly these members, as `name status`. */
export function sees(node: SerfNode, ...view: string[]): Promise<void> {
  const text = view.join(", ");
  return until(
    `${node.name} sees ${text}`,
    () =>
      node.members().map(({ name, status }) => `${name} ${status}`).join(
        ", ",
      ) ===
        text,
  );
}

export function shortText(event: NodeEvent): string {
  switch (event.type) {
    case "user":
      return `user ${event.name} ${event.text}`;
    case "query":
      return `query ${event.name} ${event.text}`;
    case "lost":
      return `lost ${event.count}`;
    default:
      return `${event.type} ${event.members.map(({ name }) => name).join(" ")}`;
  }
}

/** Whether both sockets of an address are free. */
export function isFree(address: string): boolean {
  const [hostname = "", port] = address.split(":");
  const at = { hostname, port: Number(port) };
  try {
    Deno.listen(at).close();
    Deno.listenDatagram({ transport: "udp", ...at }).close();
    return true;
  } catch {
    return false;
  }
}
