/**
 * One cluster of three agents of ours and three of HashiCorp's, from the first
 * join to the last force-leave. The same story is told without encryption and
 * with each size of key, in a test file each.
 *
 * Both command lines are used on both kinds of agent. What a cluster believes
 * is read through an RPC client of the tests' own, from every agent; what the
 * programs print is compared at the points where the cluster is at rest.
 */

import assert from "node:assert/strict";
import { Agreement } from "./agreement.ts";
import {
  type Agent,
  type AgentOptions,
  type Cluster,
  type EventLog,
  type Kind,
  KINDS,
  randomKey,
  testCluster,
} from "./harness.ts";

export interface MixedClusterOptions {
  /** Length of the encryption key; without it the cluster is not encrypted. */
  readonly keyBytes?: 16 | 24 | 32;
}

/** A member as `serf members -format=json` tells it. */
interface ListedMember {
  readonly name: string;
  readonly addr: string;
  readonly tags: Record<string, string> | null;
  readonly status: string;
}

/** What is expected of one user event. */
interface SentEvent {
  readonly name: string;
  readonly payload: string;
}

/** Detection takes up to six probe rounds and a suspicion of 4 to 24 s. */
const FAILURE_DEADLINE_MS = 60_000;

/** What is said when the other side of a connection was killed. */
const LOST_CONNECTION =
  /connection refused|connection reset|broken pipe|i\/o timeout|EOF/;

/** Registers the test. */
export function testMixedCluster(
  title: string,
  options: MixedClusterOptions,
): void {
  testCluster(title, async (cluster, step) => {
    const story = new Story(cluster, options);
    await step(
      "agents of both kinds join each other, at start and later",
      () => story.assemble(),
    );
    await step(
      "all list the same members, asked with both programs",
      () => story.compareListings(),
    );
    await step(
      "events reach every agent exactly once",
      () => story.sendEvents(),
    );
    await step("a change of tags is seen by all", () => story.changeTags());
    await step(
      "killed agents are seen as failed by all",
      () => story.killTwo(),
    );
    await step(
      "restarted agents are seen as alive by all",
      () => story.restartTwo(),
    );
    await step(
      "events still cross after the restart",
      () => story.sendLateEvents(),
    );
    await step(
      "agents killed again are seen as failed again",
      () => story.killTwo(),
    );
    await step(
      "agents that leave are seen as left by all",
      () => story.leaveTwo(),
    );
    await step(
      "failed members are forced out and forgotten",
      () => story.forceOut(),
    );
    await step(
      "nobody complained of what it received",
      () => story.checkComplaints(),
    );
    await step("gossip seldom needed a repair", () => story.checkRepairs());
    await step("no event came twice", () => story.checkNoDuplicates());
  }, { needs: ["serf"] });
}

class Story {
  readonly #cluster: Cluster;
  readonly #common: Pick<AgentOptions, "encrypt">;
  readonly #agreement: Agreement;
  readonly #logs = new Map<string, EventLog>();
  readonly #sent: SentEvent[] = [];
  readonly #agents = new Map<string, Agent>();

  constructor(cluster: Cluster, { keyBytes }: MixedClusterOptions) {
    this.#cluster = cluster;
    this.#agreement = new Agreement(cluster);
    const encrypt = keyBytes === undefined ? undefined : randomKey(keyBytes);
    this.#common = { encrypt };
  }

  async assemble(): Promise<void> {
    const [o1, h1] = await Promise.all([
      this.#start("ours", "o1"),
      this.#start("hashicorp", "h1"),
    ]);
    const [o2, h2, o3, h3] = await Promise.all([
      this.#start("ours", "o2", [h1.gossip.text]),
      this.#start("hashicorp", "h2", [o1.gossip.text]),
      this.#start("ours", "o3"),
      this.#start("hashicorp", "h3"),
    ]);
    for (const agent of [o2, h2]) {
      assert.match(
        agent.output,
        /Join completed\. Synced with 1 initial agents/,
      );
    }
    // Two islands, {h1 o2 h3} and {o1 h2 o3} ...
    const joined = "Successfully joined cluster by contacting 1 nodes.\n";
    assert.equal(await o3.succeed("ours", "join", [h2.gossip.text]), joined);
    assert.equal(
      await h3.succeed("hashicorp", "join", [o2.gossip.text]),
      joined,
    );
    // ... and the bridge between them.
    assert.equal(
      await o3.succeed("hashicorp", "join", [h3.gossip.text]),
      joined,
    );
    await this.#agreement.reach();
  }

  async compareListings(): Promise<void> {
    const expected = [...this.#agreement.expected()].map((
      { agent, status, tags },
    ) => ({
      name: agent.name,
      addr: agent.gossip.text,
      tags,
      status,
    })).sort(byName);
    for (const agent of this.#agreement.alive()) {
      for (const cli of KINDS) {
        const text = await agent.succeed(cli, "members", ["-format=json"]);
        const { members } = JSON.parse(text) as { members: ListedMember[] };
        const listed = members.map(({ name, addr, tags, status }) => ({
          name,
          addr,
          tags,
          status,
        }));
        assert.deepEqual(
          listed.sort(byName),
          expected,
          `members of ${agent.name}, asked with ${cli}`,
        );
      }
    }
  }

  /** Every agent sends one, half of them through the other kind's program. */
  async sendEvents(): Promise<void> {
    for (const agent of this.#agreement.alive()) await this.#watch(agent);
    const payloads = ["v1.2", "", "héllo ☃", "x".repeat(400), "a=b,c|d", " "];
    for (const [i, agent] of this.#agreement.alive().entries()) {
      await this.#send(
        agent,
        KINDS[i % 2] as Kind,
        `event-${agent.name}`,
        payloads[i] as string,
      );
    }
    await this.#allReceive(this.#sent);
  }

  /** Ours has no command for it yet: `restartTwo` changes the tags of ours. */
  async changeTags(): Promise<void> {
    const h1 = this.#agent("h1");
    assert.equal(
      await h1.succeed("hashicorp", "tags", [
        "-set",
        "role=changed",
        "-set",
        "extra=1",
        "-delete",
        "kind",
      ]),
      "Successfully updated agent tags\n",
    );
    this.#agreement.expect(h1, { tags: { role: "changed", extra: "1" } });
    await this.#agreement.reach();
    await this.#areTold(["h1"], "update");
  }

  async killTwo(): Promise<void> {
    for (const name of ["o3", "h3"]) {
      const agent = this.#agent(name);
      agent.signal("SIGKILL");
      this.#agreement.expect(agent, { status: "failed" });
    }
    await this.#agreement.reach({ gossipDeadlineMs: FAILURE_DEADLINE_MS });
    await this.#areTold(["o3", "h3"], "failed");
  }

  async restartTwo(): Promise<void> {
    const contacts = { o3: "h1", h3: "o1" };
    await Promise.all(
      Object.entries(contacts).map(async ([name, contact]) => {
        const changes = {
          tags: { role: "restarted", run: "2" },
          join: [this.#agent(contact).gossip.text],
        };
        const agent = await this.#cluster.restart(this.#agent(name), changes);
        this.#agents.set(name, agent);
        this.#agreement.expect(agent, { status: "alive", tags: changes.tags });
        await this.#watch(agent);
      }),
    );
    await this.#agreement.reach();
    await this.#areTold(["o3", "h3"], "join");
    await this.compareListings();
  }

  async sendLateEvents(): Promise<void> {
    const late: SentEvent[] = [];
    for (
      const [cli, name] of [
        ["ours", "o3"],
        ["hashicorp", "h3"],
        ["ours", "h1"],
        ["hashicorp", "o1"],
      ] as const
    ) {
      late.push(
        await this.#send(this.#agent(name), cli, `late-${name}`, "again"),
      );
    }
    await this.#allReceive(late);
    for (const name of ["o3", "h3"]) {
      const received = this.#logs.get(name)?.userEvents().map((record) =>
        record.Name
      ).sort();
      assert.deepEqual(
        received,
        late.map((event) => event.name).sort(),
        `${name} must not be given the events sent before its restart`,
      );
    }
  }

  /** Each by a command of the other kind, for which a leave may take its time. */
  async leaveTwo(): Promise<void> {
    const [o2, h2] = [this.#agent("o2"), this.#agent("h2")];
    const [saidOurs, saidTheirs, exitOfOurs, exitOfTheirs] = await Promise.all([
      o2.succeed("hashicorp", "leave"),
      h2.succeed("ours", "leave"),
      this.#cluster.exitOf(o2),
      this.#cluster.exitOf(h2),
    ]);
    for (const said of [saidOurs, saidTheirs]) {
      assert.equal(said, "Graceful leave complete\n");
    }
    assert.deepEqual([exitOfOurs.code, exitOfTheirs.code], [0, 0]);
    for (const agent of [o2, h2]) {
      this.#agreement.expect(agent, { status: "left" });
    }
    await this.#agreement.reach();
    await this.#areTold(["o2", "h2"], "leave");
    await this.compareListings();
  }

  async forceOut(): Promise<void> {
    const [o1, h1] = [this.#agent("o1"), this.#agent("h1")];
    // Each kind forces out a failed member of the other kind ...
    assert.equal(await o1.succeed("ours", "force-leave", ["h3"]), "");
    assert.equal(await h1.succeed("hashicorp", "force-leave", ["o3"]), "");
    for (const name of ["o3", "h3"]) {
      this.#agreement.expect(this.#agent(name), { status: "left" });
    }
    await this.#agreement.reach();
    await this.#areTold(["o3", "h3"], "leave");
    // ... and has the cluster forget members of both kinds.
    await this.#prune(o1, "hashicorp", "h3");
    await this.#prune(h1, "ours", "o3");
    await this.#prune(o1, "ours", "o2");
    await this.#prune(h1, "hashicorp", "h2");
    await this.#areTold(["o2", "h2", "o3", "h3"], "reap");
    await this.compareListings();
  }

  async #prune(agent: Agent, cli: Kind, name: string): Promise<void> {
    const prune = async () => {
      const said = await agent.succeed(cli, "force-leave", ["-prune", name]);
      assert.equal(said, "");
    };
    this.#agreement.forget(name);
    await prune();
    // An exchange of states does not tell that somebody was forgotten.
    await this.#agreement.reach({ repair: prune });
  }

  checkRepairs(): void {
    this.#agreement.checkRepairs();
  }

  /** A message that cannot be read is an error in both logs, and costs only luck. */
  checkComplaints(): void {
    for (const { name, output, process } of this.#cluster.agents) {
      const complaints = output.split("\n").filter((line) =>
        line.includes("[ERR]") && !LOST_CONNECTION.test(line)
      );
      assert.deepEqual(complaints, [], `errors in the log of ${name}`);
      assert.equal(process.stderr, "", `standard error of ${name}`);
    }
  }

  /** By now every retransmission of every event has long been made. */
  checkNoDuplicates(): void {
    for (const log of this.#logs.values()) {
      for (const { name } of this.#sent) {
        assert.ok(
          log.userEvents(name).length <= 1,
          `${log.agent.name} received ${name} more than once`,
        );
      }
    }
    for (const name of ["o1", "h1"]) {
      assert.equal(
        this.#logs.get(name)?.userEvents().length,
        this.#sent.length,
      );
    }
  }

  async #start(kind: Kind, name: string, join: string[] = []): Promise<Agent> {
    const tags = { role: `role-${name}`, kind };
    const agent = await this.#cluster.start({
      ...this.#common,
      kind,
      name,
      tags,
      join,
    });
    this.#agents.set(name, agent);
    this.#agreement.expect(agent, { status: "alive", tags });
    return agent;
  }

  #agent(name: string): Agent {
    const agent = this.#agents.get(name);
    assert.ok(agent, `no agent ${name}`);
    return agent;
  }

  /**
   * Waits until those who watch all the time, one of each kind, are told that
   * this was the last change of these members. Without it the next change could
   * come so soon that both are told as one.
   */
  async #areTold(subjects: readonly string[], change: string): Promise<void> {
    for (const name of ["o1", "h1"]) {
      const log = this.#logs.get(name);
      assert.ok(log);
      for (const subject of subjects) {
        await this.#cluster.eventually(
          `${name} is told that the last of ${subject} is: ${change}`,
          () => {
            // The last update of a member is told again with others' changes.
            const told = log.memberEvents(subject).filter((event) =>
              event !== "update" || change === "update"
            );
            return told.at(-1) === change || told;
          },
        );
      }
    }
  }

  async #watch(agent: Agent): Promise<void> {
    this.#logs.set(agent.name, await this.#cluster.watch(agent, "*"));
  }

  async #send(
    agent: Agent,
    cli: Kind,
    name: string,
    payload: string,
  ): Promise<SentEvent> {
    const args = [
      "-coalesce=false",
      name,
      ...(payload === "" ? [] : [payload]),
    ];
    assert.equal(
      await agent.succeed(cli, "event", args),
      `Event '${name}' dispatched! Coalescing enabled: false\n`,
    );
    const event = { name, payload };
    this.#sent.push(event);
    return event;
  }

  /** Waits until every living agent has each event, once, unharmed, at one Lamport time. */
  async #allReceive(events: readonly SentEvent[]): Promise<void> {
    for (const { name, payload } of events) {
      const ltimes = new Set<number | undefined>();
      for (const agent of this.#agreement.alive()) {
        const log = this.#logs.get(agent.name);
        assert.ok(log);
        await this.#agreement.gossipBrings(
          agent,
          `${agent.name} receives ${name}`,
          () => log.userEvents(name).length >= 1 || log.userEvents(),
        );
        const received = log.userEvents(name);
        assert.equal(
          received.length,
          1,
          `${agent.name} received ${name} twice`,
        );
        assert.equal(
          new TextDecoder().decode(received[0]?.Payload ?? undefined),
          payload,
        );
        assert.equal(received[0]?.Coalesce, false);
        ltimes.add(received[0]?.LTime);
      }
      assert.equal(ltimes.size, 1, `Lamport times of ${name}: ${[...ltimes]}`);
    }
  }
}

function byName(a: { name: string }, b: { name: string }): number {
  return a.name < b.name ? -1 : 1;
}
