/**
 * Agents in network namespaces: several machines, as far as networks go.
 *
 * Each namespace begins with nothing but a loopback that is up. Tests lay cables
 * between them and give them addresses with `ip`. What they made goes away in the
 * end, agents first.
 *
 * Needs Linux, HashiCorp's serf to ask with, and the right to make namespaces:
 * tests say `ignore: lacksNamespaces()`.
 */

import assert from "node:assert/strict";
import { lacks, lacksAbility } from "../programs.ts";
import { poll } from "./harness.ts";
import { commandOf, type Kind } from "./programs.ts";

const PROJECT_ROOT = new URL("../..", import.meta.url);

/** An agent, and where it is. */
export interface Placed {
  readonly kind: Kind;
  /** The name of the node. */
  readonly name: string;
  /** The namespace, as the test calls it. */
  readonly where: string;
  /** Where the agent takes commands. */
  readonly rpcAddr: string;
}

/** Runs `ip` with the words of a line; returns whether it worked. */
function ip(line: string): boolean {
  return new Deno.Command("ip", {
    args: line.split(" "),
    stdout: "null",
    stderr: "null",
  }).outputSync().success;
}

/** Whether a test cannot have namespaces with agents here, which is noted. */
export function lacksNamespaces(): boolean {
  if (Deno.build.os !== "linux") return true;
  return lacks("serf", "ip") ||
    lacksAbility("the right to make network namespaces", canMakeNamespaces());
}

function canMakeNamespaces(): boolean {
  const name = `serf-probe-${Deno.pid}`;
  try {
    return ip(`netns add ${name}`) && ip(`netns del ${name}`);
  } catch {
    return false;
  }
}

export class Namespaces implements AsyncDisposable {
  readonly #names: readonly string[];
  readonly #children: Deno.ChildProcess[] = [];
  readonly #outputs = new Map<string, string>();

  /** @param names what the test calls its namespaces, a few letters each */
  constructor(names: readonly string[]) {
    this.#names = names;
    for (const name of names) {
      this.ip(`netns add ${this.nameOf(name)}`);
      this.ip(`-n ${this.nameOf(name)} link set lo up`);
    }
  }

  /** What the system calls a namespace. */
  nameOf(where: string): string {
    return `serf-${where}-${Deno.pid}`;
  }

  /** Runs `ip`, for the whole machine. */
  ip(line: string): void {
    assert.ok(ip(line), `ip ${line}`);
  }

  /** Runs `ip` in a namespace. */
  ipIn(where: string, line: string): void {
    this.ip(`-n ${this.nameOf(where)} ${line}`);
  }

  /** Lays a cable; its ends are called `toward-` and the other namespace. */
  connect(a: string, b: string): void {
    this.ipIn(
      a,
      `link add toward-${b} type veth peer toward-${a} netns ${this.nameOf(b)}`,
    );
    this.ipIn(a, `link set toward-${b} up`);
    this.ipIn(b, `link set toward-${a} up`);
  }

  /**
   * A command line in a namespace.
   *
   * @param through what starts the program, as `unshare` and its flags
   */
  command(
    where: string,
    kind: Kind,
    args: readonly string[],
    through: readonly string[] = [],
  ): Deno.Command {
    return new Deno.Command("ip", {
      args: [
        ...["netns", "exec", this.nameOf(where)],
        ...through,
        ...commandOf(kind),
        ...args,
      ],
      cwd: PROJECT_ROOT,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    });
  }

  /**
   * Starts an agent; what it needs beside name and RPC address is in `args`.
   *
   * @param through what starts the program, as `unshare` and its flags
   * @returns its process; it is killed in the end, if it still runs
   */
  start(
    { kind, name, where, rpcAddr }: Placed,
    args: readonly string[],
    through: readonly string[] = [],
  ): Deno.ChildProcess {
    const flags = [
      "agent",
      `-node=${name}`,
      `-rpc-addr=${rpcAddr}`,
      "-log-level=debug",
      ...args,
    ];
    const child = this.command(where, kind, flags, through).spawn();
    this.#children.push(child);
    this.#collect(name, child.stdout);
    this.#collect(name, child.stderr);
    child.status.then(({ code, signal }) =>
      this.#add(name, `(ended with ${signal ?? code})\n`)
    );
    return child;
  }

  async #collect(name: string, output: ReadableStream<Uint8Array>) {
    for await (const text of output.pipeThrough(new TextDecoderStream())) {
      this.#add(name, text);
    }
  }

  #add(name: string, text: string): void {
    this.#outputs.set(name, this.outputOf(name) + text);
  }

  /** What an agent has printed so far. */
  outputOf(name: string): string {
    return this.#outputs.get(name) ?? "";
  }

  /** Waits until a condition holds; what it gives otherwise is shown at the end. */
  async until(
    what: string,
    condition: () => unknown | Promise<unknown>,
    deadlineMs: number,
  ): Promise<void> {
    const last = await poll(condition, deadlineMs);
    if (last === true) return;
    throw new Error(
      `Never: ${what}; last seen ${Deno.inspect(last)}\n` +
        [...this.#outputs].map(([name, text]) => `--- ${name}\n${text}`)
          .join("\n"),
    );
  }

  /** Waits until an agent sees exactly these members alive. */
  async sees(
    agent: Placed,
    names: readonly string[],
    deadlineMs: number,
  ): Promise<void> {
    await this.until(`${agent.name} sees ${names}`, async () => {
      const alive = await this.#alive(agent);
      return alive.join() === names.join() || alive;
    }, deadlineMs);
  }

  async #alive({ where, rpcAddr }: Placed): Promise<string[]> {
    const { success, stdout } = await this.command(where, "hashicorp", [
      "members",
      `-rpc-addr=${rpcAddr}`,
      "-status=alive",
      "-format=json",
    ]).output();
    if (!success) return [];
    const { members } = JSON.parse(new TextDecoder().decode(stdout)) as {
      members: { name: string }[];
    };
    return members.map(({ name }) => name).sort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) {
      try {
        child.kill("SIGKILL");
      } catch {
        // It has ended by itself, which the test has noticed.
      }
    }
    await Promise.all(this.#children.map((child) => child.status));
    for (const name of this.#names) ip(`netns del ${this.nameOf(name)}`);
  }
}
