/**
 * The streams that others have opened to us and not finished: how long each may
 * take, and which one goes when there are too many.
 *
 * Anybody may open a stream, with a key or without, and say nothing, or say it
 * slowly. So a table that is full must not shut out the next one: one of those in
 * it has to go. There are two tables, of streams that have said nothing yet, which
 * cost no more than their descriptors, and of those that have begun to speak.
 *
 *     opened ──▶ silent ──first byte──▶ speaking ──▶ complete
 *
 * The one that has to go is chosen in three steps, each of which leaves honest
 * peers alone as long as it can tell them from others:
 *
 *     members │ strangers    the larger of the two classes loses one
 *        └─ by source        in it, the source with the most streams
 *             └─ by progress of these, the one with the least to show
 *
 * - Each class is sure of half of a table, and may use all of it while the other
 *   does not. Members (addresses in the member table, dead ones too) are thus let
 *   in whatever strangers do, and new nodes can join whatever happens at the
 *   address of a member.
 * - A source (an address, or an IPv6 network) with few streams keeps them, while
 *   another one has more. There is no fixed share: hundreds of nodes behind one
 *   address may use the whole table.
 * - Progress is the time of opening, moved forward by each byte as if it had come
 *   at `SLOWEST_BYTES_PER_SECOND`. The oldest silent stream comes first, and one
 *   that trickles is hardly better. Honest peers say what they want in their first
 *   packet, and are done before it could be their turn.
 *
 * Not for: reading streams (`streams.ts`), connections (`lib/net/tcp.ts`).
 */

import { ipOfEndpoint, sourceOfIp } from "../kit/source.ts";
import type { StreamId } from "./output.ts";

/**
 * Streams on which others may be speaking to us at one time.
 *
 * A stream speaks for as long as its message takes to arrive. memberlist answers
 * as many push/pulls at a time (`maxPushPullRequests`), and large clusters that
 * join through one node get by with it.
 */
export const INBOUND_STREAMS_MAX = 128;
/**
 * Streams on which nothing has come yet.
 *
 * The more there may be, the longer an honest peer may take to say its first word
 * while somebody at its own address opens streams as fast as possible: 0.1 s at
 * 4,000 a second, about what one process on the same machine can do.
 */
export const SILENT_STREAMS_MAX = 512;
/** Bytes that all unfinished inbound streams together may hold. */
export const INBOUND_BYTES_MAX = 128 * 1024 * 1024;
/**
 * Longest wait for the first byte, ms; the stream timeout of the profile if that
 * is shorter. A peer that joins at several addresses may wait a second before it
 * speaks (`LEAD_MS`), and a lost packet is sent again within another.
 */
export const FIRST_BYTE_MS = 3_000;
/**
 * A stream that arrives more slowly is ended early. The slowest link on which a
 * cluster could live carries several times as much; the state of ten members is
 * as large.
 */
export const SLOWEST_BYTES_PER_SECOND = 512;

/** Longest use of the addresses of members before they are looked up again, ms. */
const MEMBER_IPS_AGE_MS = 1_000;

/** One unfinished stream of somebody else. */
export interface InboundStream {
  readonly id: StreamId;
  /** `ip:port` of the other side. */
  readonly from: string;
  readonly ip: string;
  /** Whom it is counted for. */
  readonly source: string;
  readonly openedMs: number;
  /** Bytes that have arrived. */
  receivedBytes: number;
}

/** A stream that has to go, and what the log says of it. */
export interface Surplus {
  readonly stream: InboundStream;
  readonly why: string;
}

/** Which stream has to go: of the heaviest class and source, the worst. */
interface Rule {
  weigh(stream: InboundStream): number;
  mayGo(stream: InboundStream): boolean;
  isWorse(a: InboundStream, b: InboundStream): boolean;
}

export class InboundStreams {
  readonly #members: { all(): readonly { readonly ip: string }[] };
  readonly #silent = new Map<StreamId, InboundStream>();
  readonly #speaking = new Map<StreamId, InboundStream>();
  /** Of those that speak. */
  #bytes = 0;
  /** IPs of members, as of some time. */
  #memberIps: ReadonlySet<string> = new Set();
  #memberIpsMs = -Infinity;

  /** @param members looked at only when something has to go, and not often */
  constructor(members: { all(): readonly { readonly ip: string }[] }) {
    this.#members = members;
  }

  add(id: StreamId, from: string, nowMs: number): InboundStream {
    const ip = ipOfEndpoint(from);
    const stream: InboundStream = {
      id,
      from,
      ip,
      source: sourceOfIp(ip),
      openedMs: nowMs,
      receivedBytes: 0,
    };
    this.#silent.set(id, stream);
    return stream;
  }

  delete(id: StreamId): void {
    this.#silent.delete(id);
    const stream = this.#speaking.get(id);
    if (stream === undefined) return;
    this.#speaking.delete(id);
    this.#bytes -= stream.receivedBytes;
  }

  /** A part of a message has come, and is held until the rest does. */
  received(stream: InboundStream, byteCount: number): void {
    if (this.#silent.delete(stream.id)) this.#speaking.set(stream.id, stream);
    stream.receivedBytes += byteCount;
    this.#bytes += byteCount;
  }

  /**
   * A stream that has to go because there are too many, or because all together
   * hold too much. It is to be ended; then there may be another one.
   *
   * @param newcomer the one that has just been opened or has just brought something;
   * it stays unless it holds the most itself
   */
  surplus(newcomer: InboundStream, nowMs: number): Surplus | undefined {
    const oldest: Rule = {
      weigh: () => 1,
      mayGo: (stream) => stream !== newcomer,
      isWorse: (a, b) => progressMs(a) < progressMs(b),
    };
    const largest: Rule = {
      weigh: ({ receivedBytes }) => receivedBytes,
      mayGo: () => true,
      isWorse: (a, b) => a.receivedBytes > b.receivedBytes,
    };
    if (this.#silent.size > SILENT_STREAMS_MAX) {
      const stream = this.#choose(this.#silent, oldest, nowMs);
      return { stream, why: "Too many streams at once, closing a silent one" };
    }
    if (this.#speaking.size > INBOUND_STREAMS_MAX) {
      const stream = this.#choose(this.#speaking, oldest, nowMs);
      return { stream, why: "Too many streams at once, closing one" };
    }
    if (this.#bytes <= INBOUND_BYTES_MAX) return undefined;
    return {
      stream: this.#choose(this.#speaking, largest, nowMs),
      why: "failed to receive: all streams together hold more than " +
        `${INBOUND_BYTES_MAX} bytes`,
    };
  }

  #choose(
    streams: ReadonlyMap<StreamId, InboundStream>,
    rule: Rule,
    nowMs: number,
  ): InboundStream {
    this.#lookUpMembers(nowMs);
    const members: InboundStream[] = [];
    const strangers: InboundStream[] = [];
    for (const stream of streams.values()) {
      (this.#memberIps.has(stream.ip) ? members : strangers).push(stream);
    }
    const sum = (some: readonly InboundStream[]) =>
      some.reduce((total, stream) => total + rule.weigh(stream), 0);
    const losers = sum(members) > sum(strangers) ? members : strangers;
    const bySource = new Map<string, number>();
    for (const stream of losers) {
      const { source } = stream;
      bySource.set(source, (bySource.get(source) ?? 0) + rule.weigh(stream));
    }
    const weightOf = ({ source }: InboundStream) => bySource.get(source) ?? 0;
    return losers.filter(rule.mayGo).reduce((worst, stream) => {
      const difference = weightOf(stream) - weightOf(worst);
      const isWorse = difference > 0 ||
        (difference === 0 && rule.isWorse(stream, worst));
      return isWorse ? stream : worst;
    });
  }

  #lookUpMembers(nowMs: number): void {
    if (nowMs - this.#memberIpsMs < MEMBER_IPS_AGE_MS) return;
    this.#memberIpsMs = nowMs;
    this.#memberIps = new Set(this.#members.all().map(({ ip }) => ip));
  }
}

/** Until when a stream would have been on time if it came at the slowest rate, ms. */
function progressMs(stream: InboundStream): number {
  return stream.openedMs +
    stream.receivedBytes * 1_000 / SLOWEST_BYTES_PER_SECOND;
}

/**
 * When an unfinished stream is ended, given what has arrived of it.
 *
 * @param streamTimeoutMs of the profile: the longest that any stream may take
 */
export function endMs(stream: InboundStream, streamTimeoutMs: number): number {
  return Math.min(
    stream.openedMs + streamTimeoutMs,
    progressMs(stream) + FIRST_BYTE_MS,
  );
}
