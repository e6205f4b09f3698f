/**
 * IP addresses and endpoints, as bytes and as text.
 *
 * The wire carries an address as raw bytes, 4 or 16 of them; drivers, logs and
 * people use text. Text is written as Go writes it: an IPv4-mapped IPv6 address
 * prints as its IPv4 form, IPv6 in the shortest form of RFC 5952, and bytes of
 * any other length as "?" and hexadecimal digits.
 */

import { hexOf } from "./bytes.ts";

/** Where a packet or stream goes: an IP address in text form and a port. */
export interface HostPort {
  /** IPv6 without brackets. */
  readonly host: string;
  /** 0 to 65535. */
  readonly port: number;
}

/** Address text of raw IP bytes. */
export function formatIp(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join(".");
  if (bytes.length === 0) return "<nil>";
  if (bytes.length !== 16) return `?${hexOf(bytes)}`;
  if (isMapped(bytes)) return bytes.subarray(12).join(".");
  const groups: number[] = [];
  for (let i = 0; i < 16; i += 2) {
    groups.push(((bytes[i] as number) << 8) | (bytes[i + 1] as number));
  }
  const { start, length } = longestZeroRun(groups);
  if (length < 2) return groups.map(hexGroup).join(":");
  const head = groups.slice(0, start).map(hexGroup).join(":");
  const tail = groups.slice(start + length).map(hexGroup).join(":");
  return `${head}::${tail}`;
}

/**
 * Raw bytes of an address text: 4 for IPv4, 16 for IPv6.
 *
 * @returns `undefined` when the text is not an IP address (a zone is not)
 */
export function parseIp(text: string): Uint8Array | undefined {
  return text.includes(":") ? parseIpv6(text) : parseIpv4(text);
}

/** `ip:port`, with brackets around IPv6. */
export function formatEndpoint(ip: string, port: number): string {
  return ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`;
}

/**
 * Takes `host:port` or `[v6]:port` apart, the way Go's net.SplitHostPort does.
 *
 * @throws {SyntaxError} with Go's wording: missing port, too many colons, an
 * unknown port. The host may be empty.
 */
export function splitHostPort(text: string): HostPort {
  const colon = text.lastIndexOf(":");
  if (colon < 0) {
    throw new SyntaxError(`address ${text}: missing port in address`);
  }
  let host = text.slice(0, colon);
  if (text.startsWith("[")) {
    const close = text.indexOf("]");
    if (close < 0) {
      throw new SyntaxError(`address ${text}: missing ']' in address`);
    }
    if (close + 1 === text.length) {
      throw new SyntaxError(`address ${text}: missing port in address`);
    }
    if (close + 1 !== colon) {
      throw new SyntaxError(`address ${text}: too many colons in address`);
    }
    host = text.slice(1, close);
  } else if (host.includes(":")) {
    throw new SyntaxError(`address ${text}: too many colons in address`);
  }
  const portText = text.slice(colon + 1);
  const port = /^\d{1,5}$/.test(portText) ? Number(portText) : Number.NaN;
  if (!(port <= 65535)) {
    throw new SyntaxError(`address ${portText}: invalid port`);
  }
  return { host, port };
}

/** Whether 4-byte and mapped 16-byte spellings are of one address. */
export function isSameIp(a: Uint8Array, b: Uint8Array): boolean {
  return formatIp(a) === formatIp(b);
}

function isMapped(bytes: Uint8Array): boolean {
  for (let i = 0; i < 10; i++) if (bytes[i] !== 0) return false;
  return bytes[10] === 0xff && bytes[11] === 0xff;
}

function hexGroup(group: number): string {
  return group.toString(16);
}

function longestZeroRun(groups: number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  for (let start = 0; start < groups.length; start++) {
    let end = start;
    while (end < groups.length && groups[end] === 0) end++;
    if (end - start > best.length) best = { start, length: end - start };
    if (end > start) start = end;
  }
  return best;
}

function parseIpv4(text: string): Uint8Array | undefined {
  const parts = text.split(".");
  if (parts.length !== 4) return undefined;
  const bytes = new Uint8Array(4);
  for (const [i, part] of parts.entries()) {
    if (!/^(0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) {
      return undefined;
    }
    bytes[i] = Number(part);
  }
  return bytes;
}

function parseIpv6(text: string): Uint8Array | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const head = parseGroups(halves[0] as string, halves.length === 1);
  const tail = halves[1] === undefined ? [] : parseGroups(halves[1], true);
  if (head === undefined || tail === undefined) return undefined;
  const zeros = 8 - head.length - tail.length;
  if (halves.length === 2 ? zeros < 1 : zeros !== 0) return undefined;
  const groups = [...head, ...new Array<number>(zeros).fill(0), ...tail];
  const bytes = new Uint8Array(16);
  for (const [i, group] of groups.entries()) {
    bytes[2 * i] = group >> 8;
    bytes[2 * i + 1] = group & 0xff;
  }
  return bytes;
}

/** Groups of one side of `::`; an IPv4 tail is allowed at the very end. */
function parseGroups(text: string, isLast: boolean): number[] | undefined {
  if (text === "") return [];
  const parts = text.split(":");
  const groups: number[] = [];
  for (const [i, part] of parts.entries()) {
    if (part.includes(".")) {
      const ipv4 = parseIpv4(part);
      if (!isLast || i !== parts.length - 1 || ipv4 === undefined) {
        return undefined;
      }
      groups.push(((ipv4[0] as number) << 8) | (ipv4[1] as number));
      groups.push(((ipv4[2] as number) << 8) | (ipv4[3] as number));
    } else if (/^[0-9a-fA-F]{1,4}$/.test(part)) {
      groups.push(Number.parseInt(part, 16));
    } else {
      return undefined;
    }
  }
  return groups;
}
