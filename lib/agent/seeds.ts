/**
 * Seeds that are not members are tried again, for as long as the agent runs.
 *
 * A node that joins is content with the first seed that answers, and a node that
 * is its own seed is content at once. So two halves that are started while the
 * network between them is down would never meet: neither knows anybody of the
 * other to reconnect to. Here each configured seed is looked at now and then, and
 * those of its addresses at which no member is alive are joined again:
 *
 *     look ──each address is a live member's──▶ look again after one interval
 *      └──others──▶ join there ──▶ look again after 2, 4, 8 ... intervals
 *
 * Every wait is drawn anew, between three and five quarters of its length, so
 * that nodes which started together do not all knock together. A seed that we
 * never see under its own address, because members are told another one, is
 * joined at the longest wait for ever; each time is one exchange of states.
 *
 * The original stops at the first success.
 */

import { formatEndpoint } from "../kit/address.ts";
import type { LogLevel } from "../kit/log.ts";
import type { Random } from "../kit/random.ts";
import { resolveJoinAddress } from "../net/resolve.ts";
import type { Member } from "../serf/member.ts";
import { type Pause, pause } from "./pause.ts";

/** Longest wait between looks at a seed, ms, unless the interval is longer. */
const WAIT_MS_MAX = 10 * 60_000;

/** What is known of one seed. */
interface Seed {
  readonly address: string;
  lookAtMs: number;
  /** Looks in a row at which it was no member. */
  misses: number;
}

/** When to look at which seed; a pure table, in virtual time. */
export class SeedSchedule {
  readonly #seeds: readonly Seed[];
  readonly #intervalMs: number;
  readonly #random: Random;

  /** @param intervalMs time between looks at a seed that is a member, ms */
  constructor(
    addresses: Iterable<string>,
    intervalMs: number,
    random: Random,
    nowMs: number,
  ) {
    this.#intervalMs = intervalMs;
    this.#random = random;
    this.#seeds = [...new Set(addresses)].map((address) => ({
      address,
      lookAtMs: nowMs + this.#draw(intervalMs),
      misses: 0,
    }));
  }

  /** Instant of the next look; `undefined` when there is no seed. */
  nextMs(): number | undefined {
    const instants = this.#seeds.map(({ lookAtMs }) => lookAtMs);
    return instants.length === 0 ? undefined : Math.min(...instants);
  }

  /** The seeds to look at now. */
  due(nowMs: number): string[] {
    return this.#seeds.filter(({ lookAtMs }) => lookAtMs <= nowMs)
      .map(({ address }) => address);
  }

  /** What a look at a seed has shown. */
  looked(address: string, isMember: boolean, nowMs: number): void {
    const seed = this.#seeds.find((each) => each.address === address);
    if (seed === undefined) return;
    seed.misses = isMember ? 0 : seed.misses + 1;
    const waitMs = this.#intervalMs * 2 ** Math.min(seed.misses, 30);
    const longestMs = Math.max(this.#intervalMs, WAIT_MS_MAX);
    seed.lookAtMs = nowMs + this.#draw(Math.min(waitMs, longestMs));
  }

  #draw(waitMs: number): number {
    return waitMs * (0.75 + this.#random.fraction() / 2);
  }
}

/** What is asked of an agent here. */
export interface SeededAgent {
  members(): readonly Member[];
  /** Joins without the log lines of a join by request. */
  joinSeeds(addresses: readonly string[]): Promise<number>;
  log(level: LogLevel, text: string): void;
}

export interface SeedOptions {
  readonly schedule: SeedSchedule;
  /** Port of seeds that name none. */
  readonly defaultPort: number;
  /** Milliseconds since some fixed instant; never goes back. */
  now(): number;
  /** Ends it. */
  readonly signal: AbortSignal;
  /** Waits; by the clock unless given. */
  readonly pause?: Pause;
}

/** Looks after the seeds until the signal ends it. */
export async function keepSeeds(
  agent: SeededAgent,
  options: SeedOptions,
): Promise<void> {
  const { schedule, signal, now } = options;
  const nextMs = schedule.nextMs();
  if (nextMs === undefined) return;
  const wait = options.pause ?? pause;
  for (let atMs = nextMs; await wait(atMs - now(), signal);) {
    const seeds = await look(agent, schedule.due(now()), options.defaultPort);
    if (signal.aborted) return;
    const missing = seeds.flatMap((seed) => seed.missing);
    if (missing.length > 0) await joinAgain(agent, [...new Set(missing)]);
    for (const { address, isMember } of seeds) {
      schedule.looked(address, isMember, now());
    }
    atMs = schedule.nextMs() ?? Infinity;
  }
}

async function joinAgain(
  agent: SeededAgent,
  missing: readonly string[],
): Promise<void> {
  const list = `[${missing.join(" ")}]`;
  agent.log("DEBUG", `agent: Seeds are not alive members, joining: ${list}`);
  try {
    const contacted = await agent.joinSeeds(missing);
    agent.log("INFO", `agent: Reached ${contacted} seeds of ${list}`);
  } catch (error) {
    const reason = (error as Error).message.trimEnd();
    agent.log("DEBUG", `agent: Seeds cannot be reached: ${reason}`);
  }
}

/** What a look at a seed shows. */
interface SeedView {
  readonly address: string;
  /** Whether all that it stands for are members and alive. */
  readonly isMember: boolean;
  /** Its addresses at which nobody is. */
  readonly missing: readonly string[];
}

async function look(
  agent: SeededAgent,
  addresses: readonly string[],
  defaultPort: number,
): Promise<SeedView[]> {
  const resolved = await Promise.all(addresses.map(async (address) => {
    try {
      return await resolveJoinAddress(address, defaultPort);
    } catch {
      // A name that nobody knows at present; its time will come.
      return [];
    }
  }));
  const alive = new Set(
    agent.members().filter(({ status }) => status === "alive")
      .map(({ ip, port }) => formatEndpoint(ip, port)),
  );
  return addresses.map((address, i) => {
    const targets = resolved[i] ?? [];
    const missing = targets.filter((target) => !alive.has(target.address))
      .map((target) =>
        target.name === undefined
          ? target.address
          : `${target.name}/${target.address}`
      );
    const isMember = targets.length > 0 && missing.length === 0;
    return { address, isMember, missing };
  });
}
