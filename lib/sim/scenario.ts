/**
 * The commands of transcripts, carried out on a simulated cluster.
 *
 *     nodes a b c                    starts nodes, joined through the first; waits until all agree
 *     node d [as b] [via a]          starts one more, under another's name if wanted; does not wait
 *     isolate b                      cuts b off from everybody
 *     partition a b | c d            cuts the network in parts
 *     block a b                      drops what a sends to b, but not what b sends to a
 *     heal                           ends all cuts
 *     crash b, restart b, pause b, resume b, leave b
 *     force-leave a b [prune]        asks a to declare b left
 *     event a NAME [PAYLOAD]         sends a user event from a
 *     tags a KEY=VALUE ...           replaces the tags of a
 *     advance 3s                     lets virtual time pass
 *     until a suspects b [within 10s]           SWIM state; also `holds b alive`, `dead`, `left`
 *     until a lists b failed [within 10s]       Serf status; `all list b failed`, `all agree`
 *     until all delivered NAME [within 10s]     user event
 *     ask a about b                  SWIM state and incarnation
 *     list a                         members as users see them
 *     events a                       events since the last time asked
 *     log a TEXT                     log lines with that text since the last mute
 *     mute                           forgets events and log lines so far
 */

import { utf8Bytes, utf8Text } from "../kit/bytes.ts";
import { defined } from "../kit/assert.ts";
import type { LogLevel } from "../kit/log.ts";
import { isMemberEvent, type SerfEvent } from "../serf/event.ts";
import type { Member } from "../serf/member.ts";
import { disagreements } from "./agreement.ts";
import { Cluster, type ClusterObserver } from "./cluster.ts";
import type { SimNode } from "./node.ts";

/** Longest wait of an `until` that does not say, ms. */
const UNTIL_MS = 60_000;
/** Time between looks at a condition, ms. */
const LOOK_EVERY_MS = 50;

/** Commands that do one thing to one node. */
const NODE_COMMANDS = ["crash", "restart", "pause", "resume", "leave"] as const;
type NodeCommand = typeof NODE_COMMANDS[number];

function isNodeCommand(word: string): word is NodeCommand {
  return (NODE_COMMANDS as readonly string[]).includes(word);
}

export class Scenario implements ClusterObserver {
  readonly #cluster: Cluster;
  /** By the word that stands for a node in commands. */
  readonly #nodes = new Map<string, SimNode>();
  readonly #events = new Map<SimNode, string[]>();
  readonly #logs = new Map<SimNode, string[]>();
  /** `node event` for each user event that a node delivered. */
  readonly #delivered = new Set<string>();

  constructor(seed: number) {
    this.#cluster = new Cluster({
      seed,
      // A little jitter, no stragglers: stories should read the same in each run.
      link: { tailChance: 0 },
      settings: { swim: { logLevel: "DEBUG" } },
    });
    this.#cluster.observers.push(this);
  }

  onEvent(node: SimNode, event: SerfEvent): void {
    this.#events.get(node)?.push(describeEvent(event));
    if (event.type === "user") {
      this.#delivered.add(`${node.index} ${event.name}`);
    }
  }

  onLog(node: SimNode, level: LogLevel, text: string): void {
    this.#logs.get(node)?.push(`[${level}] ${text}`);
  }

  /**
   * Performs one command.
   *
   * @returns its output, line by line; empty when there is nothing to say
   * @throws {SyntaxError} for a command that makes no sense
   */
  run(command: string): string[] {
    const words = command.split(/\s+/).filter((word) => word !== "");
    const [verb = "", ...rest] = words;
    if (isNodeCommand(verb)) {
      const node = this.#node(rest[0]);
      this.#cluster.perform({ kind: verb, node: node.index });
      return [];
    }
    switch (verb) {
      case "nodes":
        return this.#startAll(rest);
      case "node":
        return this.#startOne(rest);
      case "isolate":
        return this.#partition([[this.#node(rest[0])]]);
      case "partition":
        return this.#partition(
          splitWords(rest, "|").map((part) =>
            part.map((word) => this.#node(word))
          ),
        );
      case "block":
        this.#cluster.block(this.#node(rest[0]), this.#node(rest[1]));
        return [];
      case "heal":
        this.#cluster.heal();
        return [];
      case "force-leave":
        return this.#forceLeave(rest);
      case "event":
        return this.#sendEvent(rest);
      case "tags":
        return this.#setTags(rest);
      case "advance":
        this.#cluster.runUntil(this.#cluster.nowMs + parseMs(rest[0]));
        return [];
      case "until":
        return this.#until(rest);
      case "ask":
        return [this.#ask(this.#node(rest[0]), this.#node(rest[2]).name)];
      case "list":
        return this.#engine(this.#node(rest[0])).members().map(describeMember);
      case "events":
        return takeAll(this.#events.get(this.#node(rest[0])) as string[]);
      case "log":
        return this.#log(this.#node(rest[0]), rest.slice(1).join(" "));
      case "mute":
        for (
          const lines of [...this.#events.values(), ...this.#logs.values()]
        ) {
          lines.length = 0;
        }
        return [];
      default:
        throw new SyntaxError(`Cannot run command "${command}"`);
    }
  }

  // --- Doing ----------------------------------------------------------------

  #startAll(names: string[]): string[] {
    const nodes = names.map((name) => this.#add(name, name));
    for (const node of nodes) {
      this.#cluster.start(node, node === nodes[0] ? [] : nodes.slice(0, 1));
    }
    return this.#waitFor(() => this.#allAgree(), UNTIL_MS, "all agree");
  }

  #startOne(words: string[]): string[] {
    const [label = ""] = words;
    const name = wordAfter(words, "as") ?? label;
    const via = wordAfter(words, "via");
    const node = this.#add(label, name);
    this.#cluster.start(node, via === undefined ? [] : [this.#node(via)]);
    return [];
  }

  #add(label: string, name: string): SimNode {
    const node = this.#cluster.addNode(name);
    this.#nodes.set(label, node);
    this.#events.set(node, []);
    this.#logs.set(node, []);
    return node;
  }

  /** Nodes that are in none of the parts make a part of their own. */
  #partition(parts: SimNode[][]): string[] {
    const groups = this.#cluster.nodes.map((node) =>
      parts.findIndex((part) => part.includes(node))
    );
    this.#cluster.partition(groups);
    return [];
  }

  #forceLeave(words: string[]): string[] {
    const target = this.#node(words[1]).name;
    const prune = words[2] === "prune";
    this.#cluster.call(
      this.#node(words[0]),
      (engine, nowMs) => engine.forceLeave(target, { prune }, nowMs),
    );
    return [];
  }

  #sendEvent(words: string[]): string[] {
    const [, name = "", payload = ""] = words;
    this.#cluster.call(
      this.#node(words[0]),
      (engine, nowMs) =>
        engine.userEvent(name, utf8Bytes(payload), { coalesce: false }, nowMs),
    );
    return [];
  }

  #setTags(words: string[]): string[] {
    const tags = new Map<string, string>();
    for (const word of words.slice(1)) {
      const [key = "", value = ""] = word.split("=");
      tags.set(key, value);
    }
    this.#cluster.call(
      this.#node(words[0]),
      (engine, nowMs) => engine.setTags(tags, nowMs),
    );
    return [];
  }

  // --- Waiting and asking ---------------------------------------------------

  #until(words: string[]): string[] {
    const within = words.indexOf("within");
    const condition = within < 0 ? words : words.slice(0, within);
    const limitMs = within < 0 ? UNTIL_MS : parseMs(words[within + 1]);
    return this.#waitFor(
      this.#condition(condition),
      limitMs,
      condition.join(" "),
    );
  }

  #condition(words: string[]): () => boolean {
    const [who, verb, what = "", state] = words;
    const name = this.#nodes.get(what)?.name ?? what;
    const observers = () =>
      who === "all"
        ? this.#cluster.nodes.filter((node) =>
          node.isServing && node.name !== name
        )
        : [this.#node(who)];
    switch (verb) {
      case "agree":
        return () => this.#allAgree();
      case "suspects":
        return () =>
          observers().every((node) => this.#stateOf(node, name) === "suspect");
      case "holds":
        return () =>
          observers().every((node) => this.#stateOf(node, name) === state);
      case "list":
      case "lists":
        return () =>
          observers().every((node) => this.#statusOf(node, name) === state);
      case "delivered":
        return () =>
          observers().every((node) =>
            this.#delivered.has(`${node.index} ${what}`)
          );
      default:
        throw new SyntaxError(`Cannot wait until ${words.join(" ")}`);
    }
  }

  #waitFor(isMet: () => boolean, limitMs: number, text: string): string[] {
    const cluster = this.#cluster;
    const endMs = cluster.nowMs + limitMs;
    while (!isMet()) {
      if (cluster.nowMs >= endMs) return [`never: ${text}`];
      cluster.runUntil(Math.min(cluster.nowMs + LOOK_EVERY_MS, endMs));
    }
    return [];
  }

  #allAgree(): boolean {
    return disagreements(this.#cluster, 1).length === 0;
  }

  /** Lines with a text, each once, with the number of times that it was said. */
  #log(node: SimNode, text: string): string[] {
    const counts = new Map<string, number>();
    for (const line of this.#logs.get(node) as string[]) {
      if (line.includes(text)) counts.set(line, (counts.get(line) ?? 0) + 1);
    }
    return [...counts].map(([line, count]) =>
      count > 1 ? `${line} (${count} times)` : line
    );
  }

  #stateOf(node: SimNode, name: string): string {
    return this.#engine(node).swim.member(name)?.state ?? "unknown";
  }

  #statusOf(node: SimNode, name: string): string {
    const member = this.#engine(node).members().find((member) =>
      member.name === name
    );
    return member?.status ?? "unknown";
  }

  #ask(node: SimNode, name: string): string {
    const held = this.#engine(node).swim.member(name);
    return held === undefined
      ? "unknown"
      : `${held.state} incarnation=${held.incarnation}`;
  }

  #node(word: string | undefined): SimNode {
    const node = this.#nodes.get(word ?? "");
    if (node === undefined) throw new SyntaxError(`Cannot find node "${word}"`);
    return node;
  }

  #engine(node: SimNode) {
    return defined(node.engine, `engine of ${node.name}, which is down,`);
  }
}

function describeEvent(event: SerfEvent): string {
  if (event.type === "user") {
    const payload = event.payload.length > 0
      ? ` ${utf8Text(event.payload)}`
      : "";
    return `user ${event.name}${payload} ltime=${event.ltime}`;
  }
  if (!isMemberEvent(event)) return `query ${event.name}`;
  return `${event.type} ${
    event.members.map((member) => member.name).join(" ")
  }`;
}

function describeMember(member: Member): string {
  const tags = [...member.tags].map(([key, value]) => ` ${key}=${value}`).sort()
    .join("");
  return `${member.name} ${member.status}${tags}`;
}

/** All items, which are then gone from the list. */
function takeAll(list: string[]): string[] {
  return list.splice(0, list.length);
}

function wordAfter(words: readonly string[], word: string): string | undefined {
  const place = words.indexOf(word);
  return place < 0 ? undefined : words[place + 1];
}

function splitWords(words: readonly string[], separator: string): string[][] {
  const parts: string[][] = [[]];
  for (const word of words) {
    if (word === separator) parts.push([]);
    else parts.at(-1)?.push(word);
  }
  return parts;
}

/** Milliseconds of `300ms`, `3s`, `2m`. */
function parseMs(text = ""): number {
  const match = /^(\d+)(ms|s|m)$/.exec(text);
  if (match === null) throw new SyntaxError(`Cannot read duration "${text}"`);
  const unitMs = { ms: 1, s: 1_000, m: 60_000 }[match[2] as "ms" | "s" | "m"];
  return Number(match[1]) * unitMs;
}
