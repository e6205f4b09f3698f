/**
 * From address text, as people type it, to IP addresses and ports.
 *
 * Two grammars meet here. Join addresses are memberlist's: an optional
 * `NODENAME/`, then an IP, `IP:PORT`, `[V6]:PORT`, a bare IPv6 address, a host
 * name, or `HOST:PORT`; a name yields all its addresses. Addresses to listen at
 * or to dial are Go's: a port is required and a bare IPv6 address is refused. A
 * name to listen at yields one address, IPv4 before IPv6; one to dial, all.
 *
 * Names go to the system resolver, which knows /etc/hosts. Upstream asks the
 * first name server for ANY records over TCP before that, for names with a dot;
 * many servers refuse such questions (RFC 8482), so we do not ask.
 *
 * Source: memberlist `resolveAddr` and `ensurePort`; Go `net.ResolveTCPAddr`.
 */

import {
  formatEndpoint,
  formatIp,
  type HostPort,
  parseIp,
  splitHostPort,
} from "../kit/address.ts";
import { quoteText } from "../kit/quote.ts";

/** One place to join at. */
export interface ResolvedTarget {
  /** `ip:port` or `[ip]:port`. */
  readonly address: string;
  /** Name of the node that is expected there, when the user gave one. */
  readonly name?: string;
}

/** All addresses of a host name, in the resolver's order, each once. */
export type Lookup = (host: string) => Promise<readonly string[]>;

/** Highest port number. */
const PORT_MAX = 65_535;

/**
 * Every place that a join address means.
 *
 * @param defaultPort stands in when the text has no port
 * @throws {Error} saying why nothing could be made of it, in Go's words
 */
export async function resolveJoinAddress(
  text: string,
  defaultPort: number,
  lookup: Lookup = lookupHost,
): Promise<ResolvedTarget[]> {
  const slash = text.indexOf("/");
  if (slash === 0) throw new SyntaxError("empty node name provided");
  const name = slash < 0 ? undefined : text.slice(0, slash);
  const { host, portText } = splitText(
    ensurePort(text.slice(slash + 1), defaultPort),
  );
  const port = parsePort(portText);
  const ip = parseIp(host);
  const ips = ip === undefined ? await lookup(host) : [formatIp(ip)];
  return ips.map((each) => {
    const address = formatEndpoint(each, port);
    return name === undefined ? { address } : { address, name };
  });
}

/**
 * The one place that a listener address means. An empty host means every
 * interface and resolves to `0.0.0.0`.
 *
 * @throws {Error} saying why nothing could be made of it, in Go's words
 */
export async function resolveListenAddress(
  text: string,
  lookup: Lookup = lookupHost,
): Promise<HostPort> {
  const [first, ...others] = await resolveDialAddress(text, lookup);
  if (first.host === "") return { ...first, host: "0.0.0.0" };
  if (!first.host.includes(":")) return first;
  return others.find(({ host }) => !host.includes(":")) ?? first;
}

/**
 * Every place that an address to dial means, in the resolver's order, at least
 * one. An empty host means this machine and stays empty.
 *
 * @throws {Error} saying why nothing could be made of it, in Go's words
 */
export async function resolveDialAddress(
  text: string,
  lookup: Lookup = lookupHost,
): Promise<[HostPort, ...HostPort[]]> {
  const { host, portText } = splitText(text);
  // No digits at all, as in `127.0.0.1:`, is port 0: one of the system's choice.
  if (!/^([-+]?\d+)?$/.test(portText)) {
    throw new SyntaxError(`address tcp/${portText}: unknown port`);
  }
  const port = Number(portText);
  if (port < 0 || port > PORT_MAX) {
    throw new RangeError(`address ${portText}: invalid port`);
  }
  if (host === "") return [{ host, port }];
  const ip = parseIp(host);
  if (ip !== undefined) return [{ host: formatIp(ip), port }];
  const [first, ...others] = await lookup(host);
  if (first === undefined) throw new Error(noSuchHost(host));
  return [
    { host: first, port },
    ...others.map((each) => ({ host: each, port })),
  ];
}

/**
 * Like `resolveListenAddress`, with a port for texts that lack one.
 *
 * Source: serf `Config.AddrParts`.
 */
export async function resolveBindAddress(
  text: string,
  defaultPort: number,
  lookup: Lookup = lookupHost,
): Promise<HostPort> {
  return await resolveListenAddress(
    isPortMissing(text) ? `${text}:${defaultPort}` : text,
    lookup,
  );
}

/**
 * Asks the system resolver.
 *
 * @throws {Error} `lookup NAME: no such host` and the like
 */
export async function lookupHost(host: string): Promise<readonly string[]> {
  // getaddrinfo would read these as abbreviated IPv4 addresses; Go does not.
  if (host === "" || /^[\d.]+$/.test(host)) throw new Error(noSuchHost(host));
  // Loaded here because it costs an agent that joins by address 2 MB otherwise.
  const { lookup } = await import("node:dns/promises");
  try {
    const found = await lookup(host, { all: true, order: "verbatim" });
    return [...new Set(found.map((each) => each.address))];
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    if (code === "ENOTFOUND") {
      throw new Error(noSuchHost(host), { cause: error });
    }
    throw new Error(
      code === "EAI_AGAIN"
        ? `lookup ${host}: Temporary failure in name resolution`
        : `lookup ${host}: ${message}`,
      { cause: error },
    );
  }
}

function noSuchHost(host: string): string {
  return `lookup ${host}: no such host`;
}

/** Host and port as texts; the errors of Go's `net.SplitHostPort`. */
function splitText(text: string): { host: string; portText: string } {
  const portText = text.slice(text.lastIndexOf(":") + 1);
  // The checks are those of `splitHostPort`; the port, which here may be any
  // text, is replaced by one that it accepts.
  const hasPort = portText.length < text.length && !portText.includes("]");
  const checked = hasPort
    ? text.slice(0, text.length - portText.length) + "0"
    : text;
  try {
    return { host: splitHostPort(checked).host, portText };
  } catch (error) {
    const reason = (error as Error).message.replace(/^address .*: /, "");
    throw new SyntaxError(`address ${text}: ${reason}`, { cause: error });
  }
}

function isPortMissing(text: string): boolean {
  try {
    splitText(text);
    return false;
  } catch (error) {
    return (error as Error).message.endsWith(": missing port in address");
  }
}

/** Source: memberlist `util.go`, `hasPort` and `ensurePort`. */
function ensurePort(text: string, defaultPort: number): string {
  const hasPort = text.startsWith("[")
    ? text.lastIndexOf(":") > text.lastIndexOf("]")
    : text.split(":").length === 2;
  if (hasPort) return text;
  const host = text.replace(/^[[\]]+|[[\]]+$/g, "");
  return formatEndpoint(host, defaultPort);
}

/** Source: Go `strconv.ParseUint(text, 10, 16)`. */
function parsePort(text: string): number {
  const problem = !/^\d+$/.test(text)
    ? "invalid syntax"
    : Number(text) > PORT_MAX
    ? "value out of range"
    : undefined;
  if (problem !== undefined) {
    throw new SyntaxError(
      `strconv.ParseUint: parsing ${quoteText(text)}: ${problem}`,
    );
  }
  return Number(text);
}
