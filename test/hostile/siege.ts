/**
 * One agent under floods, in a cluster of three others, and all that can be seen of
 * it from outside: whether it answers probes in time, whether somebody calls it
 * failed, whether one can join through it and give it commands, and what it costs.
 */

import { RpcClient } from "../../lib/net/rpc_client.ts";
import { EMPTY_BYTES } from "../../lib/kit/bytes.ts";
import { decodeMessage, encodeMessage } from "../../lib/wire/message_codec.ts";
import { PacketCodec } from "../../lib/wire/packet.ts";
import {
  type Agent,
  Cluster,
  type EventLog,
  type Kind,
} from "../e2e/harness.ts";
import { codecConfig } from "../wire/vectors.ts";
import { VICTIM } from "./costly_packets.ts";

const TOKEN = "token-of-the-victim";
/** The probe timeout of the LAN profile, ms. */
export const PROBE_TIMEOUT_MS = 500;
const PROBE_EVERY_MS = 250;
const LOOK_EVERY_MS = 250;
/** Pause between joins, and between commands, ms. */
const ASK_EVERY_MS = 1_000;
/** A command or join that takes longer has failed, ms. */
const ASK_LIMIT_MS = 30_000;
/** Unit of processor times in /proc, ms. */
const TICK_MS = 10;

/** One kind of flood. */
export interface Flood {
  readonly name: string;
  /**
   * The program that makes it and its arguments, which end in the seconds that it
   * lasts and the port for answers that are amplified.
   */
  command(victim: Agent): readonly string[];
}

function program(name: string): string {
  return new URL(name, import.meta.url).pathname;
}

/** Packets of one kind at the gossip port. */
function packets(kind: string, perSecond: number): Flood {
  return {
    name: kind,
    command: ({ gossip }) => [
      program("../faults/flooder.ts"),
      ...[gossip.host, `${gossip.port}`, kind, `${perSecond}`],
    ],
  };
}

/** Connections of one kind at one of the ports. */
function calls(kind: string, door: "gossip" | "rpc"): Flood {
  return {
    name: `${kind}, ${door}`,
    command(victim) {
      const { host, port } = victim[door];
      return [program("caller.ts"), host, `${port}`, kind];
    },
  };
}

export const FLOODS: readonly Flood[] = [
  packets("filters", 2),
  calls("resets", "gossip"),
  calls("resets", "rpc"),
  calls("132 silent", "gossip"),
  calls("1000 silent", "gossip"),
  packets("accusations", 10),
  packets("pings", 20),
  packets("indirectPings", 20),
  packets("acks", 20),
  calls("garbage", "rpc"),
  calls("commands", "rpc"),
  calls("guesses", "rpc"),
  calls("1030 silent", "rpc"),
];

/** What was seen of a victim during floods of one kind. */
export interface Figures {
  probes: number;
  probesInTime: number;
  slowestProbeMs: number;
  /** Times that a member called another failed, or suspected the victim. */
  failures: number;
  suspicions: number;
  joins: number;
  failedJoins: number;
  slowestJoinMs: number;
  commands: number;
  failedCommands: number;
  slowestCommandMs: number;
  /** Resident memory at its highest above that of the idle agent, MB. */
  moreMemoryMb: number;
  cpuMs: number;
  durationMs: number;
  bytesIn: number;
  /** What came back to the attacker, or went to the third party. */
  bytesOut: number;
  logBytes: number;
}

function nothingSeen(): Figures {
  return {
    ...{ probes: 0, probesInTime: 0, slowestProbeMs: 0 },
    ...{ failures: 0, suspicions: 0 },
    ...{ joins: 0, failedJoins: 0, slowestJoinMs: 0 },
    ...{ commands: 0, failedCommands: 0, slowestCommandMs: 0 },
    ...{ moreMemoryMb: 0, cpuMs: 0, durationMs: 0 },
    ...{ bytesIn: 0, bytesOut: 0, logBytes: 0 },
  };
}

/** Pings the victim as a member does, without being one. */
class Probes implements Disposable {
  readonly #socket = Deno.listenDatagram({
    transport: "udp",
    hostname: "127.0.0.1",
    port: 0,
  });
  readonly #codec = new PacketCodec(codecConfig());
  readonly #sentMs = new Map<number, number>();
  readonly #victim: Agent;
  readonly #timer = setInterval(() => this.#send(), PROBE_EVERY_MS);
  #seqNo = 0;
  figures = nothingSeen();

  constructor(victim: Agent) {
    this.#victim = victim;
    this.#listen();
  }

  /** Whether the last ping was answered, or there was none. */
  get isAnswered(): boolean {
    return !this.#sentMs.has(this.#seqNo);
  }

  #send(): void {
    const seqNo = ++this.#seqNo;
    const ping = encodeMessage({
      ...{ kind: "ping", seqNo, node: VICTIM },
      ...{ sourceAddr: EMPTY_BYTES, sourcePort: 0, sourceNode: "" },
    });
    const { host: hostname, port } = this.#victim.gossip;
    this.#sentMs.set(seqNo, performance.now());
    this.figures.probes++;
    this.#socket.send(ping, { transport: "udp", hostname, port }).catch(
      () => {},
    );
  }

  async #listen(): Promise<void> {
    for await (const [bytes] of this.#socket) {
      for (const part of this.#codec.open(bytes).parts) this.#hear(part);
    }
  }

  #hear(part: Uint8Array): void {
    const message = decodeMessage(part);
    if (message.kind !== "ack") return;
    const sentMs = this.#sentMs.get(message.seqNo);
    if (sentMs === undefined) return;
    this.#sentMs.delete(message.seqNo);
    const tookMs = performance.now() - sentMs;
    const { figures } = this;
    if (tookMs <= PROBE_TIMEOUT_MS) figures.probesInTime++;
    figures.slowestProbeMs = Math.max(figures.slowestProbeMs, tookMs);
  }

  /** Those that are still under way are not counted. */
  forgetPending(): void {
    const nowMs = performance.now();
    for (const sentMs of this.#sentMs.values()) {
      if (nowMs - sentMs < PROBE_TIMEOUT_MS) this.figures.probes--;
      else {
        this.figures.slowestProbeMs = Math.max(
          this.figures.slowestProbeMs,
          nowMs - sentMs,
        );
      }
    }
    this.#sentMs.clear();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#socket.close();
  }
}

export class Siege implements AsyncDisposable {
  readonly #cluster: Cluster;
  readonly #peers: readonly Agent[];
  readonly #failures: readonly EventLog[];
  readonly #probes: Probes;
  readonly #sink = Deno.listenDatagram({
    transport: "udp",
    hostname: "127.0.0.1",
    port: 0,
  });
  readonly #idleMb: number;
  #sinkBytes = 0;

  private constructor(
    cluster: Cluster,
    readonly victim: Agent,
    peers: readonly Agent[],
    failures: readonly EventLog[],
  ) {
    this.#cluster = cluster;
    this.#peers = peers;
    this.#failures = failures;
    this.#probes = new Probes(victim);
    this.#idleMb = this.#memoryMb();
    this.#countSink();
  }

  /** Starts the cluster. @param kind whose program the victim is */
  static async begin(cluster: Cluster, kind: Kind): Promise<Siege> {
    const victim = await cluster.start({
      ...{ kind, name: VICTIM, logLevel: "info", rpcAuth: TOKEN },
    });
    const join = [victim.gossip.text];
    const peers: Agent[] = [];
    for (const name of ["p1", "p2", "p3"]) {
      const options = { kind: "ours", name, logLevel: "info", join } as const;
      peers.push(await cluster.start(options));
    }
    for (const agent of [victim, ...peers]) {
      await cluster.eventually(
        `${agent.name} knows all`,
        async () => (await agent.members()).size === peers.length + 1,
      );
    }
    const failures = await Promise.all(
      peers.map((agent) => cluster.watch(agent, "member-failed")),
    );
    return new Siege(cluster, victim, peers, failures);
  }

  /** Lets a flood go on for so long; returns what was seen meanwhile. */
  async endure(flood: Flood, seconds: number): Promise<Figures> {
    const figures = nothingSeen();
    this.#probes.figures = figures;
    const before = this.#state();
    const startMs = performance.now();
    const { port } = this.#sink.addr as Deno.NetAddr;
    let isOver = false;
    const attack = new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "-A", ...flood.command(this.victim)],
        ...[`${seconds}`, `${port}`],
      ],
      cwd: new URL("../..", import.meta.url),
    }).output().finally(() => isOver = true);
    await Promise.all([
      attack,
      this.#whileNot(() => isOver, LOOK_EVERY_MS, () => {
        const more = this.#memoryMb() - this.#idleMb;
        figures.moreMemoryMb = Math.max(figures.moreMemoryMb, more);
        return Promise.resolve();
      }),
      this.#whileNot(() => isOver, ASK_EVERY_MS, () => this.#join(figures)),
      this.#whileNot(() => isOver, ASK_EVERY_MS, () => this.#command(figures)),
    ]);
    this.#probes.forgetPending();
    const { success, stdout, stderr } = await attack;
    if (!success) throw new Error(new TextDecoder().decode(stderr));
    const { bytes, returned } = JSON.parse(new TextDecoder().decode(stdout));
    const after = this.#state();
    figures.durationMs = performance.now() - startMs;
    figures.bytesIn = bytes;
    figures.bytesOut = returned + after.sinkBytes - before.sinkBytes;
    figures.cpuMs = after.cpuMs - before.cpuMs;
    figures.logBytes = after.logBytes - before.logBytes;
    figures.failures = after.failures - before.failures;
    figures.suspicions = after.suspicions - before.suspicions;
    return figures;
  }

  /** Waits until the victim answers probes again, and everybody is alive. */
  async recover(deadlineMs: number): Promise<void> {
    await this.#cluster.eventually("the victim answers probes", () => {
      return this.#probes.isAnswered;
    }, deadlineMs);
    for (const agent of this.#peers) {
      await this.#cluster.eventually(
        `${agent.name} sees all alive`,
        async () => {
          const members = [...(await agent.members()).values()]
            .filter(({ Name }) => Name === VICTIM || /^p\d$/.test(Name));
          return members.length === this.#peers.length + 1 &&
              members.every(({ Status }) => Status === "alive") || members;
        },
        deadlineMs,
      );
    }
  }

  async #whileNot(
    isOver: () => boolean,
    everyMs: number,
    look: () => Promise<void>,
  ): Promise<void> {
    while (!isOver()) {
      await look();
      await new Promise((resolve) => setTimeout(resolve, everyMs));
    }
  }

  /** A member exchanges its state with the victim, as a newcomer does. */
  async #join(figures: Figures): Promise<void> {
    const peer = this.#peers[figures.joins % this.#peers.length] as Agent;
    const tookMs = await timeOf(async () => {
      using client = await RpcClient.connect({ address: peer.rpc.text });
      await client.join([this.victim.gossip.text]);
    });
    figures.joins++;
    if (tookMs === undefined) figures.failedJoins++;
    else figures.slowestJoinMs = Math.max(figures.slowestJoinMs, tookMs);
  }

  async #command(figures: Figures): Promise<void> {
    const tookMs = await timeOf(async () => {
      using client = await RpcClient.connect({
        address: this.victim.rpc.text,
        authKey: TOKEN,
      });
      await client.members();
    });
    figures.commands++;
    if (tookMs === undefined) figures.failedCommands++;
    else figures.slowestCommandMs = Math.max(figures.slowestCommandMs, tookMs);
  }

  #state() {
    const suspicions = this.#peers.reduce(
      (sum, { output }) =>
        sum + (output.match(/Suspect victim has failed/g)?.length ?? 0),
      0,
    );
    return {
      suspicions,
      sinkBytes: this.#sinkBytes,
      cpuMs: this.#cpuMs(),
      logBytes: this.victim.output.length,
      failures: this.#failures.reduce(
        (n, { records }) => n + records.length,
        0,
      ),
    };
  }

  async #countSink(): Promise<void> {
    for await (const [bytes] of this.#sink) this.#sinkBytes += bytes.length;
  }

  #memoryMb(): number {
    const { pid } = this.victim.process;
    const status = Deno.readTextFileSync(`/proc/${pid}/status`);
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) / 1_024;
  }

  #cpuMs(): number {
    const { pid } = this.victim.process;
    const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#probes[Symbol.dispose]();
    this.#sink.close();
    return Promise.resolve();
  }
}

/** @returns how long it took, ms; `undefined` when it failed or took too long */
async function timeOf(work: () => Promise<void>): Promise<number | undefined> {
  const startMs = performance.now();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("too late")), ASK_LIMIT_MS);
  });
  const working = work();
  working.catch(() => {});
  try {
    await Promise.race([working, late]);
    return performance.now() - startMs;
  } catch {
    return undefined;
  } finally {
    clearTimeout(timer);
  }
}

/** Share of probes that must be answered in time; a busy machine loses some. */
const PROBES_IN_TIME_MIN = 0.95;
/** What a flood may add to the resident memory of an agent, MB. */
const MORE_MEMORY_MB_MAX = 300;

/** The promises that were not kept. */
export function broken(figures: Figures): string[] {
  const { probes, probesInTime, failures, failedJoins, joins } = figures;
  const said: string[] = [];
  if (probesInTime < probes * PROBES_IN_TIME_MIN) {
    said.push(`${probes - probesInTime} of ${probes} probes were not in time`);
  }
  if (failures > 0) said.push(`${failures} times a member was called failed`);
  if (failedJoins > 0) said.push(`${failedJoins} of ${joins} joins failed`);
  if (figures.moreMemoryMb > MORE_MEMORY_MB_MAX) {
    said.push(`it took ${Math.round(figures.moreMemoryMb)} MB more`);
  }
  return said;
}

/** Figures of several rounds as one. */
export function together(rounds: readonly Figures[]): Figures {
  const whole = nothingSeen();
  for (const round of rounds) {
    for (const name of Object.keys(whole) as (keyof Figures)[]) {
      const isMost = name.startsWith("slowest") || name === "moreMemoryMb";
      whole[name] = isMost
        ? Math.max(whole[name], round[name])
        : whole[name] + round[name];
    }
  }
  return whole;
}
