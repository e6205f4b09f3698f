/**
 * Does an agent that runs for long need more and more?
 *
 *     deno task soak [--agents=20] [--minutes=60]
 *
 * Starts so many agents on loopback, one in ten of them HashiCorp's, encrypted
 * and with snapshots. Half of them live through it all and are measured; the
 * others are killed, told to leave, ended by a signal and started again, one
 * every other second. Meanwhile there are two user events and one query a second.
 *
 * Of those that are measured: resident memory and open descriptors from /proc
 * (Linux only), and the depth of the three Serf queues by RPC. Timers and tables
 * cannot be seen from outside; whatever kept more and more of them would show up
 * as memory. Prints a table and the trend: a straight line through the second
 * half of the samples, as what it rises from its beginning to its end. Exits with
 * 1 when that is more than the bound, when an agent ends by itself, or when in
 * the end not all are alive for all.
 */

import { type Agent, Cluster, poll, randomKey } from "../e2e/harness.ts";
import { RpcClient } from "../../lib/net/rpc_client.ts";

const EVENT_EVERY_MS = 500;
const QUERY_EVERY_MS = 1_000;
const CHURN_EVERY_MS = 2_000;
const SAMPLES = 120;
const ROWS = 15;
/** No agent takes longer over a request, nor for an end and a start. */
const WORK_DEADLINE_MS = 60_000;
const CONVERGED_DEADLINE_MS = 120_000;

/** What is looked at, and what its mean may rise by during the second half. */
const MEASURES = [
  { name: "memory, MB", riseMax: 8 },
  { name: "descriptors", riseMax: 3 },
  { name: "queued broadcasts", riseMax: 32 },
] as const;

/** Means over the agents that are measured, in the order of `MEASURES`. */
interface Sample {
  readonly atS: number;
  readonly values: readonly number[];
  readonly mostMb: number;
}

/** What a straight line through the values rises by, from the first to the last. */
export function riseOf(values: readonly number[]): number {
  const count = values.length;
  if (count < 2) return 0;
  const middle = (count - 1) / 2;
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  let up = 0;
  let across = 0;
  for (const [i, value] of values.entries()) {
    up += (i - middle) * (value - mean);
    across += (i - middle) ** 2;
  }
  return up / across * (count - 1);
}

class Soak {
  readonly counts = { events: 0, queries: 0, acks: 0, restarts: 0 };
  readonly samples: Sample[] = [];
  readonly #cluster: Cluster;
  readonly #endMs: number;
  readonly #steady: Agent[] = [];
  readonly #churning: Agent[] = [];
  readonly #clients = new Map<Agent, RpcClient>();
  readonly #startMs = performance.now();
  readonly #every: number;

  constructor(cluster: Cluster, minutes: number) {
    this.#cluster = cluster;
    this.#endMs = this.#startMs + minutes * 60_000;
    this.#every = minutes * 60_000 / SAMPLES;
  }

  async start(agents: number): Promise<void> {
    const encrypt = randomKey(32);
    const join: string[] = [];
    for (let i = 0; i < agents; i++) {
      const name = `soak${i}`;
      const path = this.#cluster.writeFile(`${name}.snapshot`, "");
      const agent = await this.#cluster.start({
        kind: i % 10 === 5 ? "hashicorp" : "ours",
        name,
        encrypt,
        logLevel: "warn",
        join: [...join],
        extraArgs: [`-snapshot=${path}`, "-rejoin"],
      });
      if (join.length < 2) join.push(agent.gossip.text);
      (i % 2 === 0 ? this.#steady : this.#churning).push(agent);
    }
  }

  /** Everything at once until the time is over. */
  async run(): Promise<void> {
    await Promise.all([
      this.#repeat("an event", EVENT_EVERY_MS, () => this.#event()),
      this.#repeat("a query", QUERY_EVERY_MS, () => this.#query()),
      this.#repeat("a restart", CHURN_EVERY_MS, () => this.#churn()),
      this.#repeat("a sample", this.#every, () => this.#sample()),
    ]);
  }

  async #repeat(
    what: string,
    everyMs: number,
    work: () => Promise<void>,
  ): Promise<void> {
    for (let dueMs = performance.now(); dueMs < this.#endMs;) {
      const waitMs = Math.max(0, dueMs - performance.now());
      await new Promise((resolve) => setTimeout(resolve, waitMs));
      await inTime(what, work());
      // What took longer is not made up for.
      dueMs = Math.max(dueMs + everyMs, performance.now());
    }
  }

  async #client(agent: Agent): Promise<RpcClient> {
    const known = this.#clients.get(agent);
    if (known !== undefined) return known;
    const client = await RpcClient.connect({ address: agent.rpc.text });
    this.#clients.set(agent, client);
    return client;
  }

  async #event(): Promise<void> {
    const client = await this.#client(pick(this.#steady));
    const payload = crypto.getRandomValues(new Uint8Array(100));
    await client.event({ name: `soak-${this.counts.events++}`, payload });
  }

  async #query(): Promise<void> {
    const client = await this.#client(pick(this.#steady));
    const query = { name: "soak", requestAck: true, timeoutMs: 500 };
    const { acks } = await client.queryAll(query);
    this.counts.queries++;
    this.counts.acks += acks.length;
  }

  async #churn(): Promise<void> {
    const i = Math.floor(Math.random() * this.#churning.length);
    const agent = this.#churning[i] as Agent;
    const way = Math.floor(Math.random() * 3);
    if (way === 1) await agent.command("ours", "leave");
    if (way === 2) agent.signal("SIGTERM");
    if (way > 0) await poll(() => agent.process.exit !== undefined, 10_000);
    this.#churning[i] = await this.#cluster.restart(agent);
    this.counts.restarts++;
  }

  async #sample(): Promise<void> {
    const ours = this.#steady.filter(({ kind }) => kind === "ours");
    const each = await Promise.all(ours.map(async (agent) => {
      const { pid } = agent.process;
      const stats = await (await this.#client(agent)).stats();
      const serf = stats.get("serf");
      const queues = ["intent_queue", "event_queue", "query_queue"];
      return [
        memoryMb(pid),
        [...Deno.readDirSync(`/proc/${pid}/fd`)].length,
        queues.reduce((sum, name) => sum + Number(serf?.get(name)), 0),
      ];
    }));
    const sample = {
      atS: (performance.now() - this.#startMs) / 1_000,
      values: MEASURES.map((_, i) =>
        each.reduce((sum, values) => sum + (values[i] ?? 0), 0) / each.length
      ),
      mostMb: Math.max(...each.map(([mb = 0]) => mb)),
    };
    this.samples.push(sample);
    if (this.samples.length % Math.ceil(SAMPLES / ROWS) === 1) printRow(sample);
  }

  /** All that is wrong in the end. */
  async verdict(): Promise<string[]> {
    const wrong: string[] = [];
    const half = this.samples.slice(Math.floor(this.samples.length / 2));
    for (const [i, { name, riseMax }] of MEASURES.entries()) {
      const rise = riseOf(half.map(({ values }) => values[i] ?? 0));
      console.log(
        `${name}: ${signed(rise)} in the second half (at most ${riseMax})`,
      );
      if (rise > riseMax) wrong.push(`${name} grew`);
    }
    const agents = [...this.#steady, ...this.#churning];
    for (const agent of agents) {
      if (agent.process.exit !== undefined) wrong.push(`${agent.name} ended`);
      else if (!await seesAll(agent, agents.length)) {
        wrong.push(`${agent.name} does not see all alive`);
      }
    }
    return wrong;
  }

  close(): void {
    for (const client of this.#clients.values()) client.close();
  }
}

/** @throws {Error} when the work is not done within the deadline */
async function inTime(what: string, work: Promise<void>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    const error = new Error(`Not done in ${WORK_DEADLINE_MS} ms: ${what}`);
    timer = setTimeout(() => reject(error), WORK_DEADLINE_MS);
  });
  await Promise.race([work, late]).finally(() => clearTimeout(timer));
}

async function seesAll(agent: Agent, count: number): Promise<boolean> {
  return await poll(async () => {
    const members = [...(await agent.members()).values()];
    return members.filter(({ Status }) => Status === "alive").length === count;
  }, CONVERGED_DEADLINE_MS) === true;
}

function memoryMb(pid: number): number {
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) / 1_024;
}

function pick<T>(items: readonly T[]): T {
  return items[Math.floor(Math.random() * items.length)] as T;
}

function signed(value: number): string {
  return `${value < 0 ? "" : "+"}${value.toFixed(1)}`;
}

function printRow({ atS, values, mostMb }: Sample): void {
  const cells = [...values, mostMb].map((value) => value.toFixed(1));
  console.log(
    [`${Math.round(atS)} s`, ...cells].map((cell) => cell.padStart(18))
      .join(""),
  );
}

function argument(name: string, standard: number): number {
  const text = Deno.args.find((arg) => arg.startsWith(`--${name}=`));
  const value = Number(text?.slice(name.length + 3) ?? standard);
  if (value > 0) return value;
  throw new RangeError(`--${name} takes a positive number`);
}

if (import.meta.main) {
  const agents = argument("agents", 20);
  const minutes = argument("minutes", 60);
  await using cluster = new Cluster();
  const soak = new Soak(cluster, minutes);
  console.log(`${agents} agents, ${minutes} minutes`);
  await soak.start(agents);
  const heads = ["time", ...MEASURES.map(({ name }) => name), "most, MB"];
  console.log(heads.map((head) => head.padStart(18)).join(""));
  await soak.run();
  const { events, queries, acks, restarts } = soak.counts;
  console.log(
    `${events} events, ${queries} queries with ${acks} acks, ${restarts} restarts`,
  );
  const wrong = await soak.verdict();
  soak.close();
  console.log(wrong.length === 0 ? "nothing grows" : wrong.join("\n"));
  Deno.exitCode = wrong.length === 0 ? 0 : 1;
}
