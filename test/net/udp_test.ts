import assert from "node:assert/strict";
import { type UdpHandlers, UdpSocket } from "../../lib/net/udp.ts";
import { utf8Bytes, utf8Text } from "../../lib/kit/bytes.ts";
import { until } from "./deadline.ts";

interface Heard {
  readonly packets: string[];
  readonly errors: string[];
  sendsDropped: number;
}

function listen(
  host: string,
): { socket: UdpSocket; heard: Heard; port: number } {
  const heard: Heard = { packets: [], errors: [], sendsDropped: 0 };
  const handlers: UdpHandlers = {
    onPacket: (from, bytes) => heard.packets.push(`${from} ${utf8Text(bytes)}`),
    onReadError: (error) => heard.errors.push(String(error)),
    onSendError: (to, error) =>
      heard.errors.push(`${to} ${(error as Error).message}`),
    onSendDropped: () => heard.sendsDropped++,
  };
  // A port that TCP does not hold either is as good as any.
  const probe = Deno.listenDatagram({
    transport: "udp",
    hostname: host,
    port: 0,
  });
  const { port } = probe.addr as Deno.NetAddr;
  probe.close();
  const socket = UdpSocket.bind({ host, port }, handlers);
  return { socket, heard, port };
}

Deno.test("UdpSocket hands over packets with their senders, IPv4 and IPv6", async () => {
  for (const [host, shown] of [["127.0.0.1", "127.0.0.1"], ["::1", "[::1]"]]) {
    const a = listen(host!);
    const b = listen(host!);
    const loops = [a.socket.receive(), b.socket.receive()];
    try {
      a.socket.send(`${shown}:${b.port}`, utf8Bytes("one"));
      a.socket.send(`${shown}:${b.port}`, utf8Bytes("two"));
      await until("both packets", () => b.heard.packets.length === 2);
      // Sends run at the same time, so either may be first.
      assert.deepEqual(b.heard.packets.sort(), [
        `${shown}:${a.port} one`,
        `${shown}:${a.port} two`,
      ]);
      assert.deepEqual(a.heard.errors, []);
    } finally {
      a.socket.close();
      b.socket.close();
      await Promise.all(loops);
    }
  }
});

Deno.test("UdpSocket bound to every address shows IPv4 peers as IPv4", async () => {
  const both = listen("::");
  const four = listen("127.0.0.1");
  const loops = [both.socket.receive(), four.socket.receive()];
  try {
    both.socket.send(`127.0.0.1:${four.port}`, utf8Bytes("there"));
    four.socket.send(`127.0.0.1:${both.port}`, utf8Bytes("back"));
    await until("the packet", () => four.heard.packets.length === 1);
    await until("the answer", () => both.heard.packets.length === 1);
    assert.deepEqual(four.heard.packets, [`127.0.0.1:${both.port} there`]);
    assert.deepEqual(both.heard.packets, [`127.0.0.1:${four.port} back`]);
  } finally {
    both.socket.close();
    four.socket.close();
    await Promise.all(loops);
  }
});

Deno.test("UdpSocket.send() reports what cannot be sent and never throws", async () => {
  const { socket, heard } = listen("127.0.0.1");
  try {
    socket.send("[::1]:9", utf8Bytes("x"));
    socket.send("?0102:9", utf8Bytes("x"));
    socket.send("no-port", utf8Bytes("x"));
    socket.send("localhost:9", utf8Bytes("x"));
    socket.send("127.0.0.1:9", new Uint8Array(70_000));
    await until("five errors", () => heard.errors.length === 5);
    assert.deepEqual(
      heard.errors,
      [
        "[::1]:9 address family not supported by protocol",
        "?0102:9 no IP address",
        "no-port address no-port: missing port in address",
        "localhost:9 no IP address",
        "127.0.0.1:9 Message too long (os error 90)",
      ].map((text) =>
        text.replace("90", Deno.build.os === "linux" ? "90" : "40")
      ),
    );
  } finally {
    socket.close();
  }
});

Deno.test("UdpSocket.send() drops packets rather than hold them without bound", async () => {
  const { socket, heard } = listen("127.0.0.1");
  try {
    // Nothing is awaited, so no send can finish meanwhile.
    for (let i = 0; i < 5_000; i++) {
      socket.send("127.0.0.1:9", new Uint8Array(9));
    }
    assert.equal(heard.sendsDropped, 5_000 - 1_024);
    await until("room for one more", () => {
      const dropped = heard.sendsDropped;
      socket.send("127.0.0.1:9", new Uint8Array(9));
      return heard.sendsDropped === dropped;
    });
    assert.deepEqual(heard.errors, []);
  } finally {
    socket.close();
    socket.close();
    socket.send("127.0.0.1:9", new Uint8Array(9));
  }
});
