/**
 * What agents of either kind tell statsd and statsite, and what they print on
 * signal.
 *
 * The same small story happens to an agent of each kind, with real listeners for
 * datagrams and for a stream. The names that come are compared; each difference
 * is in a table below, with its reason.
 */

import assert from "node:assert/strict";
import { type Cluster, type Kind, KINDS, testCluster } from "./harness.ts";

/** Datagrams are no longer than this, bytes. */
const DATAGRAM_BYTES_MAX = 1_400;

/** What the story must lead to, at agents of both kinds. */
const EXPECTED: Readonly<Record<string, string>> = {
  "agent.invoke.exit_3": "ms",
  "agent.ipc.accept": "c",
  "agent.ipc.command": "c",
  "memberlist.gossip": "ms",
  "memberlist.msg.alive": "c",
  "memberlist.msg.dead": "c",
  "memberlist.probeNode": "ms",
  "memberlist.tcp.accept": "c",
  "memberlist.tcp.sent": "c",
  "memberlist.udp.received": "c",
  "memberlist.udp.sent": "c",
  "serf.coordinate.adjustment-ms": "ms",
  "serf.events": "c",
  "serf.events.de_ploy": "c",
  "serf.member.join": "c",
  "serf.member.left": "c",
  "serf.msgs.received": "ms",
  "serf.msgs.sent": "ms",
  "serf.queries": "c",
  "serf.queries.load": "c",
  "serf.query_acks": "c",
  "serf.query_responses": "c",
  "HOST.runtime.alloc_bytes": "g",
  "HOST.runtime.num_goroutines": "g",
  "HOST.runtime.sys_bytes": "g",
};

/** Names of which only HashiCorp's agent may tell, and why. */
const ONLY_THEIRS: Readonly<Record<string, string>> = {
  "HOST.runtime.free_count": "Go's allocator",
  "HOST.runtime.heap_objects": "Go's allocator",
  "HOST.runtime.malloc_count": "Go's allocator",
  "HOST.runtime.total_gc_pause_ns": "Go's garbage collector",
  "HOST.runtime.total_gc_runs": "Go's garbage collector",
  "runtime.gc_pause_ns": "Go's garbage collector",
};

/** Names of which only our agent may tell, and why. */
const ONLY_OURS: Readonly<Record<string, string>> = {
  "agent.handlers.failed": "ours: who is woken by it need not read the log",
  "memberlist.packets.received": "ours: packets beside their bytes",
  "memberlist.packets.sent": "ours: packets beside their bytes",
  "memberlist.probe.rtt": "ours: without what waiting adds",
  "memberlist.tcp.received": "ours: the other direction",
  "runtime.loop_delay": "ours: the one thread is what matters here",
  "HOST.serf.members.alive": "ours: how many, beside how often",
  "HOST.serf.members.leaving": "ours: how many, beside how often",
  "HOST.serf.members.left": "ours: how many, beside how often",
  "HOST.memberlist.node.instances.alive": "newer than 0.9.4",
  "HOST.memberlist.node.instances.dead": "newer than 0.9.4",
  "HOST.memberlist.node.instances.left": "newer than 0.9.4",
  "HOST.memberlist.node.instances.suspect": "newer than 0.9.4",
  "HOST.memberlist.size.local": "newer than 0.9.4",
  "memberlist.size.remote": "newer than 0.9.4",
};

/** Names that come or not as chance and the load of the machine will have it. */
const CHANCE: Readonly<Record<string, string>> = {
  "HOST.memberlist.health.score": "only when somebody was slow",
  "memberlist.degraded.probe": "only when somebody was slow",
  "memberlist.degraded.timeout": "only when somebody was slow",
  "memberlist.msg.suspect": "only when somebody was slow",
  "memberlist.probe.failed": "only when somebody was slow",
  "memberlist.probe.indirect": "only when somebody was slow",
  "memberlist.refuted": "only when somebody was slow",
  "memberlist.suspicion.refuted": "only when somebody was slow",
  "memberlist.pushPullNode": "every 15 s",
  "memberlist.tcp.connect": "every 15 s",
  "serf.member.failed": "only when somebody was slow",
  "serf.member.flap": "only when somebody was slow",
  "serf.query_duplicate_acks": "only when a relayed answer comes first",
  "serf.query_duplicate_responses": "only when a relayed answer comes first",
  "serf.queue.Event": "every 30 s",
  "serf.queue.Intent": "every 30 s",
  "serf.queue.Query": "every 30 s",
  "memberlist.queue.broadcasts": "every 30 s",
};

/** What a listener heard. */
class Heard {
  text = "";
  readonly packetBytes: number[] = [];

  /** Types by names, without the program and with HOST for the machine. */
  get types(): Map<string, string> {
    const whole = this.text.slice(0, this.text.lastIndexOf("\n") + 1);
    return new Map(
      whole.split("\n").slice(0, -1).map((line) => {
        const match = /^serf-agent\.([^:|\s]+):(-?\d+\.\d{6})\|(c|g|ms)$/.exec(
          line,
        );
        assert.ok(match, `no line of statsd: ${JSON.stringify(line)}`);
        const [, name = "", , type = ""] = match;
        const host = `${Deno.hostname()}.`;
        return [
          name.startsWith(host) ? `HOST.${name.slice(host.length)}` : name,
          type,
        ];
      }),
    );
  }
}

/** Listens for datagrams and for streams at ports of the system's choice. */
class Listeners implements Disposable {
  readonly statsd = new Heard();
  readonly statsite = new Heard();
  readonly #datagrams = Deno.listenDatagram({
    transport: "udp",
    hostname: "127.0.0.1",
    port: 0,
  });
  readonly #streams = Deno.listen({ hostname: "127.0.0.1", port: 0 });

  constructor() {
    this.#readDatagrams();
    this.#readStreams();
  }

  get config(): string {
    return JSON.stringify({
      statsd_addr: `127.0.0.1:${(this.#datagrams.addr as Deno.NetAddr).port}`,
      statsite_addr: `127.0.0.1:${this.#streams.addr.port}`,
    });
  }

  [Symbol.dispose](): void {
    this.#datagrams.close();
    this.#streams.close();
  }

  async #readDatagrams(): Promise<void> {
    const decoder = new TextDecoder();
    for await (const [bytes] of this.#datagrams) {
      this.statsd.packetBytes.push(bytes.length);
      this.statsd.text += decoder.decode(bytes);
    }
  }

  async #readStreams(): Promise<void> {
    for await (const conn of this.#streams) {
      const decoder = new TextDecoder();
      for await (const bytes of conn.readable) {
        this.statsite.text += decoder.decode(bytes, { stream: true });
      }
    }
  }
}

/** A member comes, an event and a query go round, the member leaves. */
async function tellStory(
  cluster: Cluster,
  kind: Kind,
  listeners: Listeners,
): Promise<void> {
  const watched = await cluster.start({
    kind,
    name: `${kind}-a`,
    profile: "local",
    extraArgs: [
      `-config-file=${cluster.writeFile(`${kind}.json`, listeners.config)}`,
      "-event-handler=user=exit 3",
      "-event-handler=query=echo 0.5",
    ],
  });
  const other = await cluster.start({
    kind,
    name: `${kind}-b`,
    profile: "local",
    join: [watched.gossip.text],
  });
  await watched.succeed(kind, "event", ["de ploy"]);
  await watched.succeed(kind, "query", ["-timeout=1s", "load"]);
  await cluster.eventually(`${watched.name} has pinged`, () => {
    return listeners.statsd.types.has("serf.coordinate.adjustment-ms");
  });
  await other.succeed(kind, "leave");
  await cluster.eventually(`all comes from ${watched.name}`, () => {
    for (const heard of [listeners.statsd, listeners.statsite]) {
      const missing = Object.keys(EXPECTED).filter((name) =>
        !heard.types.has(name)
      );
      if (missing.length > 0) return missing;
    }
    return true;
  });
}

testCluster(
  "agents of both kinds tell statsd and statsite the same",
  async (cluster, step) => {
    const heard = new Map<Kind, Listeners>();
    for (const kind of KINDS) {
      const listeners = new Listeners();
      heard.set(kind, listeners);
      await step(`the story of ${kind}`, async () => {
        await tellStory(cluster, kind, listeners);
      });
    }
    for (const [kind, listeners] of heard) {
      await step(
        `${kind}: names, types, and the size of datagrams`,
        async () => {
          const { statsd, statsite } = listeners;
          for (const [name, type] of Object.entries(EXPECTED)) {
            assert.equal(statsd.types.get(name), type, name);
          }
          // Both are told each value, though not at the same instant.
          await cluster.eventually("both heard the same names", () => {
            const [a, b] = [statsd, statsite].map(({ types }) =>
              [...types.keys()].sort()
            );
            assert.deepEqual(a, b);
            return true;
          });
          assert.ok(Math.max(...statsd.packetBytes) <= DATAGRAM_BYTES_MAX);
          assert.ok(statsd.packetBytes.length > 5);
        },
      );
    }
    await step("every difference has its reason", () => {
      for (const listeners of heard.values()) listeners[Symbol.dispose]();
      const names = (
        kind: Kind,
      ) => [...heard.get(kind)?.statsd.types.keys() ?? []];
      const [ours, theirs] = [names("ours"), names("hashicorp")];
      const unexplained = (mine: string[], others: string[], reasons: object) =>
        mine.filter((name) =>
          !others.includes(name) && !(name in reasons) && !(name in CHANCE)
        );
      assert.deepEqual(unexplained(theirs, ours, ONLY_THEIRS), []);
      assert.deepEqual(unexplained(ours, theirs, ONLY_OURS), []);
      // The reasons are about names that do come, and only from one side.
      for (const name of Object.keys(ONLY_OURS)) {
        assert.ok(!theirs.includes(name), name);
      }
      for (const name of Object.keys(ONLY_THEIRS)) {
        assert.ok(!ours.includes(name), name);
      }
    });
  },
  { needs: ["serf"] },
);

const DUMP_LINE =
  /^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d0 [+-]\d{4} \S+\](\[G\] '\S+': \d+\.\d{3}|\[[CS]\] '\S+': Count: \d+ (Min: -?\d+\.\d{3} Mean: -?\d+\.\d{3} Max: -?\d+\.\d{3} Stddev: \d+\.\d{3} )?Sum: -?\d+\.\d{3} LastUpdated: \d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)? [+-]\d{4} \S+ m=\+\d+\.\d{9})$/;

for (const kind of KINDS) {
  // SIGUSR1 means something else to our runtime.
  const dumpSignal = kind === "ours" ? "SIGUSR2" : "SIGUSR1";
  testCluster(
    `${dumpSignal} makes the agent of ${kind} print its metrics and go on`,
    async (cluster) => {
      const agent = await cluster.start({ kind, name: "a", profile: "local" });
      // The last line may not have come to its end yet.
      const lines = () =>
        agent.process.stderr.split("\n").slice(0, -1).filter((line) =>
          line.startsWith("[20")
        );
      const hasPrinted = (text: string) =>
        lines().some((line) => line.includes(text));
      await cluster.eventually("an interval is over and printed", async () => {
        agent.signal(dumpSignal);
        await new Promise((done) => setTimeout(done, 500));
        // Nothing is sent, so the machine has no part in names.
        return hasPrinted(
          "'serf-agent.serf.member.join': Count: 1 Sum: 1.000",
        ) && hasPrinted("'serf-agent.runtime.num_goroutines': ");
      });
      for (const line of lines()) assert.match(line, DUMP_LINE);
      assert.ok(!agent.output.includes("Caught signal"));
      const members = await agent.members();
      assert.equal(members.get("a")?.Status, "alive");
    },
    {
      ignore: Deno.build.os === "windows",
      needs: kind === "hashicorp" ? ["serf"] : [],
    },
  );
}

testCluster(
  "serf metrics shows what our agent counted, and says that HashiCorp's cannot",
  async (cluster) => {
    const ours = await cluster.start({
      kind: "ours",
      name: "a",
      profile: "local",
    });
    const theirs = await cluster.start({
      kind: "hashicorp",
      name: "b",
      profile: "local",
    });
    const { code, stdout } = await theirs.command("ours", "metrics", []);
    assert.equal(code, 1);
    assert.match(
      stdout,
      /^Error querying agent: Unsupported command: this agent does not have/,
    );
    let lines: string[] = [];
    await cluster.eventually("an interval is over", async () => {
      const text = await ours.succeed("ours", "metrics", []);
      lines = text.split("\n").slice(0, -1);
      return lines.some((line) => line.includes("serf.member.join': Count: 1"));
    });
    for (const line of lines) assert.match(line, DUMP_LINE);
  },
  { needs: ["serf"] },
);

testCluster(
  "an agent starts and works though nobody takes its metrics",
  async (cluster) => {
    const nobody = cluster.takeAddress();
    const config = cluster.writeFile(
      "config.json",
      JSON.stringify({ statsite_addr: nobody.text, statsd_addr: "no-port" }),
    );
    const agent = await cluster.start({
      kind: "ours",
      name: "a",
      profile: "local",
      extraArgs: [`-config-file=${config}`],
    });
    await cluster.eventually(
      "the log says so",
      () =>
        agent.output.includes("Cannot send metrics to statsite at ") &&
        agent.output.includes(
          "Cannot send metrics to statsd at no-port: dial udp: address no-port: missing port in address",
        ),
    );
    const members = await agent.members();
    assert.equal(members.get("a")?.Status, "alive");
  },
);
