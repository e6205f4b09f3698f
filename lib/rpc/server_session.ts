/**
 * One client's connection to an agent, as a state machine without a socket.
 *
 * ## Theory
 *
 * Two things have a state: how far the client may go, and what is read next.
 *
 *     access     new ──handshake──▶ shaken ──auth──▶ open
 *                                     └─ at once when the agent has no token
 *
 * While `new`, anything but a handshake ends the connection. While `shaken`,
 * anything but a handshake or auth is refused, and the connection stays. A client
 * that is not `open` is a stranger: few requests and few wrong tokens end its
 * connection, see `limits.ts`.
 *
 *                ┌──────────────── answered by ourselves ───────────────┐
 *                ▼                                                      │
 *     reading  header ──command with body──▶ body ──▶ (what is it?) ────┤
 *                │ ▲                                    │               │
 *                │ └── droppedBody ◀─ refused, has body │ for the agent │
 *                │                                      ▼               │
 *                └──command without body────────▶ performing ──answer──┘
 *
 *     body of auth ──too many wrong ones lately──▶ heldToken ──compareToken──▶ header
 *
 *                from anywhere: closed
 *
 * - One request at a time. While one is `performing`, bytes wait; the driver
 *   does not even read them, so a client that hurries is slowed down by TCP.
 * - Handshake, auth, stream and stop are answered here; the rest is handed out
 *   by `drain` and comes back through `answer` or `refuse`.
 * - The peer's mistakes end the connection without an answer, save where an
 *   answer is prescribed. They never throw.
 * - A response leaves before any record that waits, and whole.
 *
 * A refused command's body is read and dropped. The original takes that body
 * for another header and refuses it a second time; clients need that no more
 * than we do.
 *
 * Not here: what the requests do (`lib/net/rpc_server.ts` and the agent).
 * Source: serf, `cmd/serf/command/agent/ipc.go`;
 * `docs/protocol/rpc.md` 3 to 6.
 */

import { assert } from "../kit/assert.ts";
import { concatBytes } from "../kit/bytes.ts";
import { type LogLevel, parseLogLevel } from "../kit/log.ts";
import type { Counter } from "../kit/metrics.ts";
import type { QueryEvent, QueryReply, SerfEvent } from "../serf/event.ts";
import { WireError } from "../wire/wire_error.ts";
import { isSameSecret } from "./auth.ts";
import { isEventWanted, parseEventFilters } from "./event_filter.ts";
import { RPC_LIMITS, type RpcLimits } from "./limits.ts";
import { PendingQueries } from "./pending_queries.ts";
import {
  QUERIES_MAX,
  REQUEST_LIMITS,
  RPC_VERSION,
  RpcErrorText,
  STRANGER_LIMITS,
  STREAMS_MAX,
  ValueCutter,
} from "./protocol.ts";
import {
  EventStream,
  Monitor,
  QueryStream,
  type RecordStream,
  type RecordWord,
} from "./record_streams.ts";
import {
  type CommandFormat,
  commandFormat,
  decodeRequestBody,
  decodeRequestHeader,
  type Request,
  type RequestHeader,
} from "./request.ts";
import { encodeResponse } from "./response.ts";

/** A request that only the agent can meet. */
export type AgentRequest = Exclude<
  Request,
  { kind: "handshake" | "auth" | "stream" | "monitor" | "stop" }
>;

/** What the session asks of its driver, in order. */
export type SessionOutput =
  /** Perform it, then call `answer` or `refuse`. */
  | { readonly kind: "request"; readonly request: AgentRequest }
  /** Follow the log at this level: call `startMonitor`, then `offerLog`. */
  | { readonly kind: "openMonitor"; readonly level: LogLevel }
  | { readonly kind: "closeMonitor" }
  /** Call `compareToken` or `refuseToken` when the token's turn has come. */
  | { readonly kind: "holdToken" }
  | {
    readonly kind: "log";
    readonly level: LogLevel;
    readonly text: string;
    /** Whether it is about what the client sent, which it may repeat at will. */
    readonly isComplaint: boolean;
  }
  /** Close the connection once the responses have left. */
  | { readonly kind: "close" };

/** Bytes for one write, and what they are made of. */
export interface SessionWrite {
  /** An answer to a request, or the kind of record that comes first. */
  readonly of: "answer" | RecordWord;
  readonly bytes: Uint8Array;
}

/** What the session must ask and tell while tokens are tried. */
export interface TokenGuard {
  /** Whether a token of this client may be compared now. */
  isOpen(): boolean;
  /** One was wrong. */
  onWrong(): void;
}

export interface SessionOptions {
  /** The token that clients must show; empty for none. */
  readonly authKey: string;
  /** The client's address as the log names it, `ip:port`. */
  readonly peer: string;
  /** What the first request is answered with, before the end; absent to serve. */
  readonly refusal?: string;
  /** Counts requests, from the handshake on. */
  readonly commands?: Counter;
  /** `RPC_LIMITS` unless given. */
  readonly limits?: Pick<RpcLimits, "strangerRequestsMax" | "wrongTokensMax">;
  /** Absent to compare every token at once. */
  readonly guard?: TokenGuard;
}

/** Records that were dropped, as the log names them. */
type Dropped = "event" | "logs" | "query replies";

type Access = "new" | "shaken" | "open";

type Reading =
  | { readonly kind: "header" }
  | {
    readonly kind: "body";
    readonly format: CommandFormat & { hasBody: true };
  }
  | { readonly kind: "droppedBody" }
  | { readonly kind: "performing" }
  /** `bytesBehind`: how many bytes have come since. */
  | { kind: "heldToken"; readonly key: string; bytesBehind: number }
  | { readonly kind: "closed" };

export class ServerSession {
  readonly #authKey: string;
  readonly #peer: string;
  readonly #refusal: string | undefined;
  readonly #commands: Counter | undefined;
  readonly #limits: NonNullable<SessionOptions["limits"]>;
  readonly #guard: TokenGuard | undefined;
  readonly #cutter = new ValueCutter(STRANGER_LIMITS);
  #access: Access = "new";
  #reading: Reading = { kind: "header" };
  #header: RequestHeader = { command: "", seq: 0n };
  #strangerRequests = 0;
  #wrongTokens = 0;
  readonly #outputs: SessionOutput[] = [];
  /** Headers and bodies that wait, in order; they leave together. */
  #responses: Uint8Array[] = [];
  readonly #streams = new Map<bigint, EventStream>();
  #monitor: Monitor | undefined;
  readonly #pending = new PendingQueries();
  /** All that has records, the one whose turn it is to write first. */
  #turns: RecordStream[] = [];

  constructor(options: SessionOptions) {
    this.#authKey = options.authKey;
    this.#peer = options.peer;
    this.#refusal = options.refusal;
    this.#commands = options.commands;
    this.#limits = options.limits ?? RPC_LIMITS;
    this.#guard = options.guard;
  }

  /** Whether more bytes would be looked at now. */
  get wantsBytes(): boolean {
    const { kind } = this.#reading;
    return kind !== "performing" && kind !== "heldToken" && kind !== "closed";
  }

  /**
   * Whether a token waits for its turn. Bytes are kept then, not looked at. They
   * are to be read all the same: a client that has gone must not stay in line.
   */
  get isTokenHeld(): boolean {
    return this.#reading.kind === "heldToken";
  }

  /** Whether the client may give commands; for ever, once it may. */
  get isOpen(): boolean {
    return this.#access === "open";
  }

  /** Whether there are streams that events could go to. */
  get hasStreams(): boolean {
    return this.#streams.size > 0;
  }

  get isClosed(): boolean {
    return this.#reading.kind === "closed";
  }

  /** Whether a response waits to be taken. */
  get hasResponses(): boolean {
    return this.#responses.length > 0;
  }

  /** Bytes from the client, in any portions. */
  handleBytes(bytes: Uint8Array): void {
    if (this.isClosed) return;
    this.#cutter.push(bytes);
    if (this.#reading.kind === "heldToken") {
      this.#reading.bytesBehind += bytes.length;
      if (this.#reading.bytesBehind <= STRANGER_LIMITS.bytesMax) return;
      this.#logRequestError("too many bytes before the answer to auth");
      this.#close();
    }
    this.#advance();
  }

  /**
   * The client has ended its side, or the connection broke.
   *
   * @param reason why it broke; absent for an orderly end
   */
  handleEnd(reason?: string): void {
    const { kind } = this.#reading;
    if (kind === "header" && (reason !== undefined || this.#cutter.hasBytes)) {
      this.#logHeaderError(reason ?? "unexpected EOF");
    } else if (kind === "body") {
      this.#logRequestError(`decode failed: ${reason ?? "EOF"}`);
    }
    this.#close();
  }

  /** Ends the request that was handed out last, and goes on to the next. */
  answer(answer: { readonly error: string; readonly body?: Uint8Array }): void {
    if (this.isClosed) return;
    assert(this.#reading.kind === "performing", "a request is being performed");
    this.#respond(answer.error);
    if (answer.body !== undefined) this.#responses.push(answer.body);
    this.#reading = { kind: "header" };
    this.#advance();
  }

  /**
   * Makes a stream for what comes back to the query handed out last. Its records
   * are written once it is passed to `answerQuery`.
   */
  openQuery(): QueryStream {
    return new QueryStream(this.#header.seq);
  }

  /** Like `answer`, for a query that has begun. */
  answerQuery(stream: QueryStream): void {
    if (this.isClosed) return;
    this.#turns.push(stream);
    this.answer({ error: "" });
  }

  /** What came back to a query. */
  offerReply(stream: QueryStream, reply: QueryReply): void {
    if (stream.records.offer(reply).isFirstDrop) this.#logDrop("query replies");
  }

  /** The query that the client was told as `id`, if it may still be answered. */
  pendingQuery(id: bigint): QueryEvent | undefined {
    return this.#pending.get(id);
  }

  /** Answers the token that was held, and goes on to the next request. */
  compareToken(): void {
    if (this.#reading.kind !== "heldToken") return;
    const { key } = this.#reading;
    this.#reading = { kind: "header" };
    this.#authenticate(key);
    this.#advance();
  }

  /** Ends the connection instead of looking at the token that was held. */
  refuseToken(): void {
    if (this.#reading.kind !== "heldToken") return;
    this.#respond(RpcErrorText.tooManyTokens);
    this.#complain(
      "WARN",
      `agent.ipc: Too many tokens wait to be compared, refused: ${this.#peer}`,
    );
    this.#close();
  }

  /** Ends the connection instead of answering the request handed out last. */
  refuse(reason: string): void {
    if (this.isClosed) return;
    assert(this.#reading.kind === "performing", "a request is being performed");
    this.#logRequestError(reason);
    this.#close();
  }

  /** Gives the monitor what was logged before it, oldest first. */
  startMonitor(backlog: readonly string[]): void {
    if (this.#monitor !== undefined) {
      this.#monitor.backlog = backlog.toReversed();
    }
  }

  /** An event of the agent, for the streams that want it. */
  offerEvent(event: SerfEvent): void {
    for (const stream of this.#streams.values()) {
      if (!isEventWanted(stream.filters, event)) continue;
      const { isTaken, isFirstDrop } = stream.records.offer(
        event.type === "query"
          ? { event, id: this.#pending.nextId }
          : { event },
      );
      if (isTaken && event.type === "query") this.#pending.add(event);
      if (isFirstDrop) this.#logDrop("event");
    }
  }

  /** A new entry of the agent's log, at the monitor's level or above. */
  offerLog(line: string): void {
    // The complaint about this monitor is the one entry that it must not get.
    if (this.#monitor === undefined || line.endsWith(this.#dropText("logs"))) {
      return;
    }
    if (this.#monitor.records.offer(line).isFirstDrop) this.#logDrop("logs");
  }

  /** Hands over and forgets the outputs since the last call. */
  drain(): SessionOutput[] {
    return this.#outputs.splice(0);
  }

  /**
   * What is to be written next: all responses, else some records of one stream.
   *
   * @returns `undefined` when nothing waits
   */
  takeWrite(): SessionWrite | undefined {
    if (this.#responses.length > 0) {
      const bytes = concatBytes(this.#responses);
      this.#responses = [];
      return { of: "answer", bytes };
    }
    for (let i = 0; i < this.#turns.length; i++) {
      const turn = this.#turns.shift() as RecordStream;
      const write = turn.take();
      if (!turn.isOver) this.#turns.push(turn);
      if (write !== undefined) {
        return { of: write.word, bytes: concatBytes(write.records) };
      }
    }
    return undefined;
  }

  /** Reads as many requests as can be read now. */
  #advance(): void {
    while (this.wantsBytes) {
      let value: Uint8Array | undefined;
      try {
        value = this.#cutter.next();
        if (value === undefined) return;
        if (this.#reading.kind === "body") {
          this.#onRequest(decodeRequestBody(this.#reading.format, value));
        } else if (this.#reading.kind === "header") {
          this.#header = decodeRequestHeader(value, this.#header);
          this.#onHeader();
        } else {
          this.#reading = { kind: "header" };
        }
      } catch (error) {
        if (!(error instanceof WireError)) throw error;
        this.#onDecodeError(error);
      }
    }
  }

  #onDecodeError(error: WireError): void {
    if (this.#reading.kind === "header") this.#logHeaderError(error.detail);
    else this.#logRequestError(`decode failed: ${error.detail}`);
    this.#close();
  }

  #onHeader(): void {
    const { command } = this.#header;
    const format = commandFormat(command);
    const isRequest = this.#access !== "new" || command === "handshake";
    if (!this.isOpen) this.#strangerRequests++;
    if (isRequest && this.#refusal === undefined) this.#commands?.add();
    if (this.#refusal !== undefined) {
      this.#respond(this.#refusal);
      this.#close();
    } else if (this.#strangerRequests > this.#limits.strangerRequestsMax) {
      this.#complain(
        "WARN",
        "agent.ipc: Too many requests before the client was let in, " +
          `closed: ${this.#peer}`,
      );
      this.#close();
    } else if (this.#access === "new" && command !== "handshake") {
      this.#respond(RpcErrorText.handshakeRequired);
      this.#logRequestError(RpcErrorText.handshakeRequired);
      this.#close();
    } else if (
      this.#access === "shaken" && command !== "handshake" && command !== "auth"
    ) {
      this.#complain("WARN", "agent.ipc: Client sending commands before auth");
      this.#respond(RpcErrorText.authRequired);
      if (format?.hasBody === true) this.#reading = { kind: "droppedBody" };
    } else if (format === undefined) {
      this.#respond(RpcErrorText.unsupportedCommand);
      this.#logRequestError(`command '${command}' not recognized`);
      this.#close();
    } else if (format.hasBody) {
      this.#reading = { kind: "body", format };
    } else {
      this.#onRequest(format.request);
    }
  }

  #onRequest(request: Request): void {
    this.#reading = { kind: "header" };
    switch (request.kind) {
      case "handshake":
        return this.#respond(this.#shakeHands(request.version));
      case "auth":
        return this.#onToken(request.key);
      case "stream":
        return this.#respond(this.#openStream(request.filter));
      case "monitor":
        return this.#respond(this.#openMonitor(request.level));
      case "stop":
        this.#stop(request.seq);
        return this.#respond("");
      case "query":
        if (this.#queryCount >= QUERIES_MAX) {
          return this.#respond(RpcErrorText.tooManyQueries);
        }
        return this.#handOut(request);
      default:
        this.#handOut(request);
    }
  }

  #handOut(request: AgentRequest): void {
    this.#reading = { kind: "performing" };
    this.#outputs.push({ kind: "request", request });
  }

  get #queryCount(): number {
    return this.#turns.filter((turn) => turn instanceof QueryStream).length;
  }

  #shakeHands(version: number): string {
    if (version !== RPC_VERSION) return RpcErrorText.unsupportedVersion;
    if (this.#access !== "new") return RpcErrorText.duplicateHandshake;
    if (this.#authKey === "") this.#open();
    else this.#access = "shaken";
    return "";
  }

  #onToken(key: string): void {
    // A client that is in has nothing to find out.
    if (this.isOpen || this.#guard === undefined || this.#guard.isOpen()) {
      return this.#authenticate(key);
    }
    this.#reading = { kind: "heldToken", key, bytesBehind: 0 };
    this.#outputs.push({ kind: "holdToken" });
  }

  #authenticate(key: string): void {
    if (isSameSecret(key, this.#authKey)) {
      this.#open();
      return this.#respond("");
    }
    this.#respond(RpcErrorText.invalidAuthToken);
    if (this.isOpen) return;
    this.#guard?.onWrong();
    this.#wrongTokens++;
    const isLast = this.#wrongTokens >= this.#limits.wrongTokensMax;
    const end = isLast ? `, closed after ${this.#wrongTokens}` : "";
    this.#complain("WARN", `agent.ipc: Wrong token of ${this.#peer}${end}`);
    if (isLast) this.#close();
  }

  #open(): void {
    this.#access = "open";
    this.#cutter.setLimits(REQUEST_LIMITS);
  }

  #openStream(filterText: string): string {
    const { seq } = this.#header;
    const filters = parseEventFilters(filterText);
    if (filters === undefined) return RpcErrorText.invalidFilter;
    if (this.#streams.has(seq)) return RpcErrorText.streamExists;
    if (this.#streams.size >= STREAMS_MAX) return RpcErrorText.tooManyStreams;
    const stream = new EventStream(seq, filters);
    this.#streams.set(seq, stream);
    this.#turns.push(stream);
    return "";
  }

  #openMonitor(levelText: string): string {
    const level = parseLogLevel(levelText);
    if (level === undefined) {
      return `Unknown log level: ${levelText.toUpperCase()}`;
    }
    if (this.#monitor !== undefined) return RpcErrorText.monitorExists;
    this.#monitor = new Monitor(this.#header.seq);
    this.#turns.push(this.#monitor);
    this.#outputs.push({ kind: "openMonitor", level });
    return "";
  }

  #stop(seq: bigint): void {
    this.#streams.delete(seq);
    if (this.#monitor?.seq === seq) this.#closeMonitor();
    this.#turns = this.#turns.filter((turn) =>
      turn.seq !== seq || turn instanceof QueryStream
    );
  }

  #closeMonitor(): void {
    if (this.#monitor === undefined) return;
    this.#monitor = undefined;
    this.#outputs.push({ kind: "closeMonitor" });
  }

  #close(): void {
    if (this.isClosed) return;
    this.#reading = { kind: "closed" };
    this.#streams.clear();
    this.#pending.clear();
    this.#closeMonitor();
    this.#turns = [];
    this.#outputs.push({ kind: "close" });
  }

  #respond(error: string): void {
    this.#responses.push(encodeResponse(this.#header.seq, { error }));
  }

  #logHeaderError(reason: string): void {
    this.#complain(
      "ERR",
      `agent.ipc: failed to decode request header: ${reason}`,
    );
  }

  #logRequestError(reason: string): void {
    this.#complain("ERR", `agent.ipc: Failed to evaluate request: ${reason}`);
  }

  #logDrop(what: Dropped): void {
    const text = this.#dropText(what);
    this.#outputs.push({
      kind: "log",
      level: "WARN",
      text,
      isComplaint: false,
    });
  }

  #dropText(what: Dropped): string {
    return `agent.ipc: Dropping ${what} to ipc.client: ${this.#peer}`;
  }

  #complain(level: LogLevel, text: string): void {
    this.#outputs.push({ kind: "log", level, text, isComplaint: true });
  }
}
