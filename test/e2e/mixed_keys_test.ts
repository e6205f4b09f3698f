/**
 * The keys of a mixed cluster: 3 agents of each kind, each with a keyring file,
 * changed by either command line through either kind of agent.
 *
 * Goal: both kinds count, install, use and remove keys alike and say the same
 * about what goes wrong; a rotation under a flow of user events loses none and
 * makes nobody suspect anybody; the files hold the new key, and an agent that is
 * started from one is let in again.
 *
 * A query misses one of six members with a chance of 2 %, since each holder
 * passes it on four times only. Key requests may be repeated without harm; the
 * test does so, as a person would, and counts it. The same goes for an event,
 * which an exchange of states then brings. That a loss had to do with keys would
 * show in the logs, where nobody may have failed to decrypt anything.
 */

import assert from "node:assert/strict";
import { RpcClient } from "../../lib/net/rpc_client.ts";
import { Agreement } from "./agreement.ts";
import {
  type Agent,
  type Cluster,
  type EventLog,
  type Kind,
  KINDS,
  randomKey,
  testCluster,
} from "./harness.ts";

const NAMES = ["o1", "h1", "o2", "h2", "o3", "h3"];
/** Luck alone calls for less than one in a run, a busy machine for some more. */
const REPEATS_MAX = 12;
const ATTEMPTS_MAX = 8;
const EVENT_EVERY_MS = 100;

/** What each kind says of itself, in answer to a request that makes no sense. */
const COMPLAINTS = {
  primary: {
    ours: "removing the primary key is not allowed",
    hashicorp: "Removing the primary key is not allowed",
  },
  missing: {
    ours: "requested key is not in the keyring",
    hashicorp: "Requested key is not in the keyring",
  },
  size: {
    ours: "key size must be 16, 24 or 32 bytes",
    hashicorp: "key size must be 16, 24 or 32 bytes",
  },
} as const;

type Action = "install" | "use" | "remove";

const TEXTS: Readonly<Record<Action, readonly [string, string, string]>> = {
  install: [
    "Installing key on all members...",
    "Successfully installed key!",
    "Error installing key",
  ],
  use: [
    "Changing primary key on all members...",
    "Successfully changed primary key!",
    "Error changing primary key",
  ],
  remove: [
    "Removing key on all members...",
    "Successfully removed key!",
    "Error removing key",
  ],
};

testCluster(
  "a mixed cluster changes its keys under load",
  async (cluster, step) => {
    const story = new Story(cluster);
    await step("agents start from keyring files", () => story.assemble());
    await step("all count the same keys", () => story.count());
    await step("a key is installed, twice", () => story.installTwice());
    await step("what makes no sense is refused", () => story.refuse());
    await step("two rotations, while events flow", () => story.rotate());
    await step("no event was lost", () => story.checkEvents());
    await step("nobody was suspected", () => story.checkCalm());
    await step("the files hold the new key", () => story.checkFiles());
    await step("who starts from a file comes back", () => story.restart());
    await step("who has an old file stays out", () => story.keepOut());
    story.checkRepeats();
  },
  { needs: ["serf"] },
);

class Story {
  readonly #cluster: Cluster;
  readonly #agreement: Agreement;
  readonly #agents = new Map<string, Agent>();
  readonly #files = new Map<string, string>();
  readonly #logs = new Map<string, EventLog>();
  readonly #sent: string[] = [];
  readonly #repeats: string[] = [];
  /** One of each size; the last is that of the end. */
  readonly #k1 = randomKey(32);
  readonly #k2 = randomKey(16);
  readonly #k3 = randomKey(24);

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
    this.#agreement = new Agreement(cluster);
  }

  async assemble(): Promise<void> {
    for (const name of NAMES) {
      const kind: Kind = name.startsWith("o") ? "ours" : "hashicorp";
      const file = this.#cluster.writeFile(
        `${name}.keys.json`,
        JSON.stringify([this.#k1]),
      );
      const [first] = this.#agents.values();
      const agent = await this.#cluster.start({
        kind,
        name,
        join: first === undefined ? [] : [first.gossip.text],
        extraArgs: [`-keyring-file=${file}`],
      });
      this.#agents.set(name, agent);
      this.#files.set(name, file);
      this.#agreement.expect(agent, { status: "alive" });
      assert.match(agent.output, /^ {22}Encrypted: true$/m);
      await this.#cluster.prints(
        agent,
        `[INFO] agent: Restored keyring with 1 keys from ${file}\n`,
      );
    }
    await this.#agreement.reach();
    for (const [name, agent] of this.#agents) {
      this.#logs.set(name, await this.#cluster.watch(agent, "user"));
    }
  }

  async count(): Promise<void> {
    for (const name of ["o1", "h1"]) {
      for (const cli of KINDS) await this.#lists(name, cli, [this.#k1]);
    }
  }

  async installTwice(): Promise<void> {
    await this.#succeeds("o2", "hashicorp", "install", this.#k2);
    await this.#succeeds("h2", "ours", "install", this.#k2);
    await this.#lists("o3", "ours", [this.#k1, this.#k2]);
    await this.#lists("h3", "hashicorp", [this.#k1, this.#k2]);
  }

  async refuse(): Promise<void> {
    for (const [name, cli] of [["o1", "hashicorp"], ["h1", "ours"]] as const) {
      await this.#fails(name, cli, "remove", this.#k1, COMPLAINTS.primary);
      await this.#fails(name, cli, "use", this.#k3, COMPLAINTS.missing);
      await this.#fails(name, cli, "install", "AAAA", COMPLAINTS.size);
      const { code, stdout } = await this.#agent(name)
        .command(cli, "keys", ["-install=@@@"]);
      assert.equal(code, 1);
      assert.equal(
        stdout,
        "==> Installing key on all members...\n\n" +
          "Error installing key: illegal base64 data at input byte 0\n",
      );
    }
    // What is not there need not be removed.
    await this.#succeeds("h2", "hashicorp", "remove", this.#k3);
    await this.#lists("o1", "ours", [this.#k1, this.#k2]);
  }

  async rotate(): Promise<void> {
    await using flow = await Flow.start(this.#agents, this.#sent);
    await this.#eventsFlow();
    await this.#succeeds("h1", "hashicorp", "use", this.#k2);
    await this.#eventsFlow();
    await this.#succeeds("o1", "ours", "remove", this.#k1);
    await this.#eventsFlow();
    await this.#succeeds("o2", "ours", "install", this.#k3);
    await this.#eventsFlow();
    await this.#succeeds("h2", "ours", "use", this.#k3);
    await this.#eventsFlow();
    await this.#succeeds("o3", "hashicorp", "remove", this.#k2);
    await this.#eventsFlow();
    await flow.stop();
    for (const name of ["o2", "h3"]) {
      for (const cli of KINDS) await this.#lists(name, cli, [this.#k3]);
    }
  }

  async checkEvents(): Promise<void> {
    assert.ok(this.#sent.length >= 60, `${this.#sent.length} events`);
    for (const [name, agent] of this.#agents) {
      const log = this.#log(name);
      const missing = () =>
        this.#sent.filter((event) => log.userEvents(event).length === 0);
      await this.#agreement.gossipBrings(
        agent,
        `${name} has received all ${this.#sent.length} events`,
        () => missing().length === 0 || missing(),
      );
      const twice = this.#sent.filter((event) =>
        log.userEvents(event).length > 1
      );
      assert.deepEqual(twice, [], `${name} received events twice`);
    }
    this.#agreement.checkRepairs();
  }

  checkCalm(): void {
    const expected = Object.values(COMPLAINTS).flatMap(Object.values);
    for (const [name, agent] of this.#agents) {
      assert.deepEqual(
        this.#cluster.accusationsOf(agent),
        [],
        `suspicions in the log of ${name}`,
      );
      assert.deepEqual(
        agent.output.split("\n").filter((line) =>
          line.includes("[ERR]") && !line.includes("i/o timeout") &&
          !expected.some((complaint) => line.endsWith(complaint as string))
        ),
        [],
        `errors in the log of ${name}`,
      );
    }
  }

  checkFiles(): void {
    for (const [name, file] of this.#files) {
      assert.equal(
        Deno.readTextFileSync(file),
        `[\n  "${this.#k3}"\n]`,
        `keyring file of ${name}`,
      );
      if (this.#agent(name).kind === "hashicorp") continue;
      assert.equal((Deno.statSync(file).mode ?? 0) & 0o777, 0o600);
    }
  }

  async restart(): Promise<void> {
    for (const [name, contact] of [["o3", "h1"], ["h3", "o1"]] as const) {
      const agent = await this.#cluster.restart(this.#agent(name), {
        join: [this.#agent(contact).gossip.text],
      });
      this.#agents.set(name, agent);
      this.#agreement.expect(agent, { status: "alive" });
      await this.#cluster.prints(agent, /Restored keyring with 1 keys/);
    }
    await this.#agreement.reach();
    for (const name of ["o3", "h3"]) {
      for (const cli of KINDS) await this.#lists(name, cli, [this.#k3]);
    }
  }

  async keepOut(): Promise<void> {
    const file = this.#cluster.writeFile(
      "old.json",
      JSON.stringify([this.#k1, this.#k2]),
    );
    for (
      const [kind, contact] of [["ours", "h1"], ["hashicorp", "o1"]] as const
    ) {
      const agent = this.#cluster.launch({
        kind,
        name: `late-${kind}`,
        join: [this.#agent(contact).gossip.text],
        extraArgs: [`-keyring-file=${file}`],
      });
      const { code } = await this.#cluster.exitOf(agent);
      assert.equal(code, 1);
      assert.match(
        agent.output,
        /Failed to join 127\.0\.0\.1: .*no installed keys could decrypt/i,
      );
    }
    await this.#lists("o1", "hashicorp", [this.#k3]);
  }

  checkRepeats(): void {
    assert.ok(
      this.#repeats.length <= REPEATS_MAX,
      `too many key requests missed somebody:\n${this.#repeats.join("\n")}`,
    );
  }

  // --- Asking -----------------------------------------------------------------

  /** `serf keys -list` shows these keys at all six. */
  async #lists(
    name: string,
    cli: Kind,
    keys: readonly string[],
  ): Promise<void> {
    const { code, stdout } = await this.#keys(name, cli, "-list");
    assert.equal(code, 0, stdout);
    const width = Math.max(...keys.map(({ length }) => length));
    const rows = keys.map((key) => `${key.padEnd(width)}  [6/6]`);
    const [begin, success, empty, ...listed] = stdout.trimEnd().split("\n");
    assert.deepEqual([begin, success, empty], [
      "==> Asking all members for installed keys...",
      "==> Keys gathered, listing cluster keys...",
      "",
    ]);
    // Chance, in the output of HashiCorp's program.
    assert.deepEqual(listed.toSorted(), rows.toSorted());
  }

  async #succeeds(
    name: string,
    cli: Kind,
    action: Action,
    key: string,
  ): Promise<void> {
    const [begin, success] = TEXTS[action];
    const { code, stdout } = await this.#keys(name, cli, `-${action}=${key}`);
    assert.equal(stdout, `==> ${begin}\n==> ${success}\n`);
    assert.equal(code, 0);
  }

  /** All six refuse, each kind in its words. */
  async #fails(
    name: string,
    cli: Kind,
    action: Action,
    key: string,
    complaint: Readonly<Record<Kind, string>>,
  ): Promise<void> {
    const [begin, , failure] = TEXTS[action];
    const { code, stdout } = await this.#keys(name, cli, `-${action}=${key}`);
    assert.equal(code, 1, stdout);
    const lines = stdout.split("\n");
    const rows = NAMES.map((member) =>
      `failed:  ${member}  ${complaint[this.#agent(member).kind]}`
    );
    assert.equal(lines[0], `==> ${begin}`);
    assert.deepEqual(lines.slice(1, 7).toSorted(), rows.toSorted());
    assert.deepEqual(lines.slice(7), [
      "",
      `${failure}: 6/6 nodes reported failure`,
      "",
    ]);
  }

  /** Calls `serf keys`, again when a member was missed. */
  async #keys(
    name: string,
    cli: Kind,
    flag: string,
  ): Promise<{ code: number; stdout: string }> {
    for (let attempt = 1;; attempt++) {
      const result = await this.#agent(name).command(cli, "keys", [flag]);
      assert.equal(result.stderr, "");
      const isMissed = /: [0-5]\/6 nodes reported/.test(result.stdout);
      if (!isMissed || attempt === ATTEMPTS_MAX) return result;
      this.#repeats.push(`${name} ${cli} ${flag}: ${result.stdout}`);
    }
  }

  /** Waits until more events were sent. */
  async #eventsFlow(): Promise<void> {
    const goal = this.#sent.length + 10;
    await this.#cluster.eventually(
      "events flow",
      () => this.#sent.length >= goal || this.#sent.length,
    );
  }

  #agent(name: string): Agent {
    const agent = this.#agents.get(name);
    assert.ok(agent, `no agent ${name}`);
    return agent;
  }

  #log(name: string): EventLog {
    const log = this.#logs.get(name);
    assert.ok(log, `no log of ${name}`);
    return log;
  }
}

/** Sends user events from one agent after the other, until it is stopped. */
class Flow implements AsyncDisposable {
  readonly #clients: readonly RpcClient[];
  readonly #sent: string[];
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #pending = new Set<Promise<void>>();

  /** @param sent where names of events are noted once an agent has taken them */
  static async start(
    agents: ReadonlyMap<string, Agent>,
    sent: string[],
  ): Promise<Flow> {
    const clients = await Promise.all(
      [...agents.values()].map(({ rpc }) =>
        RpcClient.connect({ address: rpc.text })
      ),
    );
    return new Flow(clients, sent);
  }

  private constructor(clients: readonly RpcClient[], sent: string[]) {
    this.#clients = clients;
    this.#sent = sent;
    let count = 0;
    this.#timer = setInterval(() => {
      const client = clients[count % clients.length] as RpcClient;
      const done = this.#send(client, `flow-${count++}`);
      this.#pending.add(done);
      done.finally(() => this.#pending.delete(done));
    }, EVENT_EVERY_MS);
  }

  async #send(client: RpcClient, name: string): Promise<void> {
    await client.event({ name, coalesce: false });
    this.#sent.push(name);
  }

  /** Sends no more, and waits for what is on its way. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#pending);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    for (const client of this.#clients) client.close();
    await Promise.allSettled(this.#pending);
  }
}
