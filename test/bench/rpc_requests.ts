/**
 * How many requests does an agent answer, and how does that compare?
 *
 *     deno run -A test/bench/rpc_requests.ts [ROUNDS]
 *
 * One agent of ours and one of HashiCorp's are members of the same cluster of
 * 30, the other 28 being nodes inside this process. Clients ask each for
 * `members`, over one connection and over 50, always with one question under way
 * on each. The agents take turns, so that a noisy machine disturbs both alike;
 * medians are printed, and the ratio of the medians, which is what counts. The
 * processor time is that of the agent alone (Linux only), and tells what an
 * answer costs however busy the machine is: HashiCorp's agent may use several
 * cores at once, ours uses one.
 */

import { SerfNode } from "../../lib/mod.ts";
import { type Agent, Cluster, type Kind, KINDS } from "../e2e/harness.ts";
import { answersPerSecond, LoadClient } from "./rpc_load.ts";

const MEMBERS = 30;
const CONNECTION_COUNTS = [1, 50];
const ROUNDS_DEFAULT = 9;
const ROUND_MS = 1_000;
/** Processor time in /proc is counted in hundredths of a second. */
const TICKS_PER_SECOND = 100;

interface Round {
  readonly perSecond: number;
  /** Processor time of the agent for one answer, us. */
  readonly cpuUs: number;
}

/** User and system time of a process so far, s. */
function cpuSecondsOf(pid: number): number {
  const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

async function measure(
  agent: Agent,
  clients: readonly LoadClient[],
): Promise<Round> {
  const { pid } = agent.process;
  const before = cpuSecondsOf(pid);
  const startMs = performance.now();
  const perSecond = await answersPerSecond(clients, ROUND_MS);
  const answers = perSecond * (performance.now() - startMs) / 1_000;
  return { perSecond, cpuUs: 1e6 * (cpuSecondsOf(pid) - before) / answers };
}

async function openClients(agent: Agent, count: number): Promise<LoadClient[]> {
  const clients: LoadClient[] = [];
  for (let i = 0; i < count; i++) {
    const client = await LoadClient.open(agent.rpc);
    await client.memberNames();
    clients.push(client);
  }
  return clients;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

if (import.meta.main) {
  const rounds = Number(Deno.args[0] ?? ROUNDS_DEFAULT);
  await using cluster = new Cluster();
  const agents = new Map<Kind, Agent>();
  const tags = { role: "web", dc: "east" };
  for (const kind of KINDS) {
    agents.set(
      kind,
      await cluster.start({ kind, name: kind, tags, logLevel: "err" }),
    );
  }
  const addresses = [...agents.values()].map(({ gossip }) => gossip.text);
  await using nodes = new AsyncDisposableStack();
  const joins: Promise<unknown>[] = [];
  for (let i = agents.size; i < MEMBERS; i++) {
    const node = nodes.adopt(
      await SerfNode.start({ name: `n${i}`, bind: "127.0.0.1:0", tags }),
      // Nobody is left who would want to be told.
      (node) => node.shutdown(),
    );
    joins.push(node.join(addresses));
  }
  await Promise.all(joins);
  const askers = new Map<Kind, LoadClient[]>();
  for (const [kind, agent] of agents) {
    const first = await LoadClient.open(agent.rpc);
    await cluster.eventually(
      `${kind} knows ${MEMBERS} members`,
      async () => (await first.memberNames()).length === MEMBERS,
    );
    first.close();
    askers.set(kind, await openClients(agent, Math.max(...CONNECTION_COUNTS)));
  }
  const lists = await Promise.all(
    [...askers.values()].map((clients) => clients[0]?.memberNames()),
  );
  if (new Set(lists.map(String)).size !== 1) {
    throw new Error("The two agents do not tell the same members");
  }
  console.log(
    `members of ${MEMBERS}, ${rounds} rounds of ${ROUND_MS} ms, medians\n`,
  );
  for (const count of CONNECTION_COUNTS) {
    const results = new Map<Kind, Round[]>(KINDS.map((kind) => [kind, []]));
    for (let round = 0; round <= rounds; round++) {
      for (const [kind, agent] of agents) {
        const clients = askers.get(kind)?.slice(0, count) ?? [];
        const result = await measure(agent, clients);
        // The first round compiles and fills caches.
        if (round > 0) results.get(kind)?.push(result);
      }
    }
    const perSecond: number[] = [];
    for (const kind of KINDS) {
      const result = results.get(kind) ?? [];
      const value = median(result.map((each) => each.perSecond));
      perSecond.push(value);
      const cpuUs = median(result.map((each) => each.cpuUs));
      console.log(
        `${String(count).padStart(2)} connections  ${kind.padEnd(9)}  ` +
          `${value.toFixed(0).padStart(6)} requests/s  ` +
          `${cpuUs.toFixed(0).padStart(4)} us of processor time each`,
      );
    }
    const [ours = 0, theirs = 1] = perSecond;
    console.log(`ours / HashiCorp's: ${(ours / theirs).toFixed(2)}\n`);
  }
  for (const client of [...askers.values()].flat()) client.close();
}
