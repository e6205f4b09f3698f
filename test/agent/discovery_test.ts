/** What discovery says about a port that somebody else has. */

import assert from "node:assert/strict";
import dgram from "node:dgram";
import { Discovery } from "../../lib/agent/discovery.ts";
import { until } from "../net/deadline.ts";

/** Another program at a free port of ours. */
async function holder(
  reuseAddr: boolean,
): Promise<{ port: number; socket: dgram.Socket }> {
  const socket = dgram.createSocket({ type: "udp4", reuseAddr });
  await new Promise<void>((done) => socket.bind(0, () => done()));
  return { port: socket.address().port, socket };
}

async function linesWith(reuseAddr: boolean): Promise<string[]> {
  const { port, socket } = await holder(reuseAddr);
  const lines: string[] = [];
  let found: readonly string[] = [];
  const service = {
    ...{ cluster: `t${crypto.randomUUID().slice(0, 8)}`, instance: "d1" },
    ...{ hostName: "h0", ip: "127.0.0.1" },
  };
  const options = {
    iface: { name: "lo", ipv4: "127.0.0.1" },
    ...{ usesIpv4: true, usesIpv6: true, mdnsPort: port, randomId: () => 7 },
    ...{ pollIntervalMs: 50, pollWaitMs: 50 },
    log: (level: string, text: string) => lines.push(`[${level}] ${text}`),
    onRefused: () => {},
  };
  const one = await Discovery.start({
    ...options,
    service: { ...service, port: 1 },
    join: (addresses) => {
      found = addresses;
      return Promise.resolve(addresses.length);
    },
  });
  const two = await Discovery.start({
    ...options,
    service: { ...service, instance: "d2", port: 2 },
    log: () => {},
    join: () => Promise.resolve(0),
  });
  try {
    // Where the port is shared, all who hold it hear the question.
    if (reuseAddr) {
      await until("it is found", () => found.includes("127.0.0.1:2"));
    }
    return lines.filter((line) => !line.includes("IPv6"));
  } finally {
    one.close();
    two.close();
    socket.close();
  }
}

Deno.test("Discovery says that another program holds the port of IPv4", async () => {
  assert.deepEqual(await linesWith(false), [
    "[WARN] agent.mdns: Another program holds UDP port 5353 over IPv4 and does " +
    "not share it, so that others cannot discover this agent there. End that " +
    "program, have it share the port, or use -mdns-disable-ipv4",
  ]);
});

Deno.test("Discovery shares the port with a program that does", async () => {
  const lines = await linesWith(true);
  assert.deepEqual(lines.filter((line) => line.includes("WARN")), []);
});
