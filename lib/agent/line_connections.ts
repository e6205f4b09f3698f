/**
 * Ways to the programs that take metrics: datagrams for statsd, a stream for
 * statsite.
 *
 * Names are looked up each time a way is opened. A datagram that nobody takes is
 * lost without a word; the original hears of it where the system tells.
 */

import { connectTcp } from "../net/connect.ts";
import { resolveDialAddress, resolveListenAddress } from "../net/resolve.ts";
import { systemErrorText } from "../net/system_error.ts";
import type { LineConnection } from "./line_sink.ts";

/** Longest wait for a connection, ms. */
const CONNECT_TIMEOUT_MS = 10_000;

/** @param address `HOST:PORT`. @throws {Error} when it means nothing */
export async function openDatagrams(address: string): Promise<LineConnection> {
  // A datagram does not tell whether anybody is there, so there is one target.
  const { host, port } = await inDialWords(
    "udp",
    resolveListenAddress(address),
  );
  const conn = Deno.listenDatagram({
    transport: "udp",
    hostname: host.includes(":") ? "::" : "0.0.0.0",
    port: 0,
  });
  const hostname = host === "0.0.0.0" ? "127.0.0.1" : host;
  const target: Deno.NetAddr = { transport: "udp", hostname, port };
  return {
    write: (bytes) => inWords(conn.send(bytes, target)),
    close: () => conn.close(),
  };
}

/** @param address `HOST:PORT`. @throws {Error} when nobody is there */
export async function openStream(address: string): Promise<LineConnection> {
  const targets = await inDialWords("tcp", resolveDialAddress(address));
  const conn = await connectTcp(targets, { timeoutMs: CONNECT_TIMEOUT_MS });
  return {
    write: (bytes) => inWords(writeAll(conn, bytes)),
    ended: readToEnd(conn),
    close: () => conn.close(),
  };
}

async function inDialWords<T>(
  network: string,
  looking: Promise<T>,
): Promise<T> {
  try {
    return await looking;
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
