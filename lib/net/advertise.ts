/**
 * What address a node tells the others.
 *
 * The one it was given, else the one it is bound to, else, when it is bound to
 * every interface, one of this machine's. Source: memberlist
 * `FinalAdvertiseAddr`; choosing for `::`, which upstream announces as it is, is
 * our own addition.
 */

import { formatEndpoint, type HostPort, parseIp } from "../kit/address.ts";
import { BindError } from "./bind.ts";
import { hearsBothFamilies } from "./both_families.ts";
import {
  chooseAdvertisedIp,
  defaultRouteInterface,
  isWildcard,
  localAddresses,
} from "./interfaces.ts";

/**
 * @param given port 0 stands for the bound port
 * @throws {RangeError} when the address is a name
 * @throws {BindError} when this machine has nothing but local addresses
 */
export function advertisedAddress(
  given: HostPort | undefined,
  bound: HostPort,
): HostPort {
  const { host = bound.host, port = 0 } = given ?? {};
  if (parseIp(host) === undefined) {
    throw new RangeError(`Cannot advertise "${host}": not an IP address`);
  }
  if (given !== undefined) return { host, port: port || bound.port };
  return { host: isWildcard(host) ? machineIp(bound) : host, port: bound.port };
}

function machineIp(bound: HostPort): string {
  const choose = (wildcard: string) =>
    chooseAdvertisedIp(wildcard, localAddresses(), defaultRouteInterface());
  const ip = choose(bound.host) ??
    // Without an IPv4 address, the other family that `0.0.0.0` hears.
    (hearsBothFamilies() ? choose("::") : undefined);
  if (ip !== undefined) return ip;
  const at = formatEndpoint(bound.host, bound.port);
  throw new BindError(
    "Could not set up network transport: failed to obtain an address: " +
      `no IP address to announce found for ${at}, and explicit IP not provided`,
  );
}
