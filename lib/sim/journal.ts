/**
 * Writes down what happens in a run, line by line, for somebody who wants to know
 * how a seed came to its end.
 *
 *        5.120 s  plan  crash n3
 *        5.120 s  n3    stopped
 *       17.204 s  n1    member-failed n3
 *       17.204 s  n1    [INFO] memberlist: Marking n3 as failed, suspect timeout reached
 *
 * To watch changes nothing: the run has the hash that it has without.
 */

import { unreachable } from "../kit/assert.ts";
import type { LogLevel } from "../kit/log.ts";
import { isMemberEvent, type SerfEvent } from "../serf/event.ts";
import type { Action } from "./actions.ts";
import type { Cluster, ClusterObserver, Lifecycle } from "./cluster.ts";
import type { SimNode } from "./node.ts";

const TIME_WIDTH = 11;

/** Writes down what happens in a cluster, line by line. */
export class Journal implements ClusterObserver {
  readonly #cluster: Cluster;
  readonly #write: (line: string) => void;
  readonly #width: number;

  /** @param write takes one line, without its end */
  constructor(cluster: Cluster, write: (line: string) => void) {
    this.#cluster = cluster;
    this.#write = write;
    this.#width = Math.max(4, ...cluster.nodes.map(({ name }) => name.length));
    cluster.observers.push(this);
  }

  onAction(action: Action): void {
    const name = (index: number) => this.#cluster.node(index).name;
    this.#line("plan", describeAction(action, name));
  }

  onLifecycle(node: SimNode, change: Lifecycle): void {
    const where = change === "started" ? ` at ${node.address}` : "";
    this.#line(node.name, `${change}${where}`);
  }

  onEvent(node: SimNode, event: SerfEvent): void {
    const what = isMemberEvent(event)
      ? event.members.map(({ name }) => name).join(" ")
      : `${event.name} ltime=${event.ltime}`;
    this.#line(node.name, `${event.type} ${what}`);
  }

  onLog(node: SimNode, level: LogLevel, text: string): void {
    this.#line(node.name, `[${level}] ${text}`);
  }

  #line(who: string, what: string): void {
    const seconds = (this.#cluster.nowMs / 1_000).toFixed(3);
    this.#write(
      `${seconds.padStart(TIME_WIDTH)} s  ${who.padEnd(this.#width)}  ${what}`,
    );
  }
}

/** A step of a plan in words. */
export function describeAction(
  action: Action,
  name: (index: number) => string,
): string {
  switch (action.kind) {
    case "start":
      return `start ${name(action.node)}`;
    case "crash":
    case "leave":
    case "pause":
    case "resume":
    case "relocate":
      return `${action.kind} ${name(action.node)}`;
    case "restart":
      return `restart ${name(action.node)}${
        action.wipes ? " with an empty disk" : ""
      }${action.alone ? " alone" : ""}`;
    case "slow":
    case "jumpClock":
      return `${action.kind} ${name(action.node)} ${
        Math.round(action.byMs)
      } ms`;
    case "userEvent":
      return `event ${action.name} from ${name(action.node)}`;
    case "setTags":
      return `tags of ${name(action.node)} ${
        [...action.tags].map((tag) => tag.join("=")).join(" ")
      }`;
    case "forceLeave":
      return `force-leave ${name(action.target)} from ${name(action.node)}`;
    case "partition": {
      const { groups, bridge, fault = "partition" } = action;
      const parts = [...new Set(groups)].map((part) =>
        groups.flatMap((other, i) => other === part ? [name(i)] : []).join(" ")
      );
      const over = bridge === undefined
        ? ""
        : `, all reach ${name(bridge.node)}${
          bridge.isHeard ? "" : ", which only hears"
        }`;
      return `${fault} ${parts.join(" | ")}${over}`;
    }
    case "block":
      return `block ${name(action.from)} > ${name(action.to)}`;
    case "heal":
      return "heal";
    case "noise":
      return `noise ${action.isOn ? "on" : "off"}`;
    case "rotateKeys":
      return "rotate keys";
    default:
      return unreachable(action);
  }
}
