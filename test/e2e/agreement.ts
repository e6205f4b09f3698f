/**
 * What the members of a cluster ought to believe of each other, and the wait
 * until all of them do.
 *
 * Gossip is a matter of luck: on the LAN profile, in a cluster of this size,
 * every holder of a message sends it four times. A broadcast misses somebody
 * with a probability of 2 % among six living members and of 10 % among four
 * living and two dead ones, which cost packets too; exchanges of full states
 * make up for it, within a minute. The test does not wait for that: a member
 * that lags is told to join the others again, which exchanges states at once.
 * Such repairs are counted, and more of them than luck explains are a failure.
 */

import assert from "node:assert/strict";
import { type Agent, type Cluster, poll } from "./harness.ts";

/** What is expected of one member. */
export interface Expected {
  readonly agent: Agent;
  readonly status: string;
  readonly tags: Record<string, string>;
}

/** How long to wait for gossip, and what to do then. */
export interface Patience {
  readonly gossipDeadlineMs?: number;
  /** Makes up for lost gossip; by default an exchange of states. */
  readonly repair?: () => Promise<void>;
}

/**
 * A member that lags for this long is repaired. Gossip needs under a second, on a
 * busy machine a few.
 */
const GOSSIP_DEADLINE_MS = 8_000;
/**
 * An exchange of states makes a suspect of whom others call failed; the suspicion
 * lasts up to 24 s.
 */
const REPAIR_DEADLINE_MS = 75_000;
/** Luck alone calls for 0.6 repairs in a run; more than five, once in 25,000. */
const REPAIRS_MAX = 5;

export class Agreement {
  readonly #cluster: Cluster;
  /** Everything the members' listing must show, by name. */
  readonly #expected = new Map<string, Expected>();
  readonly #repairs: string[] = [];

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  /** States what is to be believed of an agent, all of it the first time. */
  expect(agent: Agent, change: Partial<Omit<Expected, "agent">>): void {
    const known = this.#expected.get(agent.name) ??
      { status: "none", tags: {} };
    this.#expected.set(agent.name, { ...known, ...change, agent });
  }

  /** Nobody is to list that member. */
  forget(name: string): void {
    this.#expected.delete(name);
  }

  expected(): Iterable<Expected> {
    return this.#expected.values();
  }

  /** The agents that are expected to be alive. */
  alive(): Agent[] {
    return [...this.#expected.values()]
      .filter(({ status }) => status === "alive")
      .map(({ agent }) => agent);
  }

  /** Waits until every living agent lists exactly what is expected. */
  async reach(patience: Patience = {}): Promise<void> {
    const expected = [...this.#expected.values()]
      .map(({ agent, status, tags }) =>
        describe(agent.name, agent.gossip.text, status, tags)
      )
      .sort();
    for (const agent of this.alive()) {
      await this.gossipBrings(
        agent,
        `${agent.name} lists\n  ${expected.join("\n  ")}`,
        async () => {
          const listed = [...(await agent.members()).values()]
            .map((m) =>
              describe(
                m.Name,
                `${m.Addr.join(".")}:${m.Port}`,
                m.Status,
                m.Tags,
              )
            )
            .sort();
          return listed.join() === expected.join() || listed;
        },
        patience,
      );
    }
  }

  /** Waits for the condition; repairs the agent once when it lags. */
  async gossipBrings(
    agent: Agent,
    description: string,
    check: () => unknown | Promise<unknown>,
    patience: Patience = {},
  ): Promise<void> {
    const { gossipDeadlineMs = GOSSIP_DEADLINE_MS } = patience;
    if (await poll(check, gossipDeadlineMs) === true) return;
    this.#repairs.push(description);
    await (patience.repair ?? (() => this.#exchangeStates(agent)))();
    await this.#cluster.eventually(description, check, REPAIR_DEADLINE_MS);
  }

  /** Fails when gossip brought less than luck allows. */
  checkRepairs(): void {
    assert.ok(
      this.#repairs.length <= REPAIRS_MAX,
      `too much was lost by gossip:\n${this.#repairs.join("\n")}`,
    );
  }

  async #exchangeStates(agent: Agent): Promise<void> {
    const others = this.alive().filter((other) => other !== agent);
    const addresses = others.map((other) => other.gossip.text);
    await agent.succeed("hashicorp", "join", ["-replay", ...addresses]);
  }
}

function describe(
  name: string,
  address: string,
  status: string,
  tags: Readonly<Record<string, string>>,
): string {
  const pairs = Object.entries(tags).map(([key, value]) => `${key}=${value}`)
    .sort();
  return `${name} ${address} ${status} ${pairs.join(",")}`;
}
