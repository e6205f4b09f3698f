/**
 * The streams that others have opened to us and not finished: how long each may
 * take, and which one goes when there are too many.
 *
 * Anybody may open a stream, with a key or without, and say nothing. So a table
 * that is full must not shut out the next one: somebody in it has to go. It is
 * chosen in three steps, each of which leaves honest peers alone as long as it
 * can tell them from others:
 *
 *     members │ strangers    the larger of the two classes loses one
 *        └─ by source        in it, the source with the most streams
 *             └─ by progress of these, the one with the least to show
 *
 * - Each class is sure of half of the table, and may use all of it while the other
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
 * Streams that others may hold open to us at one time.
 *
 * A stream is open for as long as its message takes to arrive. memberlist answers
 * as many push/pulls at a time (`maxPushPullRequests`), and large clusters that
 * join through one node get by with it.
 */
export const INBOUND_STREAMS_MAX = 128;
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

export class InboundStreams {
  readonly #members: { all(): readonly { readonly ip: string }[] };
  readonly #streams = new Map<StreamId, InboundStream>();
  #bytes = 0;
  /** IPs of members, as of some time. */
  #memberIps: ReadonlySet<string> = new Set();
  #memberIpsMs = -Infinity;

  /** @param members looked at only when something has to go, and not often */
  constructor(members: { all(): readonly { readonly ip: string }[] }) {
    this.#members = members;
  }

  get size(): number {
    return this.#streams.size;
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
    this.#streams.set(id, stream);
    return stream;
  }

  delete(id: StreamId): void {
    const stream = this.#streams.get(id);
    if (stream === undefined) return;
    this.#streams.delete(id);
    this.#bytes -= stream.receivedBytes;
  }

  received(stream: InboundStream, byteCount: number): void {
    stream.receivedBytes += byteCount;
    this.#bytes += byteCount;
  }

  /** The stream that has to go because there are too many, if there are. */
  surplusBesides(
    newcomer: InboundStream,
    nowMs: number,
  ): InboundStream | undefined {
    if (this.size <= INBOUND_STREAMS_MAX) return undefined;
    return this.#choose(nowMs, {
      weigh: () => 1,
      mayGo: (stream) => stream !== newcomer,
      isWorse: (a, b) => progressMs(a) < progressMs(b),
    });
  }

  /** The stream that has to go because all together hold too much, if they do. */
  surplusInBytes(nowMs: number): InboundStream | undefined {
    if (this.#bytes <= INBOUND_BYTES_MAX) return undefined;
    return this.#choose(nowMs, {
      weigh: ({ receivedBytes }) => receivedBytes,
      mayGo: ({ receivedBytes }) => receivedBytes > 0,
      isWorse: (a, b) => a.receivedBytes > b.receivedBytes,
    });
  }

  #choose(nowMs: number, rule: {
    weigh(stream: InboundStream): number;
    mayGo(stream: InboundStream): boolean;
    isWorse(a: InboundStream, b: InboundStream): boolean;
  }): InboundStream | undefined {
    this.#lookUpMembers(nowMs);
    const members: InboundStream[] = [];
    const strangers: InboundStream[] = [];
    for (const stream of this.#streams.values()) {
      (this.#memberIps.has(stream.ip) ? members : strangers).push(stream);
    }
    const sum = (streams: readonly InboundStream[]) =>
      streams.reduce((total, stream) => total + rule.weigh(stream), 0);
    const losers = sum(members) > sum(strangers) ? members : strangers;
    const bySource = new Map<string, number>();
    for (const stream of losers) {
      const { source } = stream;
      bySource.set(source, (bySource.get(source) ?? 0) + rule.weigh(stream));
    }
    const weightOf = ({ source }: InboundStream) => bySource.get(source) ?? 0;
    return losers.filter(rule.mayGo).reduce<InboundStream | undefined>(
      (worst, stream) => {
        if (worst === undefined) return stream;
        const difference = weightOf(stream) - weightOf(worst);
        const isWorse = difference > 0 ||
          (difference === 0 && rule.isWorse(stream, worst));
        return isWorse ? stream : worst;
      },
      undefined,
    );
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
