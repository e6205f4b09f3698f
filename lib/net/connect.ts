/**
 * Connecting to a host that may have several addresses.
 *
 * Its addresses are tried one after the other, in the resolver's order, until one
 * answers. All of them share one deadline: each may use an equal part of what is
 * left, but not less than two seconds. When the host has addresses of both
 * families, those of the other family get their turn after 300 ms, beside the
 * first ones, so that a network which swallows IPv6 costs no more than that.
 *
 * Source: Go `net/dial.go` (dialParallel, dialSerial, partialDeadline), RFC 8305.
 */

import { formatEndpoint, type HostPort } from "../kit/address.ts";
import { monotonicMs } from "./clock.ts";
import { dialErrorText } from "./system_error.ts";

/** Least time for one address while there is that much left, ms. */
const ADDRESS_MS_MIN = 2_000;
/** How long the first family is tried alone, ms. */
const OTHER_FAMILY_MS = 300;

export interface ConnectOptions {
  /** For all addresses together. */
  readonly timeoutMs: number;
  /** Connects to one address; the system unless given. */
  readonly connect?: (
    to: HostPort,
    signal: AbortSignal,
  ) => Promise<Deno.TcpConn>;
}

/**
 * Connects to the first address that answers.
 *
 * @param addresses of one host, at least one; an empty host is this machine
 * @throws {Error} what went wrong at the first of them, worded as Go words it:
 * `dial tcp 10.0.0.1:7373: connect: connection refused`
 */
export async function connectTcp(
  addresses: readonly HostPort[],
  { timeoutMs, connect = connectOne }: ConnectOptions,
): Promise<Deno.TcpConn> {
  const endMs = monotonicMs() + timeoutMs;
  const isOther = ({ host }: HostPort) =>
    host.includes(":") !== addresses[0]?.host.includes(":");
  const others = addresses.filter(isOther);
  const stop = new AbortController();
  const attempt = (some: readonly HostPort[]) =>
    connectInOrder(some, { endMs, signal: stop.signal, connect });
  if (others.length === 0) return await attempt(addresses);
  const first = attempt(addresses.filter((each) => !isOther(each)));
  const second = afterHeadStart(first).then(() => attempt(others));
  let winner: Deno.TcpConn | undefined;
  try {
    return winner = await Promise.any([first, second]);
  } catch {
    // Both have failed; the first family is the one to tell of.
    return await first;
  } finally {
    stop.abort();
    for (const each of [first, second]) {
      each.then((conn) => conn === winner || conn.close(), () => {});
    }
  }
}

/** Waits until the first family has failed, or has had its time alone. */
function afterHeadStart(first: Promise<unknown>): Promise<void> {
  return new Promise((done) => {
    first.catch(() => done());
    // Not `setTimeout`: that loads Node's timers, which commands do without.
    AbortSignal.timeout(OTHER_FAMILY_MS).onabort = () => done();
  });
}

async function connectInOrder(
  addresses: readonly HostPort[],
  { endMs, signal, connect }: {
    readonly endMs: number;
    readonly signal: AbortSignal;
    readonly connect: NonNullable<ConnectOptions["connect"]>;
  },
): Promise<Deno.TcpConn> {
  let firstError: Error | undefined;
  for (const [index, to] of addresses.entries()) {
    const leftMs = endMs - monotonicMs();
    if (signal.aborted || leftMs <= 0) break;
    const shareMs = leftMs / (addresses.length - index);
    const timeout = AbortSignal.timeout(
      Math.ceil(Math.min(leftMs, Math.max(shareMs, ADDRESS_MS_MIN))),
    );
    try {
      return await connect(to, AbortSignal.any([signal, timeout]));
    } catch (cause) {
      const address = formatEndpoint(to.host, to.port);
      const text = timeout.aborted
        ? `dial tcp ${address}: i/o timeout`
        : dialErrorText(address, cause);
      firstError ??= new Error(text, { cause });
    }
  }
  throw firstError ?? new Error("dial tcp: operation was canceled");
}

function connectOne(
  { host, port }: HostPort,
  signal: AbortSignal,
): Promise<Deno.TcpConn> {
  return Deno.connect({ hostname: host || "127.0.0.1", port, signal });
}
