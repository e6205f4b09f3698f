/**
 * Where an agent serves commands: a TCP port, or a socket in the file system.
 *
 *     127.0.0.1:7373          HOST:PORT, [V6]:PORT
 *     unix:///run/serf.sock   a path; only its owner may use the socket
 *
 * A socket in the file system is ours alone: HashiCorp's agent has none. Who may
 * open it is decided by the system, so it needs no token.
 *
 * Both ends use this file; what costs start-up time is loaded when it is needed.
 */

import {
  formatEndpoint,
  type HostPort,
  parseIp,
  splitHostPort,
} from "../kit/address.ts";
import { connectTcp } from "./connect.ts";
import type { Lookup } from "./resolve.ts";
import { systemErrorText } from "./system_error.ts";

/** A TCP address, or a path in the file system. */
export type RpcEndpoint = HostPort | { readonly path: string };

/** A connection between a client and an agent. */
export type RpcConn = Deno.TcpConn | Deno.UnixConn;

/** What begins the address of a socket in the file system. */
export const UNIX_SCHEME = "unix://";
/** Longest wait for a connection, ms. */
const CONNECT_TIMEOUT_MS = 10_000;
/** Longest path of a socket, bytes, including the byte that ends it. */
const PATH_BYTES_MAX = 108;

/**
 * The path in an address, `undefined` when it is not of that kind.
 *
 * @throws {SyntaxError} when the path cannot be that of a socket
 */
export function unixPathOf(text: string): string | undefined {
  if (!text.startsWith(UNIX_SCHEME)) return undefined;
  const path = text.slice(UNIX_SCHEME.length);
  if (path === "") throw new SyntaxError(`address ${text}: missing path`);
  const length = new TextEncoder().encode(path).length;
  if (path.includes("\0") || length >= PATH_BYTES_MAX) {
    throw new SyntaxError(
      `address ${text}: invalid path, at most ${PATH_BYTES_MAX - 1} bytes`,
    );
  }
  return path;
}

/** An endpoint as people write it. */
export function formatRpcEndpoint(at: RpcEndpoint): string {
  return "path" in at
    ? UNIX_SCHEME + at.path
    : formatEndpoint(at.host, at.port);
}

/** Where an address leads: a path, or the addresses of a host in their order. */
async function resolveDial(
  text: string,
  lookup: Lookup | undefined,
): Promise<{ readonly path: string } | readonly HostPort[]> {
  if (text === "") throw new SyntaxError("dial tcp: missing address");
  let path: string | undefined;
  try {
    path = unixPathOf(text);
  } catch (cause) {
    throw new SyntaxError(`dial unix: ${(cause as Error).message}`, { cause });
  }
  if (path !== undefined) return { path };
  try {
    const plain = splitHostPort(text);
    if (parseIp(plain.host) !== undefined) return [plain];
  } catch {
    // The resolver below finds the words for what is wrong.
  }
  const { resolveDialAddress } = await import("./resolve.ts");
  try {
    return await resolveDialAddress(text, lookup);
  } catch (cause) {
    throw new SyntaxError(`dial tcp: ${(cause as Error).message}`, { cause });
  }
}

/**
 * Connects a client to an agent. Of a host with several addresses each is tried;
 * see `connect.ts`.
 *
 * @param text `host:port`, `[v6]:port` or `unix:///path`
 * @param lookup finds the addresses of a name; the system's resolver unless given
 * @throws {SyntaxError} when it cannot be read, or the host is not known
 * @throws {Error} when nobody answers there within 10 s, worded as Go words it:
 * `dial tcp 127.0.0.1:7373: connect: connection refused`
 */
export async function dialRpc(
  text: string,
  lookup?: Lookup,
): Promise<RpcConn> {
  const to = await resolveDial(text, lookup);
  if (!("path" in to)) {
    return await connectTcp(to, { timeoutMs: CONNECT_TIMEOUT_MS });
  }
  try {
    return await Deno.connect({ transport: "unix", path: to.path });
  } catch (cause) {
    const why = systemErrorText(cause);
    throw new Error(`dial unix ${to.path}: connect: ${why}`, { cause });
  }
}

/**
 * Removes a socket that a process which is no more has left behind, and nothing
 * else.
 */
export async function removeDeadSocket(path: string): Promise<void> {
  try {
    if (!(await Deno.lstat(path)).isSocket) return;
    const conn = await Deno.connect({ transport: "unix", path });
    conn.close();
  } catch (error) {
    if (error instanceof Deno.errors.ConnectionRefused) {
      await Deno.remove(path);
    }
  }
}
