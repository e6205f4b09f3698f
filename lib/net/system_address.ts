/**
 * Addresses as the system reports them, in the forms of `kit/address.ts`.
 *
 * A socket for `::` reports IPv4 addresses in the clothes of IPv6 (RFC 4291,
 * section 2.5.5.2); in here they are IPv4 addresses like all others.
 */

import { formatEndpoint } from "../kit/address.ts";

/** `ip:port` of what the system reports; mapped IPv4 addresses as IPv4. */
export function endpointOf(address: Deno.NetAddr): string {
  return formatEndpoint(plainHost(address.hostname), address.port);
}

/** The host of a system address, without the IPv6 clothes of an IPv4 address. */
export function plainHost(hostname: string): string {
  return hostname.startsWith("::ffff:") && hostname.includes(".")
    ? hostname.slice(7)
    : hostname;
}
