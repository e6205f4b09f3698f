/**
 * Two halves of a cluster that start while no network lies between them.
 *
 * Each half is a network namespace of this machine, without any way to the other
 * one. All nodes are given the same two seeds, one in each half, and so each half
 * is content with itself. Then the halves are connected, and nobody helps.
 *
 * Needs Linux and the right to make namespaces; it is skipped elsewhere.
 */

import assert from "node:assert/strict";
import { commandOf, type Kind } from "./programs.ts";
import { poll } from "./harness.ts";

const PROJECT_ROOT = new URL("../..", import.meta.url);
const DEADLINE_MS = 40_000;

interface Place {
  readonly kind: Kind;
  readonly name: string;
  readonly half: "a" | "b";
  readonly ip: string;
}

const SEEDS = ["10.77.0.1", "10.77.0.2"];
const PLACES: readonly Place[] = [
  { kind: "ours", name: "a1", half: "a", ip: "10.77.0.1" },
  { kind: "hashicorp", name: "a2", half: "a", ip: "10.77.0.3" },
  { kind: "ours", name: "b1", half: "b", ip: "10.77.0.2" },
  { kind: "hashicorp", name: "b2", half: "b", ip: "10.77.0.4" },
];

/** Runs `ip` with the words of a line; returns whether it worked. */
function ip(line: string): boolean {
  return new Deno.Command("ip", {
    args: line.split(" "),
    stdout: "null",
    stderr: "null",
  }).outputSync().success;
}

function mustIp(line: string): void {
  assert.ok(ip(line), `ip ${line}`);
}

/** The two halves, and the agents in them. */
class Halves implements AsyncDisposable {
  readonly #children: Deno.ChildProcess[] = [];
  readonly #outputs = new Map<string, string>();

  constructor() {
    for (const half of ["a", "b"] as const) {
      mustIp(`netns add ${this.#netns(half)}`);
      mustIp(`-n ${this.#netns(half)} link set lo up`);
    }
    for (const { half, ip } of PLACES) {
      mustIp(`-n ${this.#netns(half)} addr add ${ip}/32 dev lo`);
    }
  }

  #netns(half: "a" | "b"): string {
    return `serf-${half}-${Deno.pid}`;
  }

  #commandIn(
    { half, kind }: Pick<Place, "half" | "kind">,
    args: readonly string[],
  ): Deno.Command {
    return new Deno.Command("ip", {
      args: [
        ...["netns", "exec", this.#netns(half)],
        ...commandOf(kind),
        ...args,
      ],
      cwd: PROJECT_ROOT,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    });
  }

  start(place: Place): void {
    const child = this.#commandIn(place, [
      "agent",
      `-node=${place.name}`,
      `-bind=${place.ip}`,
      `-rpc-addr=${place.ip}:7373`,
      "-log-level=debug",
      "-retry-interval=1s",
      ...SEEDS.map((seed) => `-retry-join=${seed}`),
    ]).spawn();
    this.#children.push(child);
    this.#collect(place.name, child);
  }

  async #collect(name: string, child: Deno.ChildProcess): Promise<void> {
    child.stderr.cancel();
    for await (
      const text of child.stdout.pipeThrough(new TextDecoderStream())
    ) {
      this.#outputs.set(name, (this.#outputs.get(name) ?? "") + text);
    }
  }

  /** Lays a cable between the halves. */
  connect(): void {
    const [a, b] = [this.#netns("a"), this.#netns("b")];
    mustIp(`-n ${a} link add toward-b type veth peer toward-a netns ${b}`);
    mustIp(`-n ${a} link set toward-b up`);
    mustIp(`-n ${b} link set toward-a up`);
    for (const { half, ip } of PLACES) {
      const here = PLACES.find((place) => place.half !== half) as Place;
      mustIp(
        `-n ${this.#netns(here.half)} route add ${ip}/32 ` +
          `dev toward-${half} src ${here.ip}`,
      );
    }
  }

  /** Names of the live members that a node sees. */
  async alive({ ip, half }: Place): Promise<string[]> {
    const { stdout } = await this.#commandIn({ half, kind: "hashicorp" }, [
      "members",
      `-rpc-addr=${ip}:7373`,
      "-status=alive",
      "-format=json",
    ]).output();
    const { members } = JSON.parse(new TextDecoder().decode(stdout)) as {
      members: { name: string }[];
    };
    return members.map(({ name }) => name).sort();
  }

  /** Waits until each node of a half sees those members. */
  async eventually(names: readonly string[], half?: "a" | "b"): Promise<void> {
    for (const place of PLACES) {
      if (half !== undefined && place.half !== half) continue;
      const last = await poll(async () => {
        const alive = await this.alive(place);
        return alive.join() === names.join() || alive;
      }, DEADLINE_MS);
      if (last === true) continue;
      throw new Error(
        `${place.name} never saw ${names}, but ${Deno.inspect(last)}\n` +
          [...this.#outputs].map(([name, text]) => `--- ${name}\n${text}`)
            .join("\n"),
      );
    }
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
    for (const half of ["a", "b"] as const) {
      ip(`netns del ${this.#netns(half)}`);
    }
  }
}

/** Whether this machine lets us make namespaces. */
function canDivide(): boolean {
  if (Deno.build.os !== "linux") return false;
  const name = `serf-probe-${Deno.pid}`;
  try {
    return ip(`netns add ${name}`) && ip(`netns del ${name}`);
  } catch {
    return false;
  }
}

Deno.test({
  name: "two halves that start apart unite when they can, without help",
  ignore: !canDivide(),
  async fn(t) {
    await using halves = new Halves();
    await t.step("each half comes together for itself", async () => {
      for (const place of PLACES) halves.start(place);
      await halves.eventually(["a1", "a2"], "a");
      await halves.eventually(["b1", "b2"], "b");
    });
    await t.step("connected, they are one", async () => {
      halves.connect();
      await halves.eventually(["a1", "a2", "b1", "b2"]);
    });
  },
});
