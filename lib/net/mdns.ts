/**
 * Finding agents on the local network by multicast DNS: answering those who ask,
 * and asking.
 *
 * Both work on IPv4 and IPv6 beside each other; a family that this machine, or
 * its interface, does not have is left out as long as the other one works. The
 * questions leave from a port of the system's choice, and answers go back there,
 * as HashiCorp's agents have it; so several agents on one machine do not take
 * each other's answers.
 *
 * Node's datagrams, not Deno's: only they can choose the interface that a packet
 * leaves by. Loaded only by agents that discover.
 *
 * Source: hashicorp/mdns `server.go`, `client.go`.
 */

import dgram from "node:dgram";
import { monotonicMs } from "./clock.ts";
import { MdnsBudget } from "./mdns_budget.ts";
import {
  answerTo,
  type DiscoveredService,
  encodeServiceQuestion,
  endpointsIn,
} from "./mdns_message.ts";
import { systemErrorText } from "./system_error.ts";

/** The interface to use. */
export interface MdnsInterface {
  readonly name: string;
  /** Absent when it has none. */
  readonly ipv4?: string;
}

export interface MdnsOptions {
  readonly iface?: MdnsInterface | undefined;
  readonly usesIpv4: boolean;
  readonly usesIpv6: boolean;
  /** Port of the group; 5353 unless given, which only tests do. */
  readonly port?: number | undefined;
}

/** A family over which nothing works, and why. */
export interface MissingFamily {
  readonly family: "IPv4" | "IPv6";
  /** Whether another program holds the port and does not share it. */
  readonly isPortTaken: boolean;
  readonly reason: string;
}

interface Family {
  readonly type: "udp4" | "udp6";
  readonly group: string;
}

const IPV4: Family = { type: "udp4", group: "224.0.0.251" };
const IPV6: Family = { type: "udp6", group: "ff02::fb" };
const MDNS_PORT = 5353;
/** Largest question and answer, bytes; longer packets are of no use to us. */
const PACKET_BYTES_MAX = 9_000;
/** Agents found by one poll; more are found by the next ones. */
const FOUND_MAX = 1_024;

/** Answers those who ask for our service. */
export class MdnsResponder {
  /** The families that questions are not heard over, though they were wanted. */
  readonly missing: readonly MissingFamily[];
  readonly #sockets: readonly dgram.Socket[];

  private constructor({ sockets, missing }: Opened) {
    this.#sockets = sockets;
    this.missing = missing;
  }

  /**
   * @param onRefused called for each question that is one too many
   * @throws {Error} when no family can be listened on
   */
  static async start(
    service: DiscoveredService,
    options: MdnsOptions,
    onRefused: () => void = () => {},
  ): Promise<MdnsResponder> {
    const opened = await openAll(options, async (family) => {
      const socket = dgram.createSocket({
        type: family.type,
        reuseAddr: true,
        ...(family.type === "udp6" && { ipv6Only: true }),
      });
      try {
        await bind(socket, options.port ?? MDNS_PORT);
        joinGroup(socket, family, options.iface);
      } catch (error) {
        socket.close();
        throw error;
      }
      return socket;
    });
    const budget = new MdnsBudget();
    for (const socket of opened.sockets) {
      socket.on("message", (bytes, from) => {
        if (bytes.length > PACKET_BYTES_MAX) return;
        const answer = answerTo(bytes, service);
        if (answer === undefined) return;
        if (budget.take(from.address, monotonicMs())) {
          socket.send(answer, from.port, from.address);
        } else onRefused();
      });
      // A packet that could not be sent or read; the next one may be.
      socket.on("error", () => {});
    }
    return new MdnsResponder(opened);
  }

  close(): void {
    for (const socket of this.#sockets) socket.close();
  }
}

/**
 * Asks once who is there.
 *
 * @param waitMs how long to listen for answers
 * @param onFound called with each `ip:port` as it is heard, once
 * @throws {Error} when the question could not be sent by any family
 */
export async function pollMdns(
  cluster: string,
  options: MdnsOptions & { readonly waitMs: number; readonly id: number },
  onFound: (endpoint: string) => void,
): Promise<void> {
  const question = encodeServiceQuestion(cluster, options.id);
  const found = new Set<string>();
  const { sockets } = await openAll(options, async (family) => {
    const socket = dgram.createSocket(family.type);
    socket.on("message", (bytes) => {
      if (bytes.length > PACKET_BYTES_MAX) return;
      for (const endpoint of endpointsIn(bytes, cluster)) {
        if (found.has(endpoint) || found.size >= FOUND_MAX) continue;
        found.add(endpoint);
        onFound(endpoint);
      }
    });
    try {
      await bind(socket, 0);
      leaveBy(socket, family, options.iface);
      await send(socket, question, {
        group: family.group,
        port: options.port ?? MDNS_PORT,
      });
    } catch (error) {
      socket.close();
      throw error;
    }
    socket.on("error", () => {});
    return socket;
  });
  await new Promise((done) => setTimeout(done, options.waitMs));
  for (const socket of sockets) socket.close();
}

interface Opened {
  readonly sockets: readonly dgram.Socket[];
  readonly missing: readonly MissingFamily[];
}

/** Opens a socket for each family; one that does not work is left out. */
async function openAll(
  options: MdnsOptions,
  open: (family: Family) => Promise<dgram.Socket>,
): Promise<Opened> {
  const families = [
    ...(options.usesIpv4 ? [IPV4] : []),
    ...(options.usesIpv6 ? [IPV6] : []),
  ];
  const sockets: dgram.Socket[] = [];
  const missing: MissingFamily[] = [];
  const errors: string[] = [];
  for (const family of families) {
    try {
      sockets.push(await open(family));
    } catch (error) {
      const reason = systemErrorText(error);
      errors.push(`${family.group}: ${reason}`);
      missing.push({
        family: family === IPV4 ? "IPv4" : "IPv6",
        isPortTaken: (error as { code?: unknown }).code === "EADDRINUSE",
        reason,
      });
    }
  }
  if (sockets.length === 0) throw new Error(errors.join("; "));
  return { sockets, missing };
}

/** Hears what is sent to the group. */
function joinGroup(
  socket: dgram.Socket,
  { type, group }: Family,
  iface: MdnsInterface | undefined,
): void {
  const at = type === "udp4" ? iface?.ipv4 : iface && `::%${iface.name}`;
  if (iface !== undefined && at === undefined) {
    throw new Error(`interface ${iface.name} has no address of that kind`);
  }
  if (at === undefined) socket.addMembership(group);
  else socket.addMembership(group, at);
}

/** Sends by that interface, and to agents of this machine too. */
function leaveBy(
  socket: dgram.Socket,
  { type }: Family,
  iface: MdnsInterface | undefined,
): void {
  socket.setMulticastLoopback(true);
  const at = type === "udp4" ? iface?.ipv4 : iface && `::%${iface.name}`;
  if (iface !== undefined && at === undefined) {
    throw new Error(`interface ${iface.name} has no address of that kind`);
  }
  if (at !== undefined) socket.setMulticastInterface(at);
}

function bind(socket: dgram.Socket, port: number): Promise<void> {
  return new Promise((done, fail) => {
    socket.once("error", fail);
    socket.bind(port, () => {
      socket.off("error", fail);
      done();
    });
  });
}

function send(
  socket: dgram.Socket,
  bytes: Uint8Array,
  { group, port }: { readonly group: string; readonly port: number },
): Promise<void> {
  return new Promise((done, fail) => {
    socket.once("error", fail);
    socket.send(bytes, port, group, (error) => {
      socket.off("error", fail);
      if (error === null || error === undefined) done();
      else fail(error);
    });
  });
}
