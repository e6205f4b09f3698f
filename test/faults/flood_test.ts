/**
 * Hostile strangers at the gossip port of one agent, in a cluster with encryption
 * and in one without.
 *
 * Goal: floods of garbage, forged claims, decompression bombs, endless streams and
 * crowds of connections cost the agent time and bandwidth, and nothing else. It
 * answers probes and commands, its memory stays bounded, nobody calls it failed,
 * the members stay who they were, the log says how much was refused in a few lines.
 *
 * Without encryption a stranger who speaks the protocol is believed, so there
 * forged claims are left out.
 */

import assert from "node:assert/strict";
import {
  type Agent,
  type Cluster,
  type EventLog,
  randomKey,
  testCluster,
} from "../e2e/harness.ts";
import { compress } from "../../lib/wire/compress.ts";
import { encodeStreamMessage } from "../../lib/wire/stream_frame.ts";
import { bytesOfHex, concatBytes } from "../../lib/kit/bytes.ts";
import { nodeOf } from "../serf/parts.ts";
import { IS_LONG } from "./lan.ts";

const FLOOD_SECONDS = IS_LONG ? 30 : 2;
const GARBAGE_PER_SECOND = 100_000;
/** A bomb takes a quarter of a millisecond to find out. */
const BOMBS_PER_SECOND = 1_000;
const CONNECTIONS = 300;
/**
 * What the hostile may add to the agent's resident memory, MB. Without encryption
 * anybody may have it decompress 40 MiB, of which several wait for the collector.
 */
const MORE_MEMORY_MB_MAX = { sealed: 120, plain: 400 } as const;
/** Longest that a command waits for its answer meanwhile, ms. */
const ANSWER_MS_MAX = 15_000;
/** Lines of refusals in a second: ten and a summary, of each of two engines. */
const LINES_PER_SECOND_MAX = 22;
/** A stream that says nothing new is ended after 10 s; on a busy machine later. */
const STREAM_DEADLINE_MS = 90_000;
const DEADLINE_MS = 75_000;

/** The victim, and what is known of it. */
class Siege {
  mostMb: number;
  slowestMs = 0;
  readonly idleMb: number;
  readonly names: readonly string[];
  readonly #startMs = performance.now();
  readonly #linesAtStart: number;

  constructor(
    readonly cluster: Cluster,
    readonly victim: Agent,
    readonly others: readonly Agent[],
    readonly failures: readonly EventLog[],
  ) {
    this.idleMb = this.mostMb = this.#memoryMb();
    this.names = [victim, ...others].map(({ name }) => name).sort();
    this.#linesAtStart = this.#lines();
  }

  #memoryMb(): number {
    const { pid } = this.victim.process;
    const status = Deno.readTextFileSync(`/proc/${pid}/status`);
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) / 1_024;
  }

  #lines(): number {
    return this.victim.output.match(/\[(?:ERR|WARN)\]/g)?.length ?? 0;
  }

  /** Packets and streams that the victim has refused, as its log counts them. */
  refused(): number {
    const { output } = this.victim;
    const told = [...output.matchAll(/(\d+) more messages were refused/g)];
    return told.reduce((sum, [, count]) => sum + Number(count), 0) +
      (output.match(/no installed keys|unsupported encryption|not encrypted/g)
        ?.length ?? 0);
  }

  /** Looks at the victim until the work is done. */
  async during<T>(work: Promise<T>): Promise<T> {
    let isDone = false;
    const watched = work.finally(() => isDone = true);
    while (!isDone) {
      const startMs = performance.now();
      const members = await this.victim.members();
      this.slowestMs = Math.max(this.slowestMs, performance.now() - startMs);
      this.mostMb = Math.max(this.mostMb, this.#memoryMb());
      assert.deepEqual([...members.keys()].sort(), this.names);
      await Promise.race([
        watched.catch(() => {}),
        new Promise((resolve) => setTimeout(resolve, 100)),
      ]);
    }
    return await watched;
  }

  /** Lets a process of its own send so many packets. */
  async flood(kind: string, perSecond: number): Promise<void> {
    const before = this.refused();
    const { host, port } = this.victim.gossip;
    const output = await this.during(
      new Deno.Command(Deno.execPath(), {
        args: [
          ...["run", "-A", new URL("flooder.ts", import.meta.url).pathname],
          ...[host, `${port}`, kind, `${perSecond}`, `${FLOOD_SECONDS}`],
        ],
        cwd: new URL("../..", import.meta.url),
      }).output(),
    );
    assert.ok(output.success, new TextDecoder().decode(output.stderr));
    const { sent, rate } = JSON.parse(new TextDecoder().decode(output.stdout));
    await this.cluster.eventually(
      "the victim has counted what it refused",
      () => this.refused() > before || this.refused(),
      DEADLINE_MS,
    );
    console.log(
      `${kind}: ${sent} packets at ${rate}/s, ${
        this.refused() - before
      } refused; ${this.#worst}`,
    );
  }

  report(what: string): void {
    console.log(`${what}: ${this.#worst}`);
  }

  get #kind(): "sealed" | "plain" {
    return this.victim.options.encrypt === undefined ? "plain" : "sealed";
  }

  /** How the victim was, at its worst. */
  get #worst(): string {
    return `slowest answer ${Math.round(this.slowestMs)} ms, ` +
      `${Math.round(this.mostMb)} MB (idle ${Math.round(this.idleMb)} MB)`;
  }

  /** What was promised. */
  check(): void {
    const seconds = (performance.now() - this.#startMs) / 1_000;
    const lines = this.#lines() - this.#linesAtStart;
    assert.ok(
      lines <= LINES_PER_SECOND_MAX * (seconds + 1),
      `${lines} lines in ${seconds.toFixed(1)} s`,
    );
    assert.ok(
      this.mostMb - this.idleMb < MORE_MEMORY_MB_MAX[this.#kind],
      `${this.mostMb.toFixed(0)} MB, idle ${this.idleMb.toFixed(0)} MB`,
    );
    assert.ok(
      this.slowestMs < ANSWER_MS_MAX,
      `an answer took ${this.slowestMs.toFixed(0)} ms`,
    );
    for (const { agent, records } of this.failures) {
      assert.deepEqual(records, [], `seen by ${agent.name}`);
    }
    assert.equal(this.victim.process.exit, undefined);
  }
}

async function besiege(
  cluster: Cluster,
  encrypt: string | undefined,
): Promise<Siege> {
  const options = { encrypt, logLevel: "info" };
  const victim = await cluster.start({
    ...options,
    kind: "ours",
    name: "victim",
  });
  const join = [victim.gossip.text];
  const others = [
    await cluster.start({ ...options, kind: "ours", name: "prober", join }),
    await cluster.start({
      ...options,
      kind: "hashicorp",
      name: "theirs",
      join,
    }),
  ];
  for (const agent of [victim, ...others]) {
    await cluster.eventually(
      `${agent.name} knows all`,
      async () => (await agent.members()).size === 3,
    );
  }
  const failures = await Promise.all(
    [victim, ...others].map((agent) => cluster.watch(agent, "member-failed")),
  );
  return new Siege(cluster, victim, others, failures);
}

/** Connects to the gossip port and says something. */
async function say(siege: Siege, bytes: Uint8Array): Promise<Deno.TcpConn> {
  const { host: hostname, port } = siege.victim.gossip;
  const connection = await Deno.connect({ hostname, port });
  try {
    for (let rest = bytes; rest.length > 0;) {
      rest = rest.subarray(await connection.write(rest));
    }
  } catch {
    // The agent has heard enough already.
  }
  return connection;
}

/** Waits until the agent has ended a connection. */
async function isEnded(connection: Deno.TcpConn): Promise<true> {
  const buffer = new Uint8Array(4_096);
  try {
    while (await connection.read(buffer) !== null);
  } catch {
    // A reset is an end, too.
  }
  return true;
}

/** Fails unless the agent ends all of these within the deadline. */
async function allEnded(
  siege: Siege,
  connections: readonly Deno.TcpConn[],
): Promise<void> {
  let ended = 0;
  for (const connection of connections) {
    isEnded(connection).then(() => ended++);
  }
  await siege.cluster.eventually(
    "the agent ends the streams",
    () => ended === connections.length || ended,
    STREAM_DEADLINE_MS,
  );
  for (const connection of connections) connection.close();
}

function state(i: number) {
  const node = {
    ...nodeOf(`ghost${i}`, 1),
    // Where nobody is, on this machine.
    addr: Uint8Array.of(127, 0, 0, 1),
    port: 9,
  };
  return { node, incarnation: 1, state: "alive" as const };
}

/** The beginning of a push/pull of 131,072 members, as many as are taken at all. */
const MANY_MEMBERS = bytesOfHex(
  "0683a54e6f646573ce00020000" +
    "ac5573657253746174654c656e00a44a6f696ec2",
);
/** The beginning of a push/pull of a million members. */
const MILLION_MEMBERS = bytesOfHex("0681a54e6f646573ce000f4240");

/** What nobody should take in: more members, or more bytes, than there may be. */
async function sayTooMuch(siege: Siege): Promise<void> {
  const states = Array.from({ length: 131_073 }, (_, i) => state(i));
  const userState = new Uint8Array(0);
  const whole = encodeStreamMessage({
    kind: "pushPull",
    join: true,
    states,
    userState,
  });
  const bombs = [40_000_000, 60_000_000].map((length) =>
    compress(new Uint8Array(length).fill(0x63))
  );
  const said = [MILLION_MEMBERS, compress(whole), whole];
  for (let i = 0; i < 5; i++) said.push(...bombs);
  const connections: Deno.TcpConn[] = [];
  for (const bytes of said) connections.push(await say(siege, bytes));
  await siege.during(allEnded(siege, connections));
  siege.report("bombs and a million members");
}

/** Opens streams that say nothing, or the beginning of something large, slowly. */
async function crowd(siege: Siege): Promise<void> {
  const connections: Deno.TcpConn[] = [];
  const beginning = concatBytes([MANY_MEMBERS, Uint8Array.of(0x87)]);
  for (let i = 0; i < CONNECTIONS; i++) {
    connections.push(
      await say(siege, i % 2 === 0 ? beginning : new Uint8Array(0)),
    );
  }
  const trickling = connections[0] as Deno.TcpConn;
  const trickle = setInterval(() => {
    // An end of the connection ends this, too: the wait below is for that.
    trickling.write(Uint8Array.of(0xa4)).catch(() => {});
  }, 200);
  try {
    await allEnded(siege, connections);
  } finally {
    clearInterval(trickle);
  }
}

/** The others exchange states with the victim as before. */
async function exchangeStates(siege: Siege): Promise<void> {
  const { cluster, victim, others } = siege;
  for (const agent of others) {
    const address = victim.gossip.text;
    const text = await agent.succeed("hashicorp", "join", [address]);
    assert.match(text, /Successfully joined cluster by contacting 1 nodes/);
  }
  for (const agent of [victim, ...others]) {
    await cluster.eventually(`${agent.name} sees all alive`, async () => {
      const members = [...(await agent.members()).values()];
      return members.length === 3 &&
          members.every(({ Status }) => Status === "alive") || members;
    }, DEADLINE_MS);
  }
  siege.check();
}

testCluster(
  "floods at an agent with encryption: nothing changes",
  async (cluster, step) => {
    const siege = await besiege(cluster, randomKey(32));
    const { victim } = siege;

    await step("100,000 packets of garbage a second", async () => {
      await siege.flood("noise", GARBAGE_PER_SECOND);
      siege.check();
    });

    await step("bombs, and a push/pull of a million members", async () => {
      await sayTooMuch(siege);
      siege.check();
    });

    await step(
      "300 streams that never end, claims in plain text, or sealed with other keys",
      async () => {
        const streams = crowd(siege);
        await siege.flood("claims", GARBAGE_PER_SECOND);
        await siege.flood("forged", GARBAGE_PER_SECOND);
        await streams;
        siege.check();
      },
    );

    await step("others exchange states with it as before", async () => {
      await exchangeStates(siege);
    });

    await step("agents without the key, or with another one", async () => {
      const before = siege.refused();
      for (const encrypt of [undefined, randomKey(32)]) {
        for (const kind of ["ours", "hashicorp"] as const) {
          const name = `stranger-${kind}-${encrypt === undefined ? 0 : 1}`;
          const stranger = await cluster.start({ kind, name, encrypt });
          const result = await siege.during(
            stranger.command("ours", "join", [victim.gossip.text]),
          );
          assert.equal(result.code, 1, `${name} joins`);
          assert.match(result.stdout + result.stderr, /crypt/, name);
          assert.deepEqual([...(await stranger.members()).keys()], [name]);
          await stranger.process.kill();
        }
      }
      await cluster.eventually(
        "the victim has counted them",
        () => siege.refused() >= before + 4 || siege.refused() - before,
        DEADLINE_MS,
      );
      siege.check();
    });
  },
  { needs: ["serf"] },
);

testCluster(
  "floods at an agent without encryption: it lives, and answers",
  async (cluster, step) => {
    const siege = await besiege(cluster, undefined);

    await step("100,000 packets of garbage a second", async () => {
      await siege.flood("noise", GARBAGE_PER_SECOND);
      siege.check();
    });

    await step("1,000 packets a second that decompress to 64 KiB", async () => {
      await siege.flood("bombs", BOMBS_PER_SECOND);
      siege.check();
    });

    await step("bombs, and a push/pull of a million members", async () => {
      await sayTooMuch(siege);
    });

    await step("others exchange states with it as before", async () => {
      await exchangeStates(siege);
    });
  },
  { needs: ["serf"] },
);
