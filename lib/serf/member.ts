/**
 * A member of the cluster as users see it.
 *
 * A thousand simulated nodes hold a million members that share a thousand node
 * descriptors. What is derived from a descriptor (its tags, its address as text)
 * is therefore made once per descriptor, when somebody first asks.
 */

import { formatEndpoint, formatIp } from "../kit/address.ts";
import { PROTOCOL_MAX, PROTOCOL_MIN, type SwimConfig } from "../swim/config.ts";
import type { NodeDescriptor } from "../wire/messages.ts";
import { decodeTags } from "../wire/serf_messages.ts";
import type { WireError } from "../wire/wire_error.ts";

/** Status words of Serf; `none` is a member that was only heard of. */
export type MemberStatus = "none" | "alive" | "leaving" | "left" | "failed";

/** Numbers of the statuses on the wire and in log lines. */
export const STATUS_NUMBERS: Readonly<Record<MemberStatus, number>> = {
  none: 0,
  alive: 1,
  leaving: 2,
  left: 3,
  failed: 4,
};

/** One member at one moment: a snapshot, safe to keep. */
export interface Member {
  /** Unique in the cluster. */
  readonly name: string;
  /** Raw address, 4 or 16 bytes as gossiped. */
  readonly addr: Uint8Array;
  /** Text of `addr`, without the port. */
  readonly ip: string;
  /** Of gossip. */
  readonly port: number;
  /** What the member says about itself. */
  readonly tags: ReadonlyMap<string, string>;
  /** As this node sees it. */
  readonly status: MemberStatus;
  /** Oldest version of the gossip protocol that it understands. */
  readonly protocolMin: number;
  /** Newest version of the gossip protocol that it understands. */
  readonly protocolMax: number;
  /** Version of the gossip protocol that it speaks. */
  readonly protocolCur: number;
  /** Oldest version of the Serf protocol that it understands. */
  readonly delegateMin: number;
  /** Newest version of the Serf protocol that it understands. */
  readonly delegateMax: number;
  /** Version of the Serf protocol that it speaks. */
  readonly delegateCur: number;
}

/** What is derived from a node descriptor. */
export interface NodeFacts {
  readonly ip: string;
  readonly tags: ReadonlyMap<string, string>;
  /** Why not all tags could be read. */
  readonly tagsError: WireError | undefined;
}

const factsByNode = new WeakMap<NodeDescriptor, NodeFacts>();

/** What a descriptor says, decoded at the first call and shared from then on. */
export function nodeFacts(node: NodeDescriptor): NodeFacts {
  const known = factsByNode.get(node);
  if (known !== undefined) return known;
  const { tags, error } = decodeTags(node.meta);
  const facts = { ip: formatIp(node.addr), tags, tagsError: error };
  factsByNode.set(node, facts);
  return facts;
}

/** `ip:port` of a node. */
export function nodeAddress(node: NodeDescriptor): string {
  return formatEndpoint(nodeFacts(node).ip, node.port);
}

/** A member record of a node in the given status. */
export function memberOf(node: NodeDescriptor, status: MemberStatus): Member {
  const { ip, tags } = nodeFacts(node);
  const { vsn } = node;
  return {
    name: node.name,
    addr: node.addr,
    ip,
    port: node.port,
    tags,
    status,
    protocolMin: vsn[0] ?? 0,
    protocolMax: vsn[1] ?? 0,
    protocolCur: vsn[2] ?? 0,
    delegateMin: vsn[3] ?? 0,
    delegateMax: vsn[4] ?? 0,
    delegateCur: vsn[5] ?? 0,
  };
}

/** Ourselves as long as, or once again, nobody has announced us: status none. */
export function unknownSelf(config: SwimConfig, meta: Uint8Array): Member {
  const { name, advertiseAddr, advertisePort, protocolVersion } = config;
  const { min, max, current } = config.delegateVersion;
  return memberOf({
    name,
    addr: advertiseAddr,
    port: advertisePort,
    meta,
    vsn: Uint8Array.of(
      ...[PROTOCOL_MIN, PROTOCOL_MAX, protocolVersion],
      ...[min, max, current],
    ),
  }, "none");
}
