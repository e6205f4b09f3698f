/**
 * What the Serf layer counts, under the names of Serf where it has one.
 *
 * The first group is Serf's; names, kinds and units are as its sinks show them.
 * The second group is ours. The SWIM layer's are in `lib/swim/metrics.ts`.
 *
 * Source: serf `serf.go`, `delegate.go`, `query.go`, `ping_delegate.go`,
 * `coordinate/client.go`, `snapshot.go`.
 */

import {
  counter,
  family,
  gauge,
  type Instruments,
  MetricSet,
  sample,
} from "../kit/metrics.ts";

function queue(name: string) {
  return sample(
    `serf.queue.${name}`,
    "",
    "Messages that wait to be gossiped, and those dropped since the last look, every 30 s. Above 128: more is said than gossip can carry",
  );
}

function queueDropped(name: string) {
  return counter(
    `serf.queue_dropped.${name}`,
    "",
    "Messages pushed out of the full queue by newer ones. Any: some members will not hear of something",
  );
}

function membersIn(status: string) {
  return gauge(`serf.members.${status}`, "", "Members of this status");
}

const DEFINITIONS = {
  // --- Serf's ---------------------------------------------------------------

  msgsReceived: sample(
    "serf.msgs.received",
    "bytes",
    "Messages of the Serf layer that came in, repetitions included",
  ),
  msgsSent: sample(
    "serf.msgs.sent",
    "bytes",
    "Messages of the Serf layer that were gossiped, once for each packet that carries one",
  ),
  memberJoin: counter(
    "serf.member.join",
    "",
    "Members that came up, for the first time or again; ourselves too",
  ),
  memberLeft: counter(
    "serf.member.left",
    "",
    "Members that left in good order; ourselves too",
  ),
  memberFailed: counter(
    "serf.member.failed",
    "",
    "Members that failed. With as many joins: they are alive but cannot be reached",
  ),
  memberUpdate: counter("serf.member.update", "", "Changes of members' tags"),
  memberFlap: counter(
    "serf.member.flap",
    "",
    "Members that came back within a minute of failing. Any: the network or the members are in trouble, not dead",
  ),
  userEvents: family(
    "serf.events",
    "User events, ours included, each counted once",
  ),
  queries: family(
    "serf.queries",
    "Queries, ours included, each counted once, whether for this node or not",
  ),
  queryAcks: counter(
    "serf.query_acks",
    "",
    "Acks to running queries of this node",
  ),
  queryResponses: counter(
    "serf.query_responses",
    "",
    "Answers to running queries of this node",
  ),
  queryDuplicateAcks: counter(
    "serf.query_duplicate_acks",
    "",
    "Acks that came again, as relayed ones do",
  ),
  queryDuplicateResponses: counter(
    "serf.query_duplicate_responses",
    "",
    "Answers that came again, as relayed ones do",
  ),
  queueIntent: queue("Intent"),
  queueEvent: queue("Event"),
  queueQuery: queue("Query"),
  coordinateRejected: counter(
    "serf.coordinate.rejected",
    "",
    "Coordinates of others that cannot be right, or whose round trip time cannot",
  ),
  coordinateZeroRtt: counter(
    "serf.coordinate.zero-rtt",
    "",
    "Round trips too short for our clock to see",
  ),
  coordinateAdjustment: sample(
    "serf.coordinate.adjustment-ms",
    "ms",
    "How far our coordinate moved at a measurement, by Serf's measure, which adds both heights. Large for long: round trip times vary widely",
  ),
  snapshotAppendLine: sample(
    "serf.snapshot.appendLine",
    "ms",
    "How long it took to write to the snapshot what waited, often a line. Growing: the disk is slow",
  ),
  snapshotCompact: sample(
    "serf.snapshot.compact",
    "ms",
    "How long it took to write the snapshot anew",
  ),

  // --- Ours -----------------------------------------------------------------

  refused: counter(
    "serf.refused",
    "",
    "Messages that were not understood, or came too late to be judged. The log says which",
  ),
  eventsDropped: counter(
    "serf.event_dropped",
    "",
    "User events older than what is remembered, or too many of one time; some of them were perhaps never delivered here",
  ),
  queriesDropped: counter(
    "serf.query_dropped",
    "",
    "Queries older than what is remembered, or too many of one time",
  ),
  filtersRefused: counter(
    "serf.query_filter_refused",
    "",
    "Queries that this node took for others', since the expressions in their filters were more work than it spends on that. Any: somebody asks for too much, or attacks",
  ),
  timesRefused: counter(
    "serf.ltime_refused",
    "",
    "Lamport times of others too far ahead to be right, in messages, exchanges of state and snapshots. Any: somebody attacks the clocks",
  ),
  responsesDropped: counter(
    "serf.query_response_dropped",
    "",
    "Acks and answers to queries of ours that nobody wants or that are too many",
  ),
  snapshotFailed: counter(
    "serf.snapshot.failed",
    "",
    "Failed writes of the snapshot. Rising: the disk is full or broken, and a restart would forget the members",
  ),
  queueDroppedIntent: queueDropped("Intent"),
  queueDroppedEvent: queueDropped("Event"),
  queueDroppedQuery: queueDropped("Query"),
  membersAlive: membersIn("alive"),
  membersLeaving: membersIn("leaving"),
  membersLeft: membersIn("left"),
  membersFailed: membersIn("failed"),
} as const;

export const SERF_METRICS: MetricSet<typeof DEFINITIONS> = new MetricSet(
  DEFINITIONS,
);

export type SerfMetrics = Instruments<typeof DEFINITIONS>;
