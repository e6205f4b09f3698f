/**
 * Which of the machine's addresses to tell others, and which addresses are
 * public.
 *
 * A node that is bound to every interface must pick one address to announce.
 * Upstream takes the first private one that can be forwarded, by default route,
 * then IPv4 before IPv6. We add a public address when there is no private one,
 * and stay within the families that the socket hears.
 *
 * Source: memberlist `NetTransport.FinalAdvertiseAddr`; go-sockaddr
 * `GetPrivateIP`, `rfc.go` and `IfByFlag("forwardable")`.
 */

import { parseIp } from "../kit/address.ts";

/** One address of one interface of this machine. */
export interface LocalAddress {
  readonly name: string;
  readonly address: string;
}

/**
 * Special-purpose blocks of RFC 6890. Everything outside is public.
 * `private` marks those that may be routed inside an organisation.
 */
const SPECIAL_BLOCKS: readonly { cidr: string; private?: true }[] = [
  { cidr: "0.0.0.0/8" },
  { cidr: "10.0.0.0/8", private: true },
  { cidr: "100.64.0.0/10", private: true },
  { cidr: "127.0.0.0/8" },
  { cidr: "169.254.0.0/16" },
  { cidr: "172.16.0.0/12", private: true },
  { cidr: "192.0.0.0/24" },
  { cidr: "192.0.2.0/24" },
  { cidr: "192.88.99.0/24" },
  { cidr: "192.168.0.0/16", private: true },
  { cidr: "198.18.0.0/15", private: true },
  { cidr: "198.51.100.0/24" },
  { cidr: "203.0.113.0/24" },
  { cidr: "240.0.0.0/4" },
  { cidr: "::1/128" },
  { cidr: "::/128" },
  { cidr: "64:ff9b::/96" },
  { cidr: "100::/64" },
  { cidr: "2001::/23" },
  { cidr: "2001:db8::/32" },
  { cidr: "2002::/16" },
  { cidr: "fc00::/7", private: true },
  { cidr: "fe80::/10" },
];

/** Whether the address is reachable from anywhere: outside all blocks of RFC 6890. */
export function isPublicIp(ip: string): boolean {
  return blockOf(ip) === undefined;
}

/** Whether the text is the address that stands for every interface. */
export function isWildcard(ip: string): boolean {
  return ip === "0.0.0.0" || ip === "::";
}

/**
 * The address to announce for a socket bound to a wildcard address.
 *
 * @param wildcard `0.0.0.0` for IPv4 addresses alone, `::` for both families
 * @param defaultInterface name of the interface with the default route
 * @returns `undefined` when nothing but loopback and link-local is there
 */
export function chooseAdvertisedIp(
  wildcard: string,
  addresses: readonly LocalAddress[],
  defaultInterface: string | undefined,
): string | undefined {
  const usable = addresses.filter(({ address }) => {
    const isVersion6 = address.includes(":");
    return (wildcard === "::" || !isVersion6) && !isLocalOnly(address);
  });
  const score = ({ name, address }: LocalAddress) =>
    reachRank(address) * 4 + (name === defaultInterface ? 0 : 2) +
    (address.includes(":") ? 1 : 0);
  // The sort is stable, so the system's own order decides between equals.
  const sorted = usable.toSorted((a, b) => score(a) - score(b));
  return sorted[0]?.address;
}

/** The addresses of this machine, all interfaces. */
export function localAddresses(): LocalAddress[] {
  return Deno.networkInterfaces().map(({ name, address }) => ({
    name,
    address,
  }));
}

/**
 * The addresses of one network interface, in the system's order.
 *
 * @returns `undefined` when there is no such interface; on systems other than
 * Linux also when it has no address
 */
export function interfaceAddresses(name: string): string[] | undefined {
  const found = localAddresses().filter((each) => each.name === name);
  if (found.length > 0) return found.map(({ address }) => address);
  return hasInterface(name) ? [] : undefined;
}

/** The runtime lists interfaces with addresses only; Linux knows of the others. */
function hasInterface(name: string): boolean {
  return readSystemFile("/proc/net/dev")?.split("\n")
    .some((line) => line.trimStart().startsWith(`${name}:`)) ?? false;
}

/**
 * Name of the interface with the IPv4 default route, on Linux; elsewhere
 * `undefined`, and the system's own order of interfaces has to do.
 */
export function defaultRouteInterface(): string | undefined {
  const routes = readSystemFile("/proc/net/route");
  return routes && parseRouteTable(routes);
}

/**
 * What Linux says about itself; `undefined` elsewhere, and when it says nothing.
 *
 * Deno refuses /proc to a program that has not all permissions, as an executable
 * of ours has not, though it may start programs: so one of those reads the file.
 */
function readSystemFile(path: string): string | undefined {
  if (Deno.build.os !== "linux") return undefined;
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotCapable)) return undefined;
  }
  try {
    const cat = new Deno.Command("cat", { args: [path], stderr: "null" });
    return new TextDecoder().decode(cat.outputSync().stdout);
  } catch {
    return undefined;
  }
}

/** The interface of the route to 0.0.0.0/0 in the text of /proc/net/route. */
export function parseRouteTable(text: string): string | undefined {
  for (const line of text.split("\n").slice(1)) {
    const columns = line.trim().split(/\s+/);
    if (columns[1] === "00000000" && columns[7] === "00000000") {
      return columns[0];
    }
  }
  return undefined;
}

/** 0 for private, 1 for public, 2 for what documentation and tests use. */
function reachRank(ip: string): number {
  const block = blockOf(ip);
  if (block === undefined) return 1;
  return block.private ? 0 : 2;
}

function isLocalOnly(ip: string): boolean {
  const cidr = blockOf(ip)?.cidr;
  return cidr === "127.0.0.0/8" || cidr === "::1/128" ||
    cidr === "169.254.0.0/16" || cidr === "fe80::/10";
}

function blockOf(ip: string): { cidr: string; private?: true } | undefined {
  const bytes = parseIp(ip);
  if (bytes === undefined) return undefined;
  return SPECIAL_BLOCKS.find(({ cidr }) => isWithin(bytes, cidr));
}

function isWithin(bytes: Uint8Array, cidr: string): boolean {
  const [text, bits] = cidr.split("/") as [string, string];
  const network = parseIp(text) as Uint8Array;
  if (network.length !== bytes.length) return false;
  for (let bit = 0; bit < Number(bits); bit++) {
    const mask = 0x80 >> (bit & 7);
    const at = bit >> 3;
    if (((bytes[at] as number) & mask) !== ((network[at] as number) & mask)) {
      return false;
    }
  }
  return true;
}
