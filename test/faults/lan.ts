/**
 * A small network of real agents, ours and HashiCorp's, for faults on its links.
 *
 * Every agent has a network namespace, a link called `eth0` and an address of its
 * own; a bridge joins the links. The bridge has an address as well, over which
 * tests ask the agents, and which faults leave alone: whoever is cut off from the
 * others can still be asked what it believes. The cluster is encrypted, keeps
 * snapshots, and tries failed members again every two seconds in place of 30, so
 * that a healed link is found soon.
 */

import assert from "node:assert/strict";
import { randomKey } from "../e2e/harness.ts";
import { Namespaces, type Placed } from "../e2e/namespaces.ts";
import { type Kind, requireHashicorp } from "../e2e/programs.ts";
import { lacks, lacksAbility } from "../programs.ts";
import { type EventRecord, RpcProbe } from "../e2e/rpc_probe.ts";
import { abilities, DEVICE, Fault } from "./fault.ts";

const RPC_PORT = 7373;
/** Until an agent answers, on a machine that is busy with something else. */
const START_DEADLINE_MS = 90_000;

/** The five of most tests. */
export const FIVE: readonly Place[] = [
  { kind: "ours", name: "a1" },
  { kind: "ours", name: "a2" },
  { kind: "ours", name: "a3" },
  { kind: "hashicorp", name: "b1" },
  { kind: "hashicorp", name: "b2" },
];

export interface Place {
  readonly kind: Kind;
  readonly name: string;
  /** What starts the program, as `unshare` and its flags. */
  readonly through?: readonly string[];
}

/** One agent of the network, across restarts. */
export class Host implements Placed {
  readonly where: string;
  readonly rpcAddr: string;
  readonly #namespaces: Namespaces;
  #child: Deno.ChildProcess | undefined;
  #ended: Deno.CommandStatus | undefined;
  #rpc: RpcProbe | undefined;

  constructor(
    readonly place: Place,
    readonly ip: string,
    namespaces: Namespaces,
  ) {
    this.where = place.name;
    this.rpcAddr = `${ip}:${RPC_PORT}`;
    this.#namespaces = namespaces;
  }

  get kind(): Kind {
    return this.place.kind;
  }

  get name(): string {
    return this.place.name;
  }

  get pid(): number {
    assert.ok(this.#child, `${this.name} was started`);
    return this.#child.pid;
  }

  /** How it ended, if it did without having been killed by the test. */
  get ended(): Deno.CommandStatus | undefined {
    return this.#ended;
  }

  /** What it has printed, in all its lives. */
  get output(): string {
    return this.#namespaces.outputOf(this.name);
  }

  launch(args: readonly string[]): void {
    const child = this.#namespaces.start(
      this,
      [`-bind=${this.ip}`, ...args],
      this.place.through,
    );
    this.#child = child;
    this.#ended = undefined;
    child.status.then((status) => {
      if (this.#child === child) this.#ended = status;
    });
  }

  /** Ends it without warning, and waits until it is gone. */
  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    await this.closeRpc();
    child?.kill("SIGKILL");
    await child?.status;
  }

  signal(signal: Deno.Signal): void {
    this.#child?.kill(signal);
  }

  openRpc(): Promise<RpcProbe> {
    return RpcProbe.open({ host: this.ip, port: RPC_PORT });
  }

  async closeRpc(): Promise<void> {
    const rpc = this.#rpc;
    this.#rpc = undefined;
    await rpc?.[Symbol.asyncDispose]();
  }

  /** What it believes of each member. */
  async statuses(): Promise<Map<string, string>> {
    const rpc = this.#rpc ??= await this.openRpc();
    try {
      const members = await rpc.members();
      return new Map(members.map(({ Name, Status }) => [Name, Status]));
    } catch (error) {
      await this.closeRpc();
      throw error;
    }
  }
}

export class Lan implements AsyncDisposable {
  readonly hosts: readonly Host[];
  readonly #namespaces: Namespaces;
  readonly #bridge = `serfbr${Deno.pid}`;
  /** The tests' own address. */
  readonly #spared: string;
  readonly #directory = Deno.makeTempDirSync({ prefix: "serf_faults_" });
  readonly #args: readonly string[];
  readonly #watches: RpcProbe[] = [];

  private constructor(places: readonly Place[], args: readonly string[]) {
    this.#namespaces = new Namespaces(places.map(({ name }) => name));
    // Of our own process, so that several test commands do not meet.
    const net = `10.${64 + Deno.pid % 128}.${(Deno.pid >> 7) % 256}`;
    this.#spared = `${net}.254`;
    this.hosts = places.map((place, i) =>
      new Host(place, `${net}.${i + 1}`, this.#namespaces)
    );
    const config = `${this.#directory}/config.json`;
    Deno.writeTextFileSync(config, '{ "reconnect_interval": "2s" }');
    this.#args = [
      `-config-file=${config}`,
      `-encrypt=${randomKey(32)}`,
      ...this.hosts.slice(0, 3).map(({ ip }) => `-retry-join=${ip}`),
      "-retry-interval=1s",
      ...args,
    ];
    this.#lay();
  }

  /** Starts everybody and waits until all see all. */
  static async start(
    places: readonly Place[],
    args: readonly string[] = [],
  ): Promise<Lan> {
    await requireHashicorp();
    const lan = new Lan(places, args);
    try {
      for (const host of lan.hosts) lan.launch(host);
      await lan.allSeeAll(START_DEADLINE_MS);
    } catch (error) {
      await lan[Symbol.asyncDispose]();
      throw error;
    }
    return lan;
  }

  #lay(): void {
    const namespaces = this.#namespaces;
    namespaces.ip(`link add ${this.#bridge} type bridge`);
    namespaces.ip(`addr add ${this.#spared}/24 dev ${this.#bridge}`);
    namespaces.ip(`link set ${this.#bridge} up`);
    for (const [i, { where, ip }] of this.hosts.entries()) {
      const port = `sf${Deno.pid}_${i}`;
      const there = namespaces.nameOf(where);
      namespaces.ip(
        `link add ${port} type veth peer name ${DEVICE} netns ${there}`,
      );
      namespaces.ip(`link set ${port} master ${this.#bridge}`);
      namespaces.ip(`link set ${port} up`);
      namespaces.ipIn(where, `addr add ${ip}/24 dev ${DEVICE}`);
      namespaces.ipIn(where, `link set ${DEVICE} up`);
    }
  }

  /** Starts an agent (again), where it was, with the snapshot that it left. */
  launch(host: Host): void {
    const snapshot = this.#snapshotPath(host);
    host.launch([...this.#args, `-snapshot=${snapshot}`, "-rejoin"]);
  }

  /** What is in the snapshot of an agent at this moment. */
  snapshotOf(host: Host): string {
    return Deno.readTextFileSync(this.#snapshotPath(host));
  }

  #snapshotPath({ name }: Host): string {
    return `${this.#directory}/${name}.snapshot`;
  }

  host(name: string): Host {
    const host = this.hosts.find((host) => host.name === name);
    assert.ok(host, name);
    return host;
  }

  ours(): readonly Host[] {
    return this.hosts.filter(({ kind }) => kind === "ours");
  }

  /** Puts a fault on the link of an agent; see `fault.ts` for the words. */
  fault(host: Host, words: string): Fault {
    const namespace = this.#namespaces.nameOf(host.where);
    return new Fault(namespace, words, this.#spared);
  }

  /** Puts the same fault on every link. */
  faults(words: string): Faults {
    return new Faults(this.hosts.map((host) => this.fault(host, words)));
  }

  /** Runs `ip` where an agent is. */
  ipIn(host: Host, line: string): void {
    this.#namespaces.ipIn(host.where, line);
  }

  /** Runs `serf` of a kind where an agent is, against this agent. */
  async command(
    host: Host,
    kind: Kind,
    [command = "", ...args]: readonly string[],
  ): Promise<{ readonly code: number; readonly text: string }> {
    const line = [command, `-rpc-addr=${host.rpcAddr}`, ...args];
    const output = await this.#namespaces.command(host.where, kind, line)
      .output();
    const decoder = new TextDecoder();
    const text = decoder.decode(output.stdout) + decoder.decode(output.stderr);
    return { code: output.code, text };
  }

  /** Sends a user event. */
  async event(host: Host, name: string): Promise<void> {
    const args = ["event", "-coalesce=false", name];
    const { code, text } = await this.command(host, "hashicorp", args);
    assert.equal(code, 0, text);
  }

  /** Collects the events of an agent until the end of the test. */
  async watch(host: Host, filter: string): Promise<EventRecord[]> {
    const records: EventRecord[] = [];
    const rpc = await host.openRpc();
    this.#watches.push(rpc);
    await rpc.stream(filter, (record) => records.push(record));
    return records;
  }

  /** A file of a namespace's kernel, such as `/proc/net/snmp`. */
  async kernelFile(host: Host, path: string): Promise<string> {
    const { stdout } = await new Deno.Command("ip", {
      args: ["netns", "exec", this.#namespaces.nameOf(host.where), "cat", path],
    }).output();
    return new TextDecoder().decode(stdout);
  }

  /**
   * Waits until a condition holds.
   *
   * @throws {Error} with what it gave last and what all agents printed
   */
  until(
    what: string,
    condition: () => unknown | Promise<unknown>,
    deadlineMs: number,
  ): Promise<void> {
    return this.#namespaces.until(what, () => {
      this.checkProcesses();
      return condition();
    }, deadlineMs);
  }

  /** Waits until these agents, or all, list all members as alive. */
  async allSeeAll(
    deadlineMs: number,
    hosts: readonly Host[] = this.hosts,
  ): Promise<void> {
    const startMs = performance.now();
    for (const host of hosts) {
      const restMs = Math.max(0, deadlineMs - (performance.now() - startMs));
      await this.until(`${host.name} sees all alive`, async () => {
        const seen = await host.statuses();
        const isAll = this.hosts.every(({ name }) =>
          seen.get(name) === "alive"
        );
        return isAll || seen;
      }, restMs);
    }
  }

  /** Waits until these agents list that member with this status. */
  async allSee(
    hosts: readonly Host[],
    member: Host,
    status: string,
    deadlineMs: number,
  ): Promise<void> {
    const startMs = performance.now();
    for (const host of hosts) {
      const restMs = Math.max(0, deadlineMs - (performance.now() - startMs));
      await this.until(
        `${host.name} sees ${member.name} ${status}`,
        async () => {
          const seen = await host.statuses();
          return seen.get(member.name) === status || seen;
        },
        restMs,
      );
    }
  }

  /** Nobody has ended but by the test's hand. */
  checkProcesses(): void {
    for (const { name, ended } of this.hosts) {
      assert.equal(ended, undefined, `${name} still runs`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const rpc of this.#watches) await rpc[Symbol.asyncDispose]();
    for (const host of this.hosts) await host.closeRpc();
    await this.#namespaces[Symbol.asyncDispose]();
    // The other ends of its cables went with the namespaces.
    this.#namespaces.ip(`link del ${this.#bridge}`);
    await Deno.remove(this.#directory, { recursive: true });
  }
}

/** One fault on several links. */
export class Faults implements Disposable {
  constructor(readonly each: readonly Fault[]) {}

  hits(): number {
    return this.each.reduce((sum, fault) => sum + fault.hits(), 0);
  }

  [Symbol.dispose](): void {
    for (const fault of this.each) fault[Symbol.dispose]();
  }
}

/** Whether the longer faults are wanted too: `deno task faults`. */
export const IS_LONG = Deno.env.get("SERF_FAULTS") === "long";

/** Found out once: what this machine can do. */
export const MACHINE = abilities();

/** Why a test with a network cannot be done here; what it lacks is noted. */
function reasonToIgnore(needsNetem: boolean): string | undefined {
  const { missing, hasNetem } = MACHINE;
  if (Deno.build.os !== "linux") return missing;
  if (lacks("serf", "ip", "nft")) return "needs serf, ip and nft";
  if (lacksAbility("the right to disturb networks", missing === undefined)) {
    return missing;
  }
  const isPossible = hasNetem || !needsNetem;
  return lacksAbility("netem in the kernel", isPossible)
    ? "this kernel has no netem"
    : undefined;
}

/** Runs one named step; a failure ends the test. */
export type Step = (name: string, body: () => Promise<void>) => Promise<void>;

/** Registers a test with a network of its own; ignored, with the reason, where there can be none. */
export function testLan(
  name: string,
  places: readonly Place[],
  body: (lan: Lan, step: Step) => Promise<void>,
  options: {
    readonly needsNetem?: boolean;
    /** Why it is ignored, whatever the machine has. */
    readonly ignored?: string | undefined;
  } = {},
): void {
  const ignored = options.ignored ??
    reasonToIgnore(options.needsNetem ?? false);
  Deno.test({
    name: ignored === undefined ? name : `${name} (ignored: ${ignored})`,
    ignore: ignored !== undefined,
    async fn(t) {
      await using lan = await Lan.start(places);
      const step: Step = async (stepName, run) => {
        const isDone = await t.step(stepName, async () => {
          await run();
          lan.checkProcesses();
        });
        if (!isDone) throw new Error(`Stopped after "${stepName}"`);
      };
      await body(lan, step);
    },
  });
}
