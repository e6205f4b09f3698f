/**
 * Whom something that came over the network belongs to, where shares and budgets
 * are counted.
 *
 * An IPv4 address is one source. Of IPv6 it is the network of the address, its
 * first 64 bits: every host may choose the rest at will (RFC 4291, section 2.5.4),
 * so that a share for each address would be no limit at all.
 */

import { formatIp, parseIp } from "./address.ts";

/** First bits of an IPv6 address that name its network, as bytes. */
const NETWORK_BYTES = 8;

/** The IP of `ip:port` or `[ip]:port`; any other text as it is. */
export function ipOfEndpoint(endpoint: string): string {
  const colon = endpoint.lastIndexOf(":");
  if (colon < 0) return endpoint;
  return endpoint.startsWith("[")
    ? endpoint.slice(1, colon - 1)
    : endpoint.slice(0, colon);
}

/** The source that an IP belongs to; a text that is no IP is its own source. */
export function sourceOfIp(ip: string): string {
  const bytes = ip.includes(":") ? parseIp(ip) : undefined;
  if (bytes === undefined) return ip;
  return `${formatIp(bytes.fill(0, NETWORK_BYTES))}/64`;
}
