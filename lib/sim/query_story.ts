/**
 * Queries in a large cluster on a bad network: whom they reach, and how much of
 * what everybody sends back reaches the asker.
 *
 * The cluster forms without loss, since forming is not what is looked at. Then
 * packets are lost, and several members ask, each soon after the other, with one
 * relay factor and then the next. Everybody acks and answers at once.
 *
 * What to expect of an ack or an answer, with a share `loss` of packets lost:
 *
 *     direct ------------------------------> asker     lost: loss
 *     copy to a relay ----> relay ---------> asker     lost: 1 - (1 - loss)²
 *
 * The direct packet and each copy through one of `relays` members fare alone, so
 * that nothing arrives with the chance loss * (1 - (1 - loss)²)^relays. The query
 * itself goes by gossip, which passes each message on often enough for everybody
 * to get it.
 */

import { utf8Bytes } from "../kit/bytes.ts";
import type { OperationResult, QueryReply, SerfEvent } from "../serf/event.ts";
import { retransmitLimit } from "../swim/broadcast_queue.ts";
import type { OperationId } from "../swim/output.ts";
import type { Cluster, ClusterObserver } from "./cluster.ts";
import type { SimNode } from "./node.ts";
import { Stage, type StoryOptions, type StoryReport } from "./stories.ts";

/** Chance that neither a direct packet nor any relayed copy of it arrives. */
export function missChance(loss: number, relays: number): number {
  return loss * (1 - (1 - loss) ** 2) ** relays;
}

/** What came of the queries with one relay factor. */
export interface QueryTally {
  readonly relayFactor: number;
  readonly queries: number;
  /** Members other than the asker that the query was for, all queries together. */
  readonly asked: number;
  /** How many of those were handed the query, */
  readonly received: number;
  /** and of how many the ack and the answer reached the asker. */
  readonly acks: number;
  readonly answers: number;
  /** Acks and answers of somebody who had sent one already. */
  readonly duplicates: number;
}

export interface QueryStoryReport extends StoryReport {
  readonly tallies: readonly QueryTally[];
}

export interface QueryStoryOptions extends StoryOptions {
  /** Share of packets lost while queries run, 0 to 1. */
  readonly loss: number;
  /** Relay factors to compare. */
  readonly relayFactors: readonly number[];
  /** Queries with each relay factor, each of another member. */
  readonly queries: number;
}

/** Time from one start to the next while the cluster forms, ms. */
const START_EVERY_MS = 40;
/** Time from one query to the next, ms. */
const ASK_EVERY_MS = 500;
/** Members that gossip may miss, of all those asked by all queries together. */
const UNHEARD_MAX = 1;
/** A number this many standard deviations off is no accident. */
const DEVIATIONS_MAX = 5;

/** A query of one member, with the other members that had part in it, by name. */
class Inquiry {
  readonly received = new Set<string>();
  readonly ackedBy = new Set<string>();
  readonly answeredBy = new Set<string>();
  duplicates = 0;
  isDone = false;

  constructor(readonly operation: OperationId, readonly relayFactor: number) {}

  note(reply: QueryReply): void {
    const senders = reply.kind === "ack" ? this.ackedBy : this.answeredBy;
    if (senders.has(reply.from)) this.duplicates++;
    senders.add(reply.from);
  }
}

/** Follows the queries of a run, of which each member asks one at most. */
class Inquiries implements ClusterObserver {
  readonly #byAsker = new Map<string, Inquiry>();

  get all(): readonly Inquiry[] {
    return [...this.#byAsker.values()];
  }

  get areDone(): boolean {
    return this.all.every(({ isDone }) => isDone);
  }

  add(asker: SimNode, inquiry: Inquiry): void {
    this.#byAsker.set(asker.name, inquiry);
  }

  onEvent(node: SimNode, event: SerfEvent): void {
    if (event.type !== "query" || event.sourceNode === node.name) return;
    this.#byAsker.get(event.sourceNode)?.received.add(node.name);
  }

  onReply(node: SimNode, operation: OperationId, reply: QueryReply): void {
    // What the asker says to itself takes no packet.
    if (reply.from === node.name) return;
    this.#of(node, operation)?.note(reply);
  }

  onDone(node: SimNode, { operation }: OperationResult): void {
    const inquiry = this.#of(node, operation);
    if (inquiry !== undefined) inquiry.isDone = true;
  }

  #of(node: SimNode, operation: OperationId): Inquiry | undefined {
    const inquiry = this.#byAsker.get(node.name);
    return inquiry?.operation === operation ? inquiry : undefined;
  }
}

/** Sums up the queries with one relay factor. */
function tallyOf(
  inquiries: readonly Inquiry[],
  relayFactor: number,
  nodes: number,
): QueryTally {
  const those = inquiries.filter((inquiry) =>
    inquiry.relayFactor === relayFactor
  );
  const sum = (countOf: (inquiry: Inquiry) => number) =>
    those.reduce((total, inquiry) => total + countOf(inquiry), 0);
  return {
    relayFactor,
    queries: those.length,
    asked: those.length * (nodes - 1),
    received: sum(({ received }) => received.size),
    acks: sum(({ ackedBy }) => ackedBy.size),
    answers: sum(({ answeredBy }) => answeredBy.size),
    duplicates: sum(({ duplicates }) => duplicates),
  };
}

/** Several members ask everybody, while packets are lost. */
export function queryStory(options: QueryStoryOptions): QueryStoryReport {
  const { loss, relayFactors, queries, ...rest } = options;
  const stage = new Stage({
    ...rest,
    link: { loss },
    answer: (node) => utf8Bytes(node.name),
  });
  const { cluster } = stage;
  const inquiries = new Inquiries();
  cluster.observers.push(inquiries);

  cluster.network.setNoise(false);
  stage.playStart(START_EVERY_MS);
  cluster.network.setNoise(true);

  const count = relayFactors.length * queries;
  const askers = Array.from(
    { length: count },
    (_, i) => cluster.node(Math.floor(i * options.nodes / count)),
  );
  for (const [i, asker] of askers.entries()) {
    const relayFactor = relayFactors[Math.floor(i / queries)] as number;
    cluster.call(asker, (engine, nowMs) => {
      const operation = engine.query(
        { name: "load", requestAck: true, relayFactor },
        nowMs,
      );
      inquiries.add(asker, new Inquiry(operation, relayFactor));
    });
    cluster.runUntil(cluster.nowMs + ASK_EVERY_MS);
  }
  stage.play("answers", queryTimeoutMs(cluster), () => inquiries.areDone);

  const tallies = relayFactors.map((relayFactor) =>
    tallyOf(inquiries.all, relayFactor, options.nodes)
  );
  for (const tally of tallies) {
    for (const text of complaints(tally, loss)) {
      stage.checkers.report("story", text);
    }
  }
  return { ...stage.report(), tallies };
}

/** What of a tally is no accident, as sentences. */
function* complaints(tally: QueryTally, loss: number): Generator<string> {
  const { relayFactor, asked, received, duplicates } = tally;
  if (asked - received > UNHEARD_MAX) {
    yield `only ${received} of ${asked} members got the query`;
  }
  if (duplicates > 0) yield `${duplicates} acks and answers came twice`;
  const chance = 1 - missChance(loss, relayFactor);
  const deviation = Math.sqrt(received * chance * (1 - chance));
  for (const what of ["acks", "answers"] as const) {
    const off = tally[what] - received * chance;
    if (Math.abs(off) <= DEVIATIONS_MAX * deviation) continue;
    yield `${tally[what]} ${what} of ${received} with ${relayFactor} relays, ` +
      `expected ${received * chance} ± ${deviation}`;
  }
}

/** How long a query runs that does not say. Source: serf `query.go`. */
function queryTimeoutMs(cluster: Cluster): number {
  const { swim, queryTimeoutMult } = cluster.configOf(cluster.node(0));
  return swim.profile.gossipIntervalMs *
    retransmitLimit(cluster.nodes.length, queryTimeoutMult);
}
