/**
 * Where datagrams that a peer asks us to send may go, and what may be passed on.
 *
 * A query says where its answers go, and a relayed message where it is passed
 * on to. Both are bytes of a peer, so they are looked at before use.
 *
 * Only answers to queries are passed on: nothing else is ever relayed, and a relayed
 * message inside another would let one packet run through many members.
 */

import { formatEndpoint, formatIp } from "../kit/address.ts";
import { type Relay, SerfMessageType } from "../wire/serf_messages.ts";

/** Names of network interfaces. */
const ZONE = /^[\w.:-]{1,64}$/;

/** A destination as it travels. */
export interface Destination {
  /** Address bytes, 4 or 16 when it can be used. */
  readonly addr: Uint8Array;
  readonly port: number;
  /** Zone of a link-local IPv6 address; absent or empty for none. */
  readonly zone?: string;
}

/**
 * The destination as `ip:port`.
 *
 * @returns `undefined` when no datagram can go there
 */
export function datagramAddress(to: Destination): string | undefined {
  const { addr, port, zone = "" } = to;
  if (port < 1 || port > 65_535) return undefined;
  const ip = formatIp(addr);
  if (addr.length === 4) return formatEndpoint(ip, port);
  if (addr.length !== 16) return undefined;
  if (zone === "") return formatEndpoint(ip, port);
  if (!ZONE.test(zone)) return undefined;
  return formatEndpoint(`${ip}%${zone}`, port);
}

/** Where a relayed message goes; see `datagramAddress`. */
export function relayAddress(relay: Relay): string | undefined {
  return datagramAddress({
    addr: relay.destAddr,
    port: relay.destPort,
    zone: relay.destZone,
  });
}

/** Whether the message inside is one that members relay. */
export function isRelayable({ body }: Relay): boolean {
  return body[0] === SerfMessageType.queryResponse;
}
