/**
 * Ways to the programs that take metrics: datagrams for statsd, a stream for
 * statsite.
 *
 * Names are looked up each time a way is opened. A datagram that nobody takes is
 * lost without a word; the original hears of it where the system tells.
 */

import { formatEndpoint, type HostPort } from "../kit/address.ts";
import { resolveListenAddress } from "../net/resolve.ts";
import { dialErrorText, systemErrorText } from "../net/system_error.ts";
import type { LineConnection } from "./line_sink.ts";

/** @param address `HOST:PORT`. @throws {Error} when it means nothing */
export async function openDatagrams(address: string): Promise<LineConnection> {
  const { host, port } = await resolve("udp", address);
  const conn = Deno.listenDatagram({
    transport: "udp",
    hostname: host.includes(":") ? "::" : "0.0.0.0",
    port: 0,
  });
  const target: Deno.NetAddr = { transport: "udp", hostname: host, port };
  return {
    write: (bytes) => inWords(conn.send(bytes, target)),
    close: () => conn.close(),
  };
}

/** @param address `HOST:PORT`. @throws {Error} when nobody is there */
export async function openStream(address: string): Promise<LineConnection> {
  const { host, port } = await resolve("tcp", address);
  let conn: Deno.TcpConn;
  try {
    conn = await Deno.connect({ hostname: host, port });
  } catch (error) {
    throw new Error(dialErrorText(formatEndpoint(host, port), error), {
      cause: error,
    });
  }
  return {
    write: (bytes) => inWords(writeAll(conn, bytes)),
    ended: readToEnd(conn),
    close: () => conn.close(),
  };
}

async function resolve(network: string, address: string): Promise<HostPort> {
  try {
    const { host, port } = await resolveListenAddress(address);
    return { host: host === "0.0.0.0" ? "127.0.0.1" : host, port };
  } catch (error) {
    const { message } = error as Error;
    throw new Error(`dial ${network}: ${message}`, { cause: error });
  }
}

async function writeAll(conn: Deno.Conn, bytes: Uint8Array): Promise<void> {
  let written = 0;
  while (written < bytes.length) {
    written += await conn.write(bytes.subarray(written));
  }
}

/** Nothing is expected; what comes all the same is read and forgotten. */
async function readToEnd(conn: Deno.Conn): Promise<void> {
  const buffer = new Uint8Array(512);
  try {
    while (await conn.read(buffer) !== null);
  } catch {
    // It broke, which is an end as well.
  }
}

async function inWords(sending: Promise<unknown>): Promise<void> {
  try {
    await sending;
  } catch (error) {
    throw new Error(systemErrorText(error), { cause: error });
  }
}
