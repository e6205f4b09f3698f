/**
 * A crowd on the RPC port of one agent: 500 clients at once, of which 50 subscribe
 * and never read, and 50 send garbage.
 *
 * Goal: all others are served in full, the agent's memory stays bounded, and the
 * cluster notices nothing. Method: an agent of ours in a cluster with one of
 * HashiCorp's and another of ours. The 400 that work ask for something of
 * everything, several rounds, each round in one write; their user events are what
 * fills the streams of those who never read, and it goes on until the agent has
 * begun to drop for every single one of these.
 */

import assert from "node:assert/strict";
import {
  CrowdClient,
  joined,
  type Message,
  requestBytes,
} from "./crowd_client.ts";
import { type Agent, testCluster } from "./harness.ts";

const WORKERS = 400;
const STUCK = 50;
const GARBAGE = 50;
const ROUNDS = 2;
/** Of so many workers, one asks the cluster in a round. */
const WORKERS_PER_QUERY = 20;
/**
 * What the crowd may add to the agent's resident memory, MB. It is some 150 at a
 * plateau: after a collection 16 MB of V8's heap are alive, six more than in a
 * quiet agent, and the rest is room that the collector takes for short-lived
 * objects, and buffers that it has yet to free.
 */
const MORE_MEMORY_MB_MAX = 220;
/** Any one step of the crowd may take this long on a busy machine, ms. */
const DEADLINE_MS = 120_000;

const HANDSHAKE = requestBytes("handshake", 0n, { Version: 1 });

/** Resident memory of a process, MB. */
function residentMb(agent: Agent): number {
  const status = Deno.readTextFileSync(`/proc/${agent.process.pid}/status`);
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) / 1_024;
}

/** Fails when `work` is not done within the deadline. */
async function inTime<T>(what: string, work: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`Not done within ${DEADLINE_MS} ms: ${what}`)),
      DEADLINE_MS,
    );
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** One of those who work. */
class Worker {
  #seq: bigint;

  /** @param client has sent nothing yet */
  constructor(readonly client: CrowdClient, readonly number: number) {
    // Half of them count from 0, half end at the largest number that there is.
    const first = BigInt(number) * 1_000n;
    this.#seq = number % 2 === 0 ? first : 2n ** 64n - 1_000n - first;
  }

  async shakeHands(): Promise<void> {
    await this.client.send(HANDSHAKE);
    assert.deepEqual(await this.client.read(false), {
      seq: 0n,
      error: "",
      body: undefined,
    });
  }

  /** Asks for everything in one write, and checks each answer. */
  async work(names: readonly string[], target: string): Promise<void> {
    const first = this.#seq;
    const isAsking = this.number % WORKERS_PER_QUERY === 0;
    const payload = new Uint8Array(400).fill(0x61 + this.number % 26);
    const calls: [
      command: string,
      body: unknown,
      answer: string | undefined,
    ][] = [
      ["members", undefined, "Members"],
      ["stats", undefined, "serf"],
      [
        "event",
        { Name: `w${this.number}`, Payload: payload, Coalesce: false },
        undefined,
      ],
      ["get-coordinate", { Node: target }, "Coord"],
      [
        "members-filtered",
        { Name: "", Status: "alive", Tags: {} },
        "Members",
      ],
      ["stop", { Stop: 2n ** 64n - 1n }, undefined],
      ...(isAsking
        ? [[
          "query",
          { Name: "load", RequestAck: true, Timeout: 1_500_000_000 },
          undefined,
        ] as [string, unknown, undefined]]
        : []),
    ];
    await this.client.send(joined(
      calls.map(([command, body]) => requestBytes(command, this.#seq++, body)),
    ));
    for (const [i, [command, , key]] of calls.entries()) {
      const answer = await this.client.read(key !== undefined);
      assert.equal(answer.error, "", command);
      assert.equal(answer.seq, first + BigInt(i), command);
      if (key === undefined) continue;
      assert.ok(key in (answer.body ?? {}), command);
      if (key === "Members") assert.deepEqual(namesOf(answer), names, command);
    }
    if (isAsking) await this.#readReplies(this.#seq - 1n, names);
  }

  /** Everybody acknowledges, nobody answers, and there is an end. */
  async #readReplies(seq: bigint, names: readonly string[]): Promise<void> {
    const acks: unknown[] = [];
    while (true) {
      const record = await this.client.read(true);
      assert.equal(record.seq, seq);
      const { Type: type, From: from } = record.body ?? {};
      if (type === "done") break;
      assert.equal(type, "ack");
      acks.push(from);
    }
    // Gossip is not obliged to reach everybody; nobody may be told twice.
    assert.equal(new Set(acks).size, acks.length);
    assert.ok(acks.every((name) => names.includes(name as string)));
    assert.ok(acks.length > 0);
  }
}

function namesOf(answer: Message): unknown[] {
  const members = answer.body?.Members as { Name: string; Addr: Uint8Array }[];
  for (const { Addr } of members) assert.equal(Addr.length, 4);
  return members.map(({ Name }) => Name).sort();
}

/** Nonsense, and how the agent is to take it. */
interface Nonsense {
  readonly bytes: Uint8Array;
  /** Whether the rest never comes; otherwise our side is ended. */
  readonly isUnfinished?: boolean;
  /** What the agent says before it closes. */
  readonly says?: RegExp;
}

/** The nonsense of client number `i`: all kinds in turn. */
function nonsenseOf(i: number): Nonsense {
  const shaken = (...bytes: Uint8Array[]) => joined([HANDSHAKE, ...bytes]);
  const noise = Uint8Array.from(
    { length: 3_000 },
    (_, at) => (at * at * 31 + i * 97 + (at >> 3)) & 0xff,
  );
  const kinds: readonly Nonsense[] = [
    { bytes: noise },
    { bytes: shaken(noise) },
    { bytes: Uint8Array.of(0xc6, 0xff, 0xff, 0xff, 0xff) },
    { bytes: shaken(Uint8Array.of(0xdd, 0xff, 0xff, 0xff, 0xff)) },
    { bytes: shaken(requestBytes(["members"], 1n)) },
    { bytes: shaken(requestBytes("query", 1n, { FilterNodes: { a: 1 } })) },
    { bytes: shaken(requestBytes("event", 1n, [[[1], 2]])) },
    { bytes: shaken(new Uint8Array(4_000).fill(0x91)) },
    { bytes: requestBytes("members", 1n), says: /Handshake required/ },
    {
      bytes: shaken(requestBytes("no-such-command", 1n)),
      says: /Unsupported command/,
    },
    {
      bytes: shaken(
        ...Array.from(
          { length: 257 },
          (_, seq) => requestBytes("stream", BigInt(seq), { Type: "user:-" }),
        ),
      ),
      says: /Too many streams on this connection/,
    },
    { bytes: HANDSHAKE.subarray(0, 7), isUnfinished: true },
    // Half of the largest request that is allowed, and never the rest.
    {
      bytes: shaken(
        requestBytes("event", 1n, { Payload: new Uint8Array(900_000) })
          .subarray(0, 500_000),
      ),
      isUnfinished: true,
    },
  ];
  return kinds[i % kinds.length] as Nonsense;
}

testCluster(
  "500 clients at once, 50 that never read, 50 that send garbage: all others are served",
  async (cluster, step) => {
    // With patience of 3 s for an answer: a busy machine is not what is tested.
    const profile = "wan";
    const crowded = await cluster.start({
      kind: "ours",
      name: "crowded",
      logLevel: "info",
      profile,
    });
    const join = [crowded.gossip.text];
    const others = [
      await cluster.start({ kind: "hashicorp", name: "theirs", profile, join }),
      await cluster.start({ kind: "ours", name: "ours", profile, join }),
    ];
    const names = ["crowded", "ours", "theirs"];
    await cluster.eventually(
      "all know all",
      async () => (await crowded.members()).size === names.length,
    );
    const watches = await Promise.all(
      others.map((agent) =>
        cluster.watch(agent, "member-failed,member-leave,member-update")
      ),
    );
    using crowd = new DisposableStack();
    const open = async (count: number) => {
      const clients: CrowdClient[] = [];
      for (let i = 0; i < count; i++) {
        clients.push(crowd.use(await CrowdClient.open(crowded.rpc)));
      }
      return clients;
    };
    const workers: Worker[] = [];
    const idleMb = residentMb(crowded);
    let mostMb = idleMb;
    const workAll = async (some: readonly Worker[]) => {
      await inTime(
        "the work of all workers",
        Promise.all(some.map((worker) => worker.work(names, "theirs"))),
      );
      mostMb = Math.max(mostMb, residentMb(crowded));
    };

    let stuck: CrowdClient[] = [];
    await step("50 subscribe and never read", async () => {
      stuck = await open(STUCK);
      for (const [i, client] of stuck.entries()) {
        const stream = requestBytes("stream", 1n, { Type: "*" });
        const monitor = requestBytes("monitor", 2n, { LogLevel: "debug" });
        const isWatchingLog = i % 2 === 0;
        await client.send(
          joined([HANDSHAKE, stream, ...(isWatchingLog ? [monitor] : [])]),
        );
      }
    });

    await step("400 work while 50 send garbage", async () => {
      for (const [i, client] of (await open(WORKERS)).entries()) {
        workers.push(new Worker(client, i));
      }
      await inTime(
        "the handshake of all workers",
        Promise.all(workers.map((worker) => worker.shakeHands())),
      );
      const garbage = await open(GARBAGE);
      const nonsense = inTime(
        "the end of all nonsense",
        Promise.all(garbage.map(async (client, i) => {
          const { bytes, isUnfinished = false, says } = nonsenseOf(i);
          await client.send(bytes).catch(() => {});
          if (isUnfinished) return;
          await client.endSending().catch(() => {});
          const said = await client.readToEnd();
          if (says !== undefined) assert.match(said, says, `nonsense ${i}`);
        })),
      );
      const work = async () => {
        for (let round = 0; round < ROUNDS; round++) await workAll(workers);
      };
      await Promise.all([nonsense, work()]);
    });

    await step(
      "the streams that nobody reads are full, all of them",
      async () => {
        // Workers who do not ask queries, for their waits would only take time.
        const quick = workers.filter(({ number }) => number % 20 !== 0);
        const count = (text: string) =>
          stuck.filter(({ address }) =>
            crowded.output.includes(
              `Dropping ${text} to ipc.client: ${address}`,
            )
          ).length;
        await cluster.eventually("each has had something dropped", async () => {
          const full = { event: count("event"), logs: count("logs") };
          if (full.event === STUCK && full.logs === STUCK / 2) return true;
          await workAll(quick);
          return full;
        }, DEADLINE_MS);
      },
    );

    await step("all are served as before", async () => {
      await workAll(workers);
    });

    await step("memory stayed bounded", () => {
      const moreMb = mostMb - idleMb;
      assert.ok(
        moreMb < MORE_MEMORY_MB_MAX,
        `${mostMb.toFixed(0)} MB resident, ${idleMb.toFixed(0)} MB when idle`,
      );
    });

    await step("the cluster noticed nothing", async () => {
      for (const agent of [crowded, ...others]) {
        assert.doesNotMatch(agent.output, /suspect|refuting|member-failed/i);
        for (const [name, { Status }] of await agent.members()) {
          assert.equal(Status, "alive", `${name} at ${agent.name}`);
        }
      }
      for (const { records } of watches) assert.deepEqual(records, []);
      const info = await crowded.succeed("ours", "info", ["-format=json"]);
      assert.equal(JSON.parse(info).serf.health_score, "0");
    });
  },
  { needs: ["serf"] },
);
