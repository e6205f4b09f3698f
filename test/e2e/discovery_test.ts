/**
 * Agents that find each other by multicast DNS, each on a machine of its own.
 *
 * Nobody is told an address. The second agent asks when it starts, and the first
 * one answers; HashiCorp's asks and answers too, over IPv4 and IPv6.
 */

import assert from "node:assert/strict";
import { lacksNamespaces, Namespaces, type Placed } from "./namespaces.ts";
import { type Kind, KINDS } from "./programs.ts";

/** Who was not heard in the one second after a question is asked again 60 s later. */
const DEADLINE_MS = 150_000;

interface Network {
  readonly addresses: readonly [string, string];
  /** Length of the prefix. */
  readonly bits: number;
  readonly flags: readonly string[];
}

const IPV4: Network = {
  addresses: ["10.78.0.1", "10.78.0.2"],
  bits: 24,
  flags: ["-mdns-disable-ipv6"],
};
const IPV6: Network = {
  addresses: ["fd00:78::1", "fd00:78::2"],
  bits: 64,
  flags: ["-mdns-disable-ipv4"],
};

/** Two machines on one network. */
async function connected(network: Network): Promise<Namespaces> {
  const machines = new Namespaces(["a", "b"]);
  machines.connect("a", "b");
  for (const [i, [here, there]] of [["a", "b"], ["b", "a"]].entries()) {
    const { addresses, bits } = network;
    // Without the check for duplicates an address is usable at once.
    const options = bits === 64 ? " nodad" : "";
    machines.ipIn(
      here as string,
      `addr add ${addresses[i]}/${bits} dev toward-${there}${options}`,
    );
    machines.ipIn(here as string, `route add 224.0.0.0/4 dev toward-${there}`);
  }
  // The original gives up a whole poll if it cannot send over IPv6.
  const shown = "-6 addr show scope link -tentative".split(" ");
  await machines.until(
    "link-local addresses are usable",
    () =>
      ["a", "b"].every((where) => {
        const { stdout } = new Deno.Command("ip", {
          args: ["-n", machines.nameOf(where), ...shown],
        }).outputSync();
        return stdout.length > 0;
      }),
    DEADLINE_MS,
  );
  return machines;
}

function agentsOf(
  kinds: readonly [Kind, Kind],
  { addresses }: Network,
): [Placed, Placed] {
  const [a, b] = kinds.map((kind, i) => ({
    kind,
    name: `${kind}-${"ab"[i]}`,
    where: "ab"[i] as string,
    rpcAddr: "127.0.0.1:7373",
    ip: addresses[i],
  }));
  return [a, b] as [Placed, Placed];
}

function start(
  machines: Namespaces,
  agent: Placed,
  network: Network,
  cluster: string,
): void {
  const ip = network.addresses[agent.where === "a" ? 0 : 1];
  const iface = `toward-${agent.where === "a" ? "b" : "a"}`;
  // The original that is installed has no flags for discovery alone, and panics
  // when it discovers with an interface.
  const flags = agent.kind === "ours"
    ? [`-mdns-iface=${iface}`, ...network.flags]
    : [];
  machines.start(agent, [
    `-bind=${ip.includes(":") ? `[${ip}]` : ip}`,
    `-discover=${cluster}`,
    ...flags,
  ]);
}

for (const [label, network] of [["IPv4", IPV4], ["IPv6", IPV6]] as const) {
  for (const first of KINDS) {
    for (const second of KINDS) {
      if (first === "hashicorp" && second === "hashicorp") continue;
      Deno.test({
        name: `${second} discovers ${first} over ${label}`,
        ignore: lacksNamespaces(),
        async fn() {
          await using machines = await connected(network);
          const [a, b] = agentsOf([first, second], network);
          start(machines, a, network, "web");
          await machines.sees(a, [a.name], DEADLINE_MS);
          start(machines, b, network, "web");
          for (const agent of [a, b]) {
            await machines.sees(agent, [a.name, b.name].sort(), DEADLINE_MS);
          }
        },
      });
    }
  }
}

Deno.test({
  name: "agents that discover another cluster's name stay alone",
  ignore: lacksNamespaces(),
  async fn() {
    await using machines = await connected(IPV4);
    const [a, b] = agentsOf(["ours", "ours"], IPV4);
    start(machines, a, IPV4, "web");
    await machines.sees(a, [a.name], DEADLINE_MS);
    start(machines, b, IPV4, "db");
    // The one of their own cluster comes later, and is found.
    const c: Placed = { ...b, name: "ours-c", rpcAddr: "127.0.0.1:7374" };
    await machines.sees(b, [b.name], DEADLINE_MS);
    machines.start(c, [
      "-bind=10.78.0.2:7947",
      "-discover=web",
      "-mdns-iface=toward-a",
      "-mdns-disable-ipv6",
    ]);
    await machines.sees(a, [a.name, c.name].sort(), DEADLINE_MS);
    await machines.sees(b, [b.name], DEADLINE_MS);
    assert.doesNotMatch(machines.outputOf(b.name), /join: 10\.78\.0\.1/);
  },
});
