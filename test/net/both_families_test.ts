import assert from "node:assert/strict";
import { formatEndpoint } from "../../lib/kit/address.ts";
import { bindSockets } from "../../lib/net/bind.ts";
import {
  hearsBothFamilies,
  listenHostOf,
} from "../../lib/net/both_families.ts";
import { RpcClient } from "../../lib/net/rpc_client.ts";
import { RpcServer } from "../../lib/net/rpc_server.ts";
import { FakeTarget } from "../rpc/fake_target.ts";
import { until } from "./deadline.ts";

/** Loopback addresses of the families that this machine gives to one socket. */
const LOOPBACKS = hearsBothFamilies() ? ["127.0.0.1", "::1"] : ["127.0.0.1"];
const WILDCARDS = hearsBothFamilies() ? ["0.0.0.0", "::"] : ["0.0.0.0"];

Deno.test("listenHostOf() leaves alone whatever is not every interface", () => {
  for (const host of ["127.0.0.1", "::1", "::", "10.0.0.1"]) {
    assert.equal(listenHostOf(host), host);
  }
});

for (const host of WILDCARDS) {
  Deno.test(`bindSockets() at ${host} hears packets and streams of both families`, async () => {
    const heard: string[] = [];
    const { udp, listener, port } = bindSockets({ host, port: 0 }, {
      onPacket: (from) => heard.push(from),
      onReadError: () => heard.push("read error"),
      onSendError: () => heard.push("send error"),
      onSendDropped: () => heard.push("dropped"),
    });
    const receiving = udp.receive();
    const expected: string[] = [];
    for (const loopback of LOOPBACKS) {
      const sender = Deno.listenDatagram({
        transport: "udp",
        hostname: loopback,
        port: 0,
      });
      const { addr } = sender;
      assert.equal(addr.transport, "udp");
      expected.push(
        formatEndpoint(loopback, (addr as Deno.NetAddr).port),
      );
      const to = { transport: "udp", hostname: loopback, port } as const;
      // A packet may get lost, on the loopback too.
      await until(`a packet from ${loopback}`, async () => {
        await sender.send(Uint8Array.of(1), to);
        return heard.includes(expected.at(-1) as string);
      });
      // And the way back, whose source is the address that was asked.
      const answer = sender.receive(new Uint8Array(4));
      udp.send(expected.at(-1) as string, Uint8Array.of(2));
      const [bytes, from] = await answer;
      assert.deepEqual([...bytes], [2]);
      assert.equal((from as Deno.NetAddr).hostname, loopback);
      sender.close();
      using stream = await Deno.connect({ hostname: loopback, port });
      using accepted = await listener.accept();
      assert.equal(
        (accepted.remoteAddr as Deno.NetAddr).port,
        (stream.localAddr as Deno.NetAddr).port,
      );
    }
    assert.deepEqual([...new Set(heard)], expected);
    listener.close();
    udp.close();
    await receiving;
  });

  Deno.test(`RpcServer at ${host} serves clients of both families, by their plain address`, async () => {
    const target = new FakeTarget();
    const server = RpcServer.start({
      target,
      at: { host, port: 0 },
      authKey: "",
    });
    assert.deepEqual(server.endpoint, { host, port: server.port });
    for (const loopback of LOOPBACKS) {
      const address = formatEndpoint(loopback, server.port);
      const client = await RpcClient.connect({ address });
      await client.members();
      client.close();
    }
    const clients = target.logged.filter((line) => line.includes("Accepted"));
    assert.deepEqual(
      clients.map((line) => line.replace(/:\d+$/, "")),
      LOOPBACKS.map((ip) =>
        `[INFO] agent.ipc: Accepted client: ${
          formatEndpoint(ip, 0).slice(0, -2)
        }`
      ),
    );
    await server.shutdown();
  });
}

Deno.test("bindSockets() says what was asked for when the port is taken", () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = taken.addr as Deno.NetAddr;
  const handlers = {
    onPacket() {},
    onReadError() {},
    onSendError() {},
    onSendDropped() {},
  };
  assert.throws(
    () => bindSockets({ host: "0.0.0.0", port }, handlers),
    new RegExp(
      `Failed to start TCP listener on "0\\.0\\.0\\.0" port ${port}: ` +
        `listen tcp 0\\.0\\.0\\.0:${port}: bind: address already in use`,
    ),
  );
});
