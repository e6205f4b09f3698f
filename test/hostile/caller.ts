/**
 * A process that opens connections and misuses them.
 *
 *     deno run -A test/hostile/caller.ts HOST PORT KIND SECONDS
 *
 * KIND is one of `CALLS`. Prints how many connections it has opened, how many bytes
 * it has sent, and how many came back.
 */

import net from "node:net";
import { joined, requestBytes } from "../e2e/crowd_client.ts";

/** Connections reset a second. */
const RESETS_PER_SECOND = 50;
/** Pause before a connection that was ended is opened again, ms. */
const AGAIN_MS = 1_000;
/** Wrong tokens in one write. */
const GUESSES = 100;
const GARBAGE = new Uint8Array(1_024).fill(0xc1);
const HANDSHAKE = requestBytes("handshake", 0n, { Version: 1 });

const [hostname = "", portText, kind = "", secondsText] = Deno.args;
const port = Number(portText);
const endMs = performance.now() + Number(secondsText) * 1_000;
const counts = { opened: 0, bytes: 0, returned: 0 };

function isOver(): boolean {
  return performance.now() >= endMs;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** A connection that is reset as soon as it stands. */
async function reset(): Promise<void> {
  const socket = net.connect(port, hostname);
  await new Promise<void>((done) => {
    socket.once("connect", () => {
      counts.opened++;
      socket.resetAndDestroy();
    });
    socket.once("error", () => {});
    socket.once("close", () => done());
  });
}

/** Holds a connection open until the other side ends it, or the time is over. */
async function hold(
  speak?: (connection: Deno.TcpConn) => Promise<void>,
): Promise<void> {
  let connection: Deno.TcpConn;
  try {
    connection = await Deno.connect({ hostname, port });
  } catch {
    return;
  }
  counts.opened++;
  const timer = setTimeout(() => connection.close(), endMs - performance.now());
  const buffer = new Uint8Array(65_536);
  const listening = (async () => {
    for (let read; (read = await connection.read(buffer)) !== null;) {
      counts.returned += read;
    }
  })();
  try {
    await Promise.all([listening, speak?.(connection)]);
    connection.close();
  } catch {
    // It was ended by the other side, or by the time.
  }
  clearTimeout(timer);
  await listening.catch(() => {});
}

async function write(
  connection: Deno.TcpConn,
  bytes: Uint8Array,
): Promise<void> {
  for (let rest = bytes; rest.length > 0;) {
    const written = await connection.write(rest);
    counts.bytes += written;
    rest = rest.subarray(written);
  }
}

/** Keeps so many silent connections; what is ended is opened again. */
async function silence(connections: number): Promise<void> {
  await Promise.all(Array.from({ length: connections }, async () => {
    while (!isOver()) {
      await hold();
      if (!isOver()) await pause(AGAIN_MS);
    }
  }));
}

const CALLS: Readonly<Record<string, () => Promise<void>>> = {
  async resets() {
    while (!isOver()) {
      await reset();
      await pause(1_000 / RESETS_PER_SECOND);
    }
  },
  "132 silent": () => silence(132),
  "1000 silent": () => silence(1_000),
  "1030 silent": () => silence(1_030),
  /** What is no request, on one connection after the other. */
  async garbage() {
    while (!isOver()) {
      await hold((connection) => write(connection, GARBAGE));
    }
  },
  /** Commands of a client that has shown no token. */
  async commands() {
    const some = Array.from(
      { length: GUESSES },
      (_, i) => requestBytes("stats", BigInt(i)),
    );
    const bytes = joined(some);
    while (!isOver()) {
      await hold(async (connection) => {
        await write(connection, HANDSHAKE);
        while (!isOver()) await write(connection, bytes);
      });
    }
  },
  /** Wrong tokens, as fast as they are taken. */
  async guesses() {
    let guess = 0;
    while (!isOver()) {
      await hold(async (connection) => {
        await write(connection, HANDSHAKE);
        while (!isOver()) {
          const some = Array.from(
            { length: GUESSES },
            () => requestBytes("auth", 1n, { AuthKey: `guess-${guess++}` }),
          );
          await write(connection, joined(some));
        }
      });
    }
  },
};

const call = CALLS[kind];
if (call === undefined) throw new SyntaxError(`No such kind: '${kind}'`);
await call();
console.log(JSON.stringify(counts));
