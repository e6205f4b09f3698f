/**
 * The two sockets of a node, bound to one port number.
 *
 * TCP goes first. With port 0 the system picks the TCP port and UDP must follow;
 * somebody else may hold that number for UDP, so the pair is tried again a few
 * times. Source: memberlist `newMemberlist` (makeNetRetry), `NewNetTransport`.
 */

import type { HostPort } from "../kit/address.ts";
import { listenHostOf } from "./both_families.ts";
import { listenErrorText } from "./system_error.ts";
import { type UdpHandlers, UdpSocket } from "./udp.ts";

/** How often a pair with a port of the system's choice is tried. */
const DYNAMIC_ATTEMPTS_MAX = 10;

export interface SocketPair {
  readonly listener: Deno.TcpListener;
  readonly udp: UdpSocket;
  /** The port of both. */
  readonly port: number;
}

/** A socket could not be bound. The message is complete up to the agent's words. */
export class BindError extends Error {
  override name = "BindError";
}

/**
 * Binds both sockets.
 *
 * @param at an IP address, `0.0.0.0` and `::` for every interface and, where the
 * system allows it, both families; port 0 for one of the system's choice
 * @throws {BindError} nothing is bound then
 */
export function bindSockets(at: HostPort, handlers: UdpHandlers): SocketPair {
  const attempts = at.port === 0 ? DYNAMIC_ATTEMPTS_MAX : 1;
  const host = listenHostOf(at.host);
  for (let attempt = 1;; attempt++) {
    const listener = listenTcp(at, host);
    const { port } = listener.addr as Deno.NetAddr;
    try {
      const udp = UdpSocket.bind({ host, port }, handlers);
      return { listener, udp, port };
    } catch (error) {
      listener.close();
      const isTaken = error instanceof Deno.errors.AddrInUse;
      if (!isTaken || attempt === attempts) {
        throw bindError("udp", { host: at.host, port }, error);
      }
    }
  }
}

function listenTcp(at: HostPort, host: string): Deno.TcpListener {
  try {
    return Deno.listen({ hostname: host, port: at.port });
  } catch (error) {
    throw bindError("tcp", at, error);
  }
}

function bindError(
  network: "tcp" | "udp",
  at: HostPort,
  error: unknown,
): BindError {
  const kind = network.toUpperCase();
  return new BindError(
    "Could not set up network transport: failed to obtain an address: " +
      `Failed to start ${kind} listener on "${at.host}" port ${at.port}: ` +
      listenErrorText(network, at, error),
    { cause: error },
  );
}
