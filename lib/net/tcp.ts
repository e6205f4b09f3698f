/**
 * The streams of a node: one table of TCP connections, both directions.
 *
 * A stream passes through these phases; the engine that numbers the streams
 * sees only what the arrows to it say.
 *
 *     dial ──▶ dialing ──connected──▶ open ──close──▶ closing ──▶ gone
 *                 │                    ▲ │               flush what was written,
 *                 └─failed or close─▶ gone│               then let the peer go first
 *     accept ──────────────────────────┘ └─peer ended or broke─▶ ended ──▶ gone
 *
 * The rules that keep it honest:
 *
 * - What was written is sent in order, and a close waits for it, also after the
 *   peer has ended its side: a peer may half-close and still want the answer.
 * - Nobody waits for ever. Closing is bounded by `CLOSE_LIMIT_MS`; how long an
 *   open or dialing stream may take is the engine's business, which closes it.
 * - Nothing is read ahead: the next read begins when the handler returned.
 * - An accepted stream is closed by ending our side first and reading on for a
 *   moment. To close with unread bytes would make the system reset the
 *   connection, and a reset can destroy the answer that is still on its way.
 * - At most `inboundMax` accepted streams are held, closing ones included. When
 *   there are more, one that is closing is dropped: of the source with the most of
 *   them, first those that have only to be ended by their peer, the longest ago
 *   written to first. Open streams are the engine's, which bounds them; only while
 *   they fill the table are new ones closed at once.
 * - At most `waitingBytesMax` bytes wait for the peers of accepted streams, who may
 *   ask for much and read nothing. Beyond it, the streams of the source for which
 *   most waits are dropped, the longest ago read first. What we dial are members
 *   that we chose ourselves.
 */

import { parseIp, splitHostPort } from "../kit/address.ts";
import { ipOfEndpoint, sourceOfIp } from "../kit/source.ts";
import { acceptAll } from "./accept_loop.ts";
import { monotonicMs } from "./clock.ts";
import { dialErrorText } from "./system_error.ts";
import { endpointOf } from "./system_address.ts";

/** Number of a stream, given by the engine. */
type StreamId = number;

/**
 * Bytes asked for by the first read of an accepted stream, of which there may be
 * many that never say anything; and by all other reads.
 */
const FIRST_READ_BYTES = 512;
const READ_BYTES = 16_384;
/** Longest wait for written bytes to leave after a close, ms. */
const CLOSE_LIMIT_MS = 10_000;
/** Longest wait for the peer of an accepted stream to end its side, ms. */
const LINGER_MS = 1_000;
/** Bytes that wait for the peers of accepted streams, all together. */
const WAITING_BYTES_MAX = 128 * 1_048_576;

export interface StreamHandlers {
  /**
   * A stream was accepted. The handler gives it a number with `attach`, and only
   * then may it write to the stream or close it.
   */
  onOpened(from: string, attach: (id: StreamId) => void): void;
  /** `bytes` is overwritten by the next read. */
  onData(id: StreamId, bytes: Uint8Array): void;
  /** The peer ended its side, or the connection broke. Comes at most once. */
  onEnded(id: StreamId): void;
  onDialed(id: StreamId): void;
  /** `why` is in Go's words: `dial tcp 10.0.0.1:7946: connect: connection refused`. */
  onDialFailed(id: StreamId, why: string): void;
  onAcceptError(error: unknown): void;
  /** A connection had ended before it was accepted. */
  onAcceptAborted(error: unknown): void;
  /** An accepted connection was closed because too many are open. */
  onRefused(from: string): void;
  /** An accepted stream was dropped because too much, or too many of them, waits for such peers. */
  onOverfull(from: string): void;
}

export interface StreamTableOptions {
  /** Most accepted streams. */
  readonly inboundMax: number;
  /** Bytes that may wait for their peers, 128 MiB unless given. */
  readonly waitingBytesMax?: number;
}

interface Stream {
  readonly isInbound: boolean;
  /** The other side, `ip:port`, and whom it is counted for; of accepted streams. */
  readonly from: string;
  readonly source: string;
  /** Absent while dialing. */
  conn?: Deno.TcpConn;
  /** Ends the dial. */
  readonly dial: AbortController | undefined;
  /** What waits to be written, oldest first. */
  readonly writes: Uint8Array[];
  /** Bytes of these, and of what is being written. */
  waitingBytes: number;
  isWriting: boolean;
  /** The engine has closed it: it hears nothing more of it. */
  isClosing: boolean;
  /** The read loop has come to its end. */
  isEnded: boolean;
  /** Our side of the connection was ended. */
  isFinished: boolean;
  /** When it was opened, or the peer last took something off our hands. */
  progressMs: number;
  /** Bounds the closing. */
  limit?: ReturnType<typeof setTimeout>;
}

export class StreamTable {
  readonly #handlers: StreamHandlers;
  readonly #inboundMax: number;
  readonly #waitingBytesMax: number;
  readonly #streams = new Map<StreamId, Stream>();
  #inbound = 0;
  /** Of accepted streams. */
  #waitingBytes = 0;
  #isClosed = false;

  constructor(handlers: StreamHandlers, options: StreamTableOptions) {
    const { inboundMax, waitingBytesMax = WAITING_BYTES_MAX } = options;
    this.#handlers = handlers;
    this.#inboundMax = inboundMax;
    this.#waitingBytesMax = waitingBytesMax;
  }

  /** Streams in any phase. */
  get size(): number {
    return this.#streams.size;
  }

  /** Accepts until the listener is closed. Call it once per listener. */
  async accept(listener: Deno.TcpListener): Promise<void> {
    await acceptAll({
      accept: () => listener.accept(),
      isClosed: () => this.#isClosed,
      onConnection: (conn) => this.#admit(conn),
      onAborted: (error) => this.#handlers.onAcceptAborted(error),
      onFailed: (error) => this.#handlers.onAcceptError(error),
    });
  }

  /** Begins to connect; ends in `onDialed`, `onDialFailed` or `close`. */
  dial(id: StreamId, to: string): void {
    const dial = new AbortController();
    const stream = newStream({ dial });
    this.#streams.set(id, stream);
    this.#connect(id, stream, to, dial);
  }

  /** Sends `bytes` after what was written before; they must not change. */
  write(id: StreamId, bytes: Uint8Array): void {
    const stream = this.#streams.get(id);
    if (stream === undefined || stream.isClosing || stream.isFinished) return;
    stream.writes.push(bytes);
    this.#count(stream, bytes.length);
    if (stream.isInbound) this.#limitWaitingBytes();
    // It may have been the one that had to go.
    if (this.#streams.get(id) !== stream) return;
    if (stream.conn !== undefined && !stream.isWriting) {
      this.#writeAll(id, stream, stream.conn);
    }
  }

  /** Ends a stream once everything written was sent; ends a dial at once. */
  close(id: StreamId): void {
    const stream = this.#streams.get(id);
    if (stream === undefined || stream.isClosing) return;
    stream.isClosing = true;
    if (stream.conn === undefined) {
      this.#forget(id, stream);
      stream.dial?.abort();
      return;
    }
    if (!stream.isWriting) this.#finish(id, stream, stream.conn);
    else this.#bound(id, stream, CLOSE_LIMIT_MS);
  }

  /** Ends a stream or a dial at once, sent or not. */
  drop(id: StreamId): void {
    const stream = this.#streams.get(id);
    if (stream === undefined) return;
    stream.dial?.abort();
    this.#drop(id, stream);
  }

  /** Closes everything now, sent or not. */
  shutdown(): void {
    this.#isClosed = true;
    for (const [id, stream] of this.#streams) {
      stream.dial?.abort();
      this.#drop(id, stream);
    }
  }

  #admit(conn: Deno.TcpConn): void {
    const from = endpointOf(conn.remoteAddr as Deno.NetAddr);
    if (this.#inbound >= this.#inboundMax) this.#dropClosing();
    if (this.#isClosed || this.#inbound >= this.#inboundMax) {
      closeQuietly(conn);
      if (!this.#isClosed) this.#handlers.onRefused(from);
      return;
    }
    const stream = newStream({ conn, from });
    this.#handlers.onOpened(from, (id) => {
      this.#inbound++;
      this.#streams.set(id, stream);
      this.#begin(id, stream, conn);
    });
  }

  async #connect(
    id: StreamId,
    stream: Stream,
    to: string,
    dial: AbortController,
  ): Promise<void> {
    let conn: Deno.TcpConn;
    try {
      const { host, port } = splitHostPort(to);
      if (parseIp(host) === undefined) throw new TypeError("no IP address");
      conn = await Deno.connect({ hostname: host, port, signal: dial.signal });
    } catch (error) {
      if (stream.isClosing || this.#streams.get(id) !== stream) return;
      this.#forget(id, stream);
      this.#handlers.onDialFailed(id, dialErrorText(to, error));
      return;
    }
    if (this.#streams.get(id) !== stream) {
      closeQuietly(conn);
      return;
    }
    stream.conn = conn;
    this.#handlers.onDialed(id);
    if (this.#streams.get(id) === stream) this.#begin(id, stream, conn);
  }

  #begin(id: StreamId, stream: Stream, conn: Deno.TcpConn): void {
    sendAtOnce(conn);
    if (stream.writes.length > 0 && !stream.isWriting) {
      this.#writeAll(id, stream, conn);
    }
    this.#readAll(id, stream, conn);
  }

  async #readAll(
    id: StreamId,
    stream: Stream,
    conn: Deno.TcpConn,
  ): Promise<void> {
    let buffer = new Uint8Array(
      stream.isInbound ? FIRST_READ_BYTES : READ_BYTES,
    );
    while (true) {
      let count: number | null;
      try {
        count = await conn.read(buffer);
      } catch {
        // Reset by the peer, or closed by us: nothing more to read either way.
        count = null;
      }
      if (count === null) break;
      // While closing, what still comes is read and thrown away.
      if (!stream.isClosing) {
        this.#handlers.onData(id, buffer.subarray(0, count));
      }
      if (buffer.length < READ_BYTES) buffer = new Uint8Array(READ_BYTES);
    }
    stream.isEnded = true;
    if (this.#streams.get(id) !== stream) return;
    if (!stream.isClosing) {
      // The engine may answer with a close, or have nothing more to say.
      this.#handlers.onEnded(id);
      this.close(id);
    }
    if (stream.isFinished) this.#drop(id, stream);
  }

  async #writeAll(
    id: StreamId,
    stream: Stream,
    conn: Deno.TcpConn,
  ): Promise<void> {
    stream.isWriting = true;
    try {
      let bytes: Uint8Array | undefined;
      while ((bytes = stream.writes.shift()) !== undefined) {
        while (bytes.length > 0) {
          const count = await conn.write(bytes);
          if (this.#streams.get(id) !== stream) return;
          this.#count(stream, -count);
          stream.progressMs = monotonicMs();
          bytes = bytes.subarray(count);
        }
      }
    } catch {
      // The peer is gone. The read loop finds out too and tells the engine.
      stream.writes.length = 0;
      this.#count(stream, -stream.waitingBytes);
    }
    stream.isWriting = false;
    if (stream.isClosing && this.#streams.get(id) === stream) {
      this.#finish(id, stream, conn);
    }
  }

  #count(stream: Stream, bytes: number): void {
    stream.waitingBytes += bytes;
    if (stream.isInbound) this.#waitingBytes += bytes;
  }

  /** Drops streams until what waits for their peers is within its limit. */
  #limitWaitingBytes(): void {
    while (this.#waitingBytes > this.#waitingBytesMax) {
      const worst = worstOf(this.#accepted(), {
        weigh: ({ waitingBytes }) => waitingBytes,
        isWorse: (a, b) => a.progressMs < b.progressMs,
      });
      if (worst === undefined) return;
      this.#dropOverfull(worst);
    }
  }

  /** Makes room in the table if a stream in it has only to be ended. */
  #dropClosing(): void {
    const worst = worstOf(this.#accepted(), {
      weigh: ({ isClosing }) => isClosing ? 1 : 0,
      isWorse: (a, b) =>
        a.isFinished === b.isFinished
          ? a.progressMs < b.progressMs
          : a.isFinished,
    });
    if (worst === undefined) return;
    // Its answer has left; nothing is taken from the peer that reads it.
    if (worst[1].isFinished) this.#drop(...worst);
    else this.#dropOverfull(worst);
  }

  #dropOverfull([id, stream]: [StreamId, Stream]): void {
    const wasClosing = stream.isClosing;
    this.#drop(id, stream);
    if (!wasClosing) this.#handlers.onEnded(id);
    this.#handlers.onOverfull(stream.from);
  }

  #accepted(): [StreamId, Stream][] {
    return [...this.#streams].filter(([, { isInbound }]) => isInbound);
  }

  /** Everything was written: end our side, and the stream when the peer may not be hurt. */
  #finish(id: StreamId, stream: Stream, conn: Deno.TcpConn): void {
    stream.isFinished = true;
    if (!stream.isInbound || stream.isEnded) {
      this.#drop(id, stream);
      return;
    }
    conn.closeWrite().catch(() => {});
    this.#bound(id, stream, LINGER_MS);
  }

  #bound(id: StreamId, stream: Stream, limitMs: number): void {
    clearTimeout(stream.limit);
    stream.limit = setTimeout(() => this.#drop(id, stream), limitMs);
  }

  #drop(id: StreamId, stream: Stream): void {
    stream.isClosing = true;
    this.#forget(id, stream);
    if (stream.conn !== undefined) closeQuietly(stream.conn);
  }

  #forget(id: StreamId, stream: Stream): void {
    clearTimeout(stream.limit);
    if (this.#streams.get(id) !== stream) return;
    this.#streams.delete(id);
    if (stream.isInbound) this.#inbound--;
    stream.writes.length = 0;
    this.#count(stream, -stream.waitingBytes);
  }
}

function newStream(
  end: { conn: Deno.TcpConn; from: string } | { dial: AbortController },
): Stream {
  const from = "conn" in end ? end.from : "";
  const common = {
    from,
    source: sourceOfIp(ipOfEndpoint(from)),
    progressMs: monotonicMs(),
    writes: [],
    waitingBytes: 0,
    isWriting: false,
    isClosing: false,
    isEnded: false,
    isFinished: false,
  };
  return "conn" in end
    ? { ...common, isInbound: true, conn: end.conn, dial: undefined }
    : { ...common, isInbound: false, dial: end.dial };
}

/**
 * The stream that goes first: of the source with the most weight, the worst.
 *
 * @returns `undefined` when no stream has any weight
 */
function worstOf(
  streams: readonly [StreamId, Stream][],
  rule: {
    weigh(stream: Stream): number;
    isWorse(a: Stream, b: Stream): boolean;
  },
): [StreamId, Stream] | undefined {
  const bySource = new Map<string, number>();
  for (const [, stream] of streams) {
    const { source } = stream;
    bySource.set(source, (bySource.get(source) ?? 0) + rule.weigh(stream));
  }
  const weightOf = ({ source }: Stream) => bySource.get(source) ?? 0;
  let worst: [StreamId, Stream] | undefined;
  for (const entry of streams) {
    const [, stream] = entry;
    if (rule.weigh(stream) === 0) continue;
    const difference = worst === undefined
      ? 1
      : weightOf(stream) - weightOf(worst[1]);
    if (
      worst === undefined || difference > 0 ||
      (difference === 0 && rule.isWorse(stream, worst[1]))
    ) worst = entry;
  }
  return worst;
}

/** One message often leaves in several segments; do not wait with the last. */
function sendAtOnce(conn: Deno.TcpConn): void {
  try {
    conn.setNoDelay(true);
  } catch {
    // Some systems refuse it once the peer is gone; the first read will tell.
  }
}

function closeQuietly(conn: Deno.TcpConn): void {
  try {
    conn.close();
  } catch {
    // Closed already.
  }
}
