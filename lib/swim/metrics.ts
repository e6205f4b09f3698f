/**
 * What the SWIM layer counts, under the names of memberlist where it has one.
 *
 * The first group is memberlist's; names, kinds and units are as its sinks show
 * them, so that dashboards made for the originals go on working. Where a value
 * cannot mean quite the same here, its text says so. The second group is ours and
 * answers what memberlist leaves to its log.
 *
 * Durations are differences of the `nowMs` that the engine is given.
 *
 * Source: memberlist `net.go`, `net_transport.go`, `state.go`, `awareness.go`,
 * `memberlist.go` (checkBroadcastQueueDepth).
 */

import {
  counter,
  gauge,
  type Instruments,
  MetricSet,
  sample,
} from "../kit/metrics.ts";

function nodesIn(state: string) {
  return gauge(
    "memberlist.node.instances",
    "",
    "Members known in this state, dead and left ones for a while; updated when state is sent in a push/pull",
    { node_state: state },
  );
}

const DEFINITIONS = {
  // --- memberlist's ---------------------------------------------------------

  udpReceived: counter(
    "memberlist.udp.received",
    "bytes",
    "Packets received, refused ones included. Far above the other members': somebody floods this node",
  ),
  udpSent: counter(
    "memberlist.udp.sent",
    "bytes",
    "Packets sent. It grows with changes in the cluster; high while nothing changes, find out who flaps",
  ),
  tcpAccept: counter(
    "memberlist.tcp.accept",
    "",
    "Streams that others opened to this node: joins, push/pulls, and pings of those who got no answer by packet",
  ),
  tcpConnect: counter(
    "memberlist.tcp.connect",
    "",
    "Push/pulls of this node for which a connection was made",
  ),
  tcpSent: counter(
    "memberlist.tcp.sent",
    "bytes",
    "Sent over streams. It grows with the size of the cluster's state",
  ),
  msgAlive: counter(
    "memberlist.msg.alive",
    "",
    "News that a member is alive, taken over; repetitions do not count. Steady growth: members flap or change their tags all the time",
  ),
  msgSuspect: counter(
    "memberlist.msg.suspect",
    "",
    "Suspicions taken over, whoever began them. Rising without failures: packets are lost or members are overloaded",
  ),
  msgDead: counter(
    "memberlist.msg.dead",
    "",
    "News that a member has died or left, taken over, the own leave included",
  ),
  probeNode: sample(
    "memberlist.probeNode",
    "ms",
    "How long a round of failure detection took, from its ping to an ack or to its end without one",
  ),
  pushPullNode: sample(
    "memberlist.pushPullNode",
    "ms",
    "How long an exchange of state that this node began took, failed ones included. Growing: a large cluster, or a slow network",
  ),
  gossip: sample(
    "memberlist.gossip",
    "ms",
    "Rounds of gossip that had something to say. Only their number tells something: to the engine, a round takes no time",
  ),
  degradedProbe: counter(
    "memberlist.degraded.probe",
    "",
    "Rounds of failure detection that were slowed down because this node doubts its own health",
  ),
  degradedTimeout: counter(
    "memberlist.degraded.timeout",
    "",
    "Members called dead after fewer confirmations than wanted. Rising: others do not hear from this node, or it is cut off",
  ),
  healthScore: gauge(
    "memberlist.health.score",
    "",
    "How ill this node believes itself to be; 0 is healthy. Above 0 for minutes: it is overloaded or loses packets",
  ),
  queueBroadcasts: sample(
    "memberlist.queue.broadcasts",
    "",
    "News about members that wait to be gossiped, looked at every 30 s",
  ),
  sizeLocal: gauge(
    "memberlist.size.local",
    "bytes",
    "The state that was sent in the last push/pull, before any layer. Peers refuse more than 20 MiB",
  ),
  sizeRemote: sample(
    "memberlist.size.remote",
    "bytes",
    "The states that came in push/pulls, as received. memberlist counts encrypted ones only",
  ),
  nodesAlive: nodesIn("alive"),
  nodesSuspect: nodesIn("suspect"),
  nodesDead: nodesIn("dead"),
  nodesLeft: nodesIn("left"),

  // --- Ours -----------------------------------------------------------------

  packetsReceived: counter(
    "memberlist.packets.received",
    "",
    "Packets received, refused ones included",
  ),
  packetsSent: counter("memberlist.packets.sent", "", "Packets sent"),
  tcpReceived: counter(
    "memberlist.tcp.received",
    "bytes",
    "Received over streams",
  ),
  refused: counter(
    "memberlist.refused",
    "",
    "All that was refused: packets, messages, streams and claims about members. The log says which. Rising: a foreign cluster, another key, or an attack",
  ),
  repliesRefused: counter(
    "memberlist.reply.refused",
    "",
    "What peers asked for and was not sent: several answers to one packet, or more than a destination or all of them may be sent in a second. Rising: somebody uses this node to flood another",
  ),
  repliesShortened: counter(
    "memberlist.reply.shortened",
    "",
    "Acks and relayed pings sent without gossip and coordinate, since there were so many. Rising: somebody floods this node with pings",
  ),
  incarnationsRefused: counter(
    "memberlist.incarnation_refused",
    "",
    "Claims about members with an incarnation too far ahead to be right. Any: somebody attacks, or members of HashiCorp's believed such a claim",
  ),
  packetsRefused: counter(
    "memberlist.packets.refused",
    "",
    "Packets refused as a whole: label, checksum or key are wrong, or they are empty",
  ),
  streamsRefused: counter(
    "memberlist.tcp.refused",
    "",
    "Streams of others that were closed early: too many at once, too slow, or not understood",
  ),
  decryptFailed: counter(
    "memberlist.decrypt.failed",
    "",
    "Packets and streams that no key of ours opens, or that are not encrypted while they should be. Rising: members have different keys",
  ),
  conflicts: counter(
    "memberlist.conflict",
    "",
    "Claims of a known name from another address. Rising: two members have one name",
  ),
  refuted: counter(
    "memberlist.refuted",
    "",
    "Untrue claims about this node that it answered. Rising: others do not get its acks in time",
  ),
  suspicionConfirmed: counter(
    "memberlist.suspicion.confirmed",
    "",
    "Further accusers of a member under suspicion here",
  ),
  suspicionRefuted: counter(
    "memberlist.suspicion.refuted",
    "",
    "False suspicions: the suspect turned out to be alive",
  ),
  suspicionExpired: counter(
    "memberlist.suspicion.expired",
    "",
    "Members that this node itself called dead, since nobody refuted in time",
  ),
  probeRtt: sample(
    "memberlist.probe.rtt",
    "ms",
    "Round trip times of pings that were answered directly and in time",
  ),
  probeIndirect: counter(
    "memberlist.probe.indirect",
    "",
    "Rounds without an ack in time, so that others were asked to ping. Rising before any failure: packets are lost",
  ),
  probeFailed: counter(
    "memberlist.probe.failed",
    "",
    "Rounds without any answer, which end in a suspicion",
  ),
  pushPullFailed: counter(
    "memberlist.pushPull.failed",
    "",
    "Exchanges of state begun here that failed, those of joins included. Rising: streams are blocked, or versions do not fit",
  ),
} as const;

export const SWIM_METRICS: MetricSet<typeof DEFINITIONS> = new MetricSet(
  DEFINITIONS,
);

export type SwimMetrics = Instruments<typeof DEFINITIONS>;
