/**
 * Hearing IPv4 and IPv6 with one socket.
 *
 * In Go, and so in HashiCorp's agent, every interface means both families,
 * however it was written: `:7373`, `0.0.0.0:7373` and `[::]:7373` bind the same
 * socket. Here the system is asked for `::`, which hears IPv4 too where the system
 * wants that: Linux and macOS do unless they are told otherwise, Windows does not.
 * Deno cannot set the option (IPV6_V6ONLY) on a socket, so the system is tried.
 *
 * Source: Go `net/ipsock_posix.go` (favoriteAddrFamily, supportsIPv4map).
 */

/** What to ask the system for when a socket is to hear `host`. */
export function listenHostOf(host: string): string {
  return host === "0.0.0.0" && hearsBothFamilies() ? "::" : host;
}

/** Whether a socket for `::` hears IPv4 too. */
export function hearsBothFamilies(): boolean {
  // Twice, since another program may hold the number of the port by chance.
  return takesBothFamilies() && takesBothFamilies();
}

/** Whether a port taken for `::` is taken for IPv4 as well. */
function takesBothFamilies(): boolean {
  let both: Deno.DatagramConn;
  try {
    both = listen("::", 0);
  } catch {
    // This machine has no IPv6.
    return false;
  }
  try {
    listen("0.0.0.0", (both.addr as Deno.NetAddr).port).close();
    return false;
  } catch (error) {
    return error instanceof Deno.errors.AddrInUse;
  } finally {
    both.close();
  }
}

function listen(hostname: string, port: number): Deno.DatagramConn {
  return Deno.listenDatagram({ transport: "udp", hostname, port });
}
