/**
 * Binding to a network interface rather than to an address.
 *
 * Bound to every interface, the first address of the one that was named is
 * taken, unless it is link-local. Bound to an address, the interface must have
 * it. Source: serf `command.go`, setupAgent.
 */

import { formatIp, type HostPort, parseIp } from "../kit/address.ts";
import { isWildcard } from "../net/interfaces.ts";
import { ConfigError } from "./config_layer.ts";

/**
 * Where to bind.
 *
 * `::` takes an IPv6 address of the interface, or else an IPv4 one; upstream
 * knows no wildcard but `0.0.0.0`.
 *
 * @param addresses those of the interface, in the system's order
 * @throws {ConfigError} when it has none that will do
 */
export function addressOnInterface(
  name: string,
  addresses: readonly string[],
  bind: HostPort,
): HostPort {
  if (addresses.length === 0) {
    throw complaint(`Interface '${name}' has no addresses`);
  }
  if (!isWildcard(bind.host)) {
    if (addresses.includes(bind.host)) return bind;
    throw complaint(`Interface '${name}' has no '${bind.host}' address`);
  }
  const usable = addresses.filter((address) => !isLinkLocal(address));
  const wanted = bind.host === "::"
    ? usable.find((address) => address.includes(":"))
    : undefined;
  const host = wanted ?? usable[0];
  if (host === undefined) {
    throw complaint(`Failed to find usable address for interface '${name}'`);
  }
  return { host, port: bind.port };
}

/** An address that is known on one link only; a zone may stand behind it. */
function isLinkLocal(address: string): boolean {
  const bytes = parseIp(address.split("%")[0] as string);
  if (bytes === undefined) return true;
  if (formatIp(bytes).startsWith("169.254.")) return true;
  return bytes.length === 16 && bytes[0] === 0xfe &&
    ((bytes[1] as number) & 0xc0) === 0x80;
}

function complaint(message: string): ConfigError {
  return new ConfigError(message, { setting: "interfaceName" });
}
