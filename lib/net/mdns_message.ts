/**
 * What agents say about themselves by multicast DNS, as packets.
 *
 * A cluster is a DNS service of its own, `_serf_NAME._tcp.local`; each agent is
 * an instance of it, named after its node:
 *
 *     PTR _serf_NAME._tcp.local           -> NODE._serf_NAME._tcp.local
 *     SRV NODE._serf_NAME._tcp.local      -> port, host
 *     A or AAAA of the host               -> address
 *     TXT NODE._serf_NAME._tcp.local      -> Serf 'NAME' cluster
 *
 * Names and the order of the records are those that HashiCorp's agents send.
 * Source: serf, `mdns.go`; hashicorp/mdns `zone.go`; RFC 6762, RFC 6763.
 */

import { Buffer } from "node:buffer";
import dnsPacket from "dns-packet";
import { formatEndpoint, parseIp } from "../kit/address.ts";

/** One agent, as it can be found. */
export interface DiscoveredService {
  /** Name of the cluster to be discovered. */
  readonly cluster: string;
  /** Name of the node. */
  readonly instance: string;
  /** Name of the machine. */
  readonly hostName: string;
  readonly ip: string;
  readonly port: number;
}

/** What we use of the package, which comes without types. */
interface DnsCodec {
  encode(packet: Packet): Uint8Array;
  /** @throws when the bytes are no DNS packet */
  decode(bytes: Uint8Array): Packet;
  readonly AUTHORITATIVE_ANSWER: number;
}

interface Packet {
  readonly type: "query" | "response";
  readonly id: number;
  readonly flags?: number;
  readonly questions?: readonly Question[];
  readonly answers?: readonly Answer[];
  readonly additionals?: readonly Answer[];
}

interface Question {
  readonly type: string;
  readonly name: string;
}

type Answer =
  & { readonly name: string; readonly ttl: number }
  & (
    | { readonly type: "PTR" | "A" | "AAAA"; readonly data: string }
    | { readonly type: "TXT"; readonly data: readonly string[] }
    | {
      readonly type: "SRV";
      readonly data: {
        readonly priority: number;
        readonly weight: number;
        readonly port: number;
        readonly target: string;
      };
    }
  );

const dns: DnsCodec = dnsPacket;

/** How long others may remember an answer, seconds. */
const TTL_S = 120;
/** What is asked for to learn of all kinds of services. */
const ANY_SERVICE = "_services._dns-sd._udp.local";
/** Questions and records looked at in one packet. */
const RECORDS_MAX = 256;

export function serviceName(cluster: string): string {
  return `_serf_${cluster}._tcp.local`;
}

/** Asks who is there. */
export function encodeServiceQuestion(cluster: string, id: number): Uint8Array {
  return dns.encode({
    type: "query",
    id,
    questions: [{ type: "PTR", name: serviceName(cluster) }],
  });
}

/**
 * The answer to a packet that came in; `undefined` when there is nothing in it
 * for us to answer.
 */
export function answerTo(
  bytes: Uint8Array,
  service: DiscoveredService,
): Uint8Array | undefined {
  const packet = decode(bytes);
  if (packet?.type !== "query") return undefined;
  // Each record once, however often it is asked for: a question of 6 bytes is
  // answered with 250.
  const answers = new Map<string, Answer>();
  for (const question of (packet.questions ?? []).slice(0, RECORDS_MAX)) {
    for (const record of recordsFor(question, service)) {
      const key = `${record.type} ${record.name}`;
      if (!answers.has(key)) answers.set(key, record);
    }
  }
  if (answers.size === 0) return undefined;
  return dns.encode({
    type: "response",
    id: 0,
    flags: dns.AUTHORITATIVE_ANSWER,
    answers: [...answers.values()],
  });
}

/** The agents of a cluster that a packet tells of, as `ip:port`. */
export function endpointsIn(bytes: Uint8Array, cluster: string): string[] {
  const packet = decode(bytes);
  if (packet?.type !== "response") return [];
  const records = [...packet.answers ?? [], ...packet.additionals ?? []]
    .slice(0, RECORDS_MAX);
  const suffix = `.${serviceName(cluster)}`.toLowerCase();
  const found = new Set<string>();
  for (const record of records) {
    if (record.type !== "SRV") continue;
    if (!record.name.toLowerCase().endsWith(suffix)) continue;
    const { port, target } = record.data;
    for (const host of records) {
      if (host.type !== "A" && host.type !== "AAAA") continue;
      if (host.name.toLowerCase() !== target.toLowerCase()) continue;
      if (port === 0 || parseIp(host.data) === undefined) continue;
      found.add(formatEndpoint(host.data, port));
    }
  }
  return [...found];
}

/** Our records that answer a question, in the order of the original. */
function recordsFor(
  question: Question,
  service: DiscoveredService,
): Answer[] {
  const name = question.name.toLowerCase();
  const group = serviceName(service.cluster);
  const instance = `${service.instance}.${group}`;
  const wants = (type: string) =>
    question.type === type || question.type === "ANY";
  const address = addressRecord(service);
  const srv: Answer = {
    type: "SRV",
    name: instance,
    ttl: TTL_S,
    data: {
      priority: 10,
      weight: 1,
      port: service.port,
      target: service.hostName,
    },
  };
  const txt: Answer = {
    type: "TXT",
    name: instance,
    ttl: TTL_S,
    data: [`Serf '${service.cluster}' cluster`],
  };
  if (name === group.toLowerCase() && wants("PTR")) {
    const pointer: Answer = {
      type: "PTR",
      name: group,
      ttl: TTL_S,
      data: instance,
    };
    return [pointer, srv, address, txt];
  }
  if (name === ANY_SERVICE && wants("PTR")) {
    return [{ type: "PTR", name: ANY_SERVICE, ttl: TTL_S, data: group }];
  }
  if (name === instance.toLowerCase()) {
    if (question.type === "ANY") return [srv, address, txt];
    if (question.type === "SRV") return [srv, address];
    if (question.type === "TXT") return [txt];
    return question.type === address.type ? [address] : [];
  }
  return name === service.hostName.toLowerCase() && wants(address.type)
    ? [address]
    : [];
}

function addressRecord({ ip, hostName }: DiscoveredService): Answer {
  const type = ip.includes(":") ? "AAAA" : "A";
  return { type, name: hostName, ttl: TTL_S, data: ip };
}

/** `undefined` for bytes that are no DNS packet. */
function decode(bytes: Uint8Array): Packet | undefined {
  try {
    return dns.decode(Buffer.from(bytes));
  } catch {
    return undefined;
  }
}
